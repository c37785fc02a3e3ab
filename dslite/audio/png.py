"""Spectrogram pictures as PNG files."""

from pathlib import Path

from dslite import files
from dslite.audio.load import Samples
from dslite.recipe import FrontendSpec


def write_picture(chunk: Samples, spec: FrontendSpec, path: Path) -> None:
    """Write the picture of one chunk, float32 ``(samples,)``; colours are rounded to whole numbers."""
    import tensorflow as tf

    from dslite.audio.frontend import picture

    image = tf.cast(tf.round(picture(tf.constant(chunk[None]), spec)[0]), tf.uint8)
    encoded: bytes = tf.io.encode_png(image).numpy()
    with files.written_whole(path) as place:
        place.write_bytes(encoded)
