"""ImageNet weights: found in a cache or downloaded whole, and weight files loaded with errors that say what is wrong.

The cache is Keras' own, ``~/.keras/models``, or ``$KERAS_HOME/models``: files that are there are used, so a mirror may
be read-only. Keras' downloader (tf_keras 2.21, ``data_utils.get_file``) knows no KERAS_HOME, turns away from a folder
it may not write to, writes under the final name from the first byte on, and waits for ever; `keras_downloads` answers
in its place.
"""

import hashlib
import http.client
import math
import os
import time
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from dslite.errors import DownloadError, ModelFileError, WriteError, first_line
from dslite.files import written_whole

TIMEOUT_S = 30.0
"""Seconds a server may stay silent."""
_BLOCK_BYTES = 1 << 20
_TELL_EVERY_S = 2.0
_OLD, _NEW, _KERAS = ".h5", ".weights.h5", ".keras"
_HDF5_BEGINS, _ZIP_BEGINS = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_NOT_WEIGHTS = ("optimizer", "metrics", "compiled")
Shapes = Counter[tuple[int, ...]]
_listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=lambda _: None)


# -- cache and download -------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Give the folder of downloaded weights: ``$KERAS_HOME/models``, else ``~/.keras/models``."""
    home = os.environ.get("KERAS_HOME")
    try:
        return (Path(home).expanduser() if home else Path.home() / ".keras") / "models"
    except RuntimeError:
        raise DownloadError("no home folder to keep weights in: set KERAS_HOME to a folder") from None


def fetch(name: str, url: str, file_hash: str | None = None, timeout_s: float = TIMEOUT_S) -> Path:
    """Give a weight file from the cache, or download it into the cache, whole or not at all.

    Args:
        name: of the file in the cache.
        url: where it is downloaded from; the proxies of the environment are used.
        file_hash: MD5 (32 hexadecimal digits) or SHA-256 (64); without one, a file counts as whole where HDF5 opens it.
        timeout_s: how long the server may stay silent.

    Returns:
        Its path.

    Raises:
        DownloadError: where it is not in the cache, or damaged there, and cannot be downloaded.
    """
    folder = cache_folder()
    path, state = folder / name, f"not in {folder}"
    try:
        if path.is_file():
            if not (damage := _damage(path, file_hash)):
                return path
            state = f"damaged in {folder} ({damage})"
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as place:
            _download(url, place, file_hash, timeout_s)
    except _FetchError as error:
        reason = f"not to be had from {url}: {error}; download it elsewhere and put it there"
    except (OSError, WriteError) as error:
        reason = f"that folder cannot be used: {_words(error)}; set KERAS_HOME to one that may be written to"
    else:
        return path
    raise DownloadError(f"weights {name}: {state}, and {reason}, or name a file with --weights, or take --weights none")


class _FetchError(Exception):
    """Why a download failed."""


def _download(url: str, place: Path, file_hash: str | None, timeout_s: float) -> None:
    n_bytes, told = 0, time.monotonic()
    with place.open("wb") as file:
        for block, total in _blocks(url, timeout_s):
            file.write(block)
            n_bytes += len(block)
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                of = f" of {total / 1e6:.1f}" if total else ""
                _listener.get()(f"downloading {place.name}, {n_bytes / 1e6:.1f}{of} MB")
    if damage := _damage(place, file_hash):
        raise _FetchError(f"what came is damaged ({damage})")


def _blocks(url: str, timeout_s: float) -> Iterator[tuple[bytes, int]]:
    """Give what a server sends, each block with the bytes promised in all or 0; only the network fails here."""
    n_bytes = total = 0
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "dslite"})  # noqa: S310 - Keras' or a plugin's
        # An opener of its own: the one that urlopen keeps would keep the proxies of its first use too.
        with urllib.request.build_opener().open(request, timeout=timeout_s) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(_BLOCK_BYTES):
                n_bytes += len(block)
                yield block, total
    except urllib.error.HTTPError as error:
        error.close()
        raise _FetchError(f"the server answers {error.code} {error.reason}") from None
    except http.client.IncompleteRead as error:  # some versions of Python raise it, others give what came
        n_bytes += len(error.partial)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        silent = isinstance(reason, TimeoutError)
        raise _FetchError(f"no answer for {timeout_s:g} s" if silent else _words(reason)) from None
    if n_bytes < total:
        raise _FetchError(f"the connection ended after {n_bytes} of {total} bytes")


def _words(reason: object) -> str:
    """Give a network error without Python's ``[Errno 111]``."""
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return first_line(reason) if isinstance(reason, BaseException) else str(reason)


@contextmanager
def downloads_told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, tell a function how far a download is, in words, every few seconds."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def _damage(path: Path, file_hash: str | None) -> str | None:
    """Say in words what is wrong with a file, or None."""
    if file_hash is None:
        import h5py

        try:
            h5py.File(path, "r").close()
        except OSError as error:
            return f"no whole HDF5 file: {first_line(error)}"
        return None
    kind, algorithm = ("SHA-256", "sha256") if len(file_hash) == hashlib.sha256().digest_size * 2 else ("MD5", "md5")
    with path.open("rb") as file:
        got = hashlib.file_digest(file, algorithm).hexdigest()
    return None if got == file_hash.lower() else f"{kind}: expected {file_hash}, got {got}"


