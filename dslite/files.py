"""Files that are written whole or not at all, and their hashes. Standard library only."""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslite.errors import WriteError

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
    try:
        place = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.", dir=path.parent))
    except OSError as error:
        raise _write_error(path, error) from error
    try:
        yield place / path.name
        if path.is_dir():
            path.rename(place / "replaced")
        (place / path.name).rename(path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_error(path: Path, error: OSError) -> WriteError:
    if error.errno in _NO_SPACE:
        return WriteError(f"cannot write {path}: the disk is full; nothing was left behind")
    return WriteError(f"cannot write {path}: {error.strerror or error}")


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
