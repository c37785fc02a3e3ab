"""One process at a time on a folder, and nobody clears away what a living process uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import invoke

from dslite import cache, locks
from dslite.errors import SpecError

RACE = """
import multiprocessing, pathlib, sys, time
from dslite import locks
from dslite.errors import SpecError

def work(folder, barrier, said):
    barrier.wait()
    try:
        with locks.claimed(folder):
            said.put(1)
            time.sleep(0.3)
    except SpecError:
        said.put(0)

for i in range(5):
    folder, context = pathlib.Path(sys.argv[1]) / str(i), multiprocessing.get_context("fork")
    barrier, said = context.Barrier(2), context.Queue()
    both = [context.Process(target=work, args=(folder, barrier, said)) for _ in range(2)]
    [each.start() for each in both]
    print(sorted(said.get() for _ in both))
    [each.join() for each in both]
"""
HOLD = """
import sys
from pathlib import Path
from dslite import cache, locks
assert locks.claim(Path(sys.argv[1]))
with cache.in_use():
    print(flush=True)
    sys.stdin.read()
"""


def _holding(path: Path) -> "subprocess.Popen[str]":
    """A process that holds a lock, and uses the cache."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "\n"
    return process


def test_of_two_that_start_at_once_one_gets_in(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", RACE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["[0, 1]"] * 5, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_lock_names_its_process_and_ends_with_it_and_outlives_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with _holding(folder) as process:
        folder.mkdir()
        os.utime(locks.lock_file(folder), (0, 0))  # the clock says nothing
        for attempt in (locks.check_free, lambda path: locks.claimed(path).__enter__()):
            with pytest.raises(SpecError, match=f"process {process.pid} is at work there"):
                attempt(folder)
        folder.rename(tmp_path / "old")
        folder.mkdir()
        assert locks.holder(folder) == f"process {process.pid}"
        process.kill()
    with locks.claimed(folder):
        locks.check_free(folder)  # for this process it is
        assert not locks.claim(tmp_path / "old" / ".." / "run")
    assert not locks.lock_file(folder).exists()


def test_what_a_living_process_uses_is_neither_cleared_nor_trimmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSLITE_CACHE", str(tmp_path))
    cache.make()
    idle, exported, kept = (
        cache.entry_folder(k, c * 32) for k, c in (("exports", "a"), ("exports", "b"), ("runs", "c"))
    )
    half = tmp_path / "pictures" / ".dslite-half"
    for place in (idle, exported, kept, half):
        place.mkdir()
        (place / "1.json").write_bytes(bytes(100))
    for place in (idle, kept):
        os.utime(place, (1e9, 1e9))
    with _holding(kept) as process:
        for place in (exported, half):
            cache.mark_used(place)
        cache.trim(0)
        assert {entry.path for entry in cache.entries()} == {exported, kept, half}
        cleared = invoke("cache", "--clear")
        assert "cleared: 0 entries" in cleared.stdout
        assert f"not cleared: 3 entries, in use by process {process.pid}" in cleared.stderr
        process.kill()
    assert "cleared: 3 entries" in invoke("cache", "--clear").stdout
    assert cache.entries() == []
