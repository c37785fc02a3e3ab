"""Augmenters that mix a sample with another one of the batch, and their labels in the same proportion."""

from typing import Any

from dslite.records import Options
from dslite_plugins.augmenters.common import LARGEST_PX, change, choose, mix_labels, number, partners, pixels, within


def cutmix(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Paste a square patch of another sample at the same place (Yun et al. 2019, section 3.1).

    The patch has its centre anywhere in the picture and is clipped at the edges; labels are mixed by the area that
    is left of it. Side: strength * size, at most the shorter side of the picture.

    Options: `size`, 1 to 4096 px.
    """
    import tensorflow as tf

    size_px = number("cutmix", options, "size", 1, LARGEST_PX)
    n, height, width = tf.unstack(tf.shape(images)[:3])
    side = pixels(strength, size_px, tf.minimum(height, width))
    partner = partners(n, seed)
    # One row of draws for each axis; the largest float below 1 times a picture's side rounds to less than the side.
    centre = tf.cast(tf.random.stateless_uniform((2, n), seed + 1) * tf.cast([[height], [width]], tf.float32), tf.int32)
    start = tf.maximum(centre - side // 2, 0)
    extent = tf.minimum(centre - side // 2 + side, [[height], [width]]) - start

    def paste(at: Any, own: Any) -> Any:
        (top, left), (rows, columns) = (tf.unstack(tf.gather(value, at, axis=1)) for value in (start, extent))
        new = tf.gather(images, tf.gather(partner, at))
        return choose(within(top, rows, height), within(left, columns, width), tf.logical_and, new, own)

    area = tf.cast(extent[0] * extent[1], tf.float32) / tf.cast(height * width, tf.float32)
    return change(images, strength, paste), mix_labels(labels, partner, area)


def mixup(images: Any, labels: Any, strength: Any, seed: Any, options: Options) -> tuple[Any, Any]:
    """Fade another sample in (Zhang et al. 2018, equation of section 1).

    Its share is strength * min(x, 1 - x), x drawn from Beta(alpha, alpha) for each sample: at most half, so that
    the picture stays more itself than its partner. At strength 1 this is the paper's distribution: there, of x and
    1 - x either may be the sample's own.

    Options: `alpha`, 0.01 to 100; the paper finds 0.1 to 0.4 good on ImageNet (section 3.1).
    """
    import tensorflow as tf

    alpha = number("mixup", options, "alpha", 0.01, 100)
    n = tf.shape(images)[0]
    partner = partners(n, seed)
    # Two gammas make a Beta; where alpha is small both may round to 0, and the share's limit is 0 too.
    one, two = tf.unstack(tf.random.stateless_gamma((2, n), seed + 1, alpha))
    share = strength * tf.math.divide_no_nan(tf.minimum(one, two), one + two)

    def fade(at: Any, own: Any) -> Any:
        part = tf.gather(share, at)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        return own + part * (tf.gather(images, tf.gather(partner, at)) - own)

    return change(images, strength, fade), mix_labels(labels, partner, share)
