"""The table of audio and labels that an experiment, a training and their likes read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dslite.errors import DataError
from dslite.experiment.reporter import SILENT, Reporter
from dslite.learn.dataset import DataSet, Task


@dataclass(frozen=True, slots=True)
class DataRequest:
    """Which table is read, and how.

    Attributes:
        path: of the table.
        audio_dir: what the names in it are relative to; None where that is the table's folder.
        split_seed: for dividing a table without splits; not the recipe's, so that all commands divide it alike.
        task: as the user wants it.
        reporter: told of progress, and the notes on the table.
    """

    path: Path
    audio_dir: Path | None = None
    split_seed: int = 0
    task: Literal["auto"] | Task = "auto"
    reporter: Reporter = SILENT

    def read(self, *, for_training: bool = True, divide: bool = True) -> DataSet:
        """Read and check the table; see `dslite.learn.table.read`.

        Raises:
            DataError: where there is any problem; it lists all of them.
        """
        from dslite.learn import table

        with self.reporter.progress() as steps:
            steps.start(f"checking {self.path.name} and its audio")
            data = table.read(
                self.path, self.audio_dir, self.task, self.split_seed, for_training=for_training, divide=divide
            )
        for note in data.notes:
            self.reporter.note(note)
        return data


def calibration_files(paths: Sequence[Path], split_seed: int | None = None, reporter: Reporter = SILENT) -> list[Path]:
    """List the audio files to calibrate with: of a table those of its train split, of a folder all in it.

    A table without splits is divided with `split_seed`, as the run did; None: 0, as `dslite train` does by default.

    Raises:
        AudioError: where there is none, or a file cannot be opened.
        DataError: where a table has faults, or no train split.
    """
    from dslite.audio.load import audio_files

    found: list[Path] = []
    for path in paths:
        if path.suffix.lower() != ".csv":
            found += audio_files(path)
            continue
        heard = DataRequest(path, None, split_seed or 0, reporter=reporter).read(for_training=False).part("train")
        if not heard:
            raise DataError(f"{path}: expected a train split to calibrate with, the table has none")
        found += [example.path for example in heard]
    return found
