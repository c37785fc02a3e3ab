"""One process at a time on one device: two would disturb each other's figures, and each other's files."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslite.errors import MeasurementError
from dslite.records import Progress

_POLL_S = 0.5


@contextmanager
def locked(name: str, progress: Progress, timeout_s: float) -> Iterator[None]:
    """Have a device to ourselves while the block runs; the system lets go of it also where we are killed.

    Args:
        name: of the device, the same whichever way it is attached.
        progress: told where another process has it.
        timeout_s: wait so long for it.

    Raises:
        MeasurementError: where it is not free by then.
    """
    from filelock import FileLock, Timeout

    path = Path(tempfile.gettempdir()) / f"dslite-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.lock"
    lock = FileLock(path, mode=0o666)  # the device may be another user's next
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress("waiting for another dslite on this device", 0.0)
            lock.acquire(timeout=timeout_s, poll_interval=_POLL_S)
    except Timeout:
        raise MeasurementError(
            f"{name}: another dslite has measured on it for {timeout_s:g} s: wait for that to end"
        ) from None
    try:
        yield
    finally:
        lock.release()
