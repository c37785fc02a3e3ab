"""Runs that are kept until their bench is complete, so that one that was stopped goes on where it was.

A bench is its list of jobs: the same command finds them again. Each run is kept under the key of all its figures
depend on, so of what has changed since then, nothing is taken over.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dslite import cache, files, locks
from dslite.codec import from_json, to_json
from dslite.errors import SpecError, WriteError
from dslite.experiment import keys
from dslite.experiment.jobs import Job
from dslite.records import Flag, Run

MEASURED_BEFORE = "measured_before"
"""Code of the flag of a run that was taken over."""


class KeptRuns:
    """The kept runs of one bench; while another process measures the same, they are that process's.

    Attributes:
        holder: that process, named; empty where there is none.
    """

    def __init__(self, jobs: Sequence[Job], run_keys: Sequence[str]) -> None:
        self._jobs = jobs
        self._keys = run_keys
        self._folder = cache.entry_folder("runs", keys.key([job.identity for job in jobs]))
        self.holder = ""

    def begin(self, *, fresh: bool) -> dict[int, Run]:
        """Give the runs there are, by the number of their job; from now on they are ours, until `end`.

        Args:
            fresh: give none, and take them away.
        """
        with contextlib.suppress(WriteError):  # a cache that cannot be written to: nothing can be kept either
            if not locks.claim(self._folder):
                self.holder = locks.holder(self._folder) or "another process"
                return {}
        if fresh:
            self.forget()
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
        places = [self._folder / f"{key}.json" for key in self._keys]
        found = {i: read for i, place in enumerate(places) if (read := _read(place, self._jobs[i]))}
        if not found:
            return {}
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(min(at for _, at in found.values())))
        told = f"{len(found)} of {len(self._keys)} jobs were measured from {when} on, before this command was stopped"
        flag = Flag(MEASURED_BEFORE, told)
        return {i: replace(run, flags=(*run.flags, flag)) for i, (run, _) in found.items()}

    def keep(self, number: int, run: Run) -> None:
        """Keep the run of a job; one that failed is not kept, so it is tried again."""
        if not self.holder and not run.error:
            with contextlib.suppress(WriteError):  # the disk is full: it is measured again then
                files.write_text(self._folder / f"{self._keys[number]}.json", json.dumps(to_json(run)))

    def among(self, done: Mapping[int, Run]) -> int:
        """Count the runs that the next bench can take over."""
        return sum((self._folder / f"{self._keys[number]}.json").exists() for number in done)

    def forget(self) -> None:
        """Take all away: the bench is complete, and its results are where they belong."""
        if not self.holder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def end(self) -> None:
        """Leave them to the next bench."""
        locks.release(self._folder)


def _read(path: Path, job: Job) -> tuple[Run, float] | None:
    """Read a run, and when it was kept; None where it is not whole, or a file that it made has gone."""
    try:
        run = from_json(Run, json.loads(path.read_text(encoding="utf-8")))
        at = path.stat().st_mtime
    except (OSError, SpecError, ValueError):
        return None
    return (run, at) if all(place.exists() for place in job.outputs(Path(run.artifact.path))) else None
