"""`check_compressor`."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dslite.records import Backbone, Compressor, Options
from dslite.testing.shared import check_defaults, check_record, default_options, through_tflite

_SIZE_PX = 32
_N_CLASSES = 3
_N_SAMPLES = 24
_BATCH_SIZE = 8
_MOST_FINETUNES = 10
_REPEATED = 1e-3
_THROUGH_TFLITE = 0.1


def check_compressor(compressor: Compressor) -> None:
    """Check that a compressor gives a model that still predicts, repeats itself, and goes through TFLite.

    It gets a small system as dslite builds it (scaling, nested backbone, pooling, head with AReLU), trained for a
    few steps, and a `finetune` that really trains; default options.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    name = compressor.name
    check_record(compressor, compressor.compress)
    check_defaults(compressor)
    x, y = _task()
    before, after, model, calls = _compressed(compressor, x, y)
    assert calls <= _MOST_FINETUNES, (
        f"{name}: calls finetune {calls} times: each is a whole training, {_MOST_FINETUNES} are the most"
    )
    assert np.isfinite(after).all(), f"{name}: the compressed model gives NaN or infinite values"
    assert not np.array_equal(before, after), (
        f"{name}: gives the model back as it was: change it, and return the new one"
    )
    spread = float(np.ptp(after, axis=0).max())
    assert spread > _REPEATED, (
        f"{name}: the compressed model gives {after[0].round(3).tolist()} whatever it sees: it took too much away"
    )
    _, again, _, _ = _compressed(compressor, x, y)
    worst = float(np.abs(again - after).max())
    assert worst <= _REPEATED, (
        f"{name}: with the same keras.utils.set_random_seed its outputs differ by {worst:.2g}: "
        "draw random numbers from Keras' or TensorFlow's global seed, or from none"
    )
    worst = float(np.abs(through_tflite(f"{name}: the compressed model", model, x) - after).max())
    assert worst <= _THROUGH_TFLITE * spread, (
        f"{name}: the TFLite file of the compressed model differs from it by {worst:.2g}, of {spread:.2g} between "
        "inputs: take wrappers and training-only parts off before you return it"
    )


def _task() -> tuple[Any, Any]:
    """Give pictures whose class is their colour, float32 ``(n, 32, 32, 3)`` in [0, 255], and one-hot labels."""
    generator = np.random.default_rng(0)
    classes = np.arange(_N_SAMPLES) % _N_CLASSES
    images = generator.uniform(0, 120, (_N_SAMPLES, _SIZE_PX, _SIZE_PX, 3))
    images[np.arange(_N_SAMPLES), :, :, classes] += 120
    return images.astype(np.float32), np.eye(_N_CLASSES, dtype=np.float32)[classes]


def _compressed(compressor: Compressor, x: Any, y: Any) -> tuple[Any, Any, Any, int]:
    """Build, train and compress; give outputs before and after, the model, and how often it was finetuned."""
    from dslite.model.assembly import build_cnn
    from dslite.model.keras import keras
    from dslite.recipe import HeadSpec

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    backbone = Backbone("small", _small, "tf", 12, 8, "Apache-2.0", "dslite.testing")
    model = build_cnn(backbone, {}, _SIZE_PX, HeadSpec(n_hidden=8, dropout=0.0), _N_CLASSES, None)
    finetune = _Finetune(x, y)
    finetune(model)
    before = np.asarray(model(x, training=False))
    result = compressor.compress(model, finetune, default_options(compressor))
    _check_model(compressor.name, result)
    return before, np.asarray(result(x, training=False)), result, len(finetune.calls) - 1


def _small(input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
    del weights, options  # random, and none
    from dslite.model.keras import keras

    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.ReLU()(keras.layers.DepthwiseConv2D(3, strides=2)(x))
    return keras.Model(image, keras.layers.Conv2D(12, 1)(x))


@dataclass(frozen=True, slots=True)
class _Finetune:
    """A `dslite.records.Finetune` on the small task; what it was called with is noted."""

    x: Any
    y: Any
    calls: list[int] = field(default_factory=list)

    def __call__(self, model: Any, *, epochs: int = 4, rate: float = 1.0, training: bool = False) -> None:
        from dslite.model.keras import keras

        del training  # `fit` always trains
        self.calls.append(epochs)
        model.compile(keras.optimizers.Adam(3e-3 * rate), "categorical_crossentropy")
        model.fit(self.x, self.y, batch_size=_BATCH_SIZE, epochs=epochs, shuffle=False, verbose=0)

    def pictures(self, n: int) -> Any:
        return self.x[:n]

    def n_steps(self, epochs: int) -> int:
        return epochs * -(-len(self.x) // _BATCH_SIZE)


def _check_model(name: str, model: Any) -> None:
    from dslite.model.keras import keras
    from dslite.model.surgery import missing_parts

    assert isinstance(model, keras.Model), (
        f"{name}: compress gave a {type(model)}: return a model made with `from dslite.model.keras import keras`"
    )
    expected = (None, _SIZE_PX, _SIZE_PX, 3), (None, _N_CLASSES)
    assert (model.input_shape, model.output_shape) == expected, (
        f"{name}: the model becomes {model.input_shape} -> {model.output_shape}, expected "
        f"{expected[0]} -> {expected[1]}: keep its input and its output"
    )
    missing = missing_parts(model)
    assert not missing, f"{name}: the model lacks {', '.join(missing)}: keep them, so that another compressor can go on"
