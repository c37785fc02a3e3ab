"""Export times of DenseNet121 beside the stock converter's, and whether a quantised file's front end is float32's.

    DSLITE_TEST_DATA=/path/to/data python benchmarks/exports.py [--only NAME ...] [--output FOLDER]

Calibration is 64 real chunks of ESC-10, the same for both. Each of dslite's exporters runs
several times in turn, the stock converter once.
"""

import itertools
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from figures import Figure, measure
from learning import data

from dslite.deploy import calibration
from dslite.model.assembly import build_cnn, build_part
from dslite.model.keras import keras
from dslite.native import native_output_hidden
from dslite.recipe import REFERENCE
from dslite.registry import get_with_options, registry

ROUNDS, N_SAMPLES, N_PICTURES = 3, 64, 32
AIM_S = 10.0
EXPORTERS = ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int16x8")


def sounds() -> list[Path]:
    """Give the audio of ESC-10, in one order on every machine."""
    return sorted((data() / "audio" / "esc10").rglob("*.ogg"))


@cache
def samples() -> Sequence[Any]:
    """Give the calibration samples."""
    return list(itertools.islice(calibration.samples(sounds(), REFERENCE, "whole"), N_SAMPLES))


@cache
def whole() -> Any:
    """Give the reference system with random weights, from audio to probabilities."""
    keras.utils.set_random_seed(0)
    cnn = build_cnn(registry().get("backbones", "densenet121"), {}, 224, REFERENCE.head, 4, None)
    return build_part("whole", REFERENCE, cnn)


def stock(exporter: str) -> bytes:
    """Convert the Keras model as TensorFlow's documentation has it, each kind of file by its own options."""
    converter = tf.lite.TFLiteConverter.from_keras_model(whole())
    if exporter != "tflite-float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if exporter == "tflite-float16":
        converter.target_spec.supported_types = [tf.float16]
    if exporter in ("tflite-int8", "tflite-int16x8"):
        converter.representative_dataset = lambda: ([sample] for sample in samples())
    if exporter == "tflite-int16x8":
        int16x8 = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [int16x8, tf.lite.OpsSet.TFLITE_BUILTINS]
    content: bytes = converter.convert()
    return content


def seconds(action: Callable[[], Any]) -> float:
    """Time something that prints a lot."""
    with native_output_hidden(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        action()
        return time.perf_counter() - start


def ours(name: str, folder: Path) -> None:
    """Export with an exporter of dslite."""
    exporter, options = get_with_options("exporters", name)
    exporter.export(whole(), str(folder / f"{name}.tflite"), samples(), options)


def export_times() -> list[Figure]:
    """Each exporter against the stock converter."""
    samples()
    whole()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name in EXPORTERS:
            taken = [seconds(partial(ours, name, Path(folder)))]
            try:
                beside = f"{seconds(partial(stock, name)):.0f} s"
            except Exception as error:  # noqa: BLE001 - that it fails is the figure
                beside = f"fails ({str(error).splitlines()[0][:80]})"
            taken += [seconds(partial(ours, name, Path(folder))) for _ in range(ROUNDS - 1)]
            calibrated = f"; both calibrated with {N_SAMPLES} chunks of ESC-10" if name in EXPORTERS[-2:] else ""
            figures.append(
                Figure(
                    f"export of densenet121 as {name}",
                    f"at most {AIM_S:.0f} s",
                    f"{statistics.median(taken):.1f} s ({min(taken):.1f} to {max(taken):.1f}); "
                    f"stock converter: {beside}",
                    max(taken) <= AIM_S,
                    f"{ROUNDS} rounds, audio to probabilities; the stock converter once, after the first{calibrated}",
                )
            )
    return figures


def same_pictures() -> list[Figure]:
    """The picture inside each quantised file against that inside the float32 file."""
    from ai_edge_litert.interpreter import Interpreter

    def pictures(path: Path) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
        (at,) = [d["index"] for d in interpreter.get_tensor_details() if d["name"].endswith("resize/ResizeBilinear")]
        found = []
        for sample in samples()[:N_PICTURES]:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
            interpreter.invoke()
            found.append(interpreter.get_tensor(at))
        return np.concatenate(found)

    figures = []
    with tempfile.TemporaryDirectory() as folder, native_output_hidden():
        made = {}
        for name in EXPORTERS:
            exporter, options = get_with_options("exporters", name)
            path = Path(folder) / f"{name}.tflite"
            exporter.export(build_small(), str(path), samples(), options)
            made[name] = pictures(path)
        for name, found in list(made.items())[1:]:
            worst = float(np.abs(found - made["tflite-float32"]).max())
            figures.append(
                Figure(
                    f"picture inside a file of {name}, against that inside the float32 file",
                    "within 1 of 255",
                    f"{worst:g}",
                    worst <= 1,
                    f"largest difference of a colour, {N_PICTURES} chunks of ESC-10, mobilenet_v2",
                )
            )
    return figures


@cache
def build_small() -> Any:
    """Give a smaller system: the front end is the same, and all its tensors are kept."""
    record, options = get_with_options("backbones", "mobilenet_v2")
    weights = data() / "weights" / "imagenet_keras" / "mobilenet_v2_1.0_224_notop_dequantised.h5"
    return build_part("whole", REFERENCE, build_cnn(record, options, 224, REFERENCE.head, 4, str(weights)))


if __name__ == "__main__":
    measure(
        "exports",
        "Export of quantised files",
        __doc__ or "",
        {"export times": export_times, "same pictures": same_pictures},
    )
