"""Which channels of a network must go together, and the network without some of them.

A channel that a layer makes is a unit. It goes along with the feature map through pooling, activations, padding and
depthwise convolutions; concatenation puts units side by side; where feature maps are added or multiplied, the units
that meet become one (residuals of MobileNetV2 and ResNet); a convolution or dense layer reads units and makes new ones.
To take a unit out is to take its weights out of every layer that makes, carries or reads it. Units that meet something
not understood here stay.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Units = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]

_CARRYING = (
    *("Activation", "AveragePooling2D", "ChannelAffine", "Cropping2D", "Dropout", "ELU", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling2D", "LeakyReLU", "MaxPooling2D", "ReLU", "SpatialDropout2D", "UpSampling2D", "ZeroPadding2D"),
)
"""Layers that do to every channel the same, or something of its own."""
_TINY = 1e-30
"""Under logarithms."""
_MEETING = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")


@dataclass(slots=True)
class _Table:
    """Units, joined where they meet."""

    parent: list[int] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)

    def new(self, n: int) -> Units:
        first = len(self.parent)
        self.parent += range(first, first + n)
        return np.arange(first, first + n)

    def root(self, unit: int) -> int:
        while self.parent[unit] != unit:
            self.parent[unit] = self.parent[self.parent[unit]]
            unit = self.parent[unit]
        return unit

    def roots(self, units: Units) -> Units:
        return np.array([self.root(int(unit)) for unit in units], np.intp)

    def join(self, one: Units, other: Units) -> None:
        for a, b in zip(one, other, strict=True):
            self.parent[self.root(int(b))] = self.root(int(a))


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
    table = _Table()
    reads: dict[str, Units] = {}
    makes: dict[str, Units] = {}
    known: dict[int, Units] = {}
    for layer in network.layers:
        inputs = [] if _is_input(layer) else _as_list(layer.input)
        given = [known[id(tensor)] for tensor in inputs]
        if len(given) == 1:
            reads[layer.name] = given[0]
        made = _through(layer, given, table)
        if made is None:
            for units in given:
                table.kept.update(map(int, units))
        for tensor in _as_list(layer.output):
            units = table.new(int(tensor.shape[-1])) if made is None else made
            if made is None:
                table.kept.update(map(int, units))
            known[id(tensor)] = makes[layer.name] = units
    return Coupling(
        {name: table.roots(units) for name, units in reads.items()},
        {name: table.roots(units) for name, units in makes.items()},
        table.roots(known[id(network.output)]),
        frozenset(table.root(unit) for unit in table.kept),
    )


def _through(layer: Any, given: Sequence[Units], table: _Table) -> Units | None:
    """Give the units a layer makes of those it is given; None where that is not understood."""
    kind = type(layer).__name__
    made: Units | None = None
    if kind in ("Conv2D", "Dense", "SeparableConv2D"):
        understood = getattr(layer, "groups", 1) == 1 and getattr(layer, "depth_multiplier", 1) == 1
        made = table.new(int(layer.output_shape[-1])) if understood else None
    elif _carries(layer):
        made = given[0]
    elif kind == "Concatenate" and layer.axis in (-1, len(layer.output_shape) - 1):
        made = np.concatenate(given)
    elif kind in _MEETING and len({len(units) for units in given}) == 1:
        for units in given[1:]:
            table.join(given[0], units)
        made = given[0]
    return made


def _carries(layer: Any) -> bool:
    """Tell whether a layer gives the channels it is given, in their order, none of them changed by another."""
    kind = type(layer).__name__
    if kind == "DepthwiseConv2D":
        return bool(layer.depth_multiplier == 1)
    if kind == "Reshape":  # of ``(n, channels)``, as squeeze-and-excitation has it
        return tuple(layer.output_shape) == (None, 1, 1, layer.input_shape[-1])
    mixes = getattr(getattr(layer, "activation", None), "__name__", "") in ("softmax", "log_softmax")
    return kind in _CARRYING and not mixes


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


def _as_list(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


# -- which to take out --------------------------------------------------------------------------------


def groups(of: Coupling, network: Any) -> list[Units]:
    """Give the units that may go, those made by the same layers together."""
    makers: dict[int, list[str]] = defaultdict(list)
    for layer in network.layers:
        if _has_kernel(layer) and type(layer).__name__ != "DepthwiseConv2D":
            for unit in of.makes[layer.name]:
                makers[int(unit)].append(layer.name)
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for unit, names in makers.items():
        if unit not in of.kept:
            found[tuple(names)].append(unit)
    return [np.array(units, np.intp) for units in found.values()]


def importance(of: Coupling, network: Any, hidden: Any) -> dict[int, float]:
    """Say how much each unit does: log of the norms of the weights that make, carry and read it, multiplied.

    A factor that one of these layers has more and another less changes nothing between ReLUs, and nothing here.

    Args:
        of: the units.
        network: they are of.
        hidden: kernel of the layer that reads the pooled output, ``(channels, n)``.
    """
    squares: dict[str, dict[int, float]] = {what: defaultdict(float) for what in ("makes", "reads")}
    carried: dict[int, float] = defaultdict(float)
    for layer in network.layers:
        kind, weights = type(layer).__name__, [np.asarray(w, np.float64) for w in layer.get_weights()]
        if kind == "DepthwiseConv2D":
            _add(carried, of.makes[layer.name], np.log(_TINY + (weights[0] ** 2).sum(axis=(0, 1, 3))))
        elif kind == "ChannelAffine":
            _add(carried, of.makes[layer.name], np.log(_TINY + weights[0] ** 2))
        elif _has_kernel(layer):
            kernel = weights[1] if kind == "SeparableConv2D" else weights[0]
            _add(squares["makes"], of.makes[layer.name], (kernel**2).reshape(-1, kernel.shape[-1]).sum(axis=0))
            _add(squares["reads"], of.reads[layer.name], (kernel**2).sum(axis=(*range(kernel.ndim - 2), -1)))
    _add(squares["reads"], of.output, (np.asarray(hidden, np.float64) ** 2).sum(axis=1))
    return {
        unit: float(np.log(_TINY + made) + carried[unit] + np.log(_TINY + squares["reads"][unit]))
        for unit, made in squares["makes"].items()
    }


def _add(to: dict[int, float], units: Units, values: Floats) -> None:
    for unit, value in zip(units, values, strict=True):
        to[int(unit)] += float(value)


def _has_kernel(layer: Any) -> bool:
    return type(layer).__name__ in ("Conv2D", "Dense", "DepthwiseConv2D", "SeparableConv2D")


def weakest(found: Iterable[Units], scores: Mapping[int, float], share: float, multiple: int) -> set[int]:
    """Choose from each group the units that do least.

    Args:
        found: the groups.
        scores: of `importance`.
        share: of the units of a group, in [0, 1).
        multiple: of which the number that stays is one, and which it is at least; halved as long as it is more than a
            quarter of the group.
    """
    gone: set[int] = set()
    for units in found:
        step = multiple
        while step > max(1, len(units) // 4):
            step = (step + 1) // 2
        n_stay = max(step, round(len(units) * (1 - share) / step) * step)
        ranked = sorted(map(int, units), key=lambda unit: scores[unit])
        gone.update(ranked[: max(0, len(units) - n_stay)])
    return gone


def count_macs(of: Coupling, network: Any, gone: set[int]) -> int:
    """Count the multiply-accumulates of the network without some units."""
    total = 0
    for layer in network.layers:
        if not _has_kernel(layer):
            continue
        kind = type(layer).__name__
        places = int(np.prod(layer.output_shape[1:-1]))
        n_in, n_out = (sum(int(u) not in gone for u in what[layer.name]) for what in (of.reads, of.makes))
        taps = int(np.prod(getattr(layer, "kernel_size", (1,))))
        if kind == "SeparableConv2D":
            total += places * n_in * (taps + n_out)
        else:
            total += places * taps * (n_out if kind == "DepthwiseConv2D" else n_in * n_out)
    return total


# -- taking them out ----------------------------------------------------------------------------------


def without(of: Coupling, network: Any, gone: set[int]) -> Any:
    """Build the network again without some units; layers keep their names."""
    from dslite.model.surgery import copied, rebuilt, set_weights

    replacements: dict[str, Any] = {}
    weights: dict[str, list[Any]] = {}
    for layer in network.layers:
        stays = of.reads.get(layer.name, of.output), of.makes[layer.name]
        n_in, n_out = (np.array([int(unit) not in gone for unit in units]) for units in stays)
        if n_in.all() and n_out.all():
            continue
        kind = type(layer).__name__
        if kind in _SLICED:
            changes, slices = _SLICED[kind]
            count = int(n_out.sum())
            replacements[layer.name] = copied(layer, **dict.fromkeys(changes, count))
            weights[layer.name] = [cut(w, n_in, n_out) for cut, w in zip(slices, layer.get_weights(), strict=False)]
        elif kind == "Reshape":
            replacements[layer.name] = copied(layer, target_shape=(1, 1, int(n_out.sum())))
    return set_weights(rebuilt(network, replacements), weights)


Mask = npt.NDArray[np.bool_]
_Cut = Callable[[Any, Mask, Mask], Any]


def _both(weight: Any, read: Mask, made: Mask) -> Any:
    return weight[..., read, :][..., made]


def _of_made(weight: Any, read: Mask, made: Mask) -> Any:
    del read
    return weight[made]


def _of_carried(weight: Any, read: Mask, made: Mask) -> Any:
    del made
    return weight[..., read, :]


_SLICED: dict[str, tuple[tuple[str, ...], tuple[_Cut, ...]]] = {
    "Conv2D": (("filters",), (_both, _of_made)),
    "Dense": (("units",), (_both, _of_made)),
    "SeparableConv2D": (("filters",), (_of_carried, _both, _of_made)),
    "DepthwiseConv2D": ((), (_of_carried, _of_made)),
    "ChannelAffine": ((), (_of_made, _of_made)),
}
"""Of each kind of layer with weights: the settings that say how many channels it makes, and how weights are cut."""
