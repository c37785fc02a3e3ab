"""Android devices as targets, over adb: runner, runtime and file are copied there, run, and taken away again.

A run has the folder ``/data/local/tmp/dslite`` to itself. In it, ``files`` has what was copied, each file named by its
SHA-256, so that what is there already need not be copied again; ``run`` has what one run makes.
"""

import contextlib
import dataclasses
import hashlib
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslite import files, hookimpl
from dslite.errors import MeasurementError, SpecError, UnknownNameError
from dslite.records import (
    Artifact,
    Device,
    Flag,
    Measurement,
    Option,
    Options,
    Outcome,
    Plan,
    Progress,
    Target,
)
from dslite_device import adb, benchmark_model, phone, runner, tools, validity
from dslite_device.host import run_child
from dslite_device.lock import locked
from dslite_device.tiny import tiny_model

ROOT = "/data/local/tmp/dslite"
"""Where the shell of adb may write and run programs, on all Android devices."""
_FIXED_PERFORMANCE_FROM = 30
"""API level of Android 11."""
_FIXED_SAID = "dslite-fixed-performance"
_RUNNERS = ("dslite", "benchmark_model")
_BACKENDS = ("auto", "tflite", "litert")
_KILLED, _SIGNALLED = 137, 128
"""Exit codes of a shell: SIGKILL, and what is added to the number of a signal."""
_COOL_POLL_S = 5.0
_COPY_TIMEOUT_S = 600.0
_SLACK_S = 30.0
"""The runner keeps to the plan's seconds itself; loading a file and making outputs come on top."""
_SHARES = {"copy": (0.0, 0.25), "cool": (0.25, 0.25), "time": (0.25, 0.75), "memory": (0.75, 0.95), "host": (0.95, 1.0)}
"""Of a run's progress."""


@hookimpl
def dslite_targets() -> Iterable[Target]:
    """Give Android devices."""
    options = (
        Option("device", os.environ.get("ANDROID_SERIAL", ""), "Serial number; needed where several are attached."),
        Option("runner", _RUNNERS[0], "dslite, or benchmark_model: Google's tool."),
        Option("runner_path", "", "The program for the device; else it is looked for by ABI."),
        Option("runtime", "", "The TFLite library for the device (.so); else it is looked for by ABI."),
        Option("backend", _BACKENDS[0], "C API of that library: tflite or litert; auto takes what it has."),
        Option("cores", "big", "To pin to: big (the fastest, one a thread at least), all, or such as 0-3+6."),
        Option("cool", 300.0, "Seconds to wait at most until it is cool; 0: do not wait."),
        Option("stop", True, "Stop timing when it throttles."),
        Option("fixed", True, "Have it keep a performance that it can sustain (Android 11 and later)."),
        Option("keep", False, "Leave the copied files there, so that the next run need not copy them."),
    )
    return [
        Target(
            "android",
            (".tflite",),
            _devices,
            _run,
            "https://developer.android.com/tools/adb",
            options,
            by_default=False,
        )
    ]


def _devices() -> Sequence[Device]:
    """Give all that are attached.

    Raises:
        UnknownNameError: where there is no adb, or no device.
    """
    found = phone.devices()
    if not found:
        raise UnknownNameError(
            "no Android device is attached: plug one in with USB debugging on, or `adb connect ADDRESS`; "
            "`adb devices` must list it"
        )
    return found


@dataclass(frozen=True, slots=True)
class _Settings:
    """The options, checked."""

    runner: str
    runner_path: str
    runtime: str
    backend: str
    cores: str
    cool_s: float
    stop: bool
    fixed: bool
    keep: bool


