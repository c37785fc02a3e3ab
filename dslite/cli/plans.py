"""Options that say how a file is measured."""

import functools
from typing import Any

import click

from dslite.cli.options import Seconds
from dslite.errors import SpecError
from dslite.records import DEFAULT_THREADS, Plan

_OPTIONS = (
    click.option(
        "--threads",
        type=click.IntRange(1),
        help=f"For the runtime.  [default: {DEFAULT_THREADS}, or the cores of the device if fewer]",
    ),
    click.option(
        "--runs",
        type=click.IntRange(1),
        default=50,
        show_default=True,
        help="Timed runs, at least; --min-seconds are spent too.",
    ),
    click.option("--min-seconds", type=Seconds(0), default=1.0, show_default=True, help="Timed, at least."),
    click.option("--max-seconds", type=Seconds(1e-3), default=150.0, show_default=True, help="Timed, at most."),
    click.option(
        "--warmup-runs", type=click.IntRange(0), default=1, show_default=True, help="After the first, at least."
    ),
    click.option("--warmup-seconds", type=Seconds(0), default=0.5, show_default=True, help="Warm-up, at least."),
    click.option("--timeout", type=Seconds(1), default=600.0, show_default=True, help="Seconds for one process."),
    click.option(
        "--memory/--no-memory", default=True, show_default=True, help="Measure memory, in a process of its own."
    ),
)


MOST_ROUNDS = 1000

rounds_option = click.option(
    "--rounds",
    type=click.IntRange(1, MOST_ROUNDS),
    default=6,  # of which a rank test can tell speeds apart, and whose median one disturbance does not move
    show_default=True,
    help="In which files take turns at the end to be timed, next to the one they are compared with; --runs are divided "
    "among them. Fewer than 5 give no stars, fewer than 6 no verdict of `dslite compare`.",
)


def plan_options(function: Any) -> Any:
    """Add the options of a plan; the command gets them as one argument, ``plan``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        max_s, timeout_s = values.pop("max_seconds"), values.pop("timeout")
        if values["min_seconds"] > max_s:
            raise SpecError(f"--min-seconds {values['min_seconds']:g} is beyond --max-seconds {max_s:g}: raise that")
        if max_s > timeout_s:
            raise SpecError(f"--max-seconds {max_s:g} is beyond --timeout {timeout_s:g}: raise the timeout")
        plan = Plan(
            threads=values.pop("threads") or 0,
            warmup_runs=values.pop("warmup_runs"),
            warmup_s=values.pop("warmup_seconds"),
            runs=values.pop("runs"),
            min_s=values.pop("min_seconds"),
            max_s=max_s,
            timeout_s=timeout_s,
            memory=values.pop("memory"),
        )
        return function(plan=plan, **values)

    wrapped: Any = wrapper
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
