"""An epoch of each phase of training, squeezenet_v1, one thread: steps of sixteen chunks, and what is around them."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from dslite.recipe import AugmentSpec, Recipe, TrainSpec
from dslite.registry import registry

_BATCH_SIZE = 16
_N_STEPS = {"head": 16, "finetune": 1}
"""In an epoch: one of the head takes about a millisecond, less than what is around it."""


@pytest.mark.parametrize("phase", _N_STEPS)
def test_training_step(timed: Callable[..., Any], tensorflow: Any, tmp_path: Path, phase: str) -> None:
    """The head learns from features that are there, 16 steps; fine-tuning goes through the backbone, one step."""
    del tensorflow  # the training is done with it
    from dslite.learn import runner, table, training
    from dslite.learn.network import in_batches, take_apart
    from dslite.learn.pictures import prepare
    from dslite.model.assembly import build_cnn
    from dslite.model.keras import keras

    keras.backend.clear_session()  # what other benchmarks left is not this one's
    random, recipe = np.random.default_rng(0), Recipe()
    rows = []
    for i in range(_BATCH_SIZE * _N_STEPS[phase]):
        soundfile.write(tmp_path / f"{i}.wav", random.uniform(-0.5, 0.5, 48_000), 16_000)
        rows.append([f"{i}.wav", "ab"[i % 2], f"speaker{i}", "train"])
    with (tmp_path / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file", "label", "speaker", "split"], *rows])
    found = table.read(tmp_path / "labels.csv", for_training=False)
    pictures = prepare(found.examples, recipe, tmp_path / "pictures", lambda *_: None)
    cnn = build_cnn(registry().get("backbones", "squeezenet_v1"), {}, 224, recipe.head, 2, None)
    network = take_apart(cnn, recipe.frontend)
    features = in_batches(network.features, pictures.levels, np.arange(len(pictures.levels)), lambda *_: None)
    lesson = runner.lesson(found, pictures, features.astype(np.float32), ("train",), devel=False)
    spec = (
        TrainSpec(head_epochs=10_000, batch_size=_BATCH_SIZE)
        if phase == "head"
        else TrainSpec(head_epochs=0, finetune_epochs=10_000, learning_rate=1e-6, batch_size=_BATCH_SIZE)
    )
    states = training.train(network, lesson, spec, AugmentSpec(), [], None, lambda _: lambda *_: None)
    timed(lambda: next(states))
