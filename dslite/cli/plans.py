"""Options that say how a file is measured."""

import functools
from typing import Any

import click

from dslite.cli.options import Row, Seconds, with_options
from dslite.errors import SpecError
from dslite.records import DEFAULT_THREADS, Plan

_OPTIONS: tuple[Row, ...] = tuple(
    (flag, field, kind, getattr(Plan(0), field) if field != "threads" else None, text)
    for flag, field, kind, text in (
        (
            "--threads",
            "threads",
            click.IntRange(1),
            f"For the runtime.  [default: {DEFAULT_THREADS}, or the cores of the device if fewer]",
        ),
        ("--runs", "runs", click.IntRange(1), "Timed runs, at least; --min-seconds are spent too."),
        ("--min-seconds", "min_s", Seconds(0), "Timed, at least."),
        ("--max-seconds", "max_s", Seconds(1e-3), "Timed, at most."),
        ("--warmup-runs", "warmup_runs", click.IntRange(0), "After the first, at least."),
        ("--warmup-seconds", "warmup_s", Seconds(0), "Warm-up, at least."),
        ("--timeout", "timeout_s", Seconds(1), "Seconds for one process."),
        ("--memory/--no-memory", "memory", None, "Measure memory, in a process of its own."),
    )
)
"""Each fills a field of `Plan`, and has its default."""
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
        given = {field: values.pop(field) for _, field, *_ in _OPTIONS}
        plan = Plan(**{**given, "threads": given["threads"] or 0})
        if plan.min_s > plan.max_s:
            raise SpecError(f"--min-seconds {plan.min_s:g} is beyond --max-seconds {plan.max_s:g}: raise that")
        if plan.max_s > plan.timeout_s:
            raise SpecError(f"--max-seconds {plan.max_s:g} is beyond --timeout {plan.timeout_s:g}: raise the timeout")
        return function(plan=plan, **values)

    return with_options(wrapper, _OPTIONS)
