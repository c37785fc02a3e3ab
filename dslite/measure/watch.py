"""The machine while runs are timed: what else it does, and how fast its cores are. Not for within a timed span."""

import contextlib
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dslite.measure import validity
from dslite.measure.environment import cores_allowed, load_average
from dslite.records import Flag

_LEAST_SPAN_S = 0.5
"""Kernels count in steps of 10 ms a core: over less time these are as large as what is judged."""
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_BUSIEST = 3
_WORTH_NAMING = 0.05
"""Cores that a process keeps busy."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """The clocks of the machine.

    Attributes:
        at: wall clock.
        own: of this process, all threads.
        busy: of all cores, without what was stolen.
        stolen: that a hypervisor did not give.
        processes: processor seconds of each other one, by its number, with its name.
    """

    at: float
    own: float
    busy: float
    stolen: float
    processes: dict[int, tuple[str, float]]


class Watch:
    """Watches the machine while a series is timed: `begin`, `look` between runs, `end`, then what was `seen`."""

    def __init__(self) -> None:
        self._started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._load = load_average()
        self._moments: list[_Moment] = []
        self._hz: list[float] = []

    def begin(self) -> None:
        """Note how things are, just before the first timed run."""
        self._hz = [hz for hz in [_frequency()] if hz]
        self._moments.append(_moment())

    def look(self) -> None:
        """Note the frequency, between two runs."""
        if self._hz and (hz := _frequency()):  # where the system does not tell, it is not asked again
            self._hz.append(hz)

    def end(self) -> None:
        """Note how things are, just after the last timed run."""
        self._moments.append(_moment())
        self.look()

    def seen(self) -> dict[str, Any]:
        """Give the conditions of the series, JSON-ready.

        ``started``; ``elapsed_s``, from the first timed run to the last; ``cores_allowed``, this process' affinity;
        ``load_average_before``, of a minute; ``other_cores_busy``, by other processes, and ``stolen_cores``, by a
        hypervisor, on average, None of a series too short to tell; ``busiest``, the other processes that took most,
        with their cores; ``cpu_frequency``, hertz, of the fastest core before, at its lowest, and after; ``governor``.
        What the system does not tell is None.
        """
        before, after = self._moments
        span = after.at - before.at
        long_enough = span >= _LEAST_SPAN_S
        others = max(0.0, (after.busy - before.busy - (after.own - before.own)) / span) if long_enough else None
        return {
            "started": self._started,
            "elapsed_s": round(span, 3),
            "cores_allowed": cores_allowed(),
            "load_average_before": self._load,
            "other_cores_busy": None if others is None else round(others, 3),
            "stolen_cores": round((after.stolen - before.stolen) / span, 3) if long_enough else None,
            "busiest": _busiest(before, after, span) if long_enough else [],
            "cpu_frequency": {"before": self._hz[0], "lowest": min(self._hz), "after": self._hz[-1]}
            if self._hz
            else None,
            "governor": _governor(),
        }


def flags(seen: dict[str, Any], threads: int) -> list[Flag]:
    """Judge what a `Watch` has seen.

    Args:
        seen: from `Watch.seen`.
        threads: of the runtime.
    """
    n_cores = os.cpu_count() or 1
    busiest = ", ".join(f"{each['name']} {each['cores']:.1f}" for each in seen["busiest"])
    told = {
        "background_load": validity.background_load(seen["other_cores_busy"] or 0.0, threads, n_cores),
        "stolen": validity.stolen(seen["stolen_cores"] or 0.0, n_cores),
    }
    if told["background_load"] and busiest:
        told["background_load"] += f" (among them {busiest})"
    if hz := seen["cpu_frequency"]:
        told["frequency_fell"] = validity.frequency_fell(hz["before"], hz["lowest"])
    return [Flag(code, message) for code, message in told.items() if message]


def _moment() -> _Moment:
    clocks = psutil.cpu_times()._asdict()
    stolen = clocks.get("steal", 0.0)
    # The kernel counts guests among users, too.
    idle = sum(clocks.get(name, 0.0) for name in ("idle", "iowait", "steal", "guest", "guest_nice"))
    processes = _processes()
    return _Moment(time.perf_counter(), time.process_time(), sum(clocks.values()) - idle, stolen, processes)


def _processes() -> dict[int, tuple[str, float]]:
    found = {}
    own = os.getpid()
    for process in psutil.process_iter(["name", "cpu_times"]):
        taken = process.info["cpu_times"]
        if taken and process.pid != own:
            found[process.pid] = (process.info["name"] or "?", taken.user + taken.system)
    return found


def _busiest(before: _Moment, after: _Moment, span: float) -> list[dict[str, Any]]:
    """Give the names of the processes that took most, one name once, with the cores that they kept busy."""
    cores: dict[str, float] = defaultdict(float)
    for number, (name, taken) in after.processes.items():
        cores[name] += (taken - before.processes.get(number, (name, 0.0))[1]) / span
    most = sorted(cores.items(), key=lambda each: -each[1])[:_BUSIEST]
    return [{"name": name, "cores": round(n, 2)} for name, n in most if n >= _WORTH_NAMING]


def _frequency() -> float | None:
    """Give the frequency of the fastest core just now, hertz: that of an idle one says nothing of the others."""
    with contextlib.suppress(AttributeError, NotImplementedError, OSError):
        return max((core.current for core in psutil.cpu_freq(percpu=True)), default=0.0) * 1e6 or None
    return None


def _governor() -> str | None:
    with contextlib.suppress(OSError):
        return _GOVERNOR.read_text(encoding="utf-8").strip()
    return None
