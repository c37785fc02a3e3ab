"""Augmenters that distort a picture as recordings differ: noise, and where in the chunk a sound lies."""

from typing import Any

from dslite.records import Options
from dslite_plugins.augmenters.common import LARGEST_PX, change, number, pixels


def noise(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Add Gaussian noise of standard deviation strength * deviation, and clip to [0, 255]; labels stay.

    The three channels of a point get the same noise: it becomes brighter or darker, and grey stays grey.

    Options: `deviation`, 0 to 255.
    """
    import tensorflow as tf

    deviation = number("noise", options, "deviation", 0, 255)

    def add(at: Any, own: Any) -> Any:
        drawn = tf.random.stateless_normal(tf.concat([tf.shape(own)[:3], [1]], 0), seed)
        amount = (deviation * tf.gather(strength, at))[:, tf.newaxis, tf.newaxis, tf.newaxis]
        return tf.clip_by_value(own + amount * drawn, 0, 255)

    return change(images, strength, add), labels


def timeshift(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Shift along time, by up to strength * size to either side; what leaves on one side enters on the other.

    In a circle, not filled: where a chunk begins is arbitrary, and so nothing that the label rests on is lost; a
    filled rim would be one more of SpecAugment's masks. Labels stay as they are.

    Options: `size`, 1 to 4096 px.
    """
    import tensorflow as tf

    size_px = number("timeshift", options, "size", 1, LARGEST_PX)
    width = tf.shape(images)[2]
    farthest = pixels(strength, size_px, width)
    drawn = tf.random.stateless_uniform(tf.shape(strength), seed, -1, 1)
    distance = tf.cast(tf.round(drawn * tf.cast(farthest, tf.float32)), tf.int32)

    def shift(at: Any, own: Any) -> Any:
        source = (tf.range(width) - tf.gather(distance, at)[:, tf.newaxis]) % width
        return tf.gather(own, source, axis=2, batch_dims=1)

    return change(images, strength, shift), labels
