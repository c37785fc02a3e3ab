"""The folder of a training run: what it was made from, what came out. Text, HDF5 and PNG; nothing in it is executed.

run.json          what the run is: task, classes, settings it was begun with
recipe.toml       every setting
data.csv          files, labels, speakers and splits as they were used
environment.json  machine and software
history.json      loss and devel score of every epoch
checkpoint.h5     the training between two epochs; gone when it is complete
tensorboard/      the history for TensorBoard
weights.h5        of the image model, as Keras writes them
metrics.json      the evaluation; when it is there, the run is complete
predictions.csv   what the model says of each file
confusion.png     the confusion matrix
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslite import __version__, files
from dslite.codec import from_json, plain, to_json
from dslite.errors import ModelFileError, SpecError, WriteError, in_words
from dslite.learn.dataset import DataSet, Split, Task
from dslite.learn.evaluation import Evaluation
from dslite.learn.history import Epoch
from dslite.recipe import TrainingRecipe

SCHEMA = 1
WEIGHT_FILE = "the weight file"
"""What `RunInfo.begun_with` calls the file that a training starts from."""
CHECKPOINT, WEIGHTS, METRICS, HISTORY = "checkpoint.h5", "weights.h5", "metrics.json", "history.json"
PREDICTIONS, CONFUSION, TENSORBOARD = "predictions.csv", "confusion.png", "tensorboard"
_INFO, _RECIPE, _DATA, _ENVIRONMENT = "run.json", "recipe.toml", "data.csv", "environment.json"
_OURS = {
    *(CHECKPOINT, WEIGHTS, METRICS, HISTORY, PREDICTIONS, CONFUSION, TENSORBOARD),
    *(_INFO, _RECIPE, _DATA, _ENVIRONMENT, "owner"),
}


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run is.

    Attributes:
        task: classification or regression.
        labels: of the classes, in the order of the output; empty for a regression.
        final: whether it learned from train and devel, and was scored on test.
        recipe: every setting.
        begun_with: what else a training depends on, hashed, by what it is: the same command has the same.
        created: when, in UTC.
        command: that goes on with it.
        split_seed: its table was divided with, if it has no splits of its own.
        dslite: version.
    """

    task: Task
    labels: tuple[str, ...]
    final: bool
    recipe: TrainingRecipe
    begun_with: dict[str, str]
    created: str
    command: str
    split_seed: int = 0
    dslite: str = __version__

    @property
    def learned(self) -> tuple[Split, ...]:
        """Name the splits it learned from."""
        return ("train", "devel") if self.final else ("train",)


def is_run(path: Path) -> bool:
    """Tell whether a folder is that of a run."""
    return (path / _INFO).is_file()


def is_complete(path: Path) -> bool:
    """Tell whether the training of a run came to its end."""
    return (path / METRICS).is_file() and (path / WEIGHTS).is_file()


