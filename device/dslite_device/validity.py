"""Whether figures of a phone can be trusted: what was seen while they were taken, as flags with a sentence each."""

from collections.abc import Mapping, Sequence
from typing import Any

from dslite.measure.validity import background_load, threads_exceed_cores
from dslite.records import Flag
from dslite_device.phone import THERMAL_STATUS, State

LOW_BATTERY_PERCENT = 20.0
_LEAST_SPAN_NS = 5e8
"""The kernel counts in steps of 10 ms a core: over less time, these are as large as what is judged."""
_GHZ = 1e9


def flags(before: State, after: State, found: dict[str, Any], asked: Sequence[int], *, fixed: bool) -> list[Flag]:
    """Judge a run.

    Args:
        before: how the device was before the time pass, and before it was asked to keep a sustained performance.
        after: and after it.
        found: the runner's document of that pass; of another tool, what is known.
        asked: the cores to pin to.
        fixed: whether the device held its cores at a performance it can sustain.

    Raises:
        KeyError: where the document has not what it must have.
        TypeError: where it is of another form.
    """
    charge = min((p for p in (before.battery_percent, after.battery_percent) if p is not None), default=100.0)
    status = THERMAL_STATUS[before.thermal_status or 0]
    told = {
        "throttled": _throttled(before, after, found, fixed=fixed),
        "not_cool": before.thermal_status and f"not cool: it began at thermal status {status}",
        "thermal_unknown": before.thermal_status is None
        and "whether it was cool is not known: it tells no thermal status, as Android 10 and later do",
        "asleep": False in (before.awake, after.awake)
        and "its screen was off, which slows some devices down: have it stay awake (developer options)",
        "battery_saver": True in (before.battery_saver, after.battery_saver)
        and "battery saver is on, which slows the device down: switch it off",
        "low_battery": charge < LOW_BATTERY_PERCENT
        and f"low battery, {charge:.0f} %, which slows some devices down: charge it",
        "background_load": _background_load(found, len(before.limits_hz)),
        "frequency_limited": _frequency_limited(before, found),
        "other_cores": _other_cores(found, asked),
        "threads_exceed_cores": threads_exceed_cores(found.get("threads", 0), len(found.get("cpus", []))),
        "no_xnnpack": _no_xnnpack(found),
    }
    return [Flag(code, message) for code, message in told.items() if message]


def _throttled(before: State, after: State, found: dict[str, Any], *, fixed: bool) -> str:
    # The sustained mode lowers limits by itself: with it, they are compared among themselves.
    capped = _fallen({} if fixed else before.limits_hz, found.get("conditions", []), found.get("cpus", []))
    stopped = ": timing was stopped" if found.get("stopped") == "throttled" else ""
    if capped:
        core, was, now = capped
        return f"throttled: core {core} was limited from {was / _GHZ:.2f} to {now / _GHZ:.2f} GHz meanwhile{stopped}"
    if stopped:
        return f"throttled{stopped}"
    if after.thermal_status:
        return f"throttled: thermal status {THERMAL_STATUS[after.thermal_status]} afterwards; let it cool down"
    return ""


def _fallen(
    first: Mapping[int, int], conditions: Sequence[dict[str, Any]], cpus: Sequence[int]
) -> tuple[int, float, float] | None:
    """Give a core whose highest frequency fell, with the first and the lowest one, in hertz."""
    for core in cpus:
        seen = [hz for c in conditions if core < len(c["cpu_max_hz"]) and (hz := c["cpu_max_hz"][core])]
        limits = [first[core], *seen] if core in first else seen
        if limits and min(limits) < limits[0]:
            return core, limits[0], min(limits)
    return None


def _background_load(found: dict[str, Any], n_cores: int) -> str:
    cpu = found.get("cpu") or {}
    busy, own, wall = cpu.get("busy_ns"), cpu.get("own_ns"), cpu.get("wall_ns")
    if busy is None or own is None or not wall or wall < _LEAST_SPAN_NS:
        return ""
    told = background_load((busy - own) / wall, found.get("threads", 0), n_cores)
    return told and f"{told}: close apps"


def _frequency_limited(before: State, found: dict[str, Any]) -> str:
    for core in found.get("cpus", []):
        limit, (_, highest) = before.limits_hz.get(core, 0), before.power.get(core, (0, 0))
        if limit and limit < highest:
            return (
                f"core {core} was allowed {limit / _GHZ:.2f} GHz only, of {highest / _GHZ:.2f}, before it began: "
                "hot, or saving power"
            )
    return ""


def _other_cores(found: dict[str, Any], asked: Sequence[int]) -> str:
    ran = found.get("cpus", list(asked))
    if set(ran) == set(asked):
        return ""
    names = (", ".join(map(str, sorted(cores))) for cores in (ran, asked))
    return "ran on cores {}, asked for {}: Android keeps it from the others".format(*names)


def _no_xnnpack(found: dict[str, Any]) -> str:
    if found.get("backend") != "tflite" or found.get("delegate"):
        return ""
    version = found.get("runtime_version")
    return (
        f"without XNNPACK, several times slower: TensorFlow Lite {version} is older than 2.10, or was built without it"
    )
