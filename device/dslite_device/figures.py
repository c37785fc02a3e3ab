"""Figures that this host and a phone give alike, each with its method."""

import statistics
from collections.abc import Sequence

from dslite.records import Measurement


def times(init_s: float, first_s: float, samples: Sequence[float], n_warmup: int, setting: str) -> list[Measurement]:
    """Give the times of opening, of the first run, and of the timed runs, all in seconds; `setting` says how it ran."""
    how = f"{len(samples)} runs after {n_warmup} of warm-up, wall clock, batch 1; {setting}"
    return [
        Measurement("init_time", init_s, "s", f"open the file until ready to run; {setting}"),
        Measurement("first_latency", first_s, "s", f"first run after opening; {setting}"),
        Measurement("latency", statistics.median(samples), "s", how, tuple(samples)),
    ]


def memory(delta: int, process: int, anonymous_delta: int | None, method: str) -> list[Measurement]:
    """Give memory in bytes; `anonymous_delta` is None where the system does not tell."""
    above = "above the same process with the runtime ready and the input in place"
    found = [
        Measurement("memory_delta", delta, "bytes", f"{method}; {above}"),
        Measurement("memory_process", process, "bytes", f"{method}; the whole process"),
    ]
    if anonymous_delta is not None:
        how = "growth of RssAnon, memory without mapped files; otherwise as memory_delta"
        found.append(Measurement("memory_anonymous_delta", anonymous_delta, "bytes", how))
    return found


def in_threads(n: int) -> str:
    """Say how many threads a runtime has."""
    return f"{n} thread{'s' * (n > 1)}"
