"""``dslite report``."""

from pathlib import Path

import click

from dslite.cli.console import print_json
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
@click.option("--title", metavar="TEXT", help="Of the document.")
@click.option("--paper", is_flag=True, help="Put the figures of the paper's Table 5 beside ours.")
@click.option("--schema", is_flag=True, help="Write the JSON Schema of reports instead, and nothing else.")
def command(
    reports: tuple[Path, ...], form: str | None, output: Path | None, title: str | None, paper: bool, schema: bool
) -> None:
    """Make a page, Markdown or CSV of reports.

    REPORTS are files of `dslite bench -o`, or the report.json of `dslite compress`; several make one document. The page
    is one HTML file that needs no network: table to sort, plots, distributions, flags, environment, command.
    """
    from dslite import files
    from dslite.report import document

    if schema:
        from dslite.report.schema import json_schema

        print_json(json_schema())
        return
    if not reports:
        raise SpecError("expected a report: a file that `dslite bench -o` wrote")
    suffix = output.suffix.lower() if output else ".md"
    chosen = form or _SUFFIXES.get(suffix)
    if chosen is None:
        raise SpecError(f"-o: expected a name that ends in .html, .md or .csv, got {output}; or say --format")
    from dslite.report.documents import as_csv, markdown
    from dslite.report.page import html
    from dslite.report.sheet import sheet

    writers = {"html": html, "markdown": markdown, "csv": as_csv}
    read = [(path.name, document.read(path)) for path in reports]
    text = writers[chosen](sheet(read, title, with_paper=paper))
    if output:
        files.write_text(output, text)
    else:
        click.echo(text, nl=False)
