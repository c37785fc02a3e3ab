"""The cache, made sure to be there while a command runs."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from dslite import cache
from dslite.errors import WriteError
from dslite.experiment.reporter import Reporter


@contextmanager
def ready(reporter: Reporter) -> Iterator[None]:
    """See to it that there is a cache folder while the block runs: the user's, or else a temporary one."""
    try:
        cache.make()
    except WriteError as error:
        reporter.note(f"{error}; nothing is kept (DSLITE_CACHE names another folder)")
        with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
            named = os.environ.get("DSLITE_CACHE")
            os.environ["DSLITE_CACHE"] = folder  # the workers look there too
            try:
                cache.make()
                yield
            finally:
                del os.environ["DSLITE_CACHE"]
                if named is not None:
                    os.environ["DSLITE_CACHE"] = named
        return
    with cache.in_use():
        yield
    cache.trim()