def _settings(options: Options) -> _Settings:
    found = _Settings(
        runner=str(options["runner"]),
        runner_path=str(options["runner_path"]),
        runtime=str(options["runtime"]),
        backend=str(options["backend"]),
        cores=str(options["cores"]),
        cool_s=float(options["cool"]),
        stop=bool(options["stop"]),
        fixed=bool(options["fixed"]),
        keep=bool(options["keep"]),
    )
    for name, allowed in (("runner", _RUNNERS), ("backend", _BACKENDS)):
        if options[name] not in allowed:
            raise SpecError(f"android:{name} expects {' or '.join(allowed)}, got {options[name]!r}")
    if not 0 <= found.cool_s <= 24 * 3600:
        raise SpecError(f"android:cool expects seconds, 0 to a day, got {found.cool_s:g}")
    if found.runner == "benchmark_model" and not found.runner_path:
        raise SpecError("android:runner=benchmark_model: name the program: --runner-path FILE")
    return found


def _run(artifact: Artifact, device: Device, plan: Plan, options: Options, progress: Progress) -> Outcome:
    """Measure one file; see `dslite.records.Target`."""
    settings = _settings(options)
    serial = device.id
    with locked(serial, progress, plan.timeout_s):
        state = phone.state(serial)
        found = tools.find(
            state.abis, settings.runner_path, settings.runtime, needs_runtime=settings.runner == _RUNNERS[0]
        )
        cores = cores_for(settings.cores, state.core_max_hz, plan.threads)
        session = _Session(serial, Path(artifact.path), plan, settings, found, state, cores, progress)
        with _folder(session), tempfile.TemporaryDirectory(prefix="dslite-") as scratch:
            if settings.runner == _RUNNERS[0]:
                return _with_dslites_runner(session, artifact, Path(scratch))
            return _with_benchmark_model(session, Path(scratch))


@dataclass(frozen=True, slots=True)
class _Session:
    """One file on one device.

    Attributes:
        serial: of the device.
        path: of the file.
        plan: how.
        settings: of the target.
        tools: for the device.
        state: of the device, when it began.
        cores: to pin to.
        progress: told what happens.
    """

    serial: str
    path: Path
    plan: Plan
    settings: _Settings
    tools: tools.Tools
    state: phone.State
    cores: tuple[int, ...]
    progress: Progress

    @property
    def is_fixed(self) -> bool:
        """Tell whether the device is asked to keep a performance that it can sustain."""
        return self.settings.fixed and self.state.api_level >= _FIXED_PERFORMANCE_FROM

    def tell(self, part: str, what: str, fraction: float = 0.0) -> None:
        """Report progress within a part of the run."""
        begin, end = _SHARES[part]
        self.progress(what, begin + fraction * (end - begin))


def cores_for(text: str, core_max_hz: Sequence[int], threads: int) -> tuple[int, ...]:
    """Give the cores to pin to.

    Args:
        text: ``all``; ``big``: those of the highest frequencies, whole clusters, until there is one for each thread; or
            numbers and ranges, such as ``0-3+6``.
        core_max_hz: highest frequency of each core.
        threads: of the runtime.

    Raises:
        SpecError: where it is nothing of that, or names a core that is not there.
    """
    n_cores = len(core_max_hz)
    if text == "all":
        return tuple(range(n_cores))
    chosen: set[int] = set()
    if text == "big":
        for fastest in sorted(set(core_max_hz), reverse=True):
            chosen |= {core for core, hz in enumerate(core_max_hz) if hz == fastest}
            if len(chosen) >= threads:
                break
        return tuple(sorted(chosen))
    for item in text.split("+"):
        first, dash, last = item.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise SpecError(f"android:cores expects big, all, or numbers such as 0-3+6, got {text!r}")
        chosen |= set(range(int(first), int(last or first) + 1))
    if not chosen or max(chosen) >= n_cores:
        raise SpecError(f"android:cores={text}: the device has cores 0 to {n_cores - 1}")
    return tuple(sorted(chosen))


# -- on the device ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder(session: _Session) -> Iterator[None]:
    """Have a fresh folder for a run on the device, and take it away however the block ends."""
    adb.shell(session.serial, f"rm -rf {ROOT}/run && mkdir -p {ROOT}/files {ROOT}/run")
    try:
        yield
    finally:
        adb.leave(session.serial, _tidying(session))


