"""What the augmenters share: options within their bounds, work for the samples that want it, random partners."""

from collections.abc import Callable
from typing import Any

from dslite.errors import SpecError
from dslite.records import Options

LARGEST_PX = 4096


def number(owner: str, options: Options, name: str, low: float, high: float) -> float:
    """Give an option that is a number; raise `SpecError` where it is not from `low` to `high`."""
    value = options[name]
    if isinstance(value, str) or not low <= value <= high:
        raise SpecError(f"{owner}:{name}: expected {low:g} to {high:g}, got {value}")
    return value


def whole(owner: str, options: Options, name: str, low: int, high: int) -> int:
    """Give an option that is a whole number; raise `SpecError` where it is not, or not from `low` to `high`."""
    value = number(owner, options, name, low, high)
    if value != int(value):
        raise SpecError(f"{owner}:{name}: expected a whole number, got {value}")
    return int(value)


def pixels(strength: Any, size_px: float, limit_px: Any) -> Any:
    """Give the strength's share of a size, int32 ``(n,)``, rounded, at most `limit_px`."""
    import tensorflow as tf

    return tf.minimum(tf.cast(tf.round(strength * size_px), tf.int32), limit_px)


def change(images: Any, strength: Any, function: Callable[[Any, Any], Any]) -> Any:
    """Put new pictures in the place of those whose strength is above 0; the others stay bit for bit.

    Under the policy a quarter of a batch at most is changed, so gathering it, and one copy of the batch, take a
    fraction of the time of masks over all of it.

    Args:
        images: float32 ``(n, height, width, 3)``.
        strength: float32 ``(n,)``.
        function: takes the indices of samples, int64 ``(m,)``, and their pictures; gives new ones of the same shape.

    Returns:
        float32, of the shape of `images`.
    """
    import tensorflow as tf

    chosen = tf.where(strength > 0)
    at = chosen[:, 0]
    return tf.tensor_scatter_nd_update(images, chosen, function(at, tf.gather(images, at)))


def partners(n: Any, seed: Any) -> Any:
    """Draw a partner for each of n samples, int32 ``(n,)``, in one random cycle: nobody but a single one is its own."""
    import tensorflow as tf

    order = tf.argsort(tf.random.stateless_uniform((n,), seed))
    return tf.scatter_nd(order[:, tf.newaxis], tf.roll(order, 1, 0), (n,))


def mix_labels(labels: Any, partner: Any, share: Any) -> Any:
    """Give each sample a share of its partner's labels, float32 ``(n, classes)``; share 0 leaves them bit for bit."""
    import tensorflow as tf

    share = share[:, tf.newaxis]
    return tf.where(share > 0, (1 - share) * labels + share * tf.gather(labels, partner), labels)


def within(start: Any, width: Any, length: Any) -> Any:
    """Tell which of `length` places lie in ``[start, start + width)``: bool, one more axis than `start` and `width`."""
    import tensorflow as tf

    place = tf.range(length)
    start, width = start[..., tf.newaxis], width[..., tf.newaxis]
    return (place >= start) & (place < start + width)


def choose(rows: Any, columns: Any, combine: Callable[[Any, Any], Any], new: Any, own: Any) -> Any:
    """Take a point from `new` where its row and its column, combined, say so, else from `own`.

    The channels are laid beside one another along the width: TensorFlow chooses between tensors of one shape in a
    third of the time it needs where the mask has to be broadcast over a last axis of three.

    Args:
        rows: bool ``(m, height)``.
        columns: bool ``(m, width)``.
        combine: `tf.logical_and` or `tf.logical_or`.
        new: float32 ``(m, height, width, 3)``, or ``(m, 3)`` for one colour a picture.
        own: float32 ``(m, height, width, 3)``.

    Returns:
        float32, of the shape of `own`.
    """
    import tensorflow as tf

    shape = tf.shape(own)
    flat = (shape[0], shape[1], shape[2] * shape[3])
    mask = combine(rows[:, :, tf.newaxis], tf.repeat(columns, shape[3], axis=1)[:, tf.newaxis, :])
    if new.shape.rank == 2:  # noqa: PLR2004 - colours
        new = tf.broadcast_to(tf.tile(new, (1, shape[2]))[:, tf.newaxis, :], flat)
    return tf.reshape(tf.where(mask, tf.reshape(new, flat), tf.reshape(own, flat)), shape)
