"""Augmenters that distort a picture as recordings differ: noise, tempo, pitch, and where in a chunk a sound lies."""

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


def stretch(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Stretch and move each picture by random amounts, uniform up to the strength's share of each option.

    What comes in from outside has the picture's faintest colour: that of its darkest point.

    Options: `time`, `frequency`, `time_shift`, `frequency_shift`: shares of the picture's sides, 0 to 0.5.
    """
    import tensorflow as tf

    names = ("frequency", "time", "frequency_shift", "time_shift")
    most = [number("stretch", options, name, 0, 0.5) for name in names]
    drawn = tf.random.stateless_uniform((tf.shape(strength)[0], len(names)), seed, -1.0, 1.0)
    amounts = drawn * strength[:, tf.newaxis] * tf.constant(most)

    def moved(at: Any, own: Any) -> Any:
        by = tf.gather(amounts, at)
        longer, shift = 1.0 + by[:, :2], by[:, 2:]
        # Low frequencies stand at the bottom and zero stays zero; time is stretched about the middle.
        bottom_right = tf.stack([tf.ones_like(longer[:, 0]), 0.5 + 0.5 / longer[:, 1]], axis=1)
        end = bottom_right + shift
        start = end - 1.0 / longer
        flat = tf.reshape(own, (tf.shape(own)[0], -1, 3))
        darkest = tf.gather(flat, tf.argmin(tf.reduce_sum(flat, axis=-1), axis=1), batch_dims=1)[
            :, tf.newaxis, tf.newaxis
        ]
        boxes = tf.concat([start, end], axis=1)
        # Outside of a picture there is one value for all channels: 0, once the darkest colour is taken off.
        size = tf.shape(own)[1:3]
        cut = tf.image.crop_and_resize(own - darkest, boxes, tf.range(tf.shape(own)[0]), size, extrapolation_value=0.0)
        return tf.clip_by_value(cut + darkest, 0.0, 255.0)

    return change(images, strength, moved), labels
