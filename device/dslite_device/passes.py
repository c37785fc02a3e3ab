"""The passes of a run on an Android device, with dslite's runner or with Google's tool, and what is made of them."""

import contextlib
import dataclasses
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dslite import files
from dslite.errors import MeasurementError
from dslite.records import Artifact, Flag, Measurement, Outcome
from dslite_device import adb, benchmark_model, phone, runner, validity
from dslite_device.host import run_child
from dslite_device.session import COPY_TIMEOUT_S, ROOT, Session, copied, follow, wait_until_cool
from dslite_device.tiny import tiny_model

_KILLED, _SIGNALLED = 137, 128
"""Exit codes of a shell: SIGKILL, and what is added to the number of a signal."""
_INPUT_OF_TOOL = "random numbers of benchmark_model's"
_SLACK_S = 30.0
"""The runner keeps to the plan's seconds itself; loading a file and making outputs come on top."""


# -- with dslite's runner -----------------------------------------------------------------------------


def with_dslites_runner(session: Session, artifact: Artifact, scratch: Path) -> Outcome:
    """Measure time, compare outputs, and measure memory where the plan asks for it.

    Raises:
        MeasurementError: where one of these fails; it has what was measured before.
    """
    import numpy as np

    inputs, tiny = scratch / "inputs", scratch / "tiny.tflite"
    inputs.write_bytes(np.load(session.plan.input_path).tobytes())
    tiny.write_bytes(tiny_model())
    assert session.tools.runtime  # noqa: S101 - dslite's runner has one
    program, *places = copied(session, [session.tools.runner, session.tools.runtime, session.path, inputs, tiny])
    given = dict(zip(("runtime", "model", "input", "warm-model"), places, strict=True))
    begin = _Begin.when_cool(session)
    with begin.told(session):
        found, fixed = _pass(session, "time", program, given, scratch)
    after = _after(session)
    conditions = _conditions(session, begin, after, fixed=fixed) | {
        **{name: found.get(name) for name in ("cpu", "stopped", "delegate", "runtime_version", "backend")},
        "samples_began_s": (began := [ns / 1e9 for ns in found.get("starts_ns", [])]),
        **({"elapsed_s": began[-1] - began[0]} if began else {}),
        "cores": found.get("cpus"),
        "while_timing": found.get("conditions", []),
    }
    with begin.told(session), runner.whole():
        times = runner.times(found, session.plan)
        judged = validity.flags(begin.state, after or begin.state, found, session.cores, fixed=fixed)
        flags = _flags(session, judged)
    outcome = Outcome((*times, *_without_sensors(times, after)), tuple(flags), conditions)
    outcome = _also(outcome, lambda: _compared(session, artifact, scratch))
    if session.plan.memory:
        outcome = _also(outcome, lambda: _memory(session, program, given, scratch), "memory: ")
    session.progress("done", 1.0)
    return outcome


def _memory(
    session: Session, program: str, given: dict[str, str], scratch: Path
) -> tuple[list[Measurement], list[Flag]]:
    """Have the runner measure memory."""
    found, _ = _pass(session, "memory", program, given, scratch)
    measured = runner.memory(found)
    no_peak = Flag("memory_no_peak", "its kernel gives no peak: memory is what is resident after a run")
    return measured, [] if found["memory"]["peak_reset"] else _flags(session, [no_peak])


def _without_sensors(times: Sequence[Measurement], after: phone.State | None) -> list[Measurement]:
    """Give the temperature of the battery as Android's services tell it, where sysfs is closed to us."""
    if any(m.metric == "temperature" for m in times) or after is None or after.battery_celsius is None:
        return []
    return [Measurement("temperature", after.battery_celsius, "celsius", "battery, by dumpsys, after the timed runs")]


