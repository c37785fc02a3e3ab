"""Measure files: one run a file and target; a run that fails is a run with an error, and the next one starts."""

import math
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dslite import files
from dslite.deploy import manifest, tflite_file
from dslite.deploy.runtime import LITERT_SUFFIXES
from dslite.errors import MeasurementError, ModelFileError, UnknownNameError, in_words
from dslite.measure import series
from dslite.measure.figures import derived, with_statistics
from dslite.measure.inputs import Inputs
from dslite.measure.validity import threads_exceed_cores
from dslite.metrics import find, metric
from dslite.native import debug
from dslite.records import (
    AUTO,
    DEFAULT_THREADS,
    Artifact,
    Device,
    Flag,
    Measurement,
    Metric,
    Options,
    Outcome,
    Part,
    Plan,
    Progress,
    Run,
    Target,
    TensorSpec,
    apart,
)

_MACS_TOLERANCE = 1e-3


def describe_file(path: Path) -> tuple[Artifact, str | None]:
    """Describe a file that is to be measured, from its manifest or, where there is none, from itself.

    Returns:
        The artifact, and why it could not be understood, or None. A broken TFLite file is still described as far
        as it goes: measuring it then says what its runtime makes of it.

    Raises:
        ModelFileError: where it does not exist, does not fit its manifest, or is no TFLite file at all.
    """
    manifest.check_exists(path)
    if manifest.belongs_to(path) or path.suffix not in LITERT_SUFFIXES:
        return manifest.read(path), None
    artifact = replace(undescribed(path), sha256=files.sha256(path), size_bytes=files.size_bytes(path))
    try:
        facts = tflite_file.read(path)
    except ModelFileError as error:
        if path.is_dir() or not tflite_file.has_magic(path):
            raise
        return artifact, str(error)
    if len(facts.inputs) != 1 or len(facts.outputs) < 1:
        raise ModelFileError(f"{path}: expected a file with one input and an output, got {len(facts.inputs)} inputs")
    if -1 in facts.inputs[0].shape:
        raise ModelFileError(f"{path}: its input {facts.inputs[0].shape} has no fixed shape: export it with one")
    return replace(artifact, input=facts.inputs[0], output=facts.outputs[0], params=facts.params), None


def undescribed(path: Path, backbone: str | None = None, exporter: str | None = None, part: Part = "whole") -> Artifact:
    """Describe a file of which nothing else is known: a foreign one, or one whose export failed."""
    unknown = TensorSpec("unknown", (1,), "float32")
    return Artifact(
        path=str(path),
        sha256="",
        size_bytes=0,
        backbone=backbone,
        weights=None,
        compressors=(),
        exporter=exporter,
        part=part,
        input=unknown,
        output=unknown,
        labels=(),
        chunk=None,
        frontend=None,
        params=None,
        macs=None,
        split_seed=None,
    )


def run(
    artifact: Artifact,
    broken: str | None,
    target: Target,
    options: Options,
    plan: Plan,
    inputs: Inputs,
    progress: Progress,
) -> Run:
    """Measure one file on a device of a target; see `choose_device`.

    Args:
        artifact: the file.
        broken: why it could not be understood, if so; see `describe_file`.
        target: where to measure.
        options: of the target, complete.
        plan: how; where its inputs are is filled in here.
        inputs: what the file is fed.
        progress: told what happens.

    Returns:
        The run; with an `error` where it failed.
    """
    plan = replace(plan, input=inputs.source)
    device: Device | None = None
    counted = _counted(artifact, broken)
    flags = _flags(artifact, counted)
    try:
        device = choose_device(target, options)
        plan = replace(plan, threads=threads_on(plan, device.cpus))
        if told := threads_exceed_cores(plan.threads, device.cpus):
            flags.append(Flag("threads_exceed_cores", told))
        with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
            fed = _fed(plan, inputs, Path(folder) / "inputs.npy")
            found = _checked(_outcome(target.run(artifact, device, fed, options, progress)))
        error = None
    except Exception as failure:  # noqa: BLE001 - whatever a target does, the next file is measured
        if debug():
            traceback.print_exc()
        reasons = dict.fromkeys((in_words(failure), broken or ""))
        error = "; ".join(text.removeprefix(f"{artifact.path}: ") for text in reasons if text)
        found = _outcome(getattr(failure, "measured", ()))
    measured = tuple(map(with_statistics, found.measurements))
    if not error:
        flags += _series_flags(plan, measured, found)
    flags += [flag for flag in found.flags if flag.code not in {known.code for known in flags}]
    measured += (*counted,)
    own = _described(target, measured)
    whole = Run(artifact, target.name, device, plan, measured, tuple(flags), error, found.conditions, own)
    return replace(whole, measurements=(*measured, *derived(whole)))


