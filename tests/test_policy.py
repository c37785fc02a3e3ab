"""The SapAugment policy: strengths by rank, draws by probability, augmenters in turn."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dslite.errors import PluginError, SpecError
from dslite.learn import policy
from dslite.recipe import AugmentSpec
from dslite.records import Augmenter
from dslite.testing.shared import default_options
from dslite_plugins.augmenters import dslite_augmenters

PAPER = AugmentSpec()
BUILT_IN = [(record, default_options(record)) for record in dslite_augmenters()]
LOSSES = st.lists(  # TensorFlow takes subnormal numbers for 0
    st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=40
)


def strengths(losses: Any, spec: AugmentSpec = PAPER) -> npt.NDArray[np.float32]:
    out: npt.NDArray[np.float32] = policy.strengths(tf.constant(losses, tf.float32), spec).numpy()
    assert out.dtype == np.float32
    return out


# -- strengths -----------------------------------------------------------------------------------------


@given(losses=LOSSES, a=st.floats(0.01, 0.99), s=st.floats(0.01, 1000))
@settings(max_examples=40)
def test_strengths_are_those_of_scipy(losses: list[float], a: float, s: float) -> None:
    order = sorted(range(len(losses)), key=lambda i: (np.float32(losses[i]), i))
    ranks = np.empty(len(losses))
    ranks[order] = np.arange(1, len(losses) + 1)
    expected = 1 - scipy.special.betainc(s * (1 - a), s * a, ranks / len(losses))
    found = strengths(losses, AugmentSpec(a=a, s=s))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1


def test_equal_losses_rank_in_their_order_and_nan_ranks_highest() -> None:
    spec = AugmentSpec(a=0.5, s=2)
    np.testing.assert_allclose(strengths([7.0] * 5, spec), [0.8, 0.6, 0.4, 0.2, 0], atol=1e-7)
    np.testing.assert_allclose(strengths([np.nan, 1, np.inf, 0, -np.inf], spec), [0.2, 0.4, 0, 0.6, 0.8], atol=1e-7)


@given(losses=LOSSES.map(lambda losses: list(set(losses))), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_strengths_go_with_their_samples_and_know_ranks_alone(losses: list[float], seed: int) -> None:
    found = strengths(losses)
    order = np.random.default_rng(seed).permutation(len(losses))
    np.testing.assert_array_equal(strengths(np.asarray(losses)[order]), found[order])
    np.testing.assert_array_equal(strengths(-1000 + 2 * np.argsort(np.argsort(losses))), found)
    by_loss = found[np.argsort(losses)]
    assert (np.diff(by_loss) <= 0).all()


# -- augment -------------------------------------------------------------------------------------------


def recorder(column: int) -> policy.Chosen:
    """Give an augmenter that writes each sample's strength into a column of its labels."""

    def apply(images: Any, labels: Any, strength: Any, seed: Any, options: Any) -> tuple[Any, Any]:
        place = tf.one_hot(column, tf.shape(labels)[1])
        return images, labels + strength[:, tf.newaxis] * place

    return Augmenter(f"recorder{column}", apply, "tests"), {}


def recorded(n: int, spec: AugmentSpec, seed: tuple[int, int], n_augmenters: int = 2) -> npt.NDArray[np.float32]:
    """Give the strengths each of some augmenters got, samples in the order of their losses."""
    images, labels = tf.zeros((n, 1, 1, 3)), tf.zeros((n, n_augmenters))
    chosen = [recorder(i) for i in range(n_augmenters)]
    out = policy.augment(images, labels, tf.range(n, dtype=tf.float32), chosen, spec, tf.constant(seed))
    result: npt.NDArray[np.float32] = out[1].numpy()
    return result


def test_samples_are_drawn_with_their_probability_and_get_their_lambda() -> None:
    n = 40_000
    expected = strengths(range(n))
    found = recorded(n, PAPER, (1, 2))
    for column in found.T:
        hit = column > 0
        np.testing.assert_array_equal(column[hit], expected[hit])
        for part in np.array_split(np.arange(n), 8)[:-1]:  # in the last, lambda comes down to 0
            rate = (0.10 + 0.15 * expected[part]).mean()
            deviation = np.sqrt(rate * (1 - rate) / len(part))
            assert abs(hit[part].mean() - rate) < 4 * deviation


def test_each_augmenter_draws_for_itself() -> None:
    n = 40_000
    first, second = (recorded(n, AugmentSpec(probability_min=0.3, probability_max=0.3, s=0.01), (5, 6)) > 0).T
    rate = first.mean() * second.mean()
    assert abs((first & second).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / n)


def test_the_seed_decides() -> None:
    found = [recorded(500, PAPER, seed) for seed in ((1, 2), (1, 2), (1, 3), (2, 2))]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[3])


