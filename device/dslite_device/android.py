"""Android devices as a target, over adb."""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dslite import hookimpl
from dslite.codec import from_json
from dslite.errors import SpecError, UnknownNameError
from dslite.records import AUTO, Artifact, Device, Option, Options, Outcome, Plan, Progress, Target
from dslite_device import adb, phone, tools
from dslite_device.lock import locked
from dslite_device.passes import with_benchmark_model, with_dslites_runner
from dslite_device.session import Session, Settings, in_folder

_RUNNERS = ("dslite", "benchmark_model")
_BACKENDS = (AUTO, "tflite", "litert")


@hookimpl
def dslite_targets() -> Iterable[Target]:
    """Give Android devices."""
    options = (
        Option(
            "device",
            os.environ.get("ANDROID_SERIAL") or AUTO,
            "Serial number, needed where several are attached; ANDROID_SERIAL gives the default.",
        ),
        Option("runner", _RUNNERS[0], "dslite, or benchmark_model: Google's tool."),
        Option("runner_path", AUTO, "The program for the device; auto: it is looked for by ABI."),
        Option("runtime", AUTO, "The TFLite library for the device (.so); auto: it is looked for by ABI."),
        Option("backend", AUTO, "auto, or which C API of that library to use: tflite, litert."),
        Option("cores", "big", "To pin to: big (the fastest, one a thread at least), all, or such as 0-3+6."),
        Option("cool", 300.0, "Seconds to wait at most until it is cool; 0: do not wait."),
        Option("stop", True, "Stop timing when it throttles (dslite's runner)."),
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
            check=_check,
            uses=_uses,
        )
    ]


def _devices() -> Sequence[Device]:
    """Give all that are attached."""
    found = phone.devices()
    if not found:
        raise UnknownNameError(
            "no Android device is attached: plug one in with USB debugging on, or `adb connect ADDRESS`; "
            "`adb devices` must list it"
        )
    return found


def _settings(options: Options) -> Settings:
    given = {name: value for name, value in options.items() if name not in ("device", "cool")}
    found = from_json(Settings, given | {"cool_s": options["cool"]})
    for name, allowed in (("runner", _RUNNERS), ("backend", _BACKENDS)):
        if options[name] not in allowed:
            raise SpecError(f"android:{name} expects {' or '.join(allowed)}, got {options[name]!r}")
    if not 0 <= found.cool_s <= 24 * 3600:
        raise SpecError(f"android:cool expects seconds, 0 to a day, got {found.cool_s:g}")
    if found.runner == "benchmark_model" and found.runner_path == AUTO:
        raise SpecError("android:runner=benchmark_model: name the program: --runner-path FILE")
    if found.runner == "benchmark_model" and (found.runtime, found.backend) != (AUTO, AUTO):
        raise SpecError("android:runner=benchmark_model has its runtime in it: leave runtime and backend away")
    return found


def _check(options: Options) -> None:
    """Refuse options that cannot be, and a device for which runner or runtime are missing."""
    settings = _settings(options)
    for serial in _serials(options):
        state = phone.state(serial)
        _tools(settings, state)
        cores_for(settings.cores, state.power, 1)


def _uses(options: Options) -> list[Path]:
    """Give the runner, and the runtime that it loads, for the device that is measured on."""
    return _tools(_settings(options), phone.state(_serials(options)[0])).files


def _serials(options: Options) -> list[str]:
    """Give the device that is named, or else all that can be used."""
    if options["device"] != AUTO:
        return [str(options["device"])]
    return [each.serial for each in adb.attached() if each.state == "device"]


def _tools(settings: Settings, state: phone.State) -> tools.Tools:
    runner, runtime = ("" if path == AUTO else path for path in (settings.runner_path, settings.runtime))
    return tools.find(state.abis, runner, runtime, needs_runtime=settings.runner == _RUNNERS[0])


def _run(artifact: Artifact, device: Device, plan: Plan, options: Options, progress: Progress) -> Outcome:
    """Measure one file; see `dslite.records.Target`."""
    settings = _settings(options)
    serial = device.id
    with locked(phone.identity(serial), progress, plan.timeout_s):
        state = phone.state(serial)
        cores = cores_for(settings.cores, state.power, plan.threads)
        found = _tools(settings, state)
        session = Session(serial, Path(artifact.path), plan, settings, found, state, cores, progress)
        with tempfile.TemporaryDirectory(prefix="dslite-") as scratch:
            place = Path(scratch)
            if settings.runner == _RUNNERS[0]:
                return in_folder(session, lambda: with_dslites_runner(session, artifact, place))
            return in_folder(session, lambda: with_benchmark_model(session, place))


def cores_for(text: str, power: Mapping[int, tuple[int, int]], threads: int) -> tuple[int, ...]:
    """Give the cores to pin to.

    Args:
        text: ``all``; ``big``: the fastest, whole clusters, until there is one for each thread; or numbers and ranges,
            such as ``0-3+6``.
        power: of each core by its number, capacity and highest frequency.
        threads: of the runtime.

    Raises:
        SpecError: where it is nothing of that, or names a core that is not there.
    """
    if text == "all":
        return tuple(sorted(power))
    chosen: set[int] = set()
    if text == "big":
        for fastest in sorted(set(power.values()), reverse=True):
            chosen |= {core for core, each in power.items() if each == fastest}
            if len(chosen) >= threads:
                break
        return tuple(sorted(chosen))
    for item in text.split("+"):
        first, dash, last = item.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise SpecError(f"android:cores expects big, all, or numbers such as 0-3+6, got {text!r}")
        chosen |= set(range(int(first), int(last or first) + 1))
    if not chosen or not chosen <= set(power):
        raise SpecError(f"android:cores={text}: the device has cores {', '.join(map(str, sorted(power)))}")
    return tuple(sorted(chosen))