def _tidying(session: _Session) -> str:
    """Give the command that ends what still runs there, gives the device its usual performance back, and tidies up."""
    gone = f"{ROOT}/run" if session.settings.keep else ROOT
    kill = f"kill -9 $(cat {ROOT}/run/pid 2>/dev/null) 2>/dev/null"
    return "; ".join([kill, *([_switched("false")] if session.is_fixed else []), f"rm -rf {gone}"])


def _switched(to: str) -> str:
    return f"cmd power set-fixed-performance-mode-enabled {to} >/dev/null 2>&1"


def _copied(session: _Session, paths: Sequence[Path]) -> list[str]:
    """Copy files to the device where they are not there yet, and give their paths there.

    Raises:
        MeasurementError: where one cannot be copied, or arrives changed.
    """
    wanted = {path: f"{ROOT}/files/{files.sha256(path)}" for path in paths}
    there = _whole(session.serial)
    missing = {path: place for path, place in wanted.items() if place not in there}
    total, done = sum(path.stat().st_size for path in missing) or 1, 0
    for path, place in missing.items():
        size = path.stat().st_size

        def progress(share: float, path: Path = path, before: int = done, size: int = size) -> None:
            session.tell("copy", f"copying {path.name}", (before + share * size) / total)

        adb.push(session.serial, path, place, progress, _COPY_TIMEOUT_S)
        done += size
    if missing:
        whole = _whole(session.serial)
        torn = [path.name for path, place in missing.items() if place not in whole]
        if torn:
            raise MeasurementError(
                f"{session.serial}: {', '.join(torn)} arrived changed (SHA-256): try another cable or port"
            )
    adb.shell(session.serial, f"chmod 755 {wanted[session.tools.runner]}")
    return list(wanted.values())


def _whole(serial: str) -> set[str]:
    """Give the paths of the files on the device whose content is what their name says; others are taken away."""
    listed = adb.shell(serial, f"for f in {ROOT}/files/*; do [ -f $f ] && sha256sum $f; done; true", _COPY_TIMEOUT_S)
    rows = (line.split(maxsplit=1) for line in listed.splitlines() if line.strip())
    found = {row[1].strip(): row[0] for row in rows if len(row) > 1}
    if any(len(digest) != hashlib.sha256().digest_size * 2 for digest in found.values()):
        raise MeasurementError(f"{serial}: expected SHA-256 sums (Android 8 and later), got: {listed.strip()[:80]}")
    whole = {place for place, digest in found.items() if place.endswith(digest)}
    if set(found) - whole:
        adb.shell(serial, f"rm -f {' '.join(sorted(set(found) - whole))}")
    return whole


def _script(session: _Session, command: str) -> str:
    """Give the shell script of a run.

    Whatever ends it, also where the cable is pulled: the device's own shell hears of that, ends the run, gives the
    device its usual performance back, and tidies up.
    """
    lines = [
        f"cd {ROOT}/run || exit 1",
        "trap '' PIPE",  # nobody listens any more: that must not end us before we have tidied up
        f"trap 'kill -9 $child 2>/dev/null; {_tidying(session)}; exit 1' HUP INT TERM",
        *([f"{_switched('true')} && echo {_FIXED_SAID}"] if session.is_fixed else []),
        f"MALLOC_ARENA_MAX=2 {command} & child=$!",
        "echo $child > pid",
        "wait $child; code=$?",
        "rm -f pid",
        *([_switched("false")] if session.is_fixed else []),
    ]
    return "\n".join(lines)


def _follow(session: _Session, part: str, command: str, timeout_s: float) -> tuple[int, bool]:
    """Run a command on the device; give its exit code, and whether the device said it keeps a sustained performance."""
    fixed = False

    def on_line(line: str) -> None:
        nonlocal fixed
        fixed = fixed or line == _FIXED_SAID
        if told := runner.progress_of(line):
            session.tell(part, *told)

    code = adb.follow(session.serial, _script(session, command), on_line, timeout_s)
    return code, fixed


