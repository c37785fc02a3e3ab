"""Keep the chatter of native libraries off the terminal. Standard library only."""

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def debug() -> bool:
    """Tell whether the user asked for tracebacks and native logs (``DSLITE_DEBUG=1``)."""
    return os.environ.get("DSLITE_DEBUG", "") not in ("", "0")


_lock = threading.Lock()
_inside: list[ExitStack] = []


@contextmanager
def native_output_hidden() -> Iterator[None]:
    """Hide what C and C++ code writes to standard error; Python's own standard error still arrives.

    TensorFlow, mpg123 and LiteRT write to file descriptor 2, whatever Python's logging says. It points at a
    temporary file while the block runs, and ``sys.stderr`` at a copy of the real one; TensorFlow's Python logger
    tells errors only. ``DSLITE_DEBUG=1`` leaves all as it is. Blocks may be nested, and run in several threads: the
    first to begin hides, the last to end shows again, as the file descriptor is the whole process's.
    """
    with _lock:
        shows_again = _inside[0] if _inside else ExitStack()
        if not _inside and not debug():
            shows_again.enter_context(_hidden())
        _inside.append(shows_again)
    try:
        yield
    finally:
        with _lock:
            _inside.pop()
            if not _inside:
                shows_again.close()


@contextmanager
def _hidden() -> Iterator[None]:
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    sys.stderr.flush()
    python_stderr, real = sys.stderr, os.dup(2)
    try:
        with tempfile.TemporaryFile() as hidden, os.fdopen(os.dup(real), "w", buffering=1) as copy:
            os.dup2(hidden.fileno(), 2)
            if python_stderr is sys.__stderr__:  # a test or a notebook may have put its own in place: leave it
                sys.stderr = copy
            try:
                yield
            finally:
                sys.stderr = python_stderr
                os.dup2(real, 2)
    finally:
        os.close(real)
        logger.setLevel(level)
