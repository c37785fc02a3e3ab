"""What a case of an experiment has besides a bench's: the model is compressed first, and its file scored.

All of it is done in the worker process. A compressed model is kept in the cache, and so is every one on the way to it:
``prune+qat`` begins with the model of ``prune``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dslite import cache, files
from dslite.cli import building, identity, learning
from dslite.codec import to_json
from dslite.deploy.contents import contents
from dslite.errors import DsliteError, ModelFileError, PluginError, RunError, in_words
from dslite.learn import run
from dslite.learn.dataset import DataSet, Split
from dslite.records import Compressor, Measurement, Options, Progress
from dslite.registry import get_with_options

_MODEL = "model.h5"
_N_CHECKED = 16


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment's part of a case.

    Attributes:
        data: path of the table.
        audio_dir: what the names in it are relative to; None where that is the table's folder.
        split_seed: of a table without splits.
        data_key: hash of files, labels and splits.
        split: that the file is scored on.
        compressors: names and options, in the order they are applied; none: the model as it was trained.
    """

    data: str
    audio_dir: str | None
    split_seed: int
    data_key: str
    split: Split
    compressors: tuple[str, ...]

    def read(self) -> DataSet:
        """Read the table again, which was found right when the experiment began."""
        from dslite.learn import table

        return table.read(self.data, self.audio_dir, "classification", self.split_seed, for_training=False)

    @property
    def name(self) -> str:
        """Name the compressors, as the user does."""
        return "+".join(self.compressors) or "none"


def learned(info: run.RunInfo) -> tuple[Split, ...]:
    """Give the splits a run learned from."""
    return ("train", "devel") if info.final else ("train",)


def key(system: building.System, trial: Trial, n_compressors: int | None = None) -> str:
    """Give the key of a compressed model, after all compressors or the first ones."""
    names = trial.compressors[:n_compressors]
    recipe = run.read(Path(system.model.run)).recipe
    return identity.key(
        {
            "weights": identity.weights(str(Path(system.model.run) / run.WEIGHTS)),
            "recipe": to_json(recipe),
            "data": trial.data_key,
            "backbone": identity.plugin("backbones", system.name),
            "augmenters": [identity.plugin("augmenters", name) for name in recipe.augmentation.augmenters],
            "compressors": [identity.plugin("compressors", name) for name in names],
            **identity.surroundings(),
        }
    )


def sounds(system: building.System, data: DataSet) -> list[Path]:
    """Give the audio a run learned from, to calibrate with."""
    splits = learned(run.read(Path(system.model.run)))
    return [example.path for example in data.examples if example.split in splits]


# -- compressing --------------------------------------------------------------------------------------


def compressed(system: building.System, trial: Trial, data: DataSet, report: Progress) -> Any:
    """Give the image model of a run after all compressors of a trial; TensorFlow is imported here.

    Raises:
        UserError: where a compressor refuses its options.
        DsliteError: where a compressor fails, or gives what is no such model any more.
    """
    n = len(trial.compressors)
    kept = next((i for i in range(n, 0, -1) if _place(system, trial, i).is_file()), 0)
    if kept:
        report(f"reading {'+'.join(trial.compressors[:kept])}", 0.0)
        cnn = _read(_place(system, trial, kept))
    else:
        cnn = building.build(system, lambda text: report(text, 0.0))
    if kept == n:
        return cnn
    import tensorflow as tf

    from dslite.model.keras import keras

    tf.config.experimental.enable_op_determinism()  # the same command, the same weights
    pictures = learning.pictures(data.examples, system.recipe, report)
    for i in range(kept, n):
        keras.utils.set_random_seed(system.model.seed)
        cnn = _apply(trial.compressors[i], cnn, system, data, pictures, report)
        _keep(cnn, _place(system, trial, i + 1))
    return cnn


def _place(system: building.System, trial: Trial, n_compressors: int) -> Path:
    return cache.entry_folder("compressed", key(system, trial, n_compressors)) / _MODEL


def _read(path: Path) -> Any:
    from dslite.model import layers  # noqa: F401 - a file names them
    from dslite.model.keras import keras

    cache.mark_used(path.parent)
    return keras.models.load_model(path, compile=False)