def test_augmenters_get_seeds_of_their_own() -> None:
    seeds: list[tuple[int, ...]] = []

    def apply(images: Any, labels: Any, strength: Any, seed: Any, options: Any) -> tuple[Any, Any]:
        assert seed.shape == (2,)
        assert seed.dtype == tf.int32
        seeds.append(tuple(seed.numpy().tolist()))
        return images, labels

    chosen = [(Augmenter("one", apply, "tests"), {})] * 3
    for i in range(4):
        policy.augment(tf.zeros((2, 4, 4, 3)), tf.zeros((2, 2)), tf.zeros(2), chosen, PAPER, tf.constant((0, i)))
    assert len(set(seeds)) == 12


def test_probabilities_of_0_and_1_are_never_and_always() -> None:
    never = recorded(300, AugmentSpec(probability_min=0, probability_max=0), (1, 2))
    assert (never == 0).all()
    always = recorded(300, AugmentSpec(probability_min=1, probability_max=1), (1, 2))
    np.testing.assert_array_equal(always, np.repeat(strengths(range(300))[:, None], 2, axis=1))


def test_augmenters_are_applied_in_their_order() -> None:
    def times(images: Any, labels: Any, *_: Any) -> tuple[Any, Any]:
        return images, labels * 3

    def plus(images: Any, labels: Any, *_: Any) -> tuple[Any, Any]:
        return images, labels + 1

    chosen = [(Augmenter(f.__name__, f, "tests"), {}) for f in (plus, times)]
    arguments = tf.zeros((1, 4, 4, 3)), tf.zeros((1, 1)), tf.zeros(1)
    assert policy.augment(*arguments, chosen, PAPER, tf.constant((0, 0)))[1].numpy().tolist() == [[3.0]]
    assert policy.augment(*arguments, chosen[::-1], PAPER, tf.constant((0, 0)))[1].numpy().tolist() == [[1.0]]
    assert policy.augment(*arguments, [], PAPER, tf.constant((0, 0)))[1].numpy().tolist() == [[0.0]]


def _graph(n: int | None) -> Any:
    shapes = tf.TensorSpec((n, 32, 32, 3)), tf.TensorSpec((n, 4)), tf.TensorSpec((n,)), tf.TensorSpec((2,), tf.int32)

    def run(images: Any, labels: Any, losses: Any, seed: Any) -> Any:
        return policy.augment(images, labels, losses, BUILT_IN, PAPER, seed)

    return tf.function(run, input_signature=shapes).get_concrete_function()


def test_the_graph_is_the_same_for_any_batch_and_does_what_eager_execution_does() -> None:
    def n_nodes(concrete: Any) -> int:
        graph = concrete.graph.as_graph_def()
        return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)

    assert n_nodes(_graph(8)) == n_nodes(_graph(32))
    graph = _graph(None)
    generator = np.random.default_rng(0)
    changed = 0
    for n in (1, 5, 32):
        images = generator.uniform(0, 255, (n, 32, 32, 3)).astype(np.float32)
        labels, losses = np.eye(4, dtype=np.float32)[generator.integers(0, 4, n)], generator.exponential(size=n)
        given_ = *map(tf.constant, (images, labels, losses.astype(np.float32))), tf.constant((7, n))
        eager = policy.augment(*given_[:3], BUILT_IN, PAPER, given_[3])
        for traced, expected in zip(graph(*given_), eager, strict=True):
            np.testing.assert_allclose(traced, expected, atol=1e-3)
        highest = losses.argmax()  # its lambda is 0
        np.testing.assert_array_equal(eager[0][highest], images[highest])
        changed += int((eager[0].numpy() != images).any(axis=(1, 2, 3)).sum())
    assert 0 < changed < 38


# -- errors --------------------------------------------------------------------------------------------


def test_wrong_options_are_told_before_training() -> None:
    cutmix = next(record for record, _ in BUILT_IN if record.name == "cutmix")
    with pytest.raises(SpecError, match="cutmix:size: expected 1 to 4096, got 0"):
        policy.check([(cutmix, {"size": 0})], 64, 3)
    policy.check(BUILT_IN, 64, 1)
    policy.check([], 64, 3)


def test_an_augmenter_that_gives_other_tensors_is_named() -> None:
    def crop(images: Any, labels: Any, *_: Any) -> Any:
        return images[:, :6], tf.cast(labels, tf.int32)

    message = r"crop: expected .* float32 \(2, 8, 8, 3\) and float32 \(2, 5\), got .* \(2, 6, 8, 3\) and int32"
    with pytest.raises(PluginError, match=message):
        policy.check([(Augmenter("crop", crop, "tests"), {})], 8, 5)


def test_an_augmenter_that_fails_is_named() -> None:
    def apply(*_: Any) -> Any:
        raise ValueError("no such luck\nand more")

    broken = [(Augmenter("broken", apply, "tests"), {})]
    with pytest.raises(PluginError, match="augmenter broken failed: ValueError: no such luck: report it"):
        policy.check(broken, 8, 2)
    arguments = tf.zeros((1, 4, 4, 3)), tf.zeros((1, 1)), tf.zeros(1)
    with pytest.raises(PluginError, match="augmenter broken failed"):
        tf.function(lambda *tensors: policy.augment(*tensors, broken, PAPER, tf.constant((0, 0))))(*arguments)
