"""The table of audio and labels that several commands read: its options, its faults, its notes."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import click

from dslite.cli.console import command_line, err, print_table, progress
from dslite.cli.options import PATH, SEED
from dslite.errors import DataError
from dslite.learn.dataset import DataSet, Task
from dslite.measure.environment import commit, environment

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN = 50
"""Problems of one kind; who has hundreds of them has one cause."""


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What `data_options` say.

    Attributes:
        path: of the table.
        audio_dir: what the names in it are relative to; None where that is the table's folder.
        split_seed: for dividing a table without splits; not the recipe's, so that all commands divide it alike.
        task: as the user wants it.
    """

    path: Path
    audio_dir: Path | None
    split_seed: int
    task: Literal["auto"] | Task = "auto"

    def read(self, *, for_training: bool = True, divide: bool = True) -> DataSet:
        """Read and check the table; its notes, or a table of its problems, go to standard error.

        Args:
            for_training: see `dslite.learn.table.read`.
            divide: likewise.

        Raises:
            DataError: where there is any problem.
        """
        from dslite.learn import table

        try:
            with progress() as steps:
                steps.start(f"checking {self.path.name} and its audio")
                data = table.read(
                    self.path, self.audio_dir, self.task, self.split_seed, for_training=for_training, divide=divide
                )
        except DataError as error:
            print_problems(error)
            raise
        for note in data.notes:
            click.echo(f"note: {note}", err=True)
        return data


def calibration_files(paths: Sequence[Path], split_seed: int | None = None) -> list[Path]:
    """Give the audio files to calibrate with: of a table those of its train split, of a folder all in it.

    Args:
        paths: of tables, folders and files.
        split_seed: for dividing a table without splits, as the run did; None: 0, as `dslite train` does by default.

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
        heard = DataRequest(path, None, split_seed or 0).read(for_training=False).part("train")
        if not heard:
            raise DataError(f"{path}: expected a train split to calibrate with, the table has none")
        found += [example.path for example in heard]
    return found


def origin(data: DataSet) -> dict[str, Any]:
    """Say where figures on a data set come from, for JSON: command, notes on the data, commit and machine."""
    return {"command": command_line(), "notes": data.notes, "environment": {"commit": commit(), **environment()}}


def data_options(function: F) -> F:
    """Add the argument DATA and its options; the command gets them as one argument, ``data``: a `DataRequest`."""
    tasks = click.Choice(["auto", "classification", "regression"])
    text = "What labels are; auto: numbers are a regression, all else names of classes."
    with_task = click.option("--task", type=tasks, default="auto", show_default=True, help=text)
    return table_options(with_task(function))


def table_options(function: F) -> F:
    """Add the argument DATA and its options but ``--task``, for commands that know what labels are."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        given = [values.pop(name) for name in ("data", "audio_dir", "split_seed")]
        return function(data=DataRequest(*given, *([values.pop("task")] if "task" in values else [])), **values)

    text = "For dividing a table without splits."
    with_seed = click.option("--split-seed", type=SEED, default=0, show_default=True, help=text)(wrapper)
    text = "Folder that names of files are relative to.  [default: that of DATA]"
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    with_folder = click.option("--audio-dir", type=folder, help=text)(with_seed)
    return cast(F, click.argument("data", type=PATH)(with_folder))


def print_problems(error: DataError) -> None:
    """Write a table of the problems to standard error, of each kind at most fifty; nothing where there is but one."""
    if len(error.problems) < 2:  # noqa: PLR2004 - the message itself says one
        return
    from dslite.learn.table import kind_of

    rows: list[tuple[str, str]] = []
    for kind, problems in itertools.groupby(error.problems, kind_of):
        of_kind = list(problems)
        rows += of_kind[:_SHOWN]
        if len(of_kind) > _SHOWN:
            rows.append((f"and {len(of_kind) - _SHOWN} more", kind))
    print_table(["WHERE", "PROBLEM"], rows, err())
