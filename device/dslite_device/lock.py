"""One process at a time on one device: two would disturb each other's figures, and each other's files."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dslite.errors import MeasurementError
from dslite.records import Progress

if sys.platform == "win32":
    import msvcrt

    def _try(file: IO[str]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_POLL_S = 0.5


def _open(path: Path) -> int:
    """Open the lock's file, which may be another user's: that can be read, and locked all the same."""
    how = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY | os.O_NOFOLLOW
    try:
        return os.open(path, how)
    except FileNotFoundError:
        descriptor = os.open(path, how | os.O_CREAT, 0o644)
        if sys.platform != "win32":
            os.fchmod(descriptor, 0o644)  # whatever this user's umask is
        return descriptor


@contextmanager
def locked(name: str, progress: Progress, timeout_s: float) -> Iterator[None]:
    """Have a device to ourselves while the block runs; the system lets go of it also where we are killed.

    Args:
        name: of the device, the same whichever way it is attached.
        progress: told while another process has it.
        timeout_s: wait so long for it.

    Raises:
        MeasurementError: where it is not free by then.
    """
    path = Path(tempfile.gettempdir()) / f"dslite-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.lock"
    end = time.monotonic() + timeout_s
    # Never removed: who opened it before would then lock a file that nobody else finds.
    with os.fdopen(_open(path), encoding="utf-8") as file:
        while True:
            try:
                _try(file)
                break
            except OSError:
                if time.monotonic() > end:
                    raise MeasurementError(
                        f"{name}: another dslite has measured on it for {timeout_s:g} s: wait for that to end"
                    ) from None
                progress("waiting for another dslite on this device", 0.0)
                time.sleep(_POLL_S)
        yield