def _described(target: Target, measured: Sequence[Measurement]) -> tuple[Metric, ...]:
    """Give what a target says of those of its own metrics that it has figures of."""
    names = {m.metric for m in measured}
    return tuple(each for each in target.metrics if each.name in names)


def run_together(
    artifacts: Sequence[Artifact],
    target: Target,
    options: Options,
    plan: Plan,
    inputs: Sequence[Inputs],
    progress: Progress,
) -> list[Run]:
    """Time files in turn, in one process of a target that can; see `Target.together`.

    Where it cannot, or fails, each is measured by itself (`run`), so that one that fails is one row with an error;
    where it failed, a flag says so.

    Args:
        artifacts: the files, which are understood.
        target: where to measure.
        options: of the target, complete.
        plan: how, for each of them.
        inputs: of each.
        progress: told what happens.

    Returns:
        A run of each, of latency alone where they were timed in one process.
    """
    told: tuple[Flag, ...] = ()
    if target.together is not apart:
        try:
            device = choose_device(target, options)
            shared = replace(plan, threads=threads_on(plan, device.cpus))
            with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
                plans = [_fed(shared, given, Path(folder) / f"inputs{i}.npy") for i, given in enumerate(inputs)]
                jobs = list(zip(artifacts, plans, strict=True))
                outcomes = target.together(jobs, device, options, progress)
            return [_timed(*job, target, device, _checked(found)) for job, found in zip(jobs, outcomes, strict=True)]
        except Exception as failure:  # noqa: BLE001 - whose fault it is shows when each is alone
            if debug():
                traceback.print_exc()
            told = (alone_because(failure),)
    alone = [
        run(artifact, None, target, options, plan, given, progress)
        for artifact, given in zip(artifacts, inputs, strict=True)
    ]
    return [replace(each, flags=(*each.flags, *told)) for each in alone]


def alone_because(failure: BaseException) -> Flag:
    """Say why a file that was to be timed in turn with others was timed by itself."""
    return Flag("apart", f"timed in a process of its own, as timing it in one with others failed: {in_words(failure)}")


def _timed(artifact: Artifact, fed: Plan, target: Target, device: Device, found: Outcome) -> Run:
    """Make a run of what a target found where it timed several files together."""
    measured = tuple(map(with_statistics, found.measurements))
    plan = replace(fed, input_path="")
    own = _described(target, measured)
    return Run(artifact, target.name, device, plan, measured, found.flags, None, found.conditions, own)


def _fed(plan: Plan, inputs: Inputs, place: Path) -> Plan:
    """Write inputs down, and give the plan that says where they are."""
    np.save(place, inputs.arrays)
    return replace(plan, input=inputs.source, input_path=str(place))


def choose_device(target: Target, options: Options) -> Device:
    """Give the device that is measured on: the one that the option ``device`` names, or the only one.

    Of a target without that option, the first.

    Raises:
        UnknownNameError: where there is none, none that can be used, or no telling which.
    """
    devices = target.devices()
    name, wanted = target.name.partition(":")[0], options.get("device", AUTO)
    if wanted != AUTO:
        devices = [device for device in devices if device.id == wanted]
        if not devices:
            there = ", ".join(device.id for device in target.devices()) or "none"
            by_default = any(option.name == "device" and option.default == wanted for option in target.options)
            why = f" (which is the default just now, see `dslite show {name}`)" if by_default else ""
            raise UnknownNameError(f"target {name} has no device {wanted!r}{why}, it has {there}: `dslite devices`")
    usable = [device for device in devices if not device.problem]
    if len(usable) > 1 and "device" in options:
        there = ", ".join(device.id for device in usable)
        raise UnknownNameError(
            f"target {name} has {len(usable)} devices, {there}: name one: --target {name}:device={usable[0].id}"
        )
    if not usable:
        problems = "; ".join(f"{device.id}: {device.problem}" for device in devices)
        raise UnknownNameError(f"target {name} has no device{problems and f' that can be used: {problems}'}")
    return usable[0]


