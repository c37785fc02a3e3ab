"""What a job of an experiment has besides a bench's: the model is compressed first, and its file scored.

All of it is done in the worker process. A compressed model is kept in the cache, and so is every one on the way to it:
``prune+qat`` begins with the model of ``prune``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dslite import cache, files
from dslite.codec import to_json
from dslite.deploy.contents import contents
from dslite.deploy.runtime import has_runtime
from dslite.errors import DataError, DsliteError, ModelFileError, PluginError, RunError, in_words
from dslite.experiment import building, feature_cache, keys
from dslite.learn import run
from dslite.learn.dataset import DataSet, Split
from dslite.measure.relative import chain
from dslite.records import Compressor, Flag, Measurement, Options, Progress
from dslite.registry import get_with_options

_MODEL = "model.h5"
_N_CHECKED = 16


@dataclass(frozen=True, slots=True)
class Compression:
    """What a job of an experiment has besides those of a bench.

    Attributes:
        data: path of the table.
        audio_dir: what the names in it are relative to; None where that is the table's folder.
        split_seed: of a table without splits.
        data_key: hash of the data set, see `dslite.experiment.feature_cache.data_key`.
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
        """Read the table again, which was found right when the experiment began.

        Raises:
            DataError: where it is no more, or it, or audio it names, was changed since: models are kept under its hash.
        """
        from dslite.learn import table

        data = table.read(self.data, self.audio_dir, "classification", self.split_seed, for_training=False)
        if feature_cache.data_key(data) != self.data_key:
            changed = "the table, or audio it names, was changed since this experiment began"
            raise DataError(f"{self.data}: {changed}: restore it, or begin anew with --fresh or another -o")
        return data

    @property
    def name(self) -> str:
        """Name the compressors, as the user does."""
        return chain(self.compressors)


def key(system: building.System, chosen: Compression, n_compressors: int | None = None) -> str:
    """Give the key of a compressed model, after all compressors or the first ones."""
    names = chosen.compressors[:n_compressors]
    recipe = run.read(Path(system.model.run)).recipe
    return keys.key(
        {
            "weights": keys.weights(str(Path(system.model.run) / run.WEIGHTS)),
            "recipe": to_json(recipe),
            "data": chosen.data_key,
            "backbone": keys.plugin("backbones", system.name),
            "augmenters": [keys.plugin("augmenters", name) for name in recipe.augmentation.augmenters],
            "compressors": [keys.plugin("compressors", name) for name in names],
            **keys.surroundings(),
        }
    )


def other_files(folder: Path, data: DataSet) -> str:
    """Say where a table has other files to learn from than a run had, by their names; nothing where it has not."""
    splits = run.read(folder).learned
    now, then = {example.name for example in data.part(*splits)}, set(run.learned_labels(folder, splits))
    if now == then:
        return ""
    return (
        f"compressors learn, and exporters calibrate, with {len(now)} files, {len(now & then)} of them among the "
        f"{len(then)} that the run learned from: what they change is the data's doing too"
    )


def sounds(system: building.System, data: DataSet) -> list[Path]:
    """Give the audio a run learned from, to calibrate with."""
    splits = run.read(Path(system.model.run)).learned
    return [example.path for example in data.part(*splits)]


# -- compressing --------------------------------------------------------------------------------------


def compressed(system: building.System, chosen: Compression, data: DataSet, report: Progress) -> Any:
    """Give the image model of a run after all compressors; TensorFlow is imported here.

    Raises:
        UserError: where a compressor refuses its options.
        DsliteError: where a compressor fails, or gives what is no such model any more.
    """
    for name in chosen.compressors:  # before those before it are trained
        building.check_options("compressors", name)
    n = len(chosen.compressors)
    report(f"looking for {chosen.name}", 0.0)
    cnn, kept = None, n
    while kept and cnn is None:
        cnn = _read(_place(system, chosen, kept), system)
        kept -= cnn is None
    if cnn is None:
        cnn = building.build(system, lambda text: report(text, 0.0))
    if kept == n:
        return cnn
    import tensorflow as tf

    from dslite.model.keras import keras

    tf.config.experimental.enable_op_determinism()  # the same command, the same weights
    pictures = feature_cache.pictures(data.examples, system.recipe, report)
    for i in range(kept, n):
        keras.utils.set_random_seed(system.model.seed)
        cnn = _apply(chosen.compressors[i], cnn, system, data, pictures, _part_of(report, i - kept, n - kept))
        _keep(cnn, _place(system, chosen, i + 1))
    return cnn


def _part_of(report: Progress, n_done: int, n: int) -> Progress:
    """Report the progress of one of n parts that come in turn."""
    return lambda what, share: report(what, (n_done + share) / n)


def _place(system: building.System, chosen: Compression, n_compressors: int) -> Path:
    return cache.entry_folder("compressed", key(system, chosen, n_compressors)) / _MODEL


