"""Which process is at work on a file or folder: one at a time.

The operating system holds the lock, so it ends with its process, whatever the clock says. It stands beside what it is
for, as ``.NAME.lock``, because folders are replaced whole; within is the process at work.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dslite.errors import SpecError, WriteError

_PATIENCE_S = 0.3
"""Who only looks whether there is a lock takes it for a moment."""
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
        lock.acquire(timeout=_PATIENCE_S, poll_interval=_PATIENCE_S / 6)
        file.write_text(str(os.getpid()))
    except Timeout:
        return False
    except OSError as error:
        lock.release()
        raise WriteError(f"cannot lock {path}: {error.strerror or error}") from None
    _held[file] = lock
    return True


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


def _named(file: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f"process {int(file.read_text())}"
    return "another process"


def _at_work(path: Path) -> str:
    return f"{path}: {_named(lock_file(path))} is at work there: wait for it, or take another folder"
