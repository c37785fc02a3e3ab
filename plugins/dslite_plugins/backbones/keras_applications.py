"""Backbones of keras.applications.

Origin: F. Chollet et al., Keras Applications (Apache-2.0), https://keras.io/api/applications/. Built without
classifier and pooling; ImageNet weights are Keras' own download, checked by its hash, kept in its cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dslite import hookimpl
from dslite.records import Backbone, Options, Scaling


@dataclass(frozen=True, slots=True)
class _Application:
    """One line of the table: where Keras keeps it and what its publication is."""

    function: str
    scaling: Scaling
    n_features: int
    min_size_px: int
    source: str


_TABLE = {
    "densenet121": _Application("DenseNet121", "torch", 1024, 32, "https://arxiv.org/abs/1608.06993"),
}


def _build(function: str, input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
    del options  # none yet
    from dslite.model.keras import keras

    build = getattr(keras.applications, function)
    return build(include_top=False, weights=weights, input_shape=input_shape)


@hookimpl
def dslite_backbones() -> Iterable[Backbone]:
    """Give the backbones of the table."""
    return [
        Backbone(
            name=name,
            build=partial(_build, line.function),
            scaling=line.scaling,
            n_features=line.n_features,
            min_size_px=line.min_size_px,
            licence="Apache-2.0",
            source=line.source,
        )
        for name, line in _TABLE.items()
    ]
