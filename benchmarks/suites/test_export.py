"""Exports to TFLite, float32: Keras model in memory to bytes."""

from collections.abc import Callable
from typing import Any

import pytest

from dslite.recipe import REFERENCE
from dslite.registry import registry

_ROUNDS = {"squeezenet_v1": 5, "densenet121": 2}


@pytest.mark.parametrize("backbone", _ROUNDS)
def test_export(timed: Callable[..., Any], tensorflow: Any, backbone: str) -> None:
    """The part from picture to probabilities."""
    del tensorflow  # the model is made with it
    from dslite.model.assembly import build_cnn
    from dslite.model.convert import to_tflite
    from dslite.model.keras import keras

    keras.backend.clear_session()  # what other benchmarks left is not this one's
    cnn = build_cnn(registry().get("backbones", backbone), {}, 224, REFERENCE.head, 4, None)
    timed(lambda: to_tflite(cnn), rounds=_ROUNDS[backbone])
