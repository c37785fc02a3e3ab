"""The target keeps dslite's contract, and dslite finds it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dslite.errors import MeasurementError
from dslite.measure.bench import describe_file
from dslite.model.convert import to_tflite
from dslite.model.keras import keras
from dslite.records import Plan
from dslite.registry import registry
from dslite.testing import check_target

import dslite.scaffold.target as plugin


def test_keeps_the_contract() -> None:
    for record in plugin.dslite_targets():
        check_target(record)


def test_is_found_once_the_plugin_is_installed() -> None:
    (record,) = plugin.dslite_targets()
    assert registry().get("targets", "new-target") == record


def test_the_plan_decides_on_memory_and_time(tmp_path: Path) -> None:
    image = keras.Input((4,))
    path = tmp_path / "model.tflite"
    path.write_bytes(to_tflite(keras.Model(image, keras.layers.Dense(2)(image))))
    np.save(tmp_path / "inputs.npy", np.zeros((1, 1, 4), np.float32))
    (device,) = plugin.devices()
    plan = Plan(1, warmup_s=0, runs=2, min_s=0, memory=False, input_path=str(tmp_path / "inputs.npy"), input="zeros")
    artifact, _ = describe_file(path)
    found = plugin.run(artifact, device, plan, {}, lambda *_: None)
    assert [m.metric for m in found] == ["init_time", "first_latency", "latency"]
    with pytest.raises(MeasurementError, match="time: gave up"):
        plugin.run(artifact, device, replace(plan, timeout_s=0.01), {}, lambda *_: None)
