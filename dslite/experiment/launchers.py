"""Where jobs run: in this process, or in a worker process. A new place to run them is a class with one method."""

import json
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dslite import children
from dslite.codec import from_json, to_json
from dslite.experiment import worker
from dslite.experiment.jobs import Job, undescribed
from dslite.native import native_output_hidden
from dslite.records import Plan, Progress, Run

_SLACK_S = 60.0
"""A worker is given up later than the processes it watches itself: it can tell how those ended."""
Message = dict[str, Any]
Numbered = list[tuple[int, Job]]
"""Jobs with their numbers."""
_SET_BY_TFMOT = "TF_USE_LEGACY_KERAS"
"""Variable that tensorflow-model-optimization sets as it is imported, and by which a later ``tf.keras`` is Keras 2."""


@contextmanager
def caller_undisturbed() -> Iterator[None]:
    """Let jobs run in the caller's process without traces there.

    They seed random generators: those of Python and NumPy are the caller's again afterwards, TensorFlow's is not. What
    native libraries print is hidden, and Keras is what it was, also where compressors need Keras 2.
    """
    states, keras = (random.getstate(), np.random.get_state()), os.environ.get(_SET_BY_TFMOT)  # noqa: NPY002
    try:
        with native_output_hidden():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - it is the global one that jobs seed
        if keras is None:
            os.environ.pop(_SET_BY_TFMOT, None)
        else:
            os.environ[_SET_BY_TFMOT] = keras


class Launcher(Protocol):
    """A place to run jobs."""

    def launch(self, request: Message, receive: Callable[[Message], None], /) -> str:
        """Have `dslite.experiment.worker.work` do a request; both it and its messages are JSON-ready.

        In the caller's process it is called within `caller_undisturbed`.

        Args:
            request: see `work`.
            receive: called with each message as it comes.

        Returns:
            How it ended: the error of the job that it was at, where it did not do all of them.
        """


class Inline:
    """Runs jobs in this process, for tests and notebooks: whatever ends its process ends this one."""

    def launch(self, request: Message, receive: Callable[[Message], None], /) -> str:
        """Do a request."""
        with caller_undisturbed():
            worker.work(json.loads(json.dumps(request)), lambda message: receive(json.loads(json.dumps(message))))
        return "the worker left jobs out"


class Process:
    """Runs jobs in a fresh process: one that crashes takes only the job along that it was at."""

    def launch(self, request: Message, receive: Callable[[Message], None], /) -> str:
        """Do a request in a child process that ends with this one."""
        timeout_s = request["plan"]["timeout_s"] + _SLACK_S
        ending = children.follow(
            worker.__name__,
            request,
            receive,
            timeout_s=timeout_s,
            renewed=True,
            label=from_json(Job, request["jobs"][0]).title,
            environment=worker.ALLOCATOR,
        )
        return f"gave up: no sign of life for {timeout_s:g} s" if ending.gave_up else children.in_words(ending)


def grouped(jobs: Mapping[int, Job]) -> list[Numbered]:
    """Put together the jobs of one worker, with their numbers: of one backbone and exporter, or one model."""
    groups: dict[tuple[object, ...], Numbered] = defaultdict(list)
    for number, job in jobs.items():
        groups[job.group].append((number, job))
    return list(groups.values())


def run_all(
    launcher: Launcher,
    left: Numbered,
    plan: Plan,
    audio: Sequence[Path],
    start: Callable[[str], Progress],
    finished: Callable[[int, Run], None],
    note: Callable[[str], None],
    together: Sequence[int] = (),
) -> None:
    """Run jobs that share a worker, in turn.

    A worker that dies takes the job it was at along, which is a run with an error; the next worker does the rest.

    Args:
        launcher: where.
        left: the jobs; the list is emptied.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        start: called with the title of each job when it is begun; what it gives is told of its progress.
        finished: called with each job's number and run.
        note: told what the user should know.
        together: of each job the number of its group, which are neighbours; files of a group are timed in turn, and
            nothing else is measured. Empty: each job is measured by itself, as a whole.
    """
    group_of = dict(zip((number for number, _ in left), together, strict=bool(together)))
    while left:
        report, compressing = start(left[0][1].title), False

        def receive(message: Message) -> None:
            nonlocal report, compressing
            compressing = bool(message.get("compressing", compressing))
            if "note" in message:
                note(message["note"])
            if "progress" in message:
                report(*message["progress"])
            if "run" in message:
                number, _ = left.pop(0)
                finished(number, from_json(Run, message["run"]))
                if left:
                    report = start(left[0][1].title)

        request = {
            "jobs": [to_json(job) for _, job in left],
            "plan": to_json(plan),
            "audio": [str(path) for path in audio],
            "together": [group_of[number] for number, _ in left] if together else [],
        }
        reason = launcher.launch(request, receive)
        # The worker did not live to tell of its job. Where it was making the model that all have in common, the next
        # would end in the same way, after as long a training.
        for i in range(len(left) if compressing else min(1, len(left))):
            number, lost = left.pop(0)
            if i:  # the first was begun
                start(lost.title)
            finished(number, Run(undescribed(lost), lost.target, None, plan, error=reason))
