"""Exports to TFLite, float32: Keras model in memory to bytes."""

from typing import Any

import pytest

from dslite.recipe import REFERENCE
from dslite.registry import registry


@pytest.mark.parametrize("backbone", ["squeezenet_v1", "densenet121"])
def test_export(benchmark: Any, backbone: str) -> None:
    """The part from picture to probabilities; twice, after once that is not timed."""
    from dslite.model.assembly import build_cnn
    from dslite.model.convert import to_tflite

    cnn = build_cnn(registry().get("backbones", backbone), {}, 224, REFERENCE.head, 4, None)
    benchmark.pedantic(to_tflite, (cnn,), rounds=2, iterations=1, warmup_rounds=1)
