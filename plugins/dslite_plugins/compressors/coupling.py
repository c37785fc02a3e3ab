"""Which channels of a network must go together, and the network without some of them.

A channel that a layer makes is a unit. It goes along with the feature map through pooling, activations, padding and
depthwise convolutions; concatenation puts units side by side; where feature maps are added or multiplied, the units
that meet become one (residuals of MobileNetV2 and ResNet); a convolution or dense layer reads units and makes new ones.
To take a unit out is to take its weights out of every layer that makes, carries or reads it. Units that meet something
not understood here stay. Models are as `dslite.model.surgery.folded` gives them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dslite.model.keras import keras
from dslite.model.layers import ChannelAffine

Units = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_layers = keras.layers
_CARRYING = (
    _layers.Activation,
    _layers.AveragePooling2D,
    ChannelAffine,
    _layers.Cropping2D,
    _layers.Dropout,
    _layers.ELU,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalMaxPooling2D,
    _layers.LeakyReLU,
    _layers.MaxPooling2D,
    _layers.ReLU,
    _layers.SpatialDropout2D,
    _layers.UpSampling2D,
    _layers.ZeroPadding2D,
)
"""Layers that do to every channel the same, or something of its own."""
_TINY = 1e-30
"""Under logarithms."""
_AT_ONCE = 8
OUTPUT = ""
"""What the network's pooled output is called among the layers that read."""
_MEETING = (_layers.Add, _layers.Average, _layers.Maximum, _layers.Minimum, _layers.Multiply, _layers.Subtract)


@dataclass(frozen=True, slots=True)
class Coupling:
    """The units of a network.

    Attributes:
        reads: of each layer, the units of the feature map it is given.
        makes: likewise of the one it gives; those that are one are one number.
        output: of the network's feature map.
        kept: that must stay.
    """

    reads: Mapping[str, Units]
    makes: Mapping[str, Units]
    output: Units
    kept: frozenset[int]


def coupling(network: Any) -> Coupling:
    """Find the units of a functional Keras model without batch normalisation, from one feature map to another."""
    import tensorflow as tf
    from scipy.cluster.hierarchy import DisjointSet

    joined = DisjointSet()  # units, as one where they meet
    kept: set[int] = set()
    reads: dict[str, Units] = {}
    makes: dict[str, Units] = {}
    known: dict[int, Units] = {}
    for layer in network.layers:
        inputs = [] if isinstance(layer, _layers.InputLayer) else tf.nest.flatten(layer.input)
        given = [known[id(tensor)] for tensor in inputs]
        if len(given) == 1:
            reads[layer.name] = given[0]
        made = _through(layer, given, joined)
        for tensor in tf.nest.flatten(layer.output):
            units = _new(int(tensor.shape[-1]), joined) if made is None else made
            known[id(tensor)] = makes[layer.name] = units
            if made is None:
                kept.update(*(each.tolist() for each in (*given, units)))

    def one(units: Units) -> Units:
        return np.array([joined[unit] for unit in units.tolist()], np.intp)

    return Coupling(
        {name: one(units) for name, units in reads.items()},
        {name: one(units) for name, units in makes.items()},
        one(known[id(network.output)]),
        frozenset(joined[unit] for unit in kept),
    )


def _new(n: int, joined: Any) -> Units:
    """Add so many units."""
    units = len(joined) + np.arange(n)
    for unit in units.tolist():
        joined.add(unit)
    return units


def _through(layer: Any, given: Sequence[Units], joined: Any) -> Units | None:
    """Give the units a layer makes of those it is given; None where that is not understood."""
    kind = type(layer)
    if _reads(layer):
        return _new(int(layer.output_shape[-1]), joined)
    if _carries(layer):
        return given[0]
    if kind is _layers.Concatenate and layer.axis in (-1, len(layer.output_shape) - 1):
        return np.concatenate(given)
    if kind in _MEETING and len({len(units) for units in given}) == 1:
        for units in given[1:]:
            for a, b in zip(given[0].tolist(), units.tolist(), strict=True):
                joined.merge(a, b)
        return given[0]
    return None


