"""The built-in augmenters do what their publications say, whatever the batch and the picture."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dslite.errors import SpecError
from dslite.records import Augmenter
from dslite.testing.shared import default_options
from dslite_plugins.augmenters import dslite_augmenters

AUGMENTERS = {record.name: record for record in dslite_augmenters()}
Pictures = npt.NDArray[np.float32]
EXAMPLES = settings(max_examples=40)
SEEDS = st.tuples(st.integers(-(2**31), 2**31 - 2), st.integers(-(2**31), 2**31 - 2))
SIDES = st.integers(1, 40)


def apply(
    name: str, images: Pictures, labels: Pictures, strength: Any, seed: tuple[int, int] = (1, 2), **options: Any
) -> tuple[Pictures, Pictures]:
    record = AUGMENTERS[name]
    strength = np.broadcast_to(np.asarray(strength, np.float32), len(images))
    given_options = default_options(record) | options
    out = record.apply(*map(tf.constant, (images, labels, strength)), tf.constant(seed, tf.int32), given_options)
    return out[0].numpy(), out[1].numpy()


def pictures(n: int, height: int = 48, width: int = 40) -> Pictures:
    return np.random.default_rng(n).uniform(0, 255, (n, height, width, 3)).astype(np.float32)


def plain(n: int, height: int, width: int) -> Pictures:
    """Give pictures of one colour each, which is the sample's number: where a point comes from can be read off."""
    return np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None, None], (n, height, width, 3)).copy()


every_augmenter = pytest.mark.parametrize("record", AUGMENTERS.values(), ids=AUGMENTERS)


# -- all of them ---------------------------------------------------------------------------------------


@every_augmenter
def test_a_graph_for_any_batch_and_picture_gives_what_eager_execution_gives(record: Augmenter) -> None:
    shapes = (None, None, None, 3), (None, None), (None,)
    signature = [*map(tf.TensorSpec, shapes), tf.TensorSpec((2,), tf.int32)]
    options = default_options(record)
    graph = tf.function(lambda *tensors: record.apply(*tensors, options), input_signature=signature)
    for n, height, width in ((1, 8, 8), (5, 224, 224), (7, 30, 90)):
        images, labels = pictures(n, height, width), np.eye(n, dtype=np.float32)
        out = graph(*map(tf.constant, (images, labels, np.full(n, 0.7, np.float32))), tf.constant((3, 4)))
        for traced, eager in zip(out, apply(record.name, images, labels, 0.7, (3, 4)), strict=True):
            # stretch interpolates noise at places that float32 rounds: a hundredth of a level is nothing there
            np.testing.assert_allclose(traced, eager, atol=0.02 if record.name == "stretch" else 1e-3)


@pytest.mark.parametrize("name", ["noise", "specaugment", "stretch", "timeshift"])
def test_what_does_not_mix_pictures_does_not_mix_labels(name: str) -> None:
    labels = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    np.testing.assert_array_equal(apply(name, pictures(6), labels, 1)[1], labels)


