"""Which backbones are tested where: four in CI, all of them nightly."""

from collections.abc import Iterable
from typing import Any

import pytest

IN_CI = ("densenet121", "efficientnet_b0", "mobilenet_v2", "squeezenet_v1")
"""Each of a kind of its own: concatenations, with normalisation behind them; squeeze and excite, swish, which has a
gradient of its own, and scaling inside; residuals and depthwise convolutions; fire modules without normalisation."""

NIGHTLY = (pytest.mark.nightly, pytest.mark.timeout(1200))
"""The largest take minutes for one test."""


def in_ci_or_nightly(names: Iterable[str], *more: str, quick: tuple[str, ...] = ()) -> list[Any]:
    """Give parameters: `IN_CI` and `more` are slow tests, which CI runs, but for the quick; all others nightly ones."""

    def marks(name: str) -> Any:
        return () if name in quick else pytest.mark.slow if name in (*IN_CI, *more) else NIGHTLY

    return [pytest.param(name, marks=marks(name)) for name in names]