def _keep(cnn: Any, path: Path) -> None:
    from dslite.model.keras import save_hdf5

    cache.make()
    with files.written_whole(path.parent) as place:
        place.mkdir()
        save_hdf5(cnn, place / path.name)


def _apply(name: str, cnn: Any, system: building.System, data: DataSet, pictures: Any, report: Progress) -> Any:
    """Let one compressor change a model, and look at what it gives back."""
    from dslite.learn import policy, runner
    from dslite.learn.finetuning import Finetuner

    info = run.read(Path(system.model.run))
    compressor, options = get_with_options("compressors", name)
    augmenters = [get_with_options("augmenters", each) for each in info.recipe.augmentation.augmenters]
    policy.check(augmenters, system.recipe.frontend.size_px, len(data.labels))
    lesson = runner.lesson(data, pictures, None, learned(info), devel=False)
    n_begun = 0

    def start(epoch: str) -> Any:
        nonlocal n_begun
        n_begun += 1
        done = n_begun
        # How many epochs there will be is the compressor's affair: the bar comes ever closer to its end.
        return lambda what, share: report(f"{name}: {epoch}, {what}", 1 - 1 / (1 + (done - 1 + share) / 10))

    finetune = Finetuner(lesson, info.recipe, augmenters, start)
    shapes = cnn.input_shape, cnn.output_shape
    report(f"{name}", 0.0)
    result = _guarded(compressor, cnn, finetune, options)
    _check(name, result, shapes, lesson, system)
    return result


def _guarded(compressor: Compressor, cnn: Any, finetune: Any, options: Options) -> Any:
    try:
        return compressor.compress(cnn, finetune, options)
    except DsliteError as error:
        raise type(error)(f"compressor {compressor.name}: {error}") from error
    except (Exception, SystemExit) as error:
        failed = f"compressor {compressor.name} failed: {in_words(error)}"
        raise PluginError(f"{failed} ({building.provider(compressor)})") from error


def _check(name: str, result: Any, shapes: Any, lesson: Any, system: building.System) -> None:
    from dslite.audio.frontend import coloured
    from dslite.model.keras import keras

    if not isinstance(result, keras.Model) or (result.input_shape, result.output_shape) != shapes:
        became = f"{result.input_shape} -> {result.output_shape}" if isinstance(result, keras.Model) else type(result)
        raise PluginError(f"compressor {name}: expected a model {shapes[0]} -> {shapes[1]}, it gave {became}")
    pictures = coloured(lesson.pictures.levels[lesson.train[:_N_CHECKED]], system.recipe.frontend)
    if not np.isfinite(np.asarray(result(pictures, training=False))).all():
        raise RunError(f"compressor {name} broke the model: it gives NaN or infinite values; a lower rate may help")


# -- scoring ------------------------------------------------------------------------------------------


def predictions_path(file: Path, split: str) -> Path:
    """Give where the predictions of an exported file are kept."""
    return file.with_name(f"{file.name}.{split}.csv")


def figures(file: Path, trial: Trial, data: DataSet, threads: int, report: Progress) -> list[Measurement]:
    """Score an exported file, and look at what is in it; predictions go beside it.

    Raises:
        ModelFileError: where its runtime refuses it.
        RunError: where its outputs are not finite.
    """
    from dslite.cli.predictors import opened, score
    from dslite.learn.evaluation import judged
    from dslite.learn.metrics import Classification

    examples = [example for example in data.examples if example.split == trial.split]
    outputs, file_index = score(opened(file, threads, report), examples, report)
    found = judged(trial.split, examples, data.labels, outputs, file_index, predictions_path(file, trial.split))
    level = found.file_level
    if not isinstance(level, Classification):
        raise ModelFileError(f"{file}: expected a classification, got a regression")
    low, high = level.uar_interval or (level.uar, level.uar)
    method = (
        f"unweighted average recall of {level.n} {trial.split} files, each the mean of its chunks, as the exported "
        f"file predicts them; low and high: 95 % interval of {level.n_resamples} bootstrap resamples of files"
    )
    statistics = {"low": low, "high": high, "n": float(level.n), "chance": level.chance}
    return [Measurement("uar", level.uar, "ratio", method, statistics=statistics), *contents(file)]
