"""``dslite compare``."""

from pathlib import Path

import click

from dslite.cli.console import json_option, out, print_json
from dslite.cli.options import PATH, share_of
from dslite.errors import SpecError
from dslite.measure.validity import RUN_TO_RUN
from dslite.metrics.table import MEMORY_RUN_TO_RUN

BEYOND = 3
"""Exit code where a row goes beyond a limit."""


class _Share(click.ParamType[float]):
    """A share, such as ``25%`` or ``0.25``."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return share_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command(epilog="Example: dslite compare before.json after.json --fail-if 'latency.p50>5%' --fail-if 'size>0'")
@click.argument("reports", type=PATH, nargs=-1, required=True)
@click.option(
    "--fail-if",
    "limits",
    multiple=True,
    metavar="LIMIT",
    help="End with exit code 3 where a change is beyond this: 'latency.p50>5%', 'size>0', 'memory>1MB', or, of "
    "reports of `dslite compress`, 'uar<-0.02'. A time must be shown to be beyond it: the end of the interval of the "
    "ratio is, or, of first, init and percentiles, the figure less --run-to-run; and so must memory: less "
    f"{MEMORY_RUN_TO_RUN:.0%}, which two measurements of one file may differ by. What cannot be judged is told. May be "
    "repeated.",
)
@click.option(
    "--run-to-run",
    type=_Share(),
    default=f"{RUN_TO_RUN:.0%}",
    show_default=True,
    help="What is allowed for between the times of two runs of one file that did not take turns.",
)
@json_option
def command(reports: tuple[Path, ...], limits: tuple[str, ...], run_to_run: float, as_json: bool) -> None:
    """Compare reports: faster, slower, or not shown.

    REPORTS are files of `dslite bench -o`. The first is what the others are compared with, row by row. Of one report
    alone, its rows are compared with the first one, which shows small differences where they took turns (`dslite bench
    A B --interleave`).

    Machine, software and settings that differ are named first. Exit codes: 0, whatever the verdict, unless there is a
    limit (--fail-if): 3 where it is exceeded, or a row fails, is gone, or lost that figure; 2 where there is nothing
    to compare, or no row could be judged by a limit: none is valid, or has runs enough.
    """
    from dslite.cli.reports import read
    from dslite.codec import to_json
    from dslite.report import compare_table, comparison
    from dslite.report import limits as limited

    bounds = [limited.parse(text) for text in limits]
    (name, first), *others = read(reports)
    if others:
        found = [comparison.compare(first, report, (name, other), run_to_run) for other, report in others]
    else:
        found = [comparison.within(first, name, run_to_run)]
    judged = limited.judge(bounds, found, run_to_run) if bounds else limited.Judgement()
    if as_json:
        told = [compare_table.to_json(each, run_to_run) for each in found]
        print_json({"comparisons": told, **to_json(judged)})
    else:
        console = out()
        for each in found:
            console.print(compare_table.comparison_table(each, run_to_run, console.width))
        for excess in judged.beyond:
            console.print(f"beyond the limit: {excess}", style="red", markup=False)
        for excess in judged.not_judged:
            console.print(f"not judged: {excess}", style="yellow", markup=False)
        for text, n in judged.judged.items():
            if n and not any(excess.limit == text for excess in (*judged.beyond, *judged.not_judged)):
                console.print(f"within: {text}, {n} row{'s' if n > 1 else ''}", style="green", markup=False)
    if judged.beyond:
        raise SystemExit(BEYOND)
    if judged.blind:
        raise SpecError(
            f"--fail-if {', '.join(judged.blind)}: no row could be judged: measure again, on a quiet machine, for "
            "longer, or in turn, dslite bench A.tflite B.tflite --interleave"
        )
