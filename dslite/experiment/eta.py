"""The time that is left of an experiment: some rows have a training before them, and these take most of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dslite.experiment.compression import epochs_told
from dslite.experiment.jobs import Job
from dslite.registry import get_with_options

TURN_COST = 0.1
"""What it takes to time a file once more, in rows without a training: as an order of magnitude."""
_ENOUGH = 0.05
"""Of a training, from which on its time is judged by the part that is done."""


@dataclass(slots=True)
class Eta:
    """Estimates from the rows that are done how long those take that are not.

    Attributes:
        n_epochs: of each row in the order in which they are begun, those it trains for before it is measured.
        n_turns: of all files, when they are timed by turns at the end.
        training_share: of the progress that a row with a training reports, what is behind when that is done.
        clock: in seconds.
    """

    n_epochs: Sequence[float]
    n_turns: int
    training_share: float
    clock: Callable[[], float] = time.monotonic
    _position: int = -1
    _began: float = 0.0
    _share: float = 0.0
    _trains: bool = False
    _of_rows: list[float] = field(default_factory=list)
    _of_epochs: list[tuple[float, float]] = field(default_factory=list)

    def begin(self) -> None:
        """Begin the next row; behind the last one, the rounds."""
        if self._position >= 0:
            self._end()
        self._position, self._began, self._share, self._trains = self._position + 1, self.clock(), 0.0, False

    def at(self, share: float) -> None:
        """Note how much of what was begun is done."""
        self._share = share
        self._trains |= 0 < share < self.training_share

    def seconds_left(self) -> float | None:
        """Estimate the time left; None as long as nothing tells how long a row, or an epoch, takes."""
        passed = self.clock() - self._began
        if self._position >= len(self.n_epochs):
            return passed * (1 - self._share) / self._share if self._share > _ENOUGH else None
        here = self.n_epochs[self._position] if self._position >= 0 else 0.0
        trained = min(1.0, self._share / self.training_share) if here else 0.0
        epochs_s, epochs = (sum(column) for column in zip((0.0, 0.0), *self._of_epochs, strict=True))
        if trained > _ENOUGH:
            epochs_s, epochs = epochs_s + passed, epochs + trained * here
        n_left = sum(self.n_epochs[max(0, self._position) :]) - trained * here
        if not self._of_rows or (n_left and not epochs):
            return None
        row_s = sum(self._of_rows) / len(self._of_rows)
        rows_left = len(self.n_epochs) - max(0, self._position) - (0.0 if here else self._share)
        return row_s * (rows_left + TURN_COST * self.n_turns) + (n_left * epochs_s / epochs if n_left else 0.0)

    def _end(self) -> None:
        took, n_epochs = self.clock() - self._began, self.n_epochs[self._position]
        if not self._share:
            return  # it failed before it began
        if not n_epochs or not self._trains:  # or its model was there already
            self._of_rows.append(took)
        elif self._of_rows:
            took -= sum(self._of_rows) / len(self._of_rows)
            self._of_epochs.append((max(0.0, took), n_epochs))


def epochs_of(jobs: Sequence[Job]) -> list[float]:
    """Give for how many epochs each job trains: the first of its compressors, for those that no job had before."""
    made: set[tuple[str, ...]] = {()}
    found = []
    for job in jobs:
        chain = job.compression.compressors if job.compression else ()
        begun = next(n for n in range(len(chain), -1, -1) if chain[:n] in made)
        found.append(sum(map(_epochs, chain[begun:]), start=0.0))
        made |= {chain[: n + 1] for n in range(len(chain))}
    return found


def _epochs(compressor: str) -> float:
    return epochs_told(get_with_options("compressors", compressor)[1]) or 1.0
