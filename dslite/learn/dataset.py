"""A data set: audio files with labels, speakers and splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Split = Literal["train", "devel", "test"]
Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Example:
    """One audio file with what is known of it.

    Attributes:
        path: of the audio.
        name: as it stands in the table.
        label: name of the class, or the number as it was written.
        speaker: or whatever else must not be in two splits; None where it is not known.
        split: the part it belongs to.
    """

    path: Path
    name: str
    label: str
    speaker: str | None
    split: Split


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table of examples that was found to be without faults.

    Attributes:
        examples: in the order of the table.
        task: classification, or regression of one number.
        labels: names of the classes, sorted; empty for a regression.
        notes: what the user should know of how it was read, a sentence each.
    """

    examples: tuple[Example, ...]
    task: Task
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def part(self, *splits: Split) -> tuple[Example, ...]:
        """Give the examples of some splits."""
        return tuple(example for example in self.examples if example.split in splits)


def truth(examples: Sequence[Example], labels: Sequence[str]) -> npt.NDArray[Any]:
    """Give of each file the position of its class, or its number where there are no classes, ``(files,)``."""
    if not labels:
        return np.array([float(example.label) for example in examples], np.float32)
    position = {label: i for i, label in enumerate(labels)}
    return np.array([position[example.label] for example in examples], np.int64)
