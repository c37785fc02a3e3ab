"""The adapted SapAugment policy: the easier a sample is for the model, the more, and the more often, it is changed.

Sources: DeepSpectrumLite (2022), sections 2.1 and 3.2; T.-Y. Hu et al., "SapAugment: Learning A Sample Adaptive
Policy for Data Augmentation", ICASSP 2021, section 2. There a and s are learned; here they are settings.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from dslite.errors import DsliteError, PluginError, in_words
from dslite.recipe import AugmentSpec
from dslite.records import Augmenter, Options

Chosen: TypeAlias = tuple[Augmenter, Options]
"""An augmenter with all of its options."""

_PROBE_SAMPLES = 2


def strengths(losses: Any, spec: AugmentSpec) -> Any:
    """Give each sample the strength of its augmentation, by the rank of its loss in the batch.

    lambda = 1 - I(rank / n; s (1 - a), s a), with I the regularised incomplete beta function and ranks from 1, the
    lowest loss, to n, the highest; equal losses rank in their order, and NaN as the highest.

    Args:
        losses: float32 ``(n,)``; n need not be known while tracing.
        spec: `a` and `s`.

    Returns:
        lambda, float32 ``(n,)`` in [0, 1]; 0 for the highest loss.
    """
    comparable = tf.where(tf.math.is_nan(losses), tf.fill(tf.shape(losses), float("inf")), losses)
    ranks = tf.math.invert_permutation(tf.argsort(comparable, stable=True)) + 1
    # In float64: it costs nothing for a batch, and float32 loses digits where s is large.
    relative = tf.cast(ranks, tf.float64) / tf.cast(tf.size(losses), tf.float64)
    alpha, beta = (tf.constant(spec.s * share, tf.float64) for share in (1 - spec.a, spec.a))
    return tf.clip_by_value(tf.cast(1 - tf.math.betainc(alpha, beta, relative), tf.float32), 0, 1)


def probabilities(strength: Any, spec: AugmentSpec) -> Any:
    """Give the probability that an augmenter changes a sample, float32 ``(n,)``, by its strength (see `strengths`)."""
    return spec.probability_min + strength * (spec.probability_max - spec.probability_min)


def augment(
    images: Any, labels: Any, losses: Any, augmenters: Sequence[Chosen], spec: AugmentSpec, seed: Any
) -> tuple[Any, Any]:
    """Apply each augmenter in turn to the samples that a draw of its own selects, each with its lambda.

    Tensor operations alone: within a `tf.function` too, where the graph does not grow with the batch.

    Args:
        images: float32 ``(n, height, width, 3)`` in [0, 255].
        labels: float32 ``(n, classes)``, or ``(n, 1)`` numbers of a regression.
        losses: float32 ``(n,)``.
        augmenters: applied in this order.
        spec: of the policy; its own `augmenters` are the names of those given.
        seed: int32 ``(2,)``; another one for each batch.

    Returns:
        Pictures and labels, of the same shapes and ranges.

    Raises:
        SpecError: where an option of an augmenter is out of its range.
        PluginError: where an augmenter fails.
    """
    strength = strengths(losses, spec)
    probability = probabilities(strength, spec)
    for i, chosen in enumerate(augmenters):
        choice_seed, own_seed = (tf.random.experimental.stateless_fold_in(seed, 2 * i + part) for part in range(2))
        drawn = tf.random.stateless_uniform(tf.shape(strength), choice_seed)
        dosed = tf.where(drawn < probability, strength, tf.zeros_like(strength))
        images, labels = apply(chosen, images, labels, dosed, own_seed)
    return images, labels


def apply(chosen: Chosen, images: Any, labels: Any, strength: Any, seed: Any) -> tuple[Any, Any]:
    """Apply one augmenter as `dslite.records.Augmenter.apply`; what it raises comes as dslite's own error.

    Raises:
        SpecError: where an option is out of its range.
        PluginError: where the augmenter fails.
    """
    augmenter, options = chosen
    try:
        images, labels = augmenter.apply(images, labels, strength, seed, options)
    except DsliteError:
        raise
    except Exception as error:
        raise PluginError(f"augmenter {augmenter.name} failed: {in_words(error)}: report it to its author") from error
    return images, labels


def check(augmenters: Sequence[Chosen], size_px: int, n_labels: int) -> None:
    """Try augmenters on black pictures of so many pixels, so that a wrong option is told before anything long starts.

    Raises:
        SpecError: where an option is out of its range.
        PluginError: where an augmenter fails, or gives something of another shape or dtype.
    """
    images = tf.zeros((_PROBE_SAMPLES, size_px, size_px, 3))
    labels = tf.zeros((_PROBE_SAMPLES, n_labels))
    for chosen in augmenters:
        made = apply(chosen, images, labels, tf.ones(_PROBE_SAMPLES), tf.constant((0, 0)))
        expected, got = _kinds(images, labels), _kinds(*made)
        if got != expected:
            raise PluginError(
                f"augmenter {chosen[0].name}: expected pictures and labels like those it was given, {expected}, "
                f"got {got}: report it to its author"
            )


def _kinds(images: Any, labels: Any) -> str:
    """Name dtypes and shapes of tensors or arrays."""
    return " and ".join(f"{tf.as_dtype(each.dtype).name} {tuple(each.shape)}" for each in (images, labels))
