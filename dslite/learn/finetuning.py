"""The training loop as compressors are given it: the second phase of a run again, on a model they changed."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dslite.audio.frontend import coloured
from dslite.learn.network import take_apart
from dslite.learn.training import Lesson, State, Tell, train
from dslite.recipe import TrainingRecipe
from dslite.records import Augmenter, Options

_ALL_LAYERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Finetuner:
    """A `dslite.records.Finetune`.

    Attributes:
        lesson: what is learned from; devel is not looked at.
        recipe: of the run.
        augmenters: of the run.
        start: called with the name of an epoch as it begins; what it returns is told how far it is.
        calls: counts them. Each draws from a seed of its own, the first from that of the run: a compressor that trains
            epoch by epoch sees new orders and new augmentation.
    """

    lesson: Lesson
    recipe: TrainingRecipe
    augmenters: Sequence[tuple[Augmenter, Options]]
    start: Callable[[str], Tell]
    calls: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self, model: Any, *, epochs: int = 1, rate: float = 1.0, training: bool = False) -> None:
        """See `dslite.records.Finetune`."""
        spec = replace(
            self.recipe.training,
            head_epochs=0,
            finetune_epochs=epochs,
            finetune_layers=_ALL_LAYERS,
            learning_rate=self.recipe.training.learning_rate * rate,
            keep="last",
            patience=0,
            seed=(self.recipe.training.seed + next(self.calls)) % 2**31,
        )
        network = take_apart(model, self.recipe.frontend, training=training)
        lesson = replace(self.lesson, devel=self.lesson.devel[:0])
        weights = tuple(model.get_weights())
        begin = State((), weights, (), weights, np.full(len(lesson.train), np.inf, np.float32))
        for _ in train(network, lesson, spec, self.recipe.augmentation, self.augmenters, begin, self.start):
            pass

    def pictures(self, n: int) -> Any:
        """See `dslite.records.Finetune`."""
        train = self.lesson.train
        chosen = np.random.default_rng(self.recipe.training.seed).permutation(train)[:n]
        return coloured(self.lesson.pictures.levels[np.sort(chosen)], self.recipe.frontend).numpy()

    def n_steps(self, epochs: int) -> int:
        """See `dslite.records.Finetune`."""
        return epochs * -(-len(self.lesson.train) // self.recipe.training.batch_size)
