"""Spectrogram pictures as PNG files."""

from pathlib import Path
from typing import Any

from dslite import files
from dslite.audio.load import Samples
from dslite.recipe import FrontendSpec


def write_picture(chunk: Samples, spec: FrontendSpec, path: Path) -> None:
    """Write the picture of one chunk, float32 ``(samples,)``."""
    import tensorflow as tf

    from dslite.audio.frontend import picture

    write_pixels(picture(tf.constant(chunk[None]), spec)[0], path)


def write_pixels(image: Any, path: Path) -> None:
    """Write a picture, float32 ``(height, width, 3)`` in [0, 255]; colours are rounded to whole numbers."""
    import tensorflow as tf

    encoded: bytes = tf.io.encode_png(tf.cast(tf.round(image), tf.uint8)).numpy()
    with files.written_whole(path) as place:
        place.write_bytes(encoded)
