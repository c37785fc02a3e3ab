"""The spectrogram front end: three seconds of audio to a picture."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dslite.recipe import REFERENCE


def test_front_end_tensorflow(benchmark: Any) -> None:
    """As a TensorFlow function, as training has it."""
    import tensorflow as tf

    from dslite.audio.frontend import picture

    made = tf.function(lambda audio: picture(audio, REFERENCE.frontend))
    audio = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 48_000)).astype(np.float32))
    made(audio)
    benchmark(lambda: made(audio).numpy())


def test_front_end_tflite(benchmark: Any, tflite_session: Callable[[Any, str], Any]) -> None:
    """As a file, one thread."""
    from dslite.model.assembly import build_part

    benchmark(tflite_session(build_part("frontend", REFERENCE, None), "frontend").invoke)