def _read(path: Path, system: building.System) -> Any | None:
    """Give a kept model; None where there is none, or one with layers that only its compressor knows."""
    from dslite.model import layers  # noqa: F401 - a file names them
    from dslite.model.keras import keras

    if not path.is_file():
        return None
    cache.mark_used(path.parent)
    try:
        return keras.models.load_model(path, compile=False)
    except Exception:  # noqa: BLE001 - Keras has no error of its own for a layer it does not know
        built = building.build(system, lambda _: None)
    known = {type(layer).__name__: type(layer) for layer in built.submodules if isinstance(layer, keras.layers.Layer)}
    try:
        return keras.models.load_model(path, known, compile=False)
    except Exception:  # noqa: BLE001 - it is made again
        return None


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
    lesson = runner.lesson(data, pictures, None, info.learned, devel=False)
    n_begun, n_epochs = 0, epochs_told(options)

    def start(epoch: str) -> Any:
        nonlocal n_begun
        done, n_begun = n_begun, n_begun + 1

        def tell(what: str, share: float) -> None:
            passed = done + share
            # Without that option, how many epochs there will be is the compressor's affair: ever closer to the end.
            report(f"{name}: {epoch}, {what}", min(1.0, passed / n_epochs) if n_epochs else 1 - 1 / (1 + passed / 10))

        return tell

    finetune = Finetuner(lesson, info.recipe, augmenters, start)
    shapes = cnn.input_shape, cnn.output_shape
    report(f"{name}", 0.0)
    result = _guarded(compressor, cnn, finetune, options)
    _check(name, result, shapes, lesson, system)
    return result


def epochs_told(options: Options) -> float | None:
    """Give for how many epochs a compressor trains, by the option of that name; None where it has no such option."""
    told = options.get("epochs")
    return float(told) if isinstance(told, int | float) and told > 0 else None


def _guarded(compressor: Compressor, cnn: Any, finetune: Any, options: Options) -> Any:
    try:
        return compressor.compress(cnn, finetune, options)
    except DsliteError as error:
        raise type(error)(f"compressor {compressor.name}: {error}") from error
    except (Exception, SystemExit) as error:
        failed = f"compressor {compressor.name} failed: {in_words(error)}"
        raise PluginError(f"{failed} ({building.provider(compressor)})") from error


def _check(name: str, result: Any, shapes: Any, lesson: Any, system: building.System) -> None:
    """Refuse what is no image model any more, lacks a layer that all compressors need, or gives no finite numbers."""
    from dslite.audio.frontend import coloured
    from dslite.model.keras import keras
    from dslite.model.surgery import missing_parts

    if not isinstance(result, keras.Model) or (result.input_shape, result.output_shape) != shapes:
        became = f"{result.input_shape} -> {result.output_shape}" if isinstance(result, keras.Model) else type(result)
        raise PluginError(f"compressor {name}: expected a model {shapes[0]} -> {shapes[1]}, it gave {became}")
    missing = missing_parts(result)
    if missing:
        raise PluginError(f"compressor {name}: it gave a model that lacks {', '.join(missing)}: it must keep them")
    pictures = coloured(lesson.pictures.levels[lesson.train[:_N_CHECKED]], system.recipe.frontend)
    if not np.isfinite(np.asarray(result(pictures, training=False))).all():
        raise RunError(f"compressor {name} broke the model: it gives NaN or infinite values; a lower rate may help")


# -- scoring ------------------------------------------------------------------------------------------


def predictions_path(file: Path, split: str) -> Path:
    """Give where the predictions of an exported file are kept."""
    return file.with_name(f"{file.name}.{split}.csv")


def figures(
    file: Path, system: building.System, chosen: Compression, data: DataSet, threads: int, report: Progress
) -> tuple[list[Measurement], list[Flag]]:
    """Score an exported file, and look at what is in it; predictions go beside it.

    Returns:
        The figures; and what is to be told: of other files to learn from, or that there is no runtime here to score
        such a file with.

    Raises:
        ModelFileError: where its runtime refuses it.
        RunError: where its outputs are not finite.
    """
    from dslite.experiment.predictor import opened, score
    from dslite.learn.evaluation import judged
    from dslite.metrics.scores import Classification

    flags = [Flag("other_files", told)] if (told := other_files(Path(system.model.run), data)) else []
    if not has_runtime(file):
        told = f"no UAR of {file.suffix} files: dslite has no runtime to predict with them"
        return contents(file), [*flags, Flag("not_scored", told)]
    examples = [example for example in data.examples if example.split == chosen.split]
    outputs, file_index = score(opened(file, threads, report), examples, report)
    found = judged(chosen.split, examples, data.labels, outputs, file_index, predictions_path(file, chosen.split))
    level = found.file_level
    if not isinstance(level, Classification):
        raise ModelFileError(f"{file}: expected a classification, got a regression")
    method = (
        f"unweighted average recall of {level.n} {chosen.split} files, each the mean of its chunks, as the exported "
        "file predicts them"
    )
    statistics = {"n": float(level.n), "chance": level.chance}
    if level.uar_interval:  # one file has none
        method += (
            f", with the 95 % interval of {level.n_resamples} bootstrap resamples of files; a class that a resample "
            "has no file of is left out of its mean"
        )
        statistics |= dict(zip(("low", "high"), level.uar_interval, strict=True))
    if absent := [label for label, n in zip(level.labels, level.support, strict=True) if not n]:
        method += f"; the split has no files of {', '.join(absent)}: UAR is the mean over the other classes"
    if chosen.split == "devel" and run.read(Path(system.model.run)).recipe.training.keep == "best":
        method += "; the run kept the epoch that was best on these files"
    return [Measurement("uar", level.uar, "ratio", method, statistics=statistics), *contents(file)], flags
