"""Which process is at work in a folder: one at a time, and none that has died."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dslite import files
from dslite.errors import SpecError

OWNER_FILE = "owner"
"""In a folder that a process is at work in."""
_CLOCK_STEP_S = 5.0  # when a process began is told by the clock, which may be set meanwhile


def claim(folder: Path) -> None:
    """Note that this process is at work in a folder."""
    files.write_text(folder / OWNER_FILE, json.dumps([os.getpid(), _started(os.getpid())]))


def check_free(folder: Path) -> None:
    """Refuse a folder that another process is at work in.

    Raises:
        SpecError: where one is.
    """
    owner = living_owner(folder)
    if owner:
        raise SpecError(f"{folder}: process {owner} is at work there: wait for it, or take another folder")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Note that this process is at work in a folder, while the block runs.

    Raises:
        SpecError: where another one is.
    """
    check_free(folder)
    claim(folder)
    try:
        yield
    finally:
        if not living_owner(folder):
            (folder / OWNER_FILE).unlink(missing_ok=True)


def living_owner(folder: Path) -> int | None:
    """Give the process that is at work in a folder now, unless it is this one."""
    try:
        pid, started = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))
        if pid != os.getpid() and abs(_started(pid) - started) < _CLOCK_STEP_S:
            return int(pid)
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return None


def _started(pid: int) -> float:
    """Give when a process began, in seconds since the epoch."""
    return psutil.Process(pid).create_time()