def _wait_until_cool(session: _Session) -> tuple[phone.State, float]:
    """Wait until the device is not hot, as long as the settings allow; give its state, and the seconds waited."""
    begin = time.monotonic()
    state = session.state
    while state.thermal_status and (waited := time.monotonic() - begin) < session.settings.cool_s:
        status = phone.THERMAL_STATUS[state.thermal_status]
        session.tell("cool", f"waiting until it is cool ({status}, {waited:.0f} s)")
        time.sleep(min(_COOL_POLL_S, session.settings.cool_s - waited))
        state = phone.state(session.serial)
    return state, time.monotonic() - begin


# -- with dslite's runner -----------------------------------------------------------------------------


def _with_dslites_runner(session: _Session, artifact: Artifact, scratch: Path) -> Outcome:
    import numpy as np

    inputs, tiny = scratch / "inputs", scratch / "tiny.tflite"
    inputs.write_bytes(np.load(session.plan.input_path).tobytes())
    tiny.write_bytes(tiny_model())
    assert session.tools.runtime  # noqa: S101 - dslite's runner has one
    program, *places = _copied(session, [session.tools.runner, session.tools.runtime, session.path, inputs, tiny])
    given = dict(zip(("runtime", "model", "input", "warm-model"), places, strict=True))
    before, waited_s = _wait_until_cool(session)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found, fixed = _pass(session, "time", program, given, scratch)
    after = phone.state(session.serial)
    conditions = _conditions(session, before, after, fixed=fixed) | {
        "started": started,
        "waited_until_cool_s": round(waited_s, 1),
        "cpu": found.get("cpu"),
        "delegate": found.get("delegate"),
        "runtime_version": found.get("runtime_version"),
        "backend": found.get("backend"),
        "samples_began_s": [ns / 1e9 for ns in found.get("starts_ns", [])],
        "while_timing": found.get("conditions", []),
    }
    flags = _flags(session, validity.flags(before, after, found, fixed=fixed))
    outcome = Outcome(tuple(runner.times(found, session.plan)), tuple(flags), conditions)
    outcome = _also(outcome, lambda: _compared(session, artifact, scratch))
    if session.plan.memory:
        outcome = _also(
            outcome, lambda: (runner.memory(_pass(session, "memory", program, given, scratch)[0]), []), "memory: "
        )
    session.progress("done", 1.0)
    return outcome


def _also(outcome: Outcome, work: Callable[[], tuple[list[Measurement], list[Flag]]], what: str = "") -> Outcome:
    """Add to an outcome; where that fails, what there is goes along with the failure."""
    try:
        measured, flags = work()
    except MeasurementError as error:
        more = error.measured if isinstance(error.measured, list | tuple) else ()
        kept = dataclasses.replace(outcome, measurements=(*outcome.measurements, *more))
        raise MeasurementError(f"{what}{error}", kept) from error
    return dataclasses.replace(outcome, measurements=(*outcome.measurements, *measured), flags=(*outcome.flags, *flags))


def _pass(
    session: _Session, mode: str, program: str, given: dict[str, str], scratch: Path
) -> tuple[dict[str, Any], bool]:
    """Have the runner do one pass; give its document, and whether the device kept a sustained performance.

    Raises:
        MeasurementError: where that fails, in whatever way.
    """
    plan, run = session.plan, f"{ROOT}/run"
    own = {"result": f"{run}/{mode}.json", **({"outputs": f"{run}/outputs"} if mode == "time" else {})}
    words = runner.arguments(
        plan, mode, given | own, session.cores, session.settings.backend, stop=session.settings.stop
    )
    command = f"{shlex.join([program, *words])} 2>{run}/errors"
    session.tell(mode, "starting")
    code, fixed = _follow(session, mode, command, plan.timeout_s + _SLACK_S)
    place = scratch / f"{mode}.json"
    try:
        adb.pull(session.serial, own["result"], place, _COPY_TIMEOUT_S)
    except MeasurementError as error:
        raise MeasurementError(f"{_ended(session, code)}: {error}") from None
    if code == _KILLED:  # it could not say so itself
        raise MeasurementError(_ended(session, code))
    found = runner.read(place)
    if code:
        raise MeasurementError(_ended(session, code))
    return found, fixed


