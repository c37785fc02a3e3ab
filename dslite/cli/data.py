"""Options of the table of audio and labels that several commands read, and where its faults are shown."""

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from dslite.cli.console import TERMINAL, command_line, err, print_table
from dslite.cli.options import PATH, SEED
from dslite.errors import DataError
from dslite.experiment.data import DataRequest
from dslite.learn.dataset import DataSet
from dslite.measure.environment import commit, environment

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN = 50
"""Problems of one kind; who has hundreds of them has one cause."""


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
        path, audio_dir, split_seed = (values.pop(name) for name in ("data", "audio_dir", "split_seed"))
        request = DataRequest(path, audio_dir, split_seed, values.pop("task", "auto"), TERMINAL)
        return _problems_shown(function)(data=request, **values)

    text = "For dividing a table without splits."
    with_seed = click.option("--split-seed", type=SEED, default=0, show_default=True, help=text)(wrapper)
    text = "Folder that names of files are relative to.  [default: that of DATA]"
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    with_folder = click.option("--audio-dir", type=folder, help=text)(with_seed)
    return cast(F, click.argument("data", type=PATH)(with_folder))


def calibration_option(function: F) -> F:
    """Add the option ``--calibration``; the command gets a tuple of paths."""
    text = (
        "Audio that exporters calibrate with, where they need it: a table of audio and labels (.csv), of which the "
        "train split is taken, a file or a folder. May be repeated."
    )
    return click.option("--calibration", type=PATH, multiple=True, help=text)(_problems_shown(function))


def _problems_shown(function: F) -> F:
    """Write a table of the problems of data to standard error, of each kind at most fifty; the message tells one."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        try:
            return function(**values)
        except DataError as error:
            if len(error.problems) > 1:
                print_table(["WHERE", "PROBLEM"], _rows(error), err())
            raise

    return cast(F, wrapper)


def _rows(error: DataError) -> list[tuple[str, str]]:
    from dslite.learn.table import kind_of

    rows: list[tuple[str, str]] = []
    for kind, problems in itertools.groupby(error.problems, kind_of):
        of_kind = list(problems)
        rows += of_kind[:_SHOWN]
        if len(of_kind) > _SHOWN:
            rows.append((f"and {len(of_kind) - _SHOWN} more", kind))
    return rows
