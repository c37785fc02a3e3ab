"""`check_exporter`."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from dslite.records import Exporter
from dslite.testing.shared import check_defaults, check_record, default_options

_N_CALIBRATION = 256
"""Samples an exporter may take: as many as it likes, within reason."""


def check_exporter(exporter: Exporter) -> None:
    """Check that an exporter writes what it is given, at the path it is given, the same each time.

    A file that `dslite.deploy.runtime` opens (.tflite, .h5, .savedmodel) is run against the Keras model. Of another
    suffix only this is checked: that something is written, and all of it at the path; whether it computes the same
    is for a test of the plugin's own.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    from dslite.deploy.runtime import LITERT_SUFFIXES, TENSORFLOW_SUFFIXES
    from dslite.model.keras import keras

    name, suffix = exporter.name, exporter.suffix
    check_record(exporter, exporter.export)
    check_defaults(exporter)
    assert suffix[:1] == "." != suffix, f"{name}: suffix {suffix!r}: expected such as .tflite"
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    features = keras.layers.Conv2D(4, 3, activation="relu")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(features)))
    x = _pictures(1)[0]
    expected = np.asarray(model(x, training=False))
    opens = suffix in LITERT_SUFFIXES + TENSORFLOW_SUFFIXES
    first, second = (_exported(exporter, model, x, opens=opens) for _ in range(2))
    assert np.array_equal(np.asarray(model(x, training=False)), expected), (
        f"{name}: export changes the model it is given: work on a copy"
    )
    if not opens:
        return
    assert first.shape == expected.shape, f"{name}: the file gives {first.shape}, the model {expected.shape}"
    assert np.allclose(first, expected, rtol=0.2, atol=0.2 * np.abs(expected).max()), (
        f"{name}: the file gives {first.tolist()}, the model {expected.tolist()}: even quantised it should be nearer"
    )
    assert np.array_equal(first, second), (
        f"{name}: two exports of one model give {first.tolist()} and {second.tolist()}: nothing in it may be random"
    )


def _pictures(n: int) -> list[Any]:
    """Give noise, so many arrays float32 ``(1, 16, 16, 3)`` in [0, 255]."""
    return list(np.random.default_rng(0).uniform(0, 255, (n, 1, 16, 16, 3)).astype(np.float32))


def _exported(exporter: Exporter, model: Any, x: Any, *, opens: bool) -> Any:
    """Export into a folder of its own, look at what was written, and give what the file makes of `x`."""
    from dslite.deploy.runtime import open_session
    from dslite.files import size_bytes

    name = exporter.name
    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        path = Path(folder) / f"model{exporter.suffix}"
        exporter.export(
            model,
            str(path),
            _pictures(_N_CALIBRATION) if exporter.needs_calibration else None,
            default_options(exporter),
        )
        assert path.exists(), f"{name}: wrote nothing to the path it was given"
        beside = sorted(p.name for p in Path(folder).iterdir() if p != path)
        assert not beside, f"{name}: wrote files beside its path, {', '.join(beside)}: write to `path` alone"
        assert size_bytes(path), f"{name}: wrote an empty file"
        return open_session(path, 1).run(x) if opens else None
