"""Inference of every backbone: picture to probabilities, TFLite float32, one thread, random weights."""

from collections.abc import Callable
from typing import Any

import pytest

from dslite.recipe import REFERENCE
from dslite.registry import registry


@pytest.mark.parametrize("backbone", sorted(registry().names("backbones")))
def test_inference(benchmark: Any, backbone: str, tflite_session: Callable[[Any, str], Any]) -> None:
    """One run of the file."""
    from dslite.model.assembly import build_cnn
    from dslite.model.keras import keras

    keras.backend.clear_session()
    cnn = build_cnn(registry().get("backbones", backbone), {}, 224, REFERENCE.head, 4, None)
    session = tflite_session(cnn, backbone)
    del cnn
    benchmark.pedantic(session.invoke, rounds=15, iterations=1, warmup_rounds=2)
