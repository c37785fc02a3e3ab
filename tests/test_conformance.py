from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dslite.measure import inputs
from dslite.records import Backbone, Exporter, Plan, Target
from dslite.registry import registry
from dslite.testing import check_backbone, check_exporter, check_target


@pytest.mark.slow
@pytest.mark.parametrize("backbone", registry().records("backbones"), ids=lambda r: r.name)
def test_backbones_keep_the_contract(backbone: Backbone) -> None:
    check_backbone(backbone)


@pytest.mark.parametrize("exporter", registry().records("exporters"), ids=lambda r: r.name)
def test_exporters_keep_the_contract(exporter: Exporter) -> None:
    check_exporter(exporter)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(r, marks=pytest.mark.slow if r.name == "host-tensorflow" else ())
        for r in registry().records("targets")
    ],
    ids=lambda r: r.name,
)
def test_targets_keep_the_contract(target: Target, small_system: Any, tmp_path: Path) -> None:
    exporter = next(e for e in registry().records("exporters") if e.suffix in target.suffixes)
    artifact = small_system.files["whole", exporter.name]
    np.save(tmp_path / "x.npy", inputs.prepare(artifact, []).arrays)
    plan = Plan(1, warmup_s=0.0, runs=3, min_s=0.0, input_path=str(tmp_path / "x.npy"), input="a chunk")
    check_target(target, artifact, plan)


# -- the checks find what is wrong ------------------------------------------------------------------------


def _conv(shape: tuple[int, int, int], weights: str | None = None, channels: int = 8) -> Any:
    from dslite.model.keras import keras

    if weights:
        raise ValueError("random weights only")

    image = keras.Input(shape)
    return keras.Model(image, keras.layers.Conv2D(channels, 3)(image))


def _noisy(shape: tuple[int, int, int], weights: str | None, _: Any) -> Any:
    import tensorflow as tf

    from dslite.model.keras import keras

    assert weights is None
    image = keras.Input(shape)
    x = keras.layers.Conv2D(8, 3)(image)
    return keras.Model(image, keras.layers.Lambda(lambda t: t + tf.random.normal(tf.shape(t)))(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda shape, *_: _conv(shape), "took a weight file that is not there"),
        (lambda shape, weights, _: _conv(shape, weights, 5), "gives 5 features, its record says 8"),
        (_noisy, "two runs differ"),
        (lambda _, weights, __: _conv((32, 32, 3), weights), r"input is \(None, 32, 32, 3\)"),
    ],
)
def test_check_backbone_names_what_is_wrong(build: Callable[..., Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(Backbone("wrong", build, "none", 8, 8, "MIT", "tests"))


def test_check_backbone_accepts_a_good_one() -> None:
    check_backbone(Backbone("right", lambda shape, weights, _: _conv(shape, weights), "none", 8, 8, "MIT", "tests"))


def test_check_exporter_names_what_is_wrong() -> None:
    def beside(model: Any, path: str, *_: Any) -> None:
        Path(path).write_text("x")
        Path(path + ".log").write_text("x")

    for function, message in ((lambda *_: None, "wrote nothing"), (beside, "wrote files beside")):
        with pytest.raises(AssertionError, match=message):
            check_exporter(Exporter("wrong", ".tflite", function, False, "tests"))


def test_check_target_names_what_is_wrong(small_system: Any) -> None:
    devices = registry().get("targets", "host-litert").devices
    artifact = small_system.files["whole", "tflite-float32"]
    with pytest.raises(AssertionError, match="expected latency at least"):
        check_target(Target("wrong", (".tflite",), devices, lambda *_: [], "tests"), artifact, Plan(1))