def _pass(
    session: Session, mode: str, program: str, given: dict[str, str], scratch: Path
) -> tuple[dict[str, Any], bool]:
    """Have the runner do one pass; give its document, and whether the device kept a sustained performance."""
    plan, run = session.plan, f"{ROOT}/run"
    own = {"result": f"{run}/{mode}.json", **({"outputs": f"{run}/outputs"} if mode == "time" else {})}
    words = runner.arguments(
        plan, mode, given | own, session.cores, session.settings.backend, stop=session.settings.stop
    )
    command = f"{shlex.join([program, *words])} 2>{run}/errors"
    session.tell(mode, "starting")
    code, fixed = follow(session, mode, command, plan.timeout_s + _SLACK_S)
    place = scratch / f"{mode}.json"
    try:
        adb.pull(session.serial, own["result"], place, COPY_TIMEOUT_S)
    except MeasurementError as error:
        raise MeasurementError(
            f"{_ended(session, code)} and left no result: is it dslite's runner? ({error})"
        ) from None
    if code == _KILLED:  # it could not say so itself
        raise MeasurementError(_ended(session, code))
    try:
        found = runner.read(place)
    except MeasurementError as error:
        raise MeasurementError(_in_our_names(session, str(error))) from None
    if code:
        raise MeasurementError(_ended(session, code))
    return found, fixed


def _ended(session: Session, code: int) -> str:
    """Say how the runner ended that left no result."""
    last = ""
    with contextlib.suppress(MeasurementError):
        said = adb.shell(session.serial, f"tail -n 1 {ROOT}/run/errors", what="tail").strip()
        last = f" (last words: {said})" if said else ""
    if code == _KILLED:
        return f"the runner was killed, which Android does when memory runs out{last}"
    if code > _SIGNALLED:
        return f"the runner crashed with signal {code - _SIGNALLED}{last}"
    return f"the runner ended with exit code {code}{last}"


def _compared(session: Session, artifact: Artifact, scratch: Path) -> tuple[list[Measurement], list[Flag]]:
    """Compare the device's outputs with this host's."""
    import numpy as np

    from dslite_device.outputs import compare

    session.tell("host", "comparing its outputs with this host's")
    place = scratch / "outputs"
    adb.pull(session.serial, f"{ROOT}/run/outputs", place, COPY_TIMEOUT_S)
    try:
        ours = run_child("outputs", artifact, session.plan, lambda *_: None)
    except MeasurementError as error:
        unchecked = Flag("outputs_unchecked", f"outputs were not compared, as this host cannot run it: {error}")
        return [], _flags(session, [unchecked])
    return [compare(session.path, np.load(ours["path"]), place.read_bytes())], []


# -- with Google's ------------------------------------------------------------------------------------


def with_benchmark_model(session: Session, scratch: Path) -> Outcome:
    """Have Google's tool measure, and read what it prints.

    Raises:
        MeasurementError: where it fails, or says what is not understood.
    """
    program, model = copied(session, [session.tools.runner, session.path])
    begin = _Begin.when_cool(session)
    n = session.plan.threads
    setting = f"{runner.place(n, session.cores)}, fresh process, input: {_INPUT_OF_TOOL}"
    # Its memory report polls in a thread of its own, which must not disturb what is timed.
    timed = dataclasses.replace(session.plan, memory=False)
    with begin.told(session):
        text, code, fixed = _said(session, "time", [program, *benchmark_model.arguments(model, timed)], scratch)
        try:
            measured = benchmark_model.parse(text, setting)
        except MeasurementError as error:
            whose = f"is {session.tools.runner.name} Google's benchmark_model?"
            raise MeasurementError(f"{_in_our_names(session, str(error))} (exit code {code}): {whose}") from None
    after = _after(session)
    facts = {"threads": n, "cpus": list(session.cores)}
    flags = validity.flags(begin.state, after or begin.state, facts, session.cores, fixed=fixed)
    flags += [
        Flag("outputs_unchecked", "benchmark_model does not give its outputs: they were not compared"),
        Flag("conditions_unwatched", "frequencies and other processes were not watched while benchmark_model ran"),
    ]
    conditions = _conditions(session, begin, after, fixed=fixed) | {"input": _INPUT_OF_TOOL}
    outcome = Outcome(tuple(measured), tuple(_flags(session, flags)), conditions)
    if code:
        raise MeasurementError(f"benchmark_model ended with exit code {code} after it gave its figures", outcome)
    if session.plan.memory:
        outcome = _also(outcome, lambda: (_memory_of_tool(session, program, model, setting, scratch), []), "memory: ")
    session.progress("done", 1.0)
    return outcome


