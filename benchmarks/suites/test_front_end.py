"""The spectrogram front end: chunks of three seconds to pictures, one thread."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dslite.recipe import REFERENCE

_AUDIO = np.random.default_rng(0).uniform(-1, 1, (16, 48_000)).astype(np.float32)


def test_front_end_tensorflow(timed: Callable[..., Any], tensorflow: Any) -> None:
    """As a TensorFlow function, 16 chunks at once: the time of one differs from process to process."""
    from dslite.audio.frontend import picture

    made = tensorflow.function(lambda audio: picture(audio, REFERENCE.frontend))
    audio = tensorflow.constant(_AUDIO)
    timed(lambda: made(audio).numpy())


def test_front_end_tflite(timed: Callable[..., Any], tensorflow: Any, tmp_path: Path) -> None:
    """As a file, one chunk."""
    del tensorflow  # the model is made with it
    from dslite.deploy.runtime import open_session
    from dslite.model.assembly import build_part
    from dslite.model.convert import to_tflite

    path = tmp_path / "frontend.tflite"
    path.write_bytes(to_tflite(build_part("frontend", REFERENCE, None)))
    session = open_session(path, 1)
    session.feed(_AUDIO[:1])
    timed(session.invoke)
