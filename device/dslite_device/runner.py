"""What dslite's runner on the device is asked, and what it answers: one JSON document; see `device/runner`."""

import contextlib
import json
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dslite.errors import MeasurementError
from dslite.records import Measurement, Plan
from dslite_device import figures

SCHEMA = 1
_NS = 1e9
_PLAUSIBLE_CELSIUS = (0.0, 150.0)
_CPU_ZONE = re.compile(r"cpu|tsens|big|little|mid-|soc[_-]")
_OTHER_ZONE = re.compile(r"bcl|vbat|ibat|batt|socd")
"""Names of thermal zones near the cores, and of others that only look so: each maker has its own. Qualcomm's ``soc`` is
the state of charge of the battery, in percent."""


def arguments(
    plan: Plan, mode: str, files: dict[str, str], cpus: Sequence[int], backend: str, *, stop: bool
) -> list[str]:
    """Give the runner's arguments for a pass, ``time`` or ``memory``.

    `files` are paths on the device, by the name of their argument; `cpus` the cores to pin to, none for all; `stop`
    ends the timed span when the device throttles.
    """
    words = [f"--{name}={path}" for name, path in files.items()]
    words += [f"--pass={mode}", f"--backend={backend}", f"--threads={plan.threads}"]
    words += [f"--warmup-runs={plan.warmup_runs}", f"--warmup-seconds={plan.warmup_s:g}", f"--runs={plan.runs}"]
    words += [f"--min-seconds={plan.min_s:g}", f"--max-seconds={plan.max_s:g}", "--sysfs=/sys"]
    words += [f"--cpus={','.join(map(str, cpus))}"] if cpus else []
    return [*words, *(["--stop-when-throttled"] if stop else [])]


def progress_of(line: str) -> tuple[str, float] | None:
    """Read a line of the runner's: what it does and the fraction done; None where it is another line."""
    words = line.split(maxsplit=2)
    if words[:1] != ["progress"] or len(words) < 3:  # noqa: PLR2004 - progress, fraction, what
        return None
    try:
        fraction = float(words[1])
    except ValueError:
        return None
    return (words[2], fraction) if 0 <= fraction <= 1 else None


def read(path: Path) -> dict[str, Any]:
    """Read the runner's document.

    Raises:
        MeasurementError: where it is not whole, of another version, or says that it failed.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise MeasurementError("the runner's result is not whole: is the device's storage full?") from None
    schema = found.get("schema") if isinstance(found, dict) else None
    if not isinstance(found, dict) or schema != SCHEMA:
        raise MeasurementError(
            f"expected a result of schema {SCHEMA}, the runner gave {schema!r}: build device/runner anew"
        )
    if found.get("status") != "complete":
        raise MeasurementError(f"the runner failed ({found.get('stage')}): {found.get('error')}")
    return found


def setting(found: dict[str, Any], plan: Plan) -> str:
    """Say in a few words how the runner ran a file."""
    names = {"litert": "LiteRT", "tflite": "TensorFlow Lite"}
    runtime = f"{names[found['backend']]} {found.get('runtime_version') or ''}".strip()
    delegate = f" with {found['delegate']}" if found.get("delegate") else ""
    return f"{runtime}{delegate}, {place(found['threads'], found['cpus'])}, fresh process, input: {plan.input}"


def place(threads: int, cpus: Sequence[int]) -> str:
    """Say where runs take place: ``2 threads, cores 4,5``."""
    return f"{figures.in_threads(threads)}, core{'s' * (len(cpus) != 1)} {','.join(map(str, cpus))}"


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Have a document that lacks something, or has it in another form, be an error of the run.

    Raises:
        MeasurementError: where the block finds that.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise MeasurementError(f"the runner's result lacks {error}: build device/runner anew") from None


def times(found: dict[str, Any], plan: Plan) -> list[Measurement]:
    """Give what the time pass measured.

    Raises:
        MeasurementError: where the document does not have it.
    """
    with whole():
        init_s, first_s = found["init_ns"] / _NS, found["first_ns"] / _NS
        samples = [ns / _NS for ns in found["samples_ns"]]
        return [
            *figures.times(init_s, first_s, samples, found["warmup_runs"], setting(found, plan)),
            *_temperature(found["conditions"]),
            *_frequency(found["conditions"], found["cpus"]),
        ]


def memory(found: dict[str, Any]) -> list[Measurement]:
    """Give what the memory pass measured.

    Raises:
        MeasurementError: where the document does not have it.
    """
    with whole():
        use = found["memory"]
        peak = "peak resident memory (VmHWM, reset before)" if use["peak_reset"] else "resident memory afterwards"
        how = f"{peak} of a fresh process that loads the file and runs it once"
        after, before = use["anonymous_bytes"], use["baseline_anonymous_bytes"]
        anonymous_delta = None if None in (after, before) else after - before  # Linux 4.5 and later tell
        return figures.memory(use["peak_bytes"] - use["baseline_bytes"], use["peak_bytes"], anonymous_delta, how)


def _temperature(conditions: Sequence[dict[str, Any]]) -> list[Measurement]:
    """Give the hottest zone near the cores over the timed span; where none is told, the battery."""
    low, high = _PLAUSIBLE_CELSIUS
    zones = [
        {z["zone"]: z["celsius"] for z in c["temperatures"] if low < z["celsius"] < high and _is_near_cores(z["zone"])}
        for c in conditions
    ]
    samples = tuple(max(each.values()) for each in zones if each)
    names = sorted({name for each in zones for name in each})
    where = (
        f"hottest of {len(names)} thermal zone{'s' * (len(names) != 1)} of the processor "
        f"({', '.join(names[:3])}{', ...' * bool(names[3:])})"
    )
    if not samples:
        batteries = [c["battery"]["celsius"] for c in conditions if c.get("battery")]
        samples, where = tuple(celsius for celsius in batteries if celsius is not None), "battery"
    if not samples:
        return []
    how = f"{where}, while runs were timed"
    return [Measurement("temperature", statistics.median(samples), "celsius", how, samples)]


def _is_near_cores(zone: str) -> bool:
    name = zone.lower()
    return bool(_CPU_ZONE.search(name)) and not _OTHER_ZONE.search(name)


def _frequency(conditions: Sequence[dict[str, Any]], cpus: Sequence[int]) -> list[Measurement]:
    """Give the mean frequency of the cores in use, over the timed span."""
    there = [[hz for core in cpus if core < len(c["cpu_hz"]) and (hz := c["cpu_hz"][core])] for c in conditions]
    samples = tuple(statistics.fmean(each) for each in there if each)
    if not samples:
        return []
    how = "mean of the cores that run may take place on, between timed runs"
    return [Measurement("cpu_frequency", statistics.median(samples), "hertz", how, samples)]
