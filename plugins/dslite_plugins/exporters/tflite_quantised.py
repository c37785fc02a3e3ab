"""TFLite files with fewer bits: audio float32 in, probabilities float32 out, so that any replaces any other in an app.

The float32 file is quantised by ai-edge-quantizer, which takes seconds: the converter's own quantisation takes the
Keras model through its interpreter, operator by operator, and would quantise the spectrogram front end too. What stays
in float: the front end, ImageNet scaling, and the last layer (of 8 bits it would have but 256 values to give).
"""

import contextlib
import io
import itertools
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dslite import hookimpl
from dslite.errors import AudioError, SpecError
from dslite.records import Exporter, Option, Options

_CNN = r"^(?!Identity\b|(.*;)?(whole/frontend|(whole/)?cnn/(scaling|output))/)"
"""Operators, by the names of their outputs, that are in neither front end nor scaling nor the last layer; what gives
the output of the graph is called ``Identity``. One that computes several layers has their names, with ; between them,
and those of a backbone's layers begin with its own: ``whole/cnn/backbone/output/``."""
_FEWEST_SAMPLES = 8
_SOURCE = "https://ai.google.dev/edge/litert/conversion/tensorflow/quantization"
_SAMPLES = Option("samples", 64, "Chunks that activations are calibrated with, at most; 8 or more.")


