"""Measure augmentation under the SapAugment policy against a loop over samples, and write the figures down.

    python benchmarks/augmentation.py [--only NAME ...] [--output FOLDER]

Cases of a comparison are interleaved (A B A B): a shared machine changes its pace from minute to minute.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from figures import Figure, measure

from dslite.learn.policy import Chosen, augment, probabilities
from dslite.recipe import AugmentSpec
from dslite.registry import get_with_options, registry

BATCH, SIZE_PX, N_CLASSES = 32, 224, 7
SPEC = AugmentSpec(("cutmix", "specaugment"))
PATCH_PX, MASK_PX = 56, 67
"""The paper's section 3.2: defaults of the plugins, and settings of the loop."""

ROUNDS = 9
SEEDS = 100
STEPS = 5
"""Batches a round: of ours a round of one would be too short to time; of the loop one is long enough."""


# -- the loop over samples -----------------------------------------------------------------------------


def loop(images: Any, labels: Any, losses: Any, seed: Any, *, joined: bool = False) -> tuple[Any, Any]:
    """Augment sample by sample, as the published implementation is built.

    The same policy, CutMix and SpecAugment with the same settings. Every sample adds its own operations to the graph:
    its lambda is put into its place of the batch by a one-hot row; its picture is cut into five pieces and joined again
    with the patch; for each of its masks the whole batch is multiplied, of which its own picture is then taken. With
    `joined`, a kinder loop, the two masks are one before: the batch is multiplied once a sample, not twice.
    """
    n = images.shape[0]
    order = tf.argsort(losses)
    strength = tf.zeros(n)
    for rank in range(n):
        value = 1 - tf.math.betainc(SPEC.s * (1 - SPEC.a), SPEC.s * SPEC.a, (rank + 1) / n)
        strength += value * tf.one_hot(order[rank], n)
    probability = probabilities(strength, SPEC)
    draws = iter(tf.unstack(tf.random.stateless_uniform((7 * n,), seed)))
    pairs = [loop_cutmix(images, labels, strength, probability, i, draws) for i in range(n)]
    images, labels = tf.stack([image for image, _ in pairs]), tf.stack([label for _, label in pairs])
    return tf.stack([loop_mask(images, strength, probability, i, draws, joined=joined) for i in range(n)]), labels


