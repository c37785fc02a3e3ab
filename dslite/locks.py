"""Which process is at work on a file or folder: one at a time.

The operating system holds the lock, so it ends with its process, whatever the clock says. It stands beside what it is
for, as ``.NAME.lock``, because folders are replaced whole; within is the process at work.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from dslite.errors import SpecError, WriteError

_N_TRIES, _POLL_S = 6, 0.05
"""Who only looks whether there is a lock takes it for a moment, without writing its number."""
_held: dict[Path, FileLock] = {}
"""By this process: a lock ends when nobody refers to it."""


def lock_file(path: Path) -> Path:
    """Name the file that is locked for a path."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.lock")


def claim(path: Path) -> bool:
    """Take the lock of a path, until `release` or the end of this process; return whether it was free.

    Raises:
        WriteError: where the system refuses.
    """
    file = lock_file(path)
    lock = FileLock(file, thread_local=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not _acquired(lock, file):
            return False
        file.write_text(str(os.getpid()))
    except OSError as error:
        lock.release()
        raise WriteError(f"cannot lock {path}: {error.strerror or error}") from None
    _held[file] = lock
    return True


def _acquired(lock: FileLock, file: Path) -> bool:
    for _ in range(_N_TRIES):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            pid = _pid(file)
            if pid is not None and psutil.pid_exists(pid):
                return False
            time.sleep(_POLL_S)
        else:
            return True
    return False


def release(path: Path) -> None:
    """Let go of a path; without `claim` before, do nothing."""
    file = lock_file(path)
    if lock := _held.pop(file, None):
        with contextlib.suppress(OSError):  # Windows removes no open file
            file.unlink()
        lock.release()


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold the lock of a path while the block runs.

    Raises:
        SpecError: where another process does.
        WriteError: where the system refuses.
    """
    if not claim(path):
        raise SpecError(_at_work(path))
    try:
        yield
    finally:
        release(path)


def check_free(path: Path) -> None:
    """Refuse a path that another process is at work on.

    Raises:
        SpecError: where one is.
    """
    if holder(path):
        raise SpecError(_at_work(path))


def is_ours(path: Path) -> bool:
    """Tell whether this process holds the lock of a path."""
    return lock_file(path) in _held


def holder(path: Path) -> str:
    """Name the process that holds the lock of a path, such as ``process 123``; empty: none does, or this one."""
    file = lock_file(path)
    if is_ours(path) or not file.exists():
        return ""
    try:
        with FileLock(file, timeout=0, thread_local=False):
            return ""
    except Timeout:
        return _named(file)
    except OSError:  # another user's, or gone by now
        return ""


def _pid(file: Path) -> int | None:
    """Read who has a lock, or had it; None where that is not known."""
    with contextlib.suppress(OSError, ValueError):
        return int(file.read_text())
    return None


def _named(file: Path) -> str:
    pid = _pid(file)
    return "another process" if pid is None else f"process {pid}"


def _at_work(path: Path) -> str:
    return f"{path}: {_named(lock_file(path))} is at work there: wait for it, or take another folder"