def _memory_of_tool(session: Session, program: str, model: str, setting: str, scratch: Path) -> list[Measurement]:
    plan = dataclasses.replace(session.plan, runs=1, min_s=0.0, warmup_runs=0, warmup_s=0.0, memory=True)
    text, code, _ = _said(session, "memory", [program, *benchmark_model.arguments(model, plan)], scratch)
    if code:
        raise MeasurementError(f"benchmark_model ended with exit code {code}")
    return [m for m in benchmark_model.parse(text, setting) if m.unit == "bytes"]


def _said(session: Session, part: str, words: Sequence[str], scratch: Path) -> tuple[str, int, bool]:
    """Run the tool; give what it printed, its exit code, and whether the device kept a sustained performance."""
    mask = f"{sum(1 << core for core in session.cores):x}"
    said, place = f"{ROOT}/run/said", scratch / f"said-{part}"
    session.tell(part, "running benchmark_model")
    command = f"{shlex.join(['taskset', mask, *words])} >{said} 2>&1"
    code, fixed = follow(session, part, command, session.plan.timeout_s + _SLACK_S)
    adb.pull(session.serial, said, place, COPY_TIMEOUT_S)
    return place.read_text(encoding="utf-8", errors="replace"), code, fixed


# -- for both -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Begin:
    """When the time pass began."""

    state: phone.State  # of the device, just before
    at: str  # the time, UTC
    waited_s: float  # until it was cool
    adb: str  # its version

    @classmethod
    def when_cool(cls, session: Session) -> "_Begin":
        """Wait until the device is cool, as long as the settings allow."""
        state, waited_s = wait_until_cool(session)
        return cls(state, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), round(waited_s, 1), adb.version())

    @contextlib.contextmanager
    def told(self, session: Session) -> Iterator[None]:
        """Have a failure in the block say under which conditions it came: that is worth knowing too."""
        try:
            yield
        except MeasurementError as error:
            known = _conditions(session, self, None, fixed=None if session.is_fixed else False)
            raise MeasurementError(str(error), Outcome(conditions=known)) from error


def _after(session: Session) -> phone.State | None:
    """Ask how the device is now; None where it does not tell any more: what was measured is not lost for that."""
    try:
        return phone.state(session.serial)
    except MeasurementError:
        return None


def _also(outcome: Outcome, work: Callable[[], tuple[list[Measurement], list[Flag]]], what: str = "") -> Outcome:
    """Add to an outcome; where that fails, what there is goes along with the failure."""
    try:
        measured, flags = work()
    except MeasurementError as error:
        more = error.measured if isinstance(error.measured, list | tuple) else ()
        kept = dataclasses.replace(outcome, measurements=(*outcome.measurements, *more))
        raise MeasurementError(f"{what}{error}", kept) from error
    return dataclasses.replace(outcome, measurements=(*outcome.measurements, *measured), flags=(*outcome.flags, *flags))


def _in_our_names(session: Session, text: str) -> str:
    """Name files as this host does: on the device they are called by their hashes."""
    names = {files.sha256(path): path.name for path in (session.path, *session.tools.files)}
    return re.sub(
        rf"[^\s'\"]*?{ROOT}/files/([0-9a-f]{{64}})",
        lambda found: names.get(found[1], "its input, or a model to warm up"),
        text,
    )


def _flags(session: Session, flags: Sequence[Flag]) -> list[Flag]:
    """Have each flag say which file it is of: in a table they stand below all rows."""
    return [Flag(flag.code, f"{session.path.name} on {session.serial}: {flag.message}") for flag in flags]


def _conditions(session: Session, begin: _Begin, after: phone.State | None, *, fixed: bool | None) -> dict[str, Any]:
    """Give what another person needs to repeat a run, JSON-ready; `fixed` is None where that is not known."""
    return {
        "adb": begin.adb,
        "runner": session.settings.runner,
        "build": session.state.properties.get("ro.build.fingerprint", ""),
        "abi": session.tools.abi,
        "started": begin.at,
        "waited_until_cool_s": begin.waited_s,
        "cores": list(session.cores),
        "cores_asked_for": list(session.cores),
        "fixed_performance": fixed,
        "files": {path.name: files.sha256(path) for path in session.tools.files},
        "before": begin.state.now(),
        "after": after.now() if after else None,
    }
