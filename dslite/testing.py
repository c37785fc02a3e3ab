"""Conformance checks for plugin authors: plain functions that assert, with messages that say what to mend.

    from dslite.testing import check_backbone

    def test_my_backbone():
        check_backbone(my_plugin.dslite_backbones()[0])

dslite's own plugins pass the same checks. They build, run and export for real, so each takes some seconds.
"""

import math
import tempfile
from pathlib import Path
from typing import Any, get_args

from dslite.records import Backbone, Exporter, OptionValue, PluginRecord, Scaling, Target


def default_options(record: PluginRecord) -> dict[str, OptionValue]:
    """Give a plugin's options as they are where the user says nothing."""
    return {option.name: option.default for option in record.options}


def check_backbone(backbone: Backbone) -> None:
    """Check that a backbone builds, keeps its record's promises, repeats itself, and goes through TFLite.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    import numpy as np

    from dslite.deploy.runtime import open_session
    from dslite.model.convert import to_tflite
    from dslite.model.graph import count_macs, trace
    from dslite.model.keras import keras

    name, size = backbone.name, max(64, backbone.min_size_px)
    _check_texts(name, backbone.licence, backbone.source)
    assert backbone.scaling in get_args(Scaling), f"{name}: scaling {backbone.scaling!r}: expected one of {Scaling}"
    try:
        backbone.build((size, size, 3), "no such file.h5", default_options(backbone))
    except Exception:  # noqa: BLE001, S110 - any refusal is right
        pass
    else:
        raise AssertionError(f"{name}: build took a weight file that is not there: load `weights`, or refuse them")
    smallest = backbone.build((backbone.min_size_px, backbone.min_size_px, 3), None, default_options(backbone))
    assert min(smallest.output_shape[1:3]) >= 1, f"{name}: nothing is left of a picture of min_size_px: raise it"
    model = backbone.build((size, size, 3), None, default_options(backbone))
    assert isinstance(model, keras.Model), (
        f"{name}: build gave a {type(model)}: make the model with `from dslite.model.keras import keras`"
    )
    assert model.input_shape == (None, size, size, 3), f"{name}: input is {model.input_shape}: use input_shape"
    assert len(model.output_shape) == 4, (  # noqa: PLR2004 - (n, h, w, c)
        f"{name}: output is {model.output_shape}: build without classifier and without pooling"
    )
    assert model.output_shape[-1] == backbone.n_features, (
        f"{name}: gives {model.output_shape[-1]} features, its record says {backbone.n_features}"
    )
    x = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    first, second = (np.asarray(model(x, training=False)) for _ in range(2))
    assert first.dtype == np.float32, f"{name}: gives {first.dtype}, expected float32"
    assert np.isfinite(first).all(), f"{name}: gives NaN or infinite features with random weights"
    assert np.array_equal(first, second), f"{name}: two runs differ: something random is active in inference"
    assert count_macs(trace(model)) != 0, f"{name}: has no convolution and no matrix product"
    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        path = Path(folder) / "backbone.tflite"
        path.write_bytes(to_tflite(model))
        exported = open_session(path, 1).run(x)
    scale = max(1.0, float(np.abs(first).max()))
    worst = float(np.abs(exported - first).max()) / scale
    assert worst < 1e-3, f"{name}: its TFLite file differs from the Keras model by {worst:.1e} of the largest feature"  # noqa: PLR2004


def check_exporter(exporter: Exporter) -> None:
    """Check that an exporter writes what it is given, at the path it is given, the same each time.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    import numpy as np

    from dslite.deploy.runtime import open_session
    from dslite.model.keras import keras

    name = exporter.name
    _check_texts(name, exporter.source)
    assert exporter.suffix[:1] == "." != exporter.suffix, (
        f"{name}: suffix {exporter.suffix!r}: expected such as .tflite"
    )
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    features = keras.layers.Conv2D(4, 3, activation="relu")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features)))
    x = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        path = Path(folder) / f"model{exporter.suffix}"
        exporter.export(model, str(path), [x] if exporter.needs_calibration else None, default_options(exporter))
        assert path.exists(), f"{name}: wrote nothing to the path it was given"
        assert [p.name for p in Path(folder).iterdir()] == [path.name], f"{name}: wrote files beside its path"
        got = open_session(path, 1).run(x)
    assert got.shape == expected.shape, f"{name}: the file gives {got.shape}, the model {expected.shape}"
    assert np.allclose(got, expected, rtol=0.2, atol=0.2 * np.abs(expected).max()), (
        f"{name}: the file gives {got.tolist()}, the model {expected.tolist()}: even a quantised file should be nearer"
    )


def check_target(target: Target, artifact: Any, plan: Any) -> None:
    """Check that a target measures a file it says it runs.

    Args:
        target: the plugin's record.
        artifact: `dslite.records.Artifact` of a file with one of its suffixes.
        plan: `dslite.records.Plan` with `input_path` set.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    name = target.name
    _check_texts(name, target.source)
    assert target.suffixes, f"{name}: runs no suffix"
    devices = target.devices()
    assert devices, f"{name}: names no device"
    told: list[float] = []
    measured = {
        m.metric: m
        for m in target.run(artifact, devices[0], plan, default_options(target), lambda _, done: told.append(done))
    }
    assert "latency" in measured, f"{name}: measured {', '.join(measured) or 'nothing'}, expected latency at least"
    latency = measured["latency"]
    assert len(latency.samples) >= plan.runs, f"{name}: kept {len(latency.samples)} samples of {plan.runs} runs"
    assert all(math.isfinite(s) and s > 0 for s in latency.samples), f"{name}: samples must be seconds above 0"
    assert all(m.unit in ("s", "bytes", "count") for m in measured.values()), f"{name}: units are s, bytes, count"
    assert all(m.method for m in measured.values()), f"{name}: every figure needs its method"
    assert all(0 <= done <= 1 for done in told), f"{name}: progress must be told as a fraction of 1"


def _check_texts(name: str, *texts: str) -> None:
    assert all(text.strip() for text in texts), f"{name}: licence and source must not be empty"
