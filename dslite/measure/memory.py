"""How memory is measured: in a process of its own, peak above a baseline taken when all but the model is there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_OF_STATUS = {"VmHWM", "VmRSS", "RssAnon"}
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): writing 5 sets the peak of resident memory back to what is resident now
_PEAK = "peak resident memory (VmHWM, reset before) of a fresh process that loads the file and runs it once"
_AFTERWARDS = (
    "resident memory of a fresh process after it has loaded the file and run it once; this system gives no peak"
)


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes, from `measure_memory`.

    Attributes:
        delta: peak minus baseline.
        anonymous_delta: growth of anonymous memory, that is without mapped files; None where the system does not tell.
        process: peak of the whole process, interpreter and libraries included.
        method: how, in words.
    """

    delta: int
    anonymous_delta: int | None
    process: int
    method: str


def measure_memory(work: Callable[[], object]) -> MemoryUse:
    """Run `work` once and say what it took at its peak; what it returns stays alive until that is read."""
    if not _reset_peak():
        resident = psutil.Process().memory_info().rss
        kept = work()
        now = psutil.Process().memory_info().rss
        del kept
        return MemoryUse(now - resident, None, now, _AFTERWARDS)
    before = _status_bytes()
    kept = work()
    after = _status_bytes()
    del kept
    return MemoryUse(after["VmHWM"] - before["VmRSS"], after["RssAnon"] - before["RssAnon"], after["VmHWM"], _PEAK)


def _reset_peak() -> bool:
    """Reset the kernel's peak counter; False where there is none, or a container forbids it."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
        return set(_status_bytes()) >= _OF_STATUS
    except OSError:
        return False


def _status_bytes() -> dict[str, int]:
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return {fields[0][:-1]: int(fields[1]) * 1024 for fields in lines if fields and fields[0][:-1] in _OF_STATUS}
