"""Worker processes that export and measure cases, one after another; see `dslite.experiment.worker`."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dslite import children
from dslite.codec import from_json, to_json
from dslite.experiment import worker
from dslite.experiment.jobs import Case, undescribed
from dslite.records import Plan, Progress, Run

_SLACK_S = 60.0
"""A worker is given up later than the processes it watches itself: it can tell how those ended."""


def measure(
    groups: Sequence[list[tuple[int, Case]]],
    plan: Plan,
    audio: Sequence[Path],
    start: Callable[[str], Progress],
    finished: Callable[[int, Run], None],
) -> None:
    """Measure cases, those of a group in one worker process, in turn.

    A worker that dies takes the case it was at along, which is a run with an error; the next worker does the rest.

    Args:
        groups: of cases with their numbers; they are emptied.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        start: called with the title of each case when it is begun; what it gives is told of its progress.
        finished: called with each case's number and run.
    """
    for left in groups:
        while left:
            reason, was_making = work(left, plan, audio, start, finished)
            # The worker did not live to tell of its case. Where it was making the model that all have in common, the
            # next would end in the same way, after as long a training.
            for i in range(len(left) if was_making else min(1, len(left))):
                number, lost = left.pop(0)
                if i:  # the first was begun
                    start(lost.title)
                finished(number, lost_run(lost, plan, reason))


def grouped(cases: Mapping[int, Case]) -> list[list[tuple[int, Case]]]:
    """Give cases with their numbers, together those of one worker: of one backbone and exporter, or one model."""
    groups: dict[tuple[object, ...], list[tuple[int, Case]]] = defaultdict(list)
    for number, case in cases.items():
        groups[case.group].append((number, case))
    return list(groups.values())


def work(
    left: list[tuple[int, Case]],
    plan: Plan,
    audio: Sequence[Path],
    start: Callable[[str], Progress],
    finished: Callable[[int, Run], None],
    together: Sequence[int] = (),
) -> tuple[str, bool]:
    """Let a worker measure cases, each leaving the list when its run is there.

    Args:
        left: cases with their numbers.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        start: see `measure`.
        finished: see `measure`.
        together: of each case the number of its group, which are neighbours; files of a group are timed in turn, and
            nothing else is measured. Empty: each case is measured by itself, as a whole.

    Returns:
        How the worker ended, and whether it was making the model of an experiment's cases then.
    """
    report, making = start(left[0][1].title), False

    def receive(message: dict[str, Any]) -> None:
        nonlocal report, making
        making = bool(message.get("making", making))
        if "progress" in message:
            report(*message["progress"])
        if "run" in message:
            number, _ = left.pop(0)
            finished(number, from_json(Run, message["run"]))
            if left:
                report = start(left[0][1].title)

    ending = children.follow(
        worker.__name__,
        {
            "cases": [to_json(case) for _, case in left],
            "plan": to_json(plan),
            "audio": [str(path) for path in audio],
            "together": list(together),
        },
        receive,
        timeout_s=plan.timeout_s + _SLACK_S,
        renewed=True,
        label=left[0][1].title,
        environment=worker.ALLOCATOR,
    )
    if ending.gave_up:
        return f"gave up: no sign of life for {plan.timeout_s + _SLACK_S:g} s", making
    return children.in_words(ending), making


def lost_run(case: Case, plan: Plan, reason: str) -> Run:
    """Give the run of a case whose worker did not live to tell of it."""
    return Run(undescribed(case), case.target, None, plan, error=reason)