def _ended(session: _Session, code: int) -> str:
    """Say how the runner ended that left no result."""
    with contextlib.suppress(MeasurementError):
        said = adb.shell(session.serial, f"tail -n 1 {ROOT}/run/errors").strip()
        last = f" (last words: {said})" if said else ""
        if code == _KILLED:
            return f"the runner was killed, which Android does when memory runs out{last}"
        if code > _SIGNALLED:
            return f"the runner crashed with signal {code - _SIGNALLED}{last}"
        return f"the runner ended with exit code {code}{last}"
    return f"the runner ended with exit code {code}"


def _compared(session: _Session, artifact: Artifact, scratch: Path) -> tuple[list[Measurement], list[Flag]]:
    """Compare the device's outputs with this host's."""
    import numpy as np

    from dslite_device.outputs import compare

    session.tell("host", "comparing its outputs with this host's")
    place = scratch / "outputs"
    adb.pull(session.serial, f"{ROOT}/run/outputs", place, _COPY_TIMEOUT_S)
    try:
        ours = run_child("outputs", artifact, session.plan, lambda *_: None)
    except MeasurementError as error:
        unchecked = Flag("outputs_unchecked", f"outputs were not compared, as this host cannot run it: {error}")
        return [], _flags(session, [unchecked])
    return [compare(session.path, np.load(ours["path"]), place.read_bytes())], []


def _flags(session: _Session, flags: Sequence[Flag]) -> list[Flag]:
    """Have each flag say which file it is of: in a table they stand below all rows."""
    return [Flag(flag.code, f"{session.path.name} on {session.serial}: {flag.message}") for flag in flags]


def _conditions(session: _Session, before: phone.State, after: phone.State, *, fixed: bool) -> dict[str, Any]:
    """Give what another person needs to repeat a run, JSON-ready."""
    chosen = [session.tools.runner, *([session.tools.runtime] if session.tools.runtime else [])]
    return {
        "adb": adb.version(),
        "build": session.state.properties.get("ro.build.fingerprint", ""),
        "abi": session.tools.abi,
        "cores": list(session.cores),
        "fixed_performance": fixed,
        "files": {path.name: files.sha256(path) for path in chosen},
        "before": before.now(),
        "after": after.now(),
    }


# -- with Google's ------------------------------------------------------------------------------------


def _with_benchmark_model(session: _Session, scratch: Path) -> Outcome:
    program, model = _copied(session, [session.tools.runner, session.path])
    before, waited_s = _wait_until_cool(session)
    mask = f"{sum(1 << core for core in session.cores):x}"
    command = shlex.join(["taskset", mask, program, *benchmark_model.arguments(model, session.plan)])
    said = f"{ROOT}/run/said"
    session.tell("time", "timing with benchmark_model")
    code, fixed = _follow(session, "time", f"{command} >{said} 2>&1", session.plan.timeout_s + _SLACK_S)
    after = phone.state(session.serial)
    place = scratch / "said"
    adb.pull(session.serial, said, place, _COPY_TIMEOUT_S)
    text = place.read_text(encoding="utf-8", errors="replace")
    n = session.plan.threads
    pinned = ",".join(map(str, session.cores))
    setting = f"{n} thread{'s' if n > 1 else ''}, cores {pinned}, fresh process, input: random numbers of the tool's"
    try:
        measured = benchmark_model.parse(text, setting)
    except MeasurementError as error:
        raise MeasurementError(f"{error} (exit code {code})") from None
    flags = validity.flags(before, after, {"threads": n, "cpus": list(session.cores)}, fixed=fixed)
    flags.append(Flag("outputs_unchecked", "benchmark_model does not give its outputs: they were not compared"))
    flags = _flags(session, flags)
    conditions = _conditions(session, before, after, fixed=fixed) | {"waited_until_cool_s": round(waited_s, 1)}
    session.progress("done", 1.0)
    return Outcome(tuple(measured), tuple(flags), conditions)
