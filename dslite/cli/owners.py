"""Which process is at work in a folder: one at a time, and none that has died."""

import json
import os
from pathlib import Path

import psutil

from dslite import files

_OWNER = "owner"


def claim(folder: Path) -> None:
    """Note that this process is at work in a folder."""
    files.write_text(folder / _OWNER, json.dumps(_identify(os.getpid())))


def release(folder: Path) -> None:
    """Take the note away."""
    (folder / _OWNER).unlink(missing_ok=True)


def living_owner(folder: Path) -> int | None:
    """Give the process that is at work in a folder now, unless it is this one."""
    try:
        pid, started = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        if pid != os.getpid() and _identify(pid) == [pid, started]:
            return int(pid)
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return None


def _identify(pid: int) -> list[float]:
    return [pid, psutil.Process(pid).create_time()]
