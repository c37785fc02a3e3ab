"""Files that are written whole or not at all, and their hashes. Standard library only."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePath

from dslite.errors import WriteError

HALF_WRITTEN = ".dslite-"
"""What names of places begin with that are not written whole yet, or not wholly removed."""
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Give a path to write to; when the block ends well, what was written there takes the place of `path`.

    Works for a file and for a folder. The place is a hidden folder beside `path`, so the last step is a rename
    within one file system; whatever goes wrong, that folder goes, and what stood at `path` before still stands.

    Raises:
        WriteError: where the system refuses to write (no such folder, no permission, disk full).
    """
    path = Path(path)
    special = path.exists() and not path.is_file() and not path.is_dir()  # /dev/stdout: written into, never replaced
    if not special:
        path = Path(os.path.realpath(path))  # through a link to what it points at
    try:
        place = Path(tempfile.mkdtemp(prefix=HALF_WRITTEN, dir=None if special else path.parent))
    except OSError as error:
        raise _write_error(path, error) from error
    try:
        new = place / "new" / path.name
        new.parent.mkdir()
        yield new
        if special:
            path.write_bytes(new.read_bytes())
        else:
            _put_in_place(new, path, place / "old")
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def written_once(path: Path) -> Iterator[Path]:
    """Give a folder to write, as `written_whole`; where another process has put the same at `path` by then, that stays.

    Raises:
        WriteError: where the system refuses to write.
    """
    try:
        with written_whole(path) as place:
            yield place
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except WriteError:
        if not path.exists():
            raise


def _put_in_place(new: Path, path: Path, old: Path) -> None:
    new.lstat()  # where nothing was written, say so before anything moves
    if path.is_dir():
        if not new.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.replace(old)
    try:
        new.replace(path)
    except BaseException:  # an interruption too must not lose what stood there
        if old.exists() and not path.exists():
            old.replace(path)
        raise


def _write_error(path: Path, error: OSError) -> WriteError:
    if error.errno in _NO_SPACE:
        return WriteError(f"cannot write {path}: the disk (or the temporary folder's) is full; nothing was changed")
    return WriteError(f"cannot write {path}: {error.strerror or error}")


def remove_half_written(folder: Path) -> None:
    """Take away what processes that were killed left half-written in a folder; nobody else may be writing there."""
    for place in folder.glob(f"{HALF_WRITTEN}*"):
        shutil.rmtree(place, ignore_errors=True)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with written_whole(path) as place:
        place.write_text(text, encoding="utf-8")


def files_in(path: Path) -> list[Path]:
    """List the files of a folder in a fixed order; a file is its own list."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def size_bytes(path: Path) -> int:
    """Count the bytes of a file, or of all files of a folder."""
    return sum(p.stat().st_size for p in files_in(path))


def sha256(path: Path) -> str:
    """Hash a file's bytes; of a folder, each file's relative name, a zero byte and its own hash, in order."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file_path in files_in(path):
        whole.update(f"{file_path.relative_to(path).as_posix()}\0{sha256(file_path)}".encode())
    return whole.hexdigest()


def sha256_of_each(paths: Sequence[Path]) -> list[str]:
    """Hash files as `sha256` does, several at a time."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(sha256, paths))


def told_apart(paths: Sequence[str]) -> list[str]:
    """Name files: by their own name, or with as many of their folders as tell them from the others; POSIX.

    A path that is there twice has the same name twice.
    """
    parts = {path: PurePath(path).parts for path in paths}
    shown = dict.fromkeys(parts, 1)
    alike = list(parts)
    while alike:  # as many parts of each as tell it from the others
        called: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
        for path in alike:
            called[parts[path][-shown[path] :]].add(parts[path])
        alike = [
            path for path in alike if len(called[parts[path][-shown[path] :]]) > 1 and shown[path] < len(parts[path])
        ]
        for path in alike:
            shown[path] += 1
    return [PurePath(*parts[path][-shown[path] :]).as_posix() for path in paths]