def _carries(layer: Any) -> bool:
    """Tell whether a layer gives the channels it is given, in their order, none of them changed by another."""
    kind = type(layer)
    if kind is _layers.DepthwiseConv2D:
        return bool(layer.depth_multiplier == 1)
    if kind is _layers.Reshape:  # of ``(n, channels)``, as squeeze-and-excitation has it
        return tuple(layer.output_shape) == (None, 1, 1, layer.input_shape[-1])
    mixes = getattr(getattr(layer, "activation", None), "__name__", "") in ("softmax", "log_softmax")
    return kind in _CARRYING and not mixes


# -- which to take out --------------------------------------------------------------------------------


def groups(of: Coupling, network: Any) -> list[Units]:
    """Give the units that may go, those made by the same layers together."""
    makers: dict[int, list[str]] = defaultdict(list)
    for layer in network.layers:
        if _reads(layer):
            for unit in of.makes[layer.name]:
                makers[int(unit)].append(layer.name)
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for unit, names in makers.items():
        if unit not in of.kept:
            found[tuple(names)].append(unit)
    return [np.array(units, np.intp) for units in found.values()]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a layer is given, by channel, over samples and places.

    Attributes:
        mean: float64 ``(channels,)``.
        variance: likewise.
    """

    mean: Floats
    variance: Floats


def watch(network: Any, images: Any) -> dict[str, Seen]:
    """Say what each layer that reads units is given of scaled pictures, and under ``OUTPUT`` the pooled output."""
    readers = [layer for layer in network.layers if _reads(layer)]
    inner = keras.Model(network.input, [*(layer.input for layer in readers), network.output])
    sums: list[list[Any]] = [[] for _ in (*readers, None)]
    for start in range(0, len(images), _AT_ONCE):
        *given, output = inner(images[start : start + _AT_ONCE], training=False)
        for i, value in enumerate([*given, np.asarray(output).mean(axis=(1, 2))]):
            flat = np.asarray(value, np.float64).reshape(-1, value.shape[-1])
            sums[i].append((len(flat), flat.sum(axis=0), (flat**2).sum(axis=0)))
    found = {}
    for name, parts in zip([*(layer.name for layer in readers), OUTPUT], sums, strict=True):
        n, total, squares = (sum(part) for part in zip(*parts, strict=True))
        found[name] = Seen(total / n, np.maximum(squares / n - (total / n) ** 2, 0))
    return found


def importance(of: Coupling, network: Any, hidden: Any, seen: Mapping[str, Seen]) -> dict[int, float]:
    """Say what each unit adds to the variance of what reads it, as a share of all that is added there.

    Its mean is not lost with it: that goes into the readers' biases. The pooled output is read by the kernel `hidden`,
    ``(channels, n)``; `seen` is from `watch`.
    """
    scores: dict[int, float] = defaultdict(float)
    strengths = {layer.name: _strength(layer) for layer in network.layers if _reads(layer)}
    units = {**of.reads, OUTPUT: of.output}
    for name, strength in {**strengths, OUTPUT: (np.asarray(hidden, np.float64) ** 2).sum(axis=1)}.items():
        added = seen[name].variance * strength
        for unit, share in zip(units[name], added / max(added.sum(), _TINY), strict=True):
            scores[int(unit)] += float(share)
    return scores


def _reads(layer: Any) -> bool:
    """Tell whether a layer makes every channel of all it is given."""
    return type(layer) is _layers.Dense or (type(layer) is _layers.Conv2D and layer.groups == 1)


def _strength(layer: Any) -> Floats:
    """Give the squared norm of the weights that read each channel."""
    kernel = np.asarray(layer.kernel, np.float64)
    return np.asarray((kernel**2).sum(axis=(*range(kernel.ndim - 2), -1)))


def _constant(layer: Any, means: Floats) -> Floats:
    """Give what a layer makes of channels that are constant, at places away from the borders: ``(channels out,)``."""
    kernel = np.asarray(layer.kernel, np.float64)
    return np.asarray(means @ kernel.reshape(-1, *kernel.shape[-2:]).sum(axis=0))


def weakest(of: Coupling, network: Any, scores: Mapping[int, float], aim: int, multiple: int) -> set[int]:
    """Choose the units that go, so that at most so many multiply-accumulates are left where that is possible.

    A unit's score is weighed against the root of what it costs: by the score alone, wide layers late in the network
    would go first, which save little; by score a multiply-accumulate, the narrow ones at its beginning, which all
    else depends on. Of each group a multiple of `multiple` units stays, one at least; that is halved as long as it is
    more than half of the group.
    """
    whole = count_macs(of, network, set())
    ranked = []
    for units in groups(of, network):
        cost = max(1, whole - count_macs(of, network, {int(units[0])})) ** 0.5
        worth = np.array([scores[int(unit)] for unit in units]) / cost
        order = np.argsort(worth, kind="stable")
        ranked.append((units[order], worth[order], _step(len(units), multiple)))

    def gone(threshold: float) -> set[int]:
        found: set[int] = set()
        for units, worth, step in ranked:
            n_stay = max(step, round(int((worth > threshold).sum()) / step) * step)
            found.update(map(int, units[: max(0, len(units) - n_stay)]))
        return found

    thresholds = np.unique(np.concatenate([worth for _, worth, _ in ranked])) if ranked else np.zeros(1)

    def is_met(i: int) -> bool:
        return count_macs(of, network, gone(thresholds[i])) <= aim

    return gone(thresholds[bisect_left(range(len(thresholds) - 1), True, key=is_met)])


def _step(n: int, multiple: int) -> int:
    while multiple > max(1, n // 2):
        multiple = (multiple + 1) // 2
    return multiple


def count_macs(of: Coupling, network: Any, gone: set[int]) -> int:
    """Count the multiply-accumulates of the network without some units."""
    total = 0
    for layer in network.layers:
        if type(layer) not in (_layers.Conv2D, _layers.Dense, _layers.DepthwiseConv2D):
            continue
        n_in, n_out = (sum(int(u) not in gone for u in what[layer.name]) for what in (of.reads, of.makes))
        places = int(np.prod(layer.output_shape[1:-1]))
        taps = int(np.prod(getattr(layer, "kernel_size", (1,))))
        n_read = 1 if type(layer) is _layers.DepthwiseConv2D else n_in // getattr(layer, "groups", 1)
        total += places * taps * n_read * n_out
    return total


# -- taking them out ----------------------------------------------------------------------------------


def without(of: Coupling, network: Any, gone: set[int], seen: Mapping[str, Seen]) -> Any:
    """Build the network again without some units; layers keep their names.

    What their means added to the layers that read them is added to the biases.
    """
    from dslite.model.surgery import copied, rebuilt, set_weights

    replacements: dict[str, Any] = {}
    weights: dict[str, list[Any]] = {}
    for layer in network.layers:
        if layer.name not in of.reads:  # the image, or where feature maps meet: nothing in it counts channels
            continue
        read, made = of.reads[layer.name], of.makes[layer.name]
        stays_in, stays_out = (np.array([int(unit) not in gone for unit in units]) for units in (read, made))
        kind = type(layer)
        if stays_in.all() and stays_out.all():
            continue
        if kind in _SIZE_SETTING:
            setting = _SIZE_SETTING[kind]
            settings: dict[str, Any] = {setting: int(stays_out.sum())} if setting else {}
            values = layer.get_weights()
            if _reads(layer) and not stays_in.all():
                settings["use_bias"] = True
                bias = values.pop() if layer.use_bias else np.zeros(len(stays_out), np.float32)
                constant = _constant(layer, np.where(stays_in, 0.0, seen[layer.name].mean))
                values.append(bias + constant.astype(np.float32))
            replacements[layer.name] = copied(layer, **settings)
            weights[layer.name] = [_cut(value, stays_in, stays_out, reads=_reads(layer)) for value in values]
        elif kind is _layers.Reshape:
            replacements[layer.name] = copied(layer, target_shape=(1, 1, int(stays_out.sum())))
    return set_weights(rebuilt(network, replacements), weights)


def _cut(weight: Any, stays_in: Any, stays_out: Any, *, reads: bool) -> Any:
    """Give what stays of a kernel, or of a value a channel such as biases."""
    if weight.ndim == 1:
        return weight[stays_out]
    kernel = weight[..., stays_in, :]  # of a depthwise convolution the channels it carries
    return kernel[..., stays_out] if reads else kernel


_SIZE_SETTING = {_layers.Conv2D: "filters", _layers.Dense: "units", _layers.DepthwiseConv2D: "", ChannelAffine: ""}
"""Of each kind of layer with weights: the setting that says how many channels it makes, if it has one."""
