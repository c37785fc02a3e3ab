"""`check_target`."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dslite.metrics.forms import FORMS
from dslite.metrics.table import METRICS
from dslite.records import Artifact, Device, Measurement, Metric, Outcome, Plan, Target, apart
from dslite.testing.shared import check_record, default_options

_RUNS = 3


def check_target(target: Target, artifact: Artifact | None = None, plan: Plan | None = None) -> None:
    """Check that a target measures a file it says it runs, and says so where it cannot.

    Args:
        target: the plugin's record; its first device that can be used is.
        artifact: a file with one of its suffixes; by default a tiny .tflite file is made, where it runs those.
        plan: by default 3 runs on 1 thread, memory too; where `input_path` is empty, inputs are made.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    name = target.name
    check_record(target, target.devices, target.run, target.check, target.uses, target.together)
    assert target.suffixes, f"{name}: runs no suffix: name the files it runs, such as ('.tflite',)"
    assert all(suffix[:1] == "." != suffix for suffix in target.suffixes), (
        f"{name}: suffixes {', '.join(target.suffixes)}: expected such as .tflite"
    )
    device = _first_device(target)
    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        artifact = artifact or _tiny(target, Path(folder))
        plan = plan or Plan(1, warmup_s=0.0, runs=_RUNS, min_s=0.0, timeout_s=300.0)
        if not plan.input_path:
            plan = _with_inputs(plan, artifact, Path(folder))
        told: list[float] = []
        options = default_options(target)
        missing = [str(path) for path in target.uses(options) if not Path(path).is_file()]
        assert not missing, f"{name}: uses {', '.join(missing)}: expected files that are there"
        found = target.run(artifact, device, plan, options, lambda _, done: told.append(done))
        measured = found.measurements if isinstance(found, Outcome) else found
        _check_measurements(name, measured, plan, target.metrics)
        if target.together is not apart:
            both = target.together([(artifact, plan)] * 2, device, options, lambda *_: None)
            _check_together(name, both, plan, target.metrics)
        assert told, f"{name}: never called progress: a user must see that it works"
        assert all(0 <= done <= 1 for done in told), (
            f"{name}: progress must be told as a fraction of 1, got {max(told)}"
        )
        _check_refusal(target, replace(artifact, path=str(Path(folder) / f"broken{target.suffixes[0]}")), device, plan)


def _first_device(target: Target) -> Device:
    name, devices = target.name, target.devices()
    assert devices, f"{name}: names no device: give one, with what is known of it"
    assert all(isinstance(device, Device) for device in devices), f"{name}: devices must be dslite.records.Device"
    ids = [device.id for device in devices]
    assert all(ids) and len(set(ids)) == len(ids), f"{name}: device ids {ids}: each needs its own"  # noqa: PT018
    usable = [device for device in devices if not device.problem]
    assert usable, f"{name}: no device can be used: {'; '.join(f'{d.id}: {d.problem}' for d in devices)}"
    return usable[0]


def _tiny(target: Target, folder: Path) -> Artifact:
    from dslite.measure.bench import describe_file
    from dslite.model.convert import to_tflite
    from dslite.model.keras import keras

    assert ".tflite" in target.suffixes, (
        f"{target.name}: runs {', '.join(target.suffixes)}: give check_target an `artifact` of such a file, "
        "only for .tflite it makes one"
    )
    image = keras.Input((16, 16, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    path = folder / "tiny.tflite"
    path.write_bytes(to_tflite(keras.Model(image, keras.layers.Dense(2)(features))))
    return describe_file(path)[0]


def _with_inputs(plan: Plan, artifact: Artifact, folder: Path) -> Plan:
    from dslite.measure.inputs import prepare

    inputs = prepare(artifact, [])
    path = folder / "inputs.npy"
    np.save(path, inputs.arrays)
    return replace(plan, input_path=str(path), input=inputs.source)


def _check_measurements(name: str, found: Sequence[Measurement], plan: Plan, own: Sequence[Metric]) -> None:
    assert all(isinstance(m, Measurement) for m in found), f"{name}: run must give dslite.records.Measurement records"
    measured = {m.metric: m for m in found}
    assert len(measured) == len(found), f"{name}: gave one metric twice: {', '.join(m.metric for m in found)}"
    assert "latency" in measured, f"{name}: measured {', '.join(measured) or 'nothing'}, expected latency at least"
    latency = measured["latency"]
    assert len(latency.samples) >= plan.runs, f"{name}: kept {len(latency.samples)} samples of {plan.runs} runs"
    assert all(math.isfinite(s) and s > 0 for s in latency.samples), f"{name}: samples must be seconds above 0"
    units = {each.name: each.unit for each in (*own, *METRICS)}
    for m in found:
        expected = units.get(m.metric, m.unit)
        assert m.unit == expected, f"{name}: {m.metric} is in {m.unit!r}, expected {expected}"
        forms = [column.form for each in own for column in each.columns if column.form]
        assert set(forms) <= set(FORMS), f"{name}: forms {', '.join(forms)}: expected some of {', '.join(FORMS)}"
        assert m.unit.strip(), f"{name}: {m.metric} has no unit: expected such as s, bytes, count, ratio, J"
        assert math.isfinite(m.value), f"{name}: {m.metric} is {m.value}: leave out what was not measured"
        assert m.method.strip(), f"{name}: {m.metric} has no method: every figure needs its method, in one sentence"


def _check_together(name: str, found: Sequence[Outcome], plan: Plan, own: Sequence[Metric]) -> None:
    assert len(found) == 2 and all(isinstance(each, Outcome) for each in found), (  # noqa: PLR2004, PT018 - two files
        f"{name}: together must give an Outcome for each of two files, got {len(found)}"
    )
    for each in found:
        _check_measurements(f"{name}, together", each.measurements, plan, own)


def _check_refusal(target: Target, broken: Artifact, device: Device, plan: Plan) -> None:
    from dslite.errors import MeasurementError

    Path(broken.path).write_bytes(b"this is no model")
    cure = "raise dslite.errors.MeasurementError with the reason, so that it becomes a row of the table"
    try:
        target.run(broken, device, plan, default_options(target), lambda *_: None)
    except MeasurementError as error:
        reason = str(error).strip()
    except Exception as error:
        raise AssertionError(f"{target.name}: a file that is no model raises {type(error).__name__}: {cure}") from error
    else:
        raise AssertionError(f"{target.name}: measured a file that is no model: {cure}")
    assert reason, f"{target.name}: refuses a file that is no model without a word: {cure}"
