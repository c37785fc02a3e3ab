"""``dslite report``."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from dslite.cli.options import OUTPUT, PATH
from dslite.errors import SpecError

_SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown", ".csv": "csv"}


@click.command(epilog="Example: dslite report zoo.json -o zoo.html")
@click.argument("reports", type=PATH, nargs=-1)
@click.option(
    "--format",
    "form",
    type=click.Choice(("html", "markdown", "csv")),
    help="Else by the suffix of -o (.html, .md, .csv), and without that Markdown.",
)
@click.option("-o", "--output", type=OUTPUT, help="Write it there, not to standard output; replaced if it exists.")
@click.option("--title", metavar="TEXT", help="Of the page, or of the Markdown.")
@click.option("--paper", is_flag=True, help="Put the figures of the paper's Table 5 beside ours.")
@click.option("--schema", is_flag=True, help="Write the JSON Schema of reports instead.")
def command(
    reports: tuple[Path, ...], form: str | None, output: Path | None, title: str | None, paper: bool, schema: bool
) -> None:
    """Make a page, Markdown or CSV of reports.

    REPORTS are files of `dslite bench -o`, or the report.json of `dslite compress`; several make one document. The page
    is one HTML file that needs no network: table to sort, plots, distributions, flags, environment, command.
    """
    from dslite.cli.reports import read

    if schema:
        from dslite.report.schema import json_schema

        if reports or form or title or paper:
            raise SpecError("--schema goes with -o alone: it writes the form of reports, not one of them")
        _deliver(json.dumps(json_schema(), indent=2) + "\n", output)
        return
    if not reports:
        raise SpecError("expected a report: a file that `dslite bench -o` wrote")
    chosen = _form(form, output)
    if chosen == "csv" and (title or paper):
        raise SpecError(f"{'--title' if title else '--paper'}: a CSV has figures of runs alone: choose .html or .md")
    _check_places(reports, output)
    from dslite.report.comma_separated import as_csv
    from dslite.report.markdown import markdown
    from dslite.report.page import html
    from dslite.report.view import view

    writers = {"html": html, "markdown": markdown, "csv": as_csv}
    found = read(reports)
    if not any(report.runs for _, report in found):
        raise SpecError(f"{reports[0]}: the report has no row: measure one with `dslite bench ... -o {reports[0]}`")
    _deliver(writers[chosen](view(found, title, with_paper=paper)), output)


def _form(form: str | None, output: Path | None) -> str:
    suffix = output.suffix.lower() if output else ".md"
    chosen = form or _SUFFIXES.get(suffix)
    if chosen is None:
        raise SpecError(f"-o: expected a name that ends in .html, .md or .csv, got {output}; or say --format")
    return chosen


def _check_places(reports: Sequence[Path], output: Path | None) -> None:
    """Refuse a report that is named twice, and to write over one, or over what is no document."""
    places = [path.resolve() for path in reports]
    if output and output.resolve() in places:
        raise SpecError(f"-o: {output} is a report that is to be read, with every sample: name another file")
    if output and output.suffix.lower() not in _SUFFIXES and output.is_file() and output.stat().st_size:
        raise SpecError(f"-o: {output} is there, and by its name no page, Markdown or CSV: name another file")
    for path, place in zip(reports, places, strict=True):
        if (n := places.count(place)) > 1:
            raise SpecError(f"{path}: expected each report once, got it {n} times")


def _deliver(text: str, output: Path | None) -> None:
    from dslite import files

    if output:
        files.write_text(output, text)
    else:
        click.echo(text, nl=False)
