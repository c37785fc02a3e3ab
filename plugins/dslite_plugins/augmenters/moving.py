"""Stretching and moving pictures along time and frequency: another tempo, another pitch, another voice."""

from typing import Any

from dslite.records import Options
from dslite_plugins.augmenters.common import change, number


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