@pytest.mark.parametrize("name", ["cutmix", "mixup"])
def test_numbers_of_a_regression_are_mixed_as_classes_are_and_a_sample_alone_with_itself(name: str) -> None:
    n = 8
    numbers = np.random.default_rng(0).normal(0, 100, (n, 1)).astype(np.float32)
    shares = apply(name, pictures(n), np.eye(n, dtype=np.float32), 1)[1]
    np.testing.assert_allclose(apply(name, pictures(n), numbers, 1)[1], shares @ numbers, rtol=1e-4, atol=1e-3)
    alone, labels = apply(name, pictures(1), np.array([[3.5]], np.float32), 1)
    np.testing.assert_allclose(alone, pictures(1), atol=1e-3)
    np.testing.assert_allclose(labels, [[3.5]])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cutmix", {"size": 0}, "cutmix:size: expected 1 to 4096, got 0"),
        ("cutmix", {"size": 5000}, "got 5000"),
        ("specaugment", {"size": -3}, "specaugment:size: expected 1 to 4096, got -3"),
        ("specaugment", {"time_masks": -1}, "specaugment:time_masks: expected 0 to 100, got -1"),
        ("specaugment", {"frequency_masks": 101}, "frequency_masks: expected 0 to 100, got 101"),
        ("specaugment", {"time_masks": 0, "frequency_masks": 0}, "expected one mask or more"),
        ("specaugment", {"time_masks": 1.5}, "specaugment:time_masks: expected a whole number, got 1.5"),
        ("mixup", {"alpha": 0.0}, "mixup:alpha: expected 0.01 to 100, got 0.0"),
        ("mixup", {"alpha": float("nan")}, "mixup:alpha: .* got nan"),
        ("noise", {"deviation": 256.0}, "noise:deviation: expected 0 to 255, got 256.0"),
        ("timeshift", {"size": 0}, "timeshift:size: expected 1 to 4096, got 0"),
    ],
)
def test_an_option_out_of_its_range_is_told(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        apply(name, pictures(2), np.eye(2, dtype=np.float32), 1, **options)


# -- CutMix --------------------------------------------------------------------------------------------


@given(n=st.integers(2, 9), height=SIDES, width=SIDES, size=st.integers(1, 60), strength=st.floats(0, 1), seed=SEEDS)
@EXAMPLES
def test_cutmix_pastes_one_square_of_one_other_sample_and_mixes_labels_by_its_area(
    n: int, height: int, width: int, size: int, strength: float, seed: tuple[int, int]
) -> None:
    images, labels = apply("cutmix", plain(n, height, width), np.eye(n, dtype=np.float32), strength, seed, size=size)
    side = min(round(float(np.float32(strength) * np.float32(size))), height, width)
    for i in range(n):
        np.testing.assert_array_equal(images[i, ..., 0], images[i, ..., 2])
        pasted = images[i, ..., 0] != i
        rows, columns = pasted.any(axis=1).nonzero()[0], pasted.any(axis=0).nonzero()[0]
        assert pasted.sum() == len(rows) * len(columns)
        if side == 0:
            assert not pasted.any()
            continue
        assert len(set(images[i, ..., 0][pasted])) == 1  # of one other sample, and of another: nobody is its own
        for places, length in ((rows, height), (columns, width)):
            assert len(places) == places[-1] - places[0] + 1
            assert len(places) == side or (len(places) < side and (places[0] == 0 or places[-1] == length - 1))
        shares = [(images[i, ..., 0] == j).mean() for j in range(n)]
        np.testing.assert_allclose(labels[i], shares, atol=1e-6)
    if side:
        donors = [{int(v) for v in images[i, ..., 0].ravel()} - {i} for i in range(n)]
        assert sorted(donor for found in donors for donor in found) == list(range(n))  # each gives once


def test_cutmix_pastes_from_the_same_place() -> None:
    images = pictures(6)
    out, labels = apply("cutmix", images, np.eye(6, dtype=np.float32), 1, size=20)
    for i in range(6):
        (donor,) = set(labels[i].nonzero()[0]) - {i}
        pasted = (out[i] != images[i]).any(axis=-1)
        assert pasted.any()
        np.testing.assert_array_equal(out[i][pasted], images[donor][pasted])


def test_cutmix_reaches_every_point_alike() -> None:
    n = 4000
    images, _ = apply("cutmix", plain(n, 12, 12), np.zeros((n, 1), np.float32), 1, size=1)
    hits = (images[..., 0] != np.arange(n)[:, None, None]).sum(axis=0)
    assert hits.sum() == n
    assert stats.chisquare(hits.ravel()).pvalue > 1e-3


# -- MixUp ---------------------------------------------------------------------------------------------


@given(n=st.integers(2, 9), alpha=st.floats(0.01, 100), strength=st.floats(0, 1), seed=SEEDS)
@EXAMPLES
def test_mixup_fades_a_sample_in_by_its_share_of_labels(
    n: int, alpha: float, strength: float, seed: tuple[int, int]
) -> None:
    images = pictures(n, 9, 11)
    out, labels = apply("mixup", images, np.eye(n, dtype=np.float32), strength, seed, alpha=alpha)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert ((labels > 0).sum(axis=1) <= 2).all()
    assert (1 - labels.diagonal() <= strength / 2 + 1e-6).all()
    np.testing.assert_allclose(out, np.tensordot(labels, images, 1), atol=1e-3)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixup_draws_shares_from_the_beta_distribution(alpha: float) -> None:
    n = 1500
    shares = 1 - apply("mixup", plain(n, 1, 1), np.eye(n, dtype=np.float32), 1, alpha=alpha)[1].diagonal()
    drawn = stats.beta(alpha, alpha).rvs(n, random_state=0)
    folded = np.minimum(drawn, 1 - drawn)
    assert stats.ks_2samp(shares, folded).pvalue > 1e-3


# -- SpecAugment ---------------------------------------------------------------------------------------


@given(
    height=SIDES,
    width=SIDES,
    size=st.integers(1, 60),
    strength=st.floats(0, 1),
    masks=st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any),
    seed=SEEDS,
)
@EXAMPLES
def test_specaugment_hides_whole_bands_and_stretches_with_the_mean_colour(
    height: int, width: int, size: int, strength: float, masks: tuple[int, int], seed: tuple[int, int]
) -> None:
    n = 3
    images = pictures(n, height, width)
    options = {"size": size, "time_masks": masks[0], "frequency_masks": masks[1]}
    out, _ = apply("specaugment", images, np.zeros((n, 1), np.float32), strength, seed, **options)
    wide = round(float(np.float32(strength) * np.float32(size)))
    for before, after in zip(images, out, strict=True):
        hidden = (before != after).any(axis=-1)
        np.testing.assert_allclose(
            after[hidden], np.broadcast_to(before.mean(axis=(0, 1)), after[hidden].shape), rtol=1e-4
        )
        bands, stretches = hidden.all(axis=1), hidden.all(axis=0)
        if height * width == 1:  # the mean of one point is that point
            continue
        if not (bands.all() or stretches.all()):
            np.testing.assert_array_equal(hidden, bands[:, None] | stretches[None, :])
        for hit, length, count in ((bands, height, masks[1]), (stretches, width, masks[0])):
            across = min(wide, length)
            if count == 1 and not hidden.all():
                assert hit.sum() == across
                places = hit.nonzero()[0]
                assert not across or places[-1] - places[0] + 1 == across
            elif not hidden.all():
                assert hit.sum() <= count * across
                assert hit.sum() >= (across if count else 0)


