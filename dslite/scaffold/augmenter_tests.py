"""The augmenter keeps dslite's contract, and dslite finds it."""

import numpy as np
from dslite.registry import registry
from dslite.testing import check_augmenter

import dslite.scaffold.augmenter as plugin


def test_keeps_the_contract() -> None:
    for record in plugin.dslite_augmenters():
        check_augmenter(record)


def test_is_found_once_the_plugin_is_installed() -> None:
    (record,) = plugin.dslite_augmenters()
    assert registry().get("augmenters", "new_augmenter") == record


def test_most_bounds_what_is_taken_away() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (64, 8, 8, 3)).astype(np.float32)
    labels, strength = np.eye(64, dtype=np.float32), np.ones(64, np.float32)
    faded = np.asarray(plugin.apply(images, labels, strength, (1, 2), {"most": 0.5})[0])
    left = faded.std(axis=(1, 2)) / images.std(axis=(1, 2))
    assert 0.49 < left.min() < 0.6
    assert 0.9 < left.max() <= 1.001
