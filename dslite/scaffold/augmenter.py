"""Fade each picture by a random amount towards its mean colour: a recording of less contrast."""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.records import Augmenter, Option, Options


def apply(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Fade pictures; labels stay as they are.

    Args:
        images: float32 ``(n, height, width, 3)`` in [0, 255].
        labels: float32 ``(n, classes)``; who mixes pictures mixes their labels in the same proportion.
        strength: float32 ``(n,)`` in [0, 1]; 0 must leave its sample exactly as it is.
        seed: int32 ``(2,)``, for TensorFlow's stateless random operations; ``seed + 1`` is another.
        options: `most`.

    Returns:
        Pictures and labels, of the same shapes and ranges.
    """
    import tensorflow as tf  # heavy imports stand inside functions: start-up stays quick

    # n is not known when the graph is made, and a loop over samples would be slow: whole batches, tf.shape.
    drawn = tf.random.stateless_uniform(tf.shape(strength), seed)
    amount = (float(options["most"]) * strength * drawn)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return images + amount * (mean - images), labels


@hookimpl
def dslite_augmenters() -> Iterable[Augmenter]:
    """Give the augmenters of this plugin."""
    return [
        Augmenter(
            name="new_augmenter",
            apply=apply,
            source="the README of this plugin",
            options=(Option("most", 0.8, "Fraction of the contrast that strength 1 may take away, 0 to 1."),),
        )
    ]