def begin(path: Path, info: RunInfo, recipe_toml: str, data: DataSet, environment: dict[str, Any]) -> None:
    """Make the folder of a run and write what it is; `run.json` last, so that half a folder is no run.

    Raises:
        WriteError: where the system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path.parent}: {error.strerror}") from None
    with files.written_whole(path) as place:
        place.mkdir()
        (place / _RECIPE).write_text(recipe_toml, encoding="utf-8")
        (place / _DATA).write_text(_table(data), encoding="utf-8")
        (place / _ENVIRONMENT).write_text(_text(environment), encoding="utf-8")
        (place / _INFO).write_text(_text({"schema": SCHEMA, **to_json(info)}), encoding="utf-8")


def strangers(path: Path) -> list[str]:
    """Name what is in the folder of a run and not of its making; half-written files of a process that died are."""
    return sorted(p.name for p in path.iterdir() if p.name not in _OURS and not p.name.startswith(files.HALF_WRITTEN))


def learned_labels(path: Path, splits: Sequence[Split]) -> dict[str, str]:
    """Give the files a run learned from, by their names as they stood in its table, and what it learned of each.

    Raises:
        ModelFileError: where the run's copy of the table cannot be read.
    """
    place = path / _DATA
    try:
        with place.open(encoding="utf-8", newline="") as file:
            return {row["file"]: row["label"] for row in csv.DictReader(file) if row["split"] in splits}
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise ModelFileError(f"{place}: expected the table `dslite train` wrote: {in_words(error)}") from None


def read(path: Path) -> RunInfo:
    """Read what a run is.

    Raises:
        ModelFileError: where the folder is no run, or of another schema.
    """
    place = path / _INFO
    try:
        data: Any = json.loads(place.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFileError(f"{path}: expected the folder of a run of `dslite train`, it has no {_INFO}") from None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{place}: expected a file written by `dslite train`: {error}") from None
    schema = data.pop("schema", None) if isinstance(data, dict) else None
    if schema != SCHEMA:
        cure = "update dslite" if isinstance(schema, int) and schema > SCHEMA else "train again"
        raise ModelFileError(f"{place}: expected a run of schema {SCHEMA}, got {schema!r}: {cure}")
    try:
        return from_json(RunInfo, data, "run")
    except SpecError as error:
        raise ModelFileError(f"{place}: {error}: train again") from None


def read_complete(path: Path) -> RunInfo:
    """Read what a run is, where its training came to its end.

    Raises:
        ModelFileError: where the folder is no run, or its training was stopped.
    """
    info = read(path)
    if not is_complete(path):
        raise ModelFileError(
            f"{path}: its training was stopped: give its command again, and it goes on: {info.command}"
        )
    return info


def read_outcome(path: Path) -> tuple[Epoch, Evaluation]:
    """Read the epoch whose weights a complete run has, and its figures.

    Raises:
        ModelFileError: where they cannot be read.
    """
    place = path / METRICS
    try:
        data: Any = json.loads(place.read_text(encoding="utf-8"))
        kept = from_json(Epoch, data["kept_epoch"], "kept_epoch")
        return kept, from_json(Evaluation, data["evaluation"], "evaluation")
    except (OSError, ValueError, KeyError, TypeError, SpecError) as error:
        raise ModelFileError(f"{place}: expected what `dslite train` writes: {error}: train again") from None


def load_weights(cnn: Any, path: Path) -> None:
    """Load the trained weights of a run into a model built from its recipe.

    Raises:
        ModelFileError: where they are damaged or do not fit.
    """
    try:
        cnn.load_weights(str(path))
    except Exception as error:
        raise ModelFileError(
            f"{path}: its weights do not fit the model its recipe gives: damaged, or the backbone's plugin has "
            f"changed since ({error}): train again"
        ) from error


def write_json(path: Path, data: Any) -> None:
    """Write records, lists and scalars as JSON, whole or not at all."""
    files.write_text(path, _text(plain(data)))


def _text(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _table(data: DataSet) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "speaker", "split"])
    writer.writerows([e.name, e.label, e.speaker or "", e.split] for e in data.examples)
    return text.getvalue()


def differences(path: Path, info: RunInfo) -> Sequence[str]:
    """Say in what a run differs from what is asked for now; nothing where the same command began it."""
    there = read(path)
    found = [
        f"{name}.{field}: there {old!r}, here {new[field]!r}"
        for name in ("chunk", "frontend", "head", "training", "augmentation")
        for new in [to_json(getattr(info.recipe, name))]
        for field, old in to_json(getattr(there.recipe, name)).items()
        if plain(old) != new[field]
    ]
    same_weights = there.begun_with.get(WEIGHT_FILE) == info.begun_with.get(WEIGHT_FILE)  # by whatever path
    for name in ("backbone",) if same_weights else ("backbone", "weights"):
        old, new_one = getattr(there.recipe, name), getattr(info.recipe, name)
        found += [f"{name}: there {old!r}, here {new_one!r}"] if old != new_one else []
    found += ["--final: there it was given or here, not both"] if there.final != info.final else []
    found += [f"{name} has changed" for name, was in there.begun_with.items() if info.begun_with.get(name) != was]
    return found
