"""Measure files: one run a file and target; a run that fails is a run with an error, and the next one starts."""

import itertools
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dslite import files
from dslite.deploy import manifest, tflite_file
from dslite.deploy.runtime import LITERT_SUFFIXES
from dslite.errors import ModelFileError, UnknownNameError, in_words
from dslite.measure.inputs import Inputs
from dslite.measure.statistics import summarise
from dslite.measure.validity import threads_exceed_cores
from dslite.native import debug
from dslite.records import (
    AUTO,
    DEFAULT_THREADS,
    Artifact,
    Device,
    Flag,
    Measurement,
    Options,
    Outcome,
    Part,
    Plan,
    Progress,
    Run,
    Target,
    TensorSpec,
)

_BY_TURNS = "_by_turns"
"""How codes of flags end that come from turns."""
FAILED_BY_TURNS = f"failed{_BY_TURNS}"
"""Code of the flag of a run that failed when files took turns."""
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
    if path.is_dir():
        raise ModelFileError(f"{path}: expected a .tflite file, got a folder")
    artifact = replace(undescribed(path), sha256=files.sha256(path), size_bytes=files.size_bytes(path))
    try:
        facts = tflite_file.read(path)
    except ModelFileError as error:
        if not tflite_file.has_magic(path):
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
        flags += _thread_flags(plan, device)
        with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
            place = Path(folder) / "inputs.npy"
            np.save(place, inputs.arrays)
            found = _outcome(target.run(artifact, device, replace(plan, input_path=str(place)), options, progress))
        error = None
        flags += _length_flags(plan, found)
    except Exception as failure:  # noqa: BLE001 - whatever a target does, the next case is measured
        if debug():
            traceback.print_exc()
        reasons = dict.fromkeys((in_words(failure), broken or ""))
        error = "; ".join(text.removeprefix(f"{artifact.path}: ") for text in reasons if text)
        found = _outcome(getattr(failure, "measured", ()))
    measurements = (*(_with_statistics(m) for m in found.measurements), *counted)
    flags += [flag for flag in found.flags if flag.code not in {known.code for known in flags}]
    return Run(artifact, target.name, device, plan, measurements, tuple(flags), error, found.conditions)


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


def timed_by_turns(run: Run, turns: Sequence[Run], references: Sequence[Run]) -> Run:
    """Give a run the latency of the turns that its file took among others, in place of its own.

    Args:
        run: with a latency.
        turns: runs of the same file, in their order.
        references: of each turn, the run of the file it is compared with that was timed next to it.

    Returns:
        The run; its latency has the samples of all turns, ``turns`` of its conditions those of each, and it has their
        flags. ``turn_latency`` has the median of each, and ``reference_latency`` that of the turn beside it. Where a
        turn failed, the run keeps the latency it has, and where one beside it did, it has no ``reference_latency``; a
        flag says so. What earlier turns gave goes in any case.
    """
    others = [m for m in run.measurements if m.metric not in ("turn_latency", "reference_latency")]
    flags = [flag for flag in run.flags if flag.code != FAILED_BY_TURNS]
    run = replace(run, measurements=tuple(others), flags=tuple(flags))
    taken, beside = ([m for each in series if (m := _sampled(each))] for series in (turns, references))
    for series, there, who in ((turns, taken, "it"), (references, beside, "the file that it is compared with")):
        if failed := [each.error for each in series if each.error]:
            told = f"{who} failed in {len(failed)} of {len(series)} turns, so it has no speed-up: {failed[0]}"
            flag = Flag(FAILED_BY_TURNS, f"{Path(run.artifact.path).name}: timed by turns, {told}")
            run = replace(run, flags=(*run.flags, flag))
            there.clear()
    if not taken or len(taken) < len(turns):
        return run  # or of a target that gives no samples
    samples = tuple(itertools.chain.from_iterable(m.samples for m in taken))
    latency = replace(
        taken[0], method=f"in each of {len(taken)} turns among all files, {taken[0].method}", samples=samples
    )
    found = [latency, *(m for m in others if m.metric != latency.metric)]
    for metric, there, whose in (
        ("turn_latency", taken, "each of its turns"),
        ("reference_latency", beside, "the turn beside each, of the file that it is compared with"),
    ):
        if len(there) == len(taken):
            found.append(Measurement(metric, 0.0, "s", f"median latency in {whose}", tuple(m.value for m in there)))
    return replace(_with_what_was_seen(run, turns), measurements=tuple(map(_with_statistics, found)))


def _with_what_was_seen(run: Run, turns: Sequence[Run]) -> Run:
    """Add flags and conditions of the turns, in place of those of earlier turns; that a turn is short is no fault."""
    kept = [flag for flag in run.flags if not flag.code.endswith(_BY_TURNS) or flag.code == FAILED_BY_TURNS]
    told = {flag.code for flag in kept} | {"few_runs"}
    new = {flag.code: flag for turn in turns for flag in turn.flags if flag.code not in told}
    by_turns = [Flag(code + _BY_TURNS, flag.message) for code, flag in new.items()]
    seen = [turn.conditions for turn in turns]
    conditions = {name: value for name, value in run.conditions.items() if name != "turns"}
    if any(seen):
        conditions["turns"] = seen
    return replace(run, flags=(*kept, *by_turns), conditions=conditions)


def _sampled(run: Run) -> Measurement | None:
    return next((m for m in run.measurements if m.metric == "latency" and m.samples and not run.error), None)


def _with_statistics(measurement: Measurement) -> Measurement:
    if not measurement.samples:
        return measurement
    statistics = summarise(measurement.samples)
    return replace(measurement, value=statistics["p50"], statistics=statistics)


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
    if macs and max(macs) - min(macs) > _MACS_TOLERANCE * max(macs):
        return [
            Flag(
                "macs_disagree",
                f"{Path(artifact.path).name}: the Keras graph has {macs[0]:,.0f} MACs, the file {macs[1]:,.0f}",
            )
        ]
    return []


def _length_flags(plan: Plan, found: Outcome) -> list[Flag]:
    if found.conditions.get("stopped") == "throttled" or any(flag.code == "few_runs" for flag in found.flags):
        return []  # the target knows better why
    told = [len(m.samples) or int(m.statistics.get("n", 0)) for m in found.measurements if m.metric == "latency"]
    taken = min(filter(None, told), default=plan.runs)
    if taken >= plan.runs:
        return []
    return [Flag("few_runs", f"{taken} timed runs where {plan.runs} were asked for: the time limit came first")]


def _thread_flags(plan: Plan, device: Device) -> list[Flag]:
    told = threads_exceed_cores(plan.threads, device.cpus)
    return [Flag("threads_exceed_cores", told)] if told else []