def test_specaugment_by_default_hides_one_band_and_one_stretch_of_67_pixels() -> None:
    images = pictures(20, 224, 224)
    out, _ = apply("specaugment", images, np.zeros((20, 1), np.float32), 1)
    hidden = (out != images).any(axis=-1)
    starts = []
    for axis in (1, 2):
        assert (hidden.all(axis=axis).sum(axis=1) == 67).all()
        starts.append(hidden.all(axis=axis).argmax(axis=1))
    assert len(set(starts[0])) > 10
    assert len(set(starts[1])) > 10
    assert (starts[0] != starts[1]).any()


def test_specaugment_lies_anywhere_alike() -> None:
    n, width, size = 4000, 20, 5
    images = pictures(n, 2, width)
    options = {"size": size, "frequency_masks": 0}
    out, _ = apply("specaugment", images, np.zeros((n, 1), np.float32), 1, **options)
    starts = (out != images).any(axis=(1, 3)).argmax(axis=1)
    found = np.bincount(starts, minlength=width - size + 1)
    assert len(found) == width - size + 1  # the last stretch ends where the picture does
    assert stats.chisquare(found).pvalue > 1e-3


# -- noise and time shift ------------------------------------------------------------------------------


def test_noise_is_gaussian_grey_as_strong_as_asked_for_and_within_the_range_of_pictures() -> None:
    images = np.full((3, 64, 64, 3), 127.5, np.float32)
    strength = np.array([0.25, 0.5, 1], np.float32)
    out, _ = apply("noise", images, np.zeros((3, 1), np.float32), strength, deviation=20.0)
    np.testing.assert_array_equal(out[..., 0], out[..., 1])
    np.testing.assert_array_equal(out[..., 0], out[..., 2])
    added = (out - images)[..., 0].reshape(3, -1) / (20 * strength[:, None])
    for values in added:
        assert stats.kstest(values, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(added)[0, 1]) < 0.1  # noise of its own for each
    loud, _ = apply("noise", pictures(4), np.zeros((4, 1), np.float32), 1, deviation=255.0)
    assert (loud.min(), loud.max()) == (0, 255)


