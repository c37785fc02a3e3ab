"""The user's cache folder. All that is in it can be made again.

    compressed/KEY/ a model as compressors have left it
    exports/KEY/    an exported file and its manifest
    features/KEY/   what a backbone makes of the chunks of a data set
    pictures/KEY/   the chunks of a data set as spectrograms
    runs/KEY/       the runs of a bench, until it is complete
    at-work/        a lock for each process that uses the cache now

Keys are hashes of what an entry was made from (`dslite.experiment.keys`). What has no such name is not ours, and is
left alone.
"""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dslite import files, locks
from dslite.errors import WriteError

Kind = Literal["compressed", "exports", "features", "pictures", "runs"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
LIMIT_BYTES = 10_000_000_000
"""What is beyond that goes, that first which was used longest ago."""
_AT_WORK = "at-work"
_HALF_WRITTEN_S = 24 * 3600
_OURS = re.compile(r"[0-9a-f]{32}|\.dslite-.*")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept under one key.

    Attributes:
        kind: of what.
        path: of its folder or file.
        size_bytes: of all its files.
        used: seconds since the epoch, when it was last made or used.
        user: the process that uses it now, named; empty: none does.
    """

    kind: Kind
    path: Path
    size_bytes: int
    used: float
    user: str = ""


def folder() -> Path:
    """Give the cache folder: ``DSLITE_CACHE``, or where this system keeps caches of users."""
    named = os.environ.get("DSLITE_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("dslite", appauthor=False)


def make() -> None:
    """Make the cache folder where it is not there.

    Raises:
        WriteError: where that is not possible, or nothing may be written there.
    """
    for kind in _KINDS:
        place = folder() / kind
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"the cache folder {place} cannot be made: {error.strerror}") from None
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise WriteError(f"the cache folder {place} cannot be written to: {error.strerror}") from None


def entry_folder(kind: Kind, key: str) -> Path:
    """Give the folder of an entry, whether it is there or not."""
    return folder() / kind / key


def mark_used(path: Path) -> None:
    """Note that an entry was used now; in a cache that is read-only, do nothing."""
    with contextlib.suppress(OSError):
        os.utime(path)


@contextmanager
def in_use() -> Iterator[None]:
    """Keep others from removing what is made or used while the block runs; where that cannot be told, go on."""
    place = folder() / _AT_WORK / f"{os.getpid()}-{time.time_ns()}"
    try:
        claimed = locks.claim(place)
        place.touch()
    except (OSError, WriteError):
        claimed = False
    try:
        yield
    finally:
        if claimed:
            place.unlink(missing_ok=True)
            locks.release(place)


def entries() -> list[Entry]:
    """List what is there, what was used last first; half-written leftovers of processes that were killed too."""
    since = _at_work()
    found = [_entry(kind, path, since) for kind in _KINDS for path in _children(folder() / kind)]
    return sorted((entry for entry in found if entry), key=lambda entry: -entry.used)


def _at_work() -> list[tuple[float, str]]:
    """List since when processes are at work, and their names; what those that died left goes."""
    found = []
    for place in (folder() / _AT_WORK).glob("[!.]*"):
        with contextlib.suppress(OSError):
            if user := locks.holder(place):
                found.append((place.stat().st_mtime, user))
            elif not locks.is_ours(place):
                place.unlink()
                locks.lock_file(place).unlink(missing_ok=True)
    return sorted(found)


def _children(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (path for path in place.iterdir() if _OURS.fullmatch(path.name))


def _entry(kind: Kind, path: Path, since: Sequence[tuple[float, str]]) -> Entry | None:
    try:
        used = path.stat().st_mtime
        user = locks.holder(path) or next((name for began, name in since if used >= began), "")
        return Entry(kind, path, files.size_bytes(path), used, user)
    except FileNotFoundError:  # another process took it away just now
        return None


def remove(entry: Entry) -> None:
    """Take an entry away.

    Raises:
        WriteError: where the system refuses.
    """
    try:
        if entry.path.is_dir():
            # Under another name first: whoever is killed in between must not leave half an entry under its key.
            going = Path(tempfile.mkdtemp(prefix=files.HALF_WRITTEN, dir=entry.path.parent))
            try:
                entry.path.rename(going / entry.path.name)
            finally:
                shutil.rmtree(going)
        else:
            entry.path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise WriteError(f"{entry.path} cannot be removed: {error.strerror}") from None


def trim(limit_bytes: int = LIMIT_BYTES) -> None:
    """Take away what is beyond the limit, and what a killed process left half-written a day ago or longer."""
    kept = 0
    for entry in entries():
        half_written = entry.path.name.startswith(".")
        kept += 0 if half_written else entry.size_bytes
        if entry.user:
            continue
        if time.time() - entry.used > _HALF_WRITTEN_S if half_written else kept > limit_bytes:
            with contextlib.suppress(WriteError):  # it can go another time
                remove(entry)
