"""`check_augmenter`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dslite.records import Augmenter
from dslite.testing.shared import check_record, default_options

_SHAPE = (48, 40, 3)
_N_CLASSES = 4
_SEEDS = ((1, 2), (3, 4), (5, 6), (7, 8))
_ROUNDING = 1e-3
"""Of a picture's range of 255, or of a label row's sum of 1: what float32 loses on the way."""


def check_augmenter(augmenter: Augmenter) -> None:
    """Check that an augmenter keeps shapes, ranges and label sums, obeys strength and seed, and is vectorised.

    It runs inside `tf.function`, as in training, where the number of samples is not known when the graph is made:
    batches of 1, 7 and 8 pictures of 48 x 40 pixels, one-hot labels of 4 classes, default options.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    name = augmenter.name
    check_record(augmenter, augmenter.apply)
    run = _in_graph(augmenter)
    changed = False
    for n in (1, 7, 8):
        images, labels = _batch(n)
        for seed in _SEEDS:
            for strength in np.array([np.zeros(n), np.arange(n) % 2, np.ones(n), np.full(n, 0.5)], np.float32):
                out = run(images, labels, strength, seed)
                _check_contract(name, images, labels, out)
                _check_untouched(name, images, labels, strength, out)
                changed |= not (np.array_equal(out[0], images) and np.array_equal(out[1], labels))
    assert changed, f"{name}: strength 1 changes neither pictures nor labels, with {len(_SEEDS)} seeds tried"
    images, labels = _batch(8)
    for seed in _SEEDS:
        first, second = (run(images, labels, np.ones(8, np.float32), seed) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)), (
            f"{name}: two runs with one seed differ: draw with tf.random.stateless_uniform(shape, seed) and the like"
        )
    few, many = (_count_operations(augmenter, n) for n in (2, 8))
    assert many <= few, (
        f"{name}: its graph has {few} operations for 2 samples and {many} for 8: work on the whole batch at once, "
        "without a loop over samples"
    )


def _batch(n: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(n)
    images = generator.uniform(0, 255, (n, *_SHAPE)).astype(np.float32)
    images[0, :2, :2] = ((0.0,), (255.0,))  # the ends of the range, where it is easily left
    return images, np.eye(_N_CLASSES, dtype=np.float32)[np.arange(n) % _N_CLASSES]


def _traced(augmenter: Augmenter, n: int | None) -> Any:
    import tensorflow as tf

    options = default_options(augmenter)

    def apply(images: Any, labels: Any, strength: Any, seed: Any) -> Any:
        return augmenter.apply(images, labels, strength, seed, options)

    floats = [tf.TensorSpec(shape, tf.float32) for shape in ((n, *_SHAPE), (n, _N_CLASSES), (n,))]
    return tf.function(apply, input_signature=[*floats, tf.TensorSpec((2,), tf.int32)]).get_concrete_function()


def _in_graph(augmenter: Augmenter) -> Callable[[Any, Any, Any, Any], tuple[Any, Any]]:
    import tensorflow as tf

    name = augmenter.name
    try:
        traced = _traced(augmenter, None)
    except Exception as error:
        raise AssertionError(
            f"{name}: apply fails inside tf.function, where values and the number of samples are not known yet: "
            f"use TensorFlow operations alone, and tf.shape(images)[0]: {type(error).__name__}: {error}"
        ) from error

    def run(images: Any, labels: Any, strength: Any, seed: Any) -> tuple[Any, Any]:
        out = traced(*map(tf.constant, (images, labels, strength)), tf.constant(seed, tf.int32))
        assert isinstance(out, tuple | list) and len(out) == 2, (  # noqa: PLR2004, PT018 - one rule
            f"{name}: apply gave {type(out).__name__}, expected the pair (images, labels)"
        )
        return np.asarray(out[0]), np.asarray(out[1])

    return run


def _check_contract(name: str, images: Any, labels: Any, out: tuple[Any, Any]) -> None:
    for what, before, after in (("images", images, out[0]), ("labels", labels, out[1])):
        assert after.shape == before.shape, f"{name}: {what} {before.shape} become {after.shape}: keep their shape"
        assert after.dtype == np.float32, f"{name}: {what} become {after.dtype}, expected float32"
        assert np.isfinite(after).all(), f"{name}: {what} become NaN or infinite"
    low, high = float(out[0].min()), float(out[0].max())
    assert low >= -255 * _ROUNDING and high <= 255 * (1 + _ROUNDING), (  # noqa: PT018 - one range
        f"{name}: pictures reach from {low:.1f} to {high:.1f}, expected [0, 255]: mix or clip them"
    )
    sums = out[1].sum(axis=1)
    assert np.allclose(sums, labels.sum(axis=1), atol=_ROUNDING), (
        f"{name}: rows of labels sum to {sums.round(3).tolist()}, expected 1 as before: mix them, with weights of sum 1"
    )
    assert out[1].min() >= -_ROUNDING, f"{name}: labels become negative: {float(out[1].min()):.3f}"


def _check_untouched(name: str, images: Any, labels: Any, strength: Any, out: tuple[Any, Any]) -> None:
    still = strength == 0
    for what, before, after in (("pictures", images, out[0]), ("labels", labels, out[1])):
        assert np.array_equal(before[still], after[still]), (
            f"{name}: strength 0 changes {what}{' where other samples have more' if strength.any() else ''}: "
            "such a sample must come out exactly as it went in"
        )


def _count_operations(augmenter: Augmenter, n: int) -> int:
    graph = _traced(augmenter, n).graph.as_graph_def()
    return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)