def loop_cutmix(images: Any, labels: Any, strength: Any, probability: Any, i: int, draws: Any) -> tuple[Any, Any]:
    """Paste a patch of another sample into sample `i`."""
    n, height, width, _ = images.shape
    side = tf.where(next(draws) < probability[i], tf.cast(tf.round(strength[i] * PATCH_PX), tf.int32), 0)
    other = tf.cast(next(draws) * n, tf.int32)
    y, x = tf.cast(next(draws) * height, tf.int32), tf.cast(next(draws) * width, tf.int32)
    top, bottom = tf.maximum(y - side // 2, 0), tf.minimum(y + side - side // 2, height)
    left, right = tf.maximum(x - side // 2, 0), tf.minimum(x + side - side // 2, width)
    rows = [images[i, top:bottom, :left], images[other, top:bottom, left:right], images[i, top:bottom, right:]]
    image = tf.concat([images[i, :top], tf.concat(rows, axis=1), images[i, bottom:]], axis=0)
    share = tf.cast((bottom - top) * (right - left), tf.float32) / (height * width)
    return tf.ensure_shape(image, images.shape[1:]), (1 - share) * labels[i] + share * labels[other]


def loop_mask(images: Any, strength: Any, probability: Any, i: int, draws: Any, *, joined: bool) -> Any:
    """Hide a band and a stretch of the whole batch, and give sample `i` of it."""
    _, height, width, _ = images.shape
    mean = tf.reduce_mean(images[i], axis=(0, 1))
    wide = tf.where(next(draws) < probability[i], tf.cast(tf.round(strength[i] * MASK_PX), tf.int32), 0)
    masks = []
    for length, shape in ((height, (1, -1, 1, 1)), (width, (1, 1, -1, 1))):
        start = tf.cast(next(draws) * tf.cast(length - wide + 1, tf.float32), tf.int32)
        kept = tf.concat([tf.ones(start), tf.zeros(wide), tf.ones(length - start - wide)], axis=0)
        masks.append(tf.reshape(tf.ensure_shape(kept, (length,)), shape))
    masked = images
    for mask in [masks[0] * masks[1]] if joined else masks:
        masked *= mask  # of the whole batch, for one picture
    return tf.where(masked[i] == 0, mean, masked[i])


# -- figures -------------------------------------------------------------------------------------------


def batch(n: int) -> tuple[Any, Any, Any]:
    """Give pictures, labels and losses."""
    generator = np.random.default_rng(0)
    images = tf.constant(generator.uniform(1, 255, (n, SIZE_PX, SIZE_PX, 3)), tf.float32)
    labels = tf.one_hot(generator.integers(0, N_CLASSES, n), N_CLASSES)
    return images, labels, tf.constant(generator.exponential(size=n), tf.float32)


def ours(names: tuple[str, ...] = SPEC.augmenters) -> Callable[..., tuple[Any, Any]]:
    """Give the policy with some augmenters as a function of a batch and a seed."""
    chosen: list[Chosen] = [get_with_options("augmenters", name) for name in names]
    return lambda images, labels, losses, seed: augment(images, labels, losses, chosen, SPEC, seed)


def traced(function: Callable[..., Any], n: int | None) -> Any:
    """Trace a function of a batch of `n`, or of any number of samples."""
    shapes = [tf.TensorSpec((n, SIZE_PX, SIZE_PX, 3)), tf.TensorSpec((n, N_CLASSES)), tf.TensorSpec((n,))]
    signature = [*shapes, tf.TensorSpec((2,), tf.int32)]
    return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()


def n_nodes(concrete: Any) -> int:
    """Count the nodes of a graph with those of its functions."""
    graph = concrete.graph.as_graph_def()
    return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)


def seconds(function: Callable[..., Any], data: tuple[Any, ...], first: int, steps: int) -> float:
    """Give the mean seconds a batch takes, each batch with a seed of its own."""
    start = time.perf_counter()
    for step in range(first, first + steps):
        function(*data, tf.constant((7, step)))[0][0, 0, 0].numpy()
    return (time.perf_counter() - start) / steps


def against_loop() -> list[Figure]:
    """Ours against the loop over samples: pace, nodes of the graph, time to trace it."""
    data = batch(BATCH)
    graphs, tracing_s, nodes = {}, {}, {}
    for name, function in (("ours", ours()), ("loop", loop), ("kinder", partial(loop, joined=True))):
        start = time.perf_counter()
        graphs[name] = traced(function, BATCH)
        tracing_s[name] = time.perf_counter() - start
        nodes[name] = [n_nodes(traced(function, 8)), n_nodes(graphs[name])]
        seconds(graphs[name], data, 0, 2)
    taken: dict[str, list[float]] = {"loop": [], "ours": [], "kinder": []}
    for round_ in range(ROUNDS):
        for name, found in taken.items():
            found.append(seconds(graphs[name], data, round_ * STEPS, STEPS if name == "ours" else 1))
    share = {name: changed(graphs[name], data) for name in ("ours", "loop")}
    ratio, told = against(taken["loop"], taken["ours"])
    kinder, told_kinder = against(taken["kinder"], taken["ours"])
    return [
        Figure(
            "SapAugment + CutMix + SpecAugment",
            "at least 10 times the samples per second of a loop over samples",
            told,
            ratio >= 10,
            f"medians of {ROUNDS} interleaved rounds; batch {BATCH}, {SIZE_PX}x{SIZE_PX}, losses given, no model; over "
            f"{SEEDS} seeds ours changed {share['ours']:.1%} of all points, the loop {share['loop']:.1%}",
        ),
        Figure(
            "the same, a kinder loop",
            "likewise",
            told_kinder,
            kinder >= 10,
            "this loop multiplies the whole batch once a sample; the published way is once for each of its two masks",
        ),
        Figure(
            "nodes of the graph, batch 8 and 32",
            "as many for 32 as for 8",
            f"{nodes['ours'][0]} and {nodes['ours'][1]} (loop: {nodes['loop'][0]} and {nodes['loop'][1]})",
            nodes["ours"][0] == nodes["ours"][1],
            "functions of the graph included; ours is the same for a batch of any size",
        ),
        Figure(
            "tracing, batch 32",
            "for orientation",
            f"{tracing_s['ours']:.2f} s (loop: {tracing_s['loop']:.2f} s)",
            tracing_s["ours"] < tracing_s["loop"],
            "once each; ours first, which pays for TensorFlow's start",
        ),
    ]


def against(theirs_s: list[float], ours_s: list[float]) -> tuple[float, str]:
    """Give how many times faster ours is, the median of the rounds, and that in words."""
    ratios = [a / b for a, b in zip(theirs_s, ours_s, strict=True)]
    ratio = statistics.median(ratios)
    fast, slow = (BATCH / statistics.median(found) for found in (ours_s, theirs_s))
    spread = f"rounds from {min(ratios):.1f} to {max(ratios):.1f}"
    return ratio, f"{ratio:.1f} times ({fast:.0f} against {slow:.0f} samples/s; {spread})"


def changed(function: Callable[..., Any], data: tuple[Any, ...]) -> float:
    """Give the share of points that come out otherwise than they went in: the two must do the same work."""
    points = [
        tf.reduce_mean(tf.cast(function(*data, tf.constant((8, seed)))[0] != data[0], tf.float32))
        for seed in range(SEEDS)
    ]
    return float(np.mean(points))


def each_augmenter() -> str:
    """Give a table of what each augmenter takes: under the policy, and where it changes every sample."""
    data = batch(BATCH)

    def addition(images: Any, labels: Any, losses: Any, seed: Any) -> Any:
        del losses
        return images + tf.cast(seed[0], tf.float32), labels

    copy = traced(addition, BATCH)
    cases: dict[str, tuple[Any, Any]] = {"one addition to every pixel": (copy, copy)}
    for name in registry().names("augmenters"):
        augmenter, options = get_with_options("augmenters", name)

        def everything(images: Any, labels: Any, losses: Any, seed: Any, chosen: Chosen = (augmenter, options)) -> Any:
            return chosen[0].apply(images, labels, tf.ones_like(losses), seed, chosen[1])

        cases[name] = traced(ours((name,)), None), traced(everything, None)
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in cases}
    for round_ in range(ROUNDS):
        for name, graphs in cases.items():
            for graph, found in zip(graphs, taken[name], strict=True):
                found.append(seconds(graph, data, round_ * STEPS, STEPS))
    rows = [
        f"| {name} | {statistics.median(a) * 1e3:.1f} | {statistics.median(b) * 1e3:.1f} |"
        for name, (a, b) in taken.items()
    ]
    how = f"medians of {ROUNDS} interleaved rounds: under the policy, and where strength is 1 for every sample"
    head = [f"Milliseconds a batch of {BATCH}, {how}.", "", "| augmenter | under the policy | every sample |"]
    return "\n".join([*head, "|---|---|---|", *rows])


PARTS: dict[str, Callable[[], list[Figure] | str]] = {
    "against-loop": against_loop,
    "each-augmenter": each_augmenter,
}
"""What is measured: figures beside their aims, or a text."""


if __name__ == "__main__":
    measure("augmentation", "Augmentation, measured", __doc__.splitlines()[0], PARTS)