def threads_on(plan: Plan, n_cores: int) -> int:
    """Give the threads of a plan on a device with so many cores."""
    return plan.threads or min(DEFAULT_THREADS, n_cores)


def _outcome(found: Sequence[Measurement] | Outcome) -> Outcome:
    return found if isinstance(found, Outcome) else Outcome(tuple(found))


def _checked(found: Outcome) -> Outcome:
    """Refuse figures that are not finite, of which no statistics can be made, or in another unit than their metric.

    Raises:
        MeasurementError: of such figures; it holds the others.
    """
    whole, wrong = [], list[str]()
    for m in found.measurements:
        if (unit := metric(m.metric).unit) and m.unit != unit:
            wrong.append(f"{m.metric}: expected {unit} from the target, got {m.unit}")
        elif odd := [figure for figure in (m.value, *m.samples) if not math.isfinite(figure)]:
            wrong.append(f"{m.metric}: expected finite figures from the target, got {odd[0]}")
        else:
            whole.append(m)
    if wrong:
        raise MeasurementError("; ".join(wrong), replace(found, measurements=tuple(whole)))
    return found


def _counted(artifact: Artifact, broken: str | None) -> list[Measurement]:
    """Give what is counted rather than timed, each count with its method."""
    found = [Measurement("size", artifact.size_bytes, "bytes", "bytes on disk")]
    if artifact.params is not None:
        of = "the Keras model, all of them" if artifact.backbone or artifact.exporter else "the file's weight tensors"
        found.append(Measurement("parameters", artifact.params, "count", f"counted from {of}"))
    if artifact.macs is not None:
        found += _macs_and_flops(artifact.macs, "the Keras model's graph, at export")
    if Path(artifact.path).suffix in LITERT_SUFFIXES and not broken:
        try:
            macs = tflite_file.read(Path(artifact.path)).macs
        except ModelFileError:
            macs = None  # the run itself will tell
        if macs is not None:
            found += _macs_and_flops(macs, "the operators of the .tflite file")
    return found


def _macs_and_flops(macs: int, source: str) -> list[Measurement]:
    counted = "multiply-accumulates of convolutions and matrix products"
    return [
        Measurement("macs", macs, "count", f"{counted}, batch 1, counted from {source}"),
        Measurement("flops", 2 * macs, "count", f"2 for each of the {counted}, counted from {source}"),
    ]


def _flags(artifact: Artifact, counted: Sequence[Measurement]) -> list[Flag]:
    macs = [m.value for m in counted if m.metric == "macs"]
    if not macs or max(macs) - min(macs) <= _MACS_TOLERANCE * max(macs):
        return []
    told = f"{Path(artifact.path).name}: the Keras graph has {macs[0]:,.0f} MACs, the file {macs[1]:,.0f}"
    return [Flag("macs_disagree", told)]


def _series_flags(plan: Plan, measured: Sequence[Measurement], found: Outcome) -> list[Flag]:
    """Judge the latencies: whether they are enough, and what their order and shape say of them."""
    latency, first = find(measured, "latency"), find(measured, "first_latency")
    if latency is None:
        return []
    told: list[Flag] = []
    if latency.samples:
        told = series.told_by(latency.samples, latency.statistics, first.value if first else None)
    if found.conditions.get("stopped") == "throttled" or any(flag.code == "few_runs" for flag in found.flags):
        return told  # the target knows better why
    n = len(latency.samples) or int(latency.statistics.get("n", 0))
    return [*told, *(series.enough(n, series.elapsed_s(latency.samples, found.conditions), plan.runs) if n else [])]
