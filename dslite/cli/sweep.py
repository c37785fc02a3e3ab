"""Measure the cases of a bench, in worker processes, and keep what is measured until all of it is."""

import contextlib
import json
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dslite import cache, children, files
from dslite.cli import building, identity, worker
from dslite.cli.cases import Case
from dslite.cli.console import Steps, progress
from dslite.codec import from_json, to_json
from dslite.errors import SpecError, WriteError
from dslite.measure import bench
from dslite.measure.environment import cpu_count, cpu_model
from dslite.records import Flag, Plan, Run
from dslite.report.columns import in_short

_SLACK_S = 60.0
"""A worker is given up later than the processes it watches itself: it can tell how those ended."""


def run(
    cases: Sequence[Case],
    plan: Plan,
    audio: Sequence[Path],
    done: dict[int, Run],
    add: Callable[[Sequence[Run], Run], None],
    *,
    fresh: bool,
) -> None:
    """Measure cases; those that a bench which was stopped has measured are taken over.

    Args:
        cases: in the order of the report.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        done: gets each case's run under its number, as they come.
        add: called with all runs so far, in the order of their cases, and the new one among them.
        fresh: measure all of them.
    """
    with _cache_ready():
        keys = _keys(cases, plan, audio)
        if fresh:
            _forget(keys)
        done |= _kept(keys)
        if done:
            told = f"{len(done)} of {len(cases)} cases were measured by a bench that was stopped, and are taken over"
            click.echo(f"{told} (--fresh measures them again)", err=True)
        for new in list(done.values()):
            add(in_order(done), new)
        left = {i: case for i, case in enumerate(cases) if i not in done}
        several = len({case.system.name for case in cases if case.system}) > 1
        with progress(len(left)) as steps:

            def finished(number: int, new: Run) -> None:
                done[number] = new
                _keep(new, keys[number])
                if several:
                    steps.tell(f"{cases[number].title}: {in_short(new)}")
                add(in_order(done), new)

            _measure(left, plan, audio, steps, finished)
        _forget(keys)


def in_order(done: Mapping[int, Run]) -> list[Run]:
    """Give runs in the order of their cases."""
    return [done[number] for number in sorted(done)]


@contextmanager
def _cache_ready() -> Iterator[None]:
    """See to it that there is a cache folder while the block runs: the user's, or else a temporary one."""
    try:
        cache.make()
    except WriteError as error:
        click.echo(f"note: {error}; nothing is kept (DSLITE_CACHE names another folder)", err=True)
        with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
            os.environ["DSLITE_CACHE"] = folder  # the workers look there too
            cache.make()
            yield
        return
    yield
    cache.trim()


# -- what was measured before -------------------------------------------------------------------------


def _keys(cases: Sequence[Case], plan: Plan, audio: Sequence[Path]) -> list[str]:
    """Give each case a key: the hash of all that its figures depend on."""
    sounds = [files.sha256(path) for path in audio]
    machine = [cpu_model(), cpu_count(), platform.platform(), platform.python_version()]
    return [identity.run_key(_content(case), case.target, plan, sounds, machine) for case in cases]


def _content(case: Case) -> str:
    if case.system is None:
        return files.sha256(Path(case.file or ""))
    return building.export_key(case.system, case.part, case.exporter)


def _kept(run_keys: Sequence[str]) -> dict[int, Run]:
    """Give the runs that a bench which was stopped has kept, by the number of their case here."""
    found = {i: run for i, key in enumerate(run_keys) if (run := _read(cache.run_file(key)))}
    if not found:
        return {}
    first = min(cache.run_file(run_keys[i]).stat().st_mtime for i in found)
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(first))
    message = f"measured from {when} on, by a bench that was stopped, and taken over: {len(found)} of {len(run_keys)}"
    flag = Flag("measured_before", f"{message} cases")
    return {i: replace(run, flags=(*run.flags, flag)) for i, run in found.items()}


def _read(path: Path) -> Run | None:
    try:
        return from_json(Run, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, SpecError, ValueError):  # not there, or not whole: then it is measured again
        return None


def _keep(run: Run, key: str) -> None:
    """Keep a run until its bench is complete; one that failed is tried again then."""
    if not run.error:
        with contextlib.suppress(WriteError):  # the cache is full: it is measured again then
            files.write_text(cache.run_file(key), json.dumps(to_json(run)))


def _forget(run_keys: Sequence[str]) -> None:
    """Take away what was kept: the bench is complete."""
    for key in run_keys:
        cache.run_file(key).unlink(missing_ok=True)


# -- processes ----------------------------------------------------------------------------------------


def _measure(
    cases: Mapping[int, Case], plan: Plan, audio: Sequence[Path], steps: Steps, finished: Callable[[int, Run], None]
) -> None:
    """Measure cases: those of one backbone and exporter in one worker process, in turn.

    A worker that dies takes the case it was at along, which is a run with an error; the next worker does the rest.

    Args:
        cases: by their number.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        steps: a bar with a step a case.
        finished: called with each case's number and run.
    """
    groups: dict[tuple[object, ...], list[tuple[int, Case]]] = defaultdict(list)
    for number, case in cases.items():
        groups[case.file, case.system and case.system.name, case.exporter].append((number, case))
    for left in groups.values():
        while left:
            reason = _work(left, plan, audio, steps, finished)
            if left:  # the worker did not live to tell of its case
                number, lost = left.pop(0)
                finished(number, _lost(lost, plan, reason))


def _work(
    left: list[tuple[int, Case]],
    plan: Plan,
    audio: Sequence[Path],
    steps: Steps,
    finished: Callable[[int, Run], None],
) -> str:
    """Let a worker measure cases, each leaving the list when its run is there; give how the worker ended."""
    report = steps.start(left[0][1].title)

    def receive(message: dict[str, Any]) -> None:
        nonlocal report
        if "progress" in message:
            report(*message["progress"])
        if "run" in message:
            number, _ = left.pop(0)
            finished(number, from_json(Run, message["run"]))
            if left:
                report = steps.start(left[0][1].title)

    ending = children.follow(
        worker.__name__,
        {
            "cases": [to_json(case) for _, case in left],
            "plan": to_json(plan),
            "audio": [str(path) for path in audio],
        },
        receive,
        timeout_s=plan.timeout_s + _SLACK_S,
        renewed=True,
        label=left[0][1].title,
        environment={"TF_CPP_MIN_LOG_LEVEL": "3", **worker.ALLOCATOR},
    )
    if ending.gave_up:
        return f"gave up: no sign of life for {plan.timeout_s + _SLACK_S:g} s"
    return children.in_words(ending)


def _lost(case: Case, plan: Plan, reason: str) -> Run:
    backbone = case.system.name if case.system else None
    artifact = bench.undescribed(Path(case.file_name), backbone, case.exporter or None, case.part)
    return Run(artifact, case.target, None, plan, error=reason)