@given(width=SIDES, size=st.integers(1, 60), strength=st.floats(0, 1), seed=SEEDS)
@EXAMPLES
def test_timeshift_turns_pictures_along_time(width: int, size: int, strength: float, seed: tuple[int, int]) -> None:
    images = pictures(4, 3, width)
    out, _ = apply("timeshift", images, np.zeros((4, 1), np.float32), strength, seed, size=size)
    farthest = min(round(float(np.float32(strength) * np.float32(size))), width)
    for before, after in zip(images, out, strict=True):
        assert any(np.array_equal(np.roll(before, d, axis=1), after) for d in range(-farthest, farthest + 1))


def test_timeshift_goes_either_way_and_as_far_as_asked_for() -> None:
    n, width = 500, 50
    images = np.zeros((n, 1, width, 3), np.float32)
    images[:, :, 25] = 255
    out, _ = apply("timeshift", images, np.zeros((n, 1), np.float32), 0.5, size=20)
    distances = out[:, 0, :, 0].argmax(axis=1) - 25
    assert (distances.min(), distances.max()) == (-10, 10)
    assert abs(distances.mean()) < 1


# -- stretch ----------------------------------------------------------------------------------------------

STILL = {"time": 0.0, "frequency": 0.0, "time_shift": 0.0, "frequency_shift": 0.0}


def stretched(**options: float) -> tuple[Any, Any]:
    """Give pictures of a bright bar on a dark ground, and what stretch makes of them."""
    images = np.full((64, 60, 80, 3), 10.0, np.float32)
    images[:, 40:44, 30:50] = 200.0
    record = AUGMENTERS["stretch"]
    labels, strength = np.eye(64, dtype=np.float32), np.ones(64, np.float32)
    out = record.apply(tf.constant(images), labels, tf.constant(strength), tf.constant((1, 2)), STILL | options)[0]
    return images, np.asarray(out)


def test_stretch_in_time_changes_how_long_a_sound_is_about_the_middle() -> None:
    images, still = stretched()
    np.testing.assert_allclose(still, images, atol=0.05)  # without amounts
    _, out = stretched(time=0.3)
    lengths = out[:, 42, :, 0].clip(10, 200).sum(axis=1)
    lengths = (lengths - 10 * 80) / 190  # points of the bar, which had 20
    assert 13 < lengths.min() < 15.5
    assert 24 < lengths.max() < 27
    middle = (out[:, 42, :, 0] - 10) @ np.arange(80) / (out[:, 42, :, 0] - 10).sum(axis=1)
    assert np.abs(middle - 39.5).max() < 0.3


def test_stretch_in_frequency_leaves_the_lowest_where_it_is() -> None:
    _, out = stretched(frequency=0.3)
    bright = out[:, :, 40, 0] - 10
    height = 59.5 - bright @ np.arange(60) / bright.sum(axis=1)  # above the bottom; it was 18
    assert 18 * 0.7 - 0.5 < height.min() < 14
    assert 22 < height.max() < 18 * 1.3 + 0.5


def test_what_a_shift_lets_in_has_the_darkest_colour() -> None:
    _, out = stretched(time_shift=0.5, frequency_shift=0.5)
    assert out.min() == pytest.approx(10.0)
    assert np.ptp((out > 100).sum(axis=(1, 2, 3))) > 0  # of some pictures a part of the bar has gone