def _float16(model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    """Halve the weights; they are widened again when the file is loaded."""
    del calibration, options  # none needed
    from ai_edge_quantizer import qtyping

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    widened = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    narrowed = {"regex": ".*", "operation": "*", "algorithm_key": "float_casting", "op_config": widened.to_dict()}
    _write(model, path, [narrowed])


def _dynamic(model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    """Make the weights int8; activations are quantised while the file runs, by what range they have then.

    Depthwise convolutions compute in float: XNNPACK has no such kernel for them, and LiteRT's own takes twice the time
    of the whole of MobileNetV2.
    """
    del calibration, options  # none needed
    from ai_edge_quantizer import recipe, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    manager.add_weight_only_config(".*", "DEPTHWISE_CONV_2D", num_bits=8)
    _write(model, path, manager.get_quantization_recipe())


def _static(activation_bits: int, model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    """Make weights int8, and activations int8 or int16 with ranges from calibration; refuse too few samples."""
    from ai_edge_quantizer import recipe

    samples = list(itertools.islice(calibration or (), _n_samples(options)))
    if len(samples) < _FEWEST_SAMPLES:
        raise AudioError(
            f"calibration: expected at least {_FEWEST_SAMPLES} chunks with sound in them, got {len(samples)}: give "
            "more audio of the kind the model is for"
        )
    if activation_bits == 8:  # noqa: PLR2004
        _write(model, path, recipe.static_wi8_ai8(), samples, _int8_scale)
    else:
        _write(model, path, recipe.static_wi8_ai16(), samples, _int16_scale)


def _n_samples(options: Options) -> int:
    at_most = int(options["samples"])
    if at_most < _FEWEST_SAMPLES:
        raise SpecError(f"samples: expected at least {_FEWEST_SAMPLES} calibration chunks, got {at_most}")
    return at_most


def _int8_scale(lowest: float, highest: float) -> float:
    """Give the unit of int8 activations between two values: 255 steps, 0 among them."""
    return (max(highest, 0.0) - min(lowest, 0.0)) / 255


def _int16_scale(lowest: float, highest: float) -> float:
    """Give the unit of int16 activations between two values: as many steps to either side of 0."""
    return max(abs(lowest), abs(highest)) / 32767


def _write(
    model: Any,
    path: str,
    recipe: list[dict[str, Any]],
    samples: list[Any] | None = None,
    scale: Callable[[float, float], float] | None = None,
) -> None:
    """Write the float32 file quantised by a recipe; `samples` and the `scale` that activations get, where they do."""
    from ai_edge_quantizer import recipe_manager
    from ai_edge_quantizer.quantizer import Quantizer

    from dslite.model.convert import SIGNATURE, to_tflite

    whole = bytearray(to_tflite(model))
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe([{**entry, "regex": _CNN} for entry in recipe])
    for operation in ("INPUT", "OUTPUT"):
        manager.add_quantization_config(".*", operation, algorithm_key="no_quantize")
    with _quiet():
        ranges = None
        if samples is not None and scale is not None:
            ranges = _ranges(whole, manager, {SIGNATURE: [{model.input_names[0]: x} for x in samples]})
            _leave_room_for_biases(whole, ranges, scale)
        quantizer = Quantizer(whole)
        quantizer.load_quantization_recipe(manager.get_quantization_recipe())
        made = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    Path(path).write_bytes(made.quantized_model)


def _ranges(whole: bytearray, manager: Any, samples: dict[str, Any]) -> Any:
    """Give the smallest and largest value of every activation over all samples.

    `Quantizer.calibrate` averages them with a weight that decays: the order of the samples would then decide.
    """
    from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    calibrator = Calibrator(
        whole,
        num_threads=os.cpu_count() or 1,
        mode=CalibrationMode.CALIBRATION_PROFILER_BASED,  # LiteRT notes them itself: the same in a quarter of the time
        qsv_update_func=min_max_update,
    )
    calibrator.calibrate(samples, manager)
    return calibrator.get_model_qsvs()


_MOST_OF_BIAS = 2.0**30
"""A bias is an int32 in units of the input's scale times the weights'."""
_LEAST_SCALE = 1e-12
"""Where an activation is always 0."""
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}


def _leave_room_for_biases(
    content: bytearray, ranges: Mapping[str, Mapping[str, Any]], scale: Callable[[float, float], float]
) -> None:
    """Raise the largest weight of output channels whose weights are so small that their bias would not fit, in place.

    A channel takes its scale from its largest weight. Where all of them are zero, as behind pruning, or in channels
    that ImageNet left dead, it is next to nothing, the bias is cut at 2^31 of such units, and what the channel gives
    is wrong. What the raised weight adds is at most 1/30,000 of the bias with int8 activations, 1/250 with int16.
    """
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    axes = {getattr(schema.BuiltinOperator, name): axis for name, axis in _CHANNEL_AXIS.items()}

    def values(index: int) -> Any:
        """Give a constant as it stands in the content; what is computed has no values."""
        data = model.Buffers(graph.Tensors(index).Buffer()).DataAsNumpy()
        is_float = graph.Tensors(index).Type() == schema.TensorType.FLOAT32
        return data.view(np.float32) if is_float and isinstance(data, np.ndarray) else None

    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        axis = axes.get(model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode())
        if axis is None or operator.InputsLength() < 3 or operator.Inputs(2) < 0:  # noqa: PLR2004 - input, weights, bias
            continue
        if not re.match(_CNN, graph.Tensors(operator.Outputs(0)).Name().decode()):
            continue
        seen = ranges.get(graph.Tensors(operator.Inputs(0)).Name().decode())
        weights, biases = values(operator.Inputs(1)), values(operator.Inputs(2))
        if seen is None or weights is None or biases is None:
            continue
        unit = max(scale(float(np.min(seen["min"])), float(np.max(seen["max"]))), _LEAST_SCALE)
        shape = graph.Tensors(operator.Inputs(1)).ShapeAsNumpy()
        channels = np.moveaxis(weights.reshape(shape), axis, 0)
        for channel, bias in zip(channels, biases, strict=True):
            least = 127 * abs(float(bias)) / (_MOST_OF_BIAS * unit)
            largest = np.unravel_index(np.abs(channel).argmax(), channel.shape)
            if abs(channel[largest]) < least:
                channel[largest] = np.copysign(least, channel[largest])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back the progress bars and the warning of memory use, which has no cure."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@hookimpl
def dslite_exporters() -> Iterable[Exporter]:
    """Give the exporters of TFLite files with fewer bits."""
    return [
        Exporter("tflite-float16", ".tflite", _float16, needs_calibration=False, source=_SOURCE),
        Exporter("tflite-dynamic", ".tflite", _dynamic, needs_calibration=False, source=_SOURCE),
        *(
            Exporter(name, ".tflite", partial(_static, bits), True, _SOURCE, (_SAMPLES,), check=_n_samples)
            for name, bits in (("tflite-int8", 8), ("tflite-int16x8", 16))
        ),
    ]
