"""How memory is measured: in a process of its own, peak above a baseline taken when all but the model is there."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): writing 5 sets the peak of resident memory back to what is resident now
METHOD = (
    "peak resident memory (VmHWM, reset before) of a fresh process that loads the file and runs it once"
    if sys.platform == "linux"
    else "resident memory of a fresh process after it has loaded the file and run it once; this system tells no peak"
)


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes, from `measure_memory`.

    Attributes:
        delta: peak minus baseline.
        anonymous_delta: growth of anonymous memory, that is without mapped files; 0 where the system does not tell.
        process: peak of the whole process, interpreter and libraries included.
    """

    delta: int
    anonymous_delta: int
    process: int


def measure_memory(work: Callable[[], object]) -> MemoryUse:
    """Run `work` once and say what it took at its peak; what it returns stays alive until that is read."""
    linux = sys.platform == "linux"
    if linux:
        _CLEAR_REFS.write_text(_RESET_PEAK)
        before = _status_bytes()
        kept = work()
        after = _status_bytes()
        use = MemoryUse(after["VmHWM"] - before["VmRSS"], after["RssAnon"] - before["RssAnon"], after["VmHWM"])
    else:
        resident = psutil.Process().memory_info().rss
        kept = work()
        now = psutil.Process().memory_info().rss
        use = MemoryUse(now - resident, 0, now)
    del kept
    return use


def _status_bytes() -> dict[str, int]:
    wanted = ("VmHWM", "VmRSS", "RssAnon")
    lines = (line.split() for line in _STATUS.read_text().splitlines())
    return {fields[0][:-1]: int(fields[1]) * 1024 for fields in lines if fields[0][:-1] in wanted}