@contextmanager
def keras_downloads(answer: Callable[[str, str, str | None], Path] = fetch) -> Iterator[None]:
    """While the block runs, ``keras.applications`` get their weight files from `answer` instead of Keras' downloader.

    Args:
        answer: called with the name of a file, its address and its hash or None; gives the file's path.
    """
    from tf_keras.src.utils import data_utils

    def get_file(fname: str, origin: str, *, file_hash: str | None = None, **_: Any) -> str:
        return str(answer(fname, origin, file_hash))

    kept = data_utils.get_file
    data_utils.get_file = get_file
    try:
        yield
    finally:
        data_utils.get_file = kept


# -- weight files -------------------------------------------------------------------------------------


def check(path: Path | str) -> None:
    """Refuse what is no whole weight file of Keras, before a model is built for it.

    Raises:
        ModelFileError: as in `load`.
    """
    _open(Path(path))


def load(model: Any, path: Path | str, name: str) -> None:
    """Load a weight file that Keras wrote into a model: layer by layer in their order, shapes checked.

    Args:
        model: a Keras model.
        path: of a file from ``save_weights`` or ``save``: ``.h5``, ``.weights.h5`` or ``.keras``.
        name: what to call the model in a message.

    Raises:
        ModelFileError: where there is no such file, it is damaged or no weight file, or it is of another architecture.
    """
    path = Path(path)
    found, by_order = _open(path)
    wanted: Shapes = Counter(tuple(int(d) for d in weight.shape) for weight in model.weights)
    difference = _difference(wanted, found, name)
    # Keras loads by names where the file is not by order, and then takes no notice of what the file has too much.
    if difference and not by_order:
        raise ModelFileError(f"{path}: {difference}")
    try:
        model.load_weights(str(path))
    except Exception as error:
        raise ModelFileError(
            f"{path}: {difference or f'Keras cannot load it into {name}: {first_line(error)}'}"
        ) from error


def _difference(wanted: Shapes, found: Shapes, name: str) -> str | None:
    """Say how the weights in a file differ from those of the model of that name; None where they do not."""
    if wanted == found:
        return None
    n_wanted, n_found = (sum(math.prod(shape) * n for shape, n in shapes.items()) for shapes in (wanted, found))
    text = f"expected the {n_wanted:,} parameters of {name} without its classifier, got {n_found:,}"
    if wanted <= found:
        return f"{text}: it seems to hold the classifier too: save the model without it (include_top=False)"
    return f"{text}, in other shapes: a file of another architecture, width or part"


def _open(path: Path) -> tuple[Shapes, bool]:
    """Give the shapes of the weights in a file, and whether Keras loads it by order."""
    text = f"{path}: expected a weight file that Keras wrote (.h5, .weights.h5, .keras)"
    if not path.is_file():
        raise ModelFileError(f"{text}, but there is no such file")
    try:
        shapes, by_order, suffix = _look_inside(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        with path.open("rb") as file:
            begins_right = file.read(len(_HDF5_BEGINS)).startswith((_HDF5_BEGINS, _ZIP_BEGINS))
        got = f"a damaged or truncated one of {path.stat().st_size} bytes" if begins_right else "something else"
        raise ModelFileError(f"{text}, got {got}: {first_line(error)}") from error
    if not shapes:
        raise ModelFileError(f"{text}, got one without weights")
    if suffix != (_KERAS if path.name.endswith(_KERAS) else _NEW if path.name.endswith(_NEW) else _OLD):
        raise ModelFileError(
            f"{path}: what is inside needs a name that ends in {suffix} for Keras to read it: rename it"
        )
    return shapes, by_order


def save_weights(model: Any, group: Any) -> None:
    """Write a Keras model's weights into an open HDF5 file, as its ``save_weights`` does into one of its own."""
    from tf_keras.src.saving.legacy import hdf5_format

    hdf5_format.save_weights_to_hdf5_group(group, model)


def _look_inside(path: Path) -> tuple[Shapes, bool, str]:
    """Give the shapes of the weights in a file, whether Keras loads it by order, and the suffix Keras knows it by."""
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped, zipped.open("model.weights.h5") as inner, h5py.File(inner, "r") as file:
            return _shapes(file), False, _KERAS
    with h5py.File(path, "r") as file:
        group = file.get("model_weights", file)  # of a file from `save`
        by_order = "layer_names" in group.attrs
        return _shapes(group), by_order, _OLD if by_order else _NEW


def _shapes(group: Any) -> Shapes:
    found: Shapes = Counter()

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "shape") and not name.startswith(_NOT_WEIGHTS):
            found[tuple(item.shape)] += 1

    group.visititems(visit)
    return found
