"""SpecAugment: parts of the spectrogram are hidden."""

from typing import Any

from dslite.errors import SpecError
from dslite.records import Options
from dslite_plugins.augmenters.common import LARGEST_PX, change, choose, number, pixels, whole, within

_MOST_MASKS = 100


def specaugment(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Hide stretches of time and bands of frequency (Park et al. 2019, section 2, without time warping).

    Each mask is strength * size wide, at most the picture, lies anywhere as a whole within it, and is filled with
    the picture's mean colour. Labels stay as they are.

    Options: `size`, 1 to 4096 px; `time_masks` and `frequency_masks`, 0 to 100, not both 0.
    """
    import tensorflow as tf

    size_px = number("specaugment", options, "size", 1, LARGEST_PX)
    n_time, n_frequency = (
        whole("specaugment", options, name, 0, _MOST_MASKS) for name in ("time_masks", "frequency_masks")
    )
    if not n_time + n_frequency:
        raise SpecError("specaugment: expected one mask or more, got time_masks=0 and frequency_masks=0")
    n, height, width = tf.unstack(tf.shape(images)[:3])

    def hidden(n_masks: int, length: Any, own_seed: Any) -> Any:
        """Tell which places of an axis are hidden, bool ``(n, length)``."""
        wide = tf.broadcast_to(pixels(strength, size_px, length)[:, tf.newaxis], (n, n_masks))
        room = tf.cast(length - wide + 1, tf.float32)
        start = tf.cast(tf.random.stateless_uniform((n, n_masks), own_seed) * room, tf.int32)
        return tf.reduce_any(within(start, wide, length), axis=1)

    bands, stretches = hidden(n_frequency, height, seed), hidden(n_time, width, seed + 1)

    def mask(at: Any, own: Any) -> Any:
        # In two steps: TensorFlow is twice as fast as over both axes at once.
        mean = tf.reduce_mean(tf.reduce_mean(own, axis=1), axis=1)
        return choose(tf.gather(bands, at), tf.gather(stretches, at), tf.logical_or, mean, own)

    return change(images, strength, mask), labels
