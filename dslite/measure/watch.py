"""The machine while runs are timed: what else it does, and how fast its cores are. Not for within a timed span."""

import contextlib
import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from dslite.measure import validity
from dslite.measure.environment import cores_allowed, cpu_count, load_average
from dslite.records import Flag

_LEAST_SPAN_S = 0.5
"""Kernels count in steps of 10 ms a core: over less time these are as large as what is judged."""
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
OF_CORES = frozenset({"background_load", "stolen"})
"""Codes of flags on what took cores: of turns, only all of them together can tell."""
_WORTH_KEEPING_S = 0.01
"""Of a process: what kernels count in."""
_NOT_BUSY = ("idle", "iowait", "steal", "guest", "guest_nice")
"""Clocks of a core; the kernel counts guests among users, too."""
_BUSIEST = 3
_WORTH_NAMING = 0.05
"""Cores that a process keeps busy."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """The clocks of the machine, seconds."""

    at: float  # wall clock
    own: float  # of this process, all threads
    busy: float  # of the cores that this process may use, without what was stolen
    stolen: float  # of these, that a hypervisor did not give
    processes: dict[int, tuple[str, float]]  # of the others, by number, name and processor seconds


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
        """Give the conditions of the series, JSON-ready; see `conditions`."""
        before, after = self._moments
        taken: dict[str, float] = defaultdict(float)  # but by processes that have ended since: nobody knows what
        for number, (name, seconds) in after.processes.items():  # kernels give their workers other names meanwhile
            taken[name] += max(0.0, seconds - before.processes.get(number, ("", 0.0))[1])
        clocks = {
            "span_s": after.at - before.at,
            "others_s": max(0.0, after.busy - before.busy - (after.own - before.own)),
            "stolen_s": after.stolen - before.stolen,
            "processes_s": {name: seconds for name, seconds in taken.items() if seconds >= _WORTH_KEEPING_S},
        }
        hz = {"before": self._hz[0], "lowest": min(self._hz), "after": self._hz[-1]} if self._hz else None
        return conditions(self._started, self._load, _governor(), hz, clocks)


def conditions(
    started: str, load: float, governor: str | None, hz: dict[str, float] | None, clocks: dict[str, Any]
) -> dict[str, Any]:
    """Put together what was seen of the machine while a series was timed, JSON-ready.

    Returns:
        ``started``; ``elapsed_s``; ``cores_allowed``, this process' affinity; ``load_average_before``, of a minute;
        ``other_cores_busy``, by other processes, and ``stolen_cores``, by a hypervisor, on average, None of a series
        too short to tell; ``busiest``, the other processes that took most, with their cores; ``cpu_frequency``, hertz,
        of the fastest core before, at its lowest, and after; ``governor``; and ``clocks``, what the averages are of:
        these of several series can be added. What the system does not tell is None.
    """
    span = clocks["span_s"]
    long_enough = span >= _LEAST_SPAN_S
    most = sorted(clocks["processes_s"].items(), key=lambda each: -each[1])[:_BUSIEST] if long_enough else []
    return {
        "started": started,
        "elapsed_s": round(span, 3),
        "cores_allowed": cores_allowed(),
        "load_average_before": load,
        "other_cores_busy": round(clocks["others_s"] / span, 3) if long_enough else None,
        "stolen_cores": round(clocks["stolen_s"] / span, 3) if long_enough else None,
        "busiest": [
            {"name": name, "cores": round(taken / span, 2)} for name, taken in most if taken >= _WORTH_NAMING * span
        ],
        "cpu_frequency": hz,
        "governor": governor,
        "clocks": clocks,
    }


def over_turns(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put together what was seen in several turns, as `conditions` does; empty where that was not this host's.

    A turn alone is too short to tell how busy the cores were, kernels count in steps of 10 ms; all of them are not.
    """
    clocks: list[dict[str, Any]] = [turn["clocks"] for turn in turns if "clocks" in turn]
    if not clocks or len(clocks) < len(turns):
        return {}
    processes: Counter[str] = Counter()
    for each in clocks:
        processes.update(each["processes_s"])
    whole: dict[str, Any] = {name: sum(each[name] for each in clocks) for name in ("span_s", "others_s", "stolen_s")}
    whole["processes_s"] = dict(processes)
    hz = None
    if seen := [turn["cpu_frequency"] for turn in turns if turn["cpu_frequency"]]:
        lowest = min(each["lowest"] for each in seen)
        hz = {"before": seen[0]["before"], "lowest": lowest, "after": seen[-1]["after"]}
    first = turns[0]
    found = conditions(first["started"], first["load_average_before"], first["governor"], hz, whole)
    return found | {"elapsed_s": round(sum(turn["elapsed_s"] for turn in turns), 3)}


def flags(seen: dict[str, Any], threads: int) -> list[Flag]:
    """Judge what a `Watch` has seen, from `Watch.seen`, beside a runtime with so many threads."""
    n_cores = cpu_count()
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
    cores = psutil.cpu_times(percpu=True)
    allowed = cores_allowed()
    ours = [cores[i] for i in allowed] if allowed and max(allowed) < len(cores) else cores
    busy = stolen = 0.0
    for core in ours:
        clocks = core._asdict()
        stolen += clocks.get("steal", 0.0)
        busy += sum(clocks.values()) - sum(clocks.get(name, 0.0) for name in _NOT_BUSY)
    return _Moment(time.perf_counter(), time.process_time(), busy, stolen, _processes())


def _processes() -> dict[int, tuple[str, float]]:
    """Give the names and processor seconds of the other processes, by their numbers."""
    found = {}
    own = os.getpid()
    for process in psutil.process_iter(["name", "cpu_times"]):
        taken = process.info["cpu_times"]
        if taken and process.pid != own:
            found[process.pid] = process.info["name"] or "?", taken.user + taken.system
    return found


def _frequency() -> float | None:
    """Give the frequency of the fastest core just now, hertz: that of an idle one says nothing of the others."""
    with contextlib.suppress(AttributeError, NotImplementedError, OSError):
        return max((core.current for core in psutil.cpu_freq(percpu=True)), default=0.0) * 1e6 or None
    return None


def _governor() -> str | None:
    with contextlib.suppress(OSError):
        return _GOVERNOR.read_text(encoding="utf-8").strip()
    return None
