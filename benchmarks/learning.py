"""Measure training: phase one from cached features, and what augmentation and its policy add to a step.

    DSLITE_TEST_DATA=/path/to/data python benchmarks/learning.py [--only NAME ...] [--output FOLDER]

Real chunks of ESC-10 and real weights. Cases of a comparison are interleaved (A B A B).
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from augmentation import loop
from figures import Figure, measure

from dslite.learn import policy, runner, table, training
from dslite.learn.network import Network, in_batches, take_apart
from dslite.learn.pictures import prepare
from dslite.learn.training import Lesson
from dslite.model.assembly import build_cnn
from dslite.model.keras import keras
from dslite.recipe import AugmentSpec, Recipe, TrainSpec
from dslite.registry import get_with_options

WEIGHTS = {
    "squeezenet_v1": "squeezenet_v1.1_notop.h5",
    "mobilenet_v2": "mobilenet_v2_1.0_224_notop_dequantised.h5",
}
BATCH, N_BATCHES, ROUNDS = 32, 2, 5
AUGMENTERS = ("cutmix", "specaugment")


def data() -> Path:
    """Give the folder of real data."""
    named = os.environ.get("DSLITE_TEST_DATA")
    if not named:
        sys.exit("DSLITE_TEST_DATA is not set: it names the folder with real audio and weights")
    return Path(named)


def lesson_of(backbone: str, folder: Path, *, features: bool) -> tuple[Network, Lesson]:
    """Give a network with ImageNet weights, and the training chunks of ESC-10."""
    found = table.read(data() / "audio" / "esc10" / "manifest.csv")
    recipe = Recipe()
    pictures = prepare(found.examples, recipe, folder / "pictures", lambda *_: None)
    keras.utils.set_random_seed(0)
    record, options = get_with_options("backbones", backbone)
    weights = str(data() / "weights" / "imagenet_keras" / WEIGHTS[backbone])
    cnn = build_cnn(record, options, recipe.frontend.size_px, recipe.head, len(found.labels), weights)
    network = take_apart(cnn, recipe.frontend)
    n = len(pictures.levels)
    known = (
        in_batches(network.features, pictures.levels, np.arange(n), lambda *_: None) if features else np.zeros((n, 1))
    )
    return network, runner.lesson(found, pictures, known.astype(np.float32), ("train",), devel=False)


def epochs(network: Network, lesson: Lesson, spec: TrainSpec, augmentation: AugmentSpec) -> Callable[[], float]:
    """Give a function that runs an epoch and says how many seconds it took."""
    chosen = [get_with_options("augmenters", name) for name in augmentation.augmenters]
    states = training.train(network, lesson, spec, augmentation, chosen, None, lambda _: lambda *_: None)

    def run() -> float:
        start = time.perf_counter()
        next(states)
        return time.perf_counter() - start

    run()  # traced
    return run


def interleaved(cases: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Time cases in turn."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            taken[name].append(case())
    return taken


def cached_features() -> list[Figure]:
    """Phase one: an epoch from cached features against one that computes them."""
    figures = []
    for backbone in WEIGHTS:
        with tempfile.TemporaryDirectory() as folder:
            network, lesson = lesson_of(backbone, Path(folder), features=True)
            epoch = epochs(network, lesson, TrainSpec(head_epochs=1000), AugmentSpec())

            def without(network: Network = network, lesson: Lesson = lesson, epoch: Any = epoch) -> float:
                start = time.perf_counter()
                in_batches(network.features, lesson.pictures.levels, lesson.train, lambda *_: None)
                return time.perf_counter() - start + epoch()

            taken = interleaved({"cached": epoch, "without": without})
        ratios = [a / b for a, b in zip(taken["without"], taken["cached"], strict=True)]
        ratio = statistics.median(ratios)
        figures.append(
            Figure(
                f"an epoch of phase one, {backbone}",
                "at least 10 times faster from cached features",
                f"{ratio:.0f} times ({statistics.median(taken['cached']):.2f} against "
                f"{statistics.median(taken['without']):.2f} s; rounds from {min(ratios):.0f} to {max(ratios):.0f})",
                ratio >= 10,
                f"medians of {ROUNDS} interleaved rounds; the {len(lesson.train)} training chunks of ESC-10, batch "
                f"{BATCH}; without the cache: every chunk once more through the backbone, pictures decoded already",
            )
        )
    return figures


def whole_step() -> list[Figure]:
    """A step of phase two: without augmentation, with ours and its two sources of losses, with the loop's."""
    figures = []
    for backbone in WEIGHTS:
        with tempfile.TemporaryDirectory() as folder:
            network, lesson = lesson_of(backbone, Path(folder), features=False)
            few = replace(lesson, train=lesson.train[: BATCH * N_BATCHES])
            spec = TrainSpec(head_epochs=0, finetune_epochs=1000, learning_rate=1e-6)
            forward, last = (AugmentSpec(AUGMENTERS, losses=losses) for losses in ("forward", "last-visit"))
            with looped():
                by_loop = epochs(network, few, spec, forward)
            cases = {
                "no augmentation": epochs(network, few, spec, AugmentSpec()),
                "loop": by_loop,
                "ours": epochs(network, few, spec, forward),
                "ours, losses of the last visit": epochs(network, few, spec, last),
            }
            taken = {name: [s / N_BATCHES for s in found] for name, found in interleaved(cases).items()}
        medians = {name: statistics.median(found) for name, found in taken.items()}
        gain = statistics.median(a / b for a, b in zip(taken["loop"], taken["ours"], strict=True))
        figures.append(
            Figure(
                f"a whole step of phase two, {backbone}",
                "the gain as it is",
                f"{gain:.2f} times the pace of the loop; "
                + ", ".join(f"{name} {seconds * 1e3:.0f} ms" for name, seconds in medians.items()),
                gain > 1,
                f"medians of {ROUNDS} interleaved rounds of {N_BATCHES} steps of {BATCH} chunks; all layers learn; "
                "losses from a forward pass where nothing else is said",
            )
        )
    return figures


@contextmanager
def looped() -> Any:
    """While the block runs, augment by the loop over samples."""

    def augment(images: Any, labels: Any, losses: Any, _chosen: Any, _spec: Any, seed: Any) -> Any:
        import tensorflow as tf

        return loop(
            tf.ensure_shape(images, (BATCH, *images.shape[1:])),
            tf.ensure_shape(labels, (BATCH, *labels.shape[1:])),
            tf.ensure_shape(losses, (BATCH,)),
            seed,
        )

    with mock.patch.object(policy, "augment", augment):
        yield


PARTS: dict[str, Callable[[], list[Figure] | str]] = {"cached-features": cached_features, "whole-step": whole_step}


if __name__ == "__main__":
    measure("learning", "Training, measured", __doc__.splitlines()[0], PARTS)
