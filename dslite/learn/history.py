"""What a training has done, epoch by epoch, and what follows from it: the next epoch, the best one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dslite.recipe import TrainSpec

Phase = Literal["head", "finetune"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch gave.

    Attributes:
        phase: head, or finetune.
        epoch: of the phase, from 1.
        learning_rate: of its phase; a schedule gives each step a share of it.
        loss: mean over the training chunks, as they were seen: augmented, with dropout, weighted.
        devel_loss: mean over the devel chunks; None without devel.
        devel_score: UAR of the devel files, or the concordance correlation of a regression; None without devel, or
            where it is not defined.
    """

    phase: Phase
    epoch: int
    learning_rate: float
    loss: float
    devel_loss: float | None
    devel_score: float | None


def next_epoch(history: Sequence[Epoch], spec: TrainSpec) -> tuple[Phase, int] | None:
    """Give phase and number of the epoch that follows, or None where training is over."""
    phases: tuple[tuple[Phase, int], ...] = (("head", spec.head_epochs), ("finetune", spec.finetune_epochs))
    for phase, n_epochs in phases:
        done = [epoch for epoch in history if epoch.phase == phase]
        n_since_best = len(done) - 1 - best_epoch(done) if done else 0
        if len(done) < n_epochs and not 0 < spec.patience <= n_since_best:
            return phase, len(done) + 1
    return None


def best_epoch(history: Sequence[Epoch]) -> int:
    """Give the index of the epoch with the highest devel score; among equals the lowest devel loss, then the first.

    Without devel scores it is the last.
    """
    if history[-1].devel_loss is None:
        return len(history) - 1

    def rank(i: int) -> tuple[float, float, int]:
        score, loss = history[i].devel_score, history[i].devel_loss
        return -math.inf if score is None else score, -math.inf if loss is None else -loss, -i

    return max(range(len(history)), key=rank)
