"""``dslite train``."""

import dataclasses
import datetime as dt
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dslite import locks
from dslite.cli.console import TERMINAL, Steps, json_option, out, print_json, progress
from dslite.cli.data import data_options
from dslite.cli.options import OutputPath
from dslite.cli.recipes import SectionedCommand, training_options
from dslite.codec import to_json
from dslite.errors import SpecError
from dslite.experiment import building, caching, feature_cache, keys
from dslite.experiment.data import DataRequest
from dslite.learn import run
from dslite.learn.dataset import DataSet, Split, Task
from dslite.learn.history import Epoch, best_epoch, next_epoch
from dslite.learn.pictures import check_parts
from dslite.measure.environment import commit, environment
from dslite.native import native_output_hidden
from dslite.recipe import TrainingRecipe, TrainSpec
from dslite.recipes import to_toml
from dslite.registry import get_with_options
from dslite.report.evaluation import confusion_png, evaluation_tables

if TYPE_CHECKING:
    from dslite.learn.network import Network
    from dslite.learn.training import Lesson

_FROM_FEATURES = 0.01
"""What a step of the head alone costs, in passes of a chunk through a backbone."""
_TRAINING = 3.0
"""What a step with gradients costs: once forward, and about twice that back."""
_SCORES = {"classification": "UAR", "regression": "CCC"}


@click.command(
    cls=SectionedCommand,
    epilog="Example: dslite train data/labels.csv --backbone mobilenet_v2 --augment cutmix --augment specaugment "
    "-o runs/first",
)
@data_options
@click.option("-o", "--output", type=OutputPath(folder=True, parents=True), required=True, help="Folder of the run.")
@click.option("--final", is_flag=True, help="Learn from train and devel, and score test once.")
@click.option("--force", is_flag=True, help="Begin anew where the folder holds an earlier run, which is deleted.")
@training_options
@json_option
def command(data: DataRequest, output: Path, final: bool, force: bool, recipe: TrainingRecipe, as_json: bool) -> None:
    """Train a model on the audio and labels of DATA.

    DATA is a CSV file with the columns file, label and, where they are known, speaker and split (train, devel, test).

    First the head learns alone, then the backbone's last layers with it. The folder of the run holds recipe, weights,
    history, the evaluation on devel, and logs for TensorBoard; `dslite evaluate`, `export`, `predict` and `bench` take
    it. A training that was stopped, or killed, goes on after its last epoch when the same command is given again.
    """
    table = data.read()
    recipe = dataclasses.replace(
        recipe, head=dataclasses.replace(recipe.head, output="softmax" if table.labels else "linear")
    )
    model = building.ModelRequest(recipe.head, table.labels, recipe.weights, recipe.training.seed)
    system = building.System(recipe.backbone, model, recipe.system)
    building.check(system)
    _check_parts(table, final=final)
    info = _info(table, recipe, data.split_seed, final=final)
    anew = not _goes_on(output, info, force=force)
    if anew or not run.is_complete(output):
        with caching.ready(TERMINAL), native_output_hidden():
            _train(output, info, table, system, force=force, anew=anew)
    else:
        TERMINAL.note(f"{output} is complete: nothing is left to train; --force would begin anew")
    kept, evaluation = run.read_outcome(output)
    if as_json:
        print_json({"run": str(output), "kept_epoch": to_json(kept), "evaluation": to_json(evaluation)})
        return
    console = out()
    console.print(evaluation_tables(evaluation, console.width))
    click.echo(f"{output}: weights of {_named(kept, info.task)}{_why_kept(kept, recipe.training)}")


def _check_parts(table: DataSet, *, final: bool) -> None:
    scored: Split = "test" if final else "devel"
    if not table.part(scored):
        cure = "leave --final away" if final else "add one, or learn from all of it with --final, which scores test"
        raise SpecError(f"expected a {scored} split to score on, the table has none: {cure}")


def _info(table: DataSet, recipe: TrainingRecipe, split_seed: int, *, final: bool) -> run.RunInfo:
    augmenters = [keys.plugin("augmenters", name) for name in recipe.augmentation.augmenters]
    return run.RunInfo(
        task=table.task,
        labels=table.labels,
        final=final,
        recipe=recipe,
        begun_with={
            "the data set": feature_cache.data_key(table),
            # ImageNet's are known by backbone and Keras: on disk they may not be there before the first training.
            run.WEIGHT_FILE: keys.key(recipe.weights == "imagenet" or keys.weights(recipe.weights)),
            "the backbone's plugin": keys.key(keys.plugin("backbones", recipe.backbone)),
            "an augmenter's plugin": keys.key(augmenters),
            "dslite, or a library it uses,": keys.key(keys.surroundings()),
        },
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        # Given again, it goes on: to begin anew is a wish of now.
        command=shlex.join(["dslite", *(word for word in sys.argv[1:] if word != "--force")]),
        split_seed=split_seed,
    )


def _goes_on(output: Path, info: run.RunInfo, *, force: bool) -> bool:
    """Tell whether the folder holds this very training, to go on; refuse one that holds something else."""
    if not run.is_run(output):
        if output.exists() and not output.is_dir():
            raise SpecError(f"{output} is a file, expected a folder: take another name")
        if output.is_dir() and any(output.iterdir()):
            raise SpecError(f"{output} is a folder with other files, and no run: take another name")
        return False
    locks.check_free(output)
    if force:
        strangers = run.strangers(output)
        if strangers:
            raise SpecError(
                f"{output}: --force would delete {', '.join(strangers)} too: move that away, or take another folder"
            )
        return False
    found = run.differences(output, info)
    if found:
        raise SpecError(
            f"{output} holds a run that was begun otherwise ({'; '.join(found)}): take another folder, or --force to "
            "begin anew"
        )
    return True


def _train(
    output: Path, info: run.RunInfo, table: DataSet, system: building.System, *, force: bool, anew: bool
) -> None:
    scored: Split = "test" if info.final else "devel"
    with progress([1.0, 1.0, 3.0]) as steps:
        pictures = feature_cache.pictures(table.examples, system.recipe, steps.start("reading audio"))
        check_parts(table, pictures, info.learned, scored)
        report = steps.start("starting TensorFlow")
        import tensorflow as tf

        from dslite.learn import policy, runner
        from dslite.learn.training import needs_features

        tf.config.experimental.enable_op_determinism()  # the same command, the same weights, also after a stop
        augmenters = [get_with_options("augmenters", name) for name in info.recipe.augmentation.augmenters]
        policy.check(augmenters, system.recipe.frontend.size_px, len(table.labels) or 1)
        network = feature_cache.network(system, report)
        report = steps.start(f"features of {system.name}")
        features = None
        _note_nothing_unfrozen(info.recipe, network)
        if needs_features(network, info.recipe.training):
            features = feature_cache.features(system, pictures, lambda: network, report)
    feature_cache.note_dropped(pictures, TERMINAL)
    lesson = runner.lesson(table, pictures, features, info.learned, devel=scored == "devel")
    with locks.claimed(output), progress(_costs(lesson, info.recipe)) as steps:
        if anew:
            if _goes_on(output, info, force=force):  # looked at again: to come here took a while
                raise SpecError(f"{output}: another process has begun this training meanwhile: give the command again")
            run.begin(output, info, to_toml(info.recipe), table, {"commit": commit(), **environment()})
        epochs = runner.epochs(output, network, lesson, info.recipe, augmenters, steps.start)
        history = next(epochs)
        steps.skip_to(_n_behind(history, info.recipe.training))
        if history:
            steps.tell(f"going on after {history[-1].phase} epoch {history[-1].epoch}")
        with _told_that_it_goes_on(output):
            for history in epochs:
                coming = next_epoch(history, info.recipe.training)
                if coming and coming[0] != history[-1].phase:
                    steps.pace_changes()
                _tell(history, info, steps)
                steps.skip_to(_n_behind(history, info.recipe.training))
        report = steps.start(f"scoring {scored}")
        runner.finish(
            output, network, table, pictures, history, info.recipe, info.learned, scored, confusion_png, report
        )


def _note_nothing_unfrozen(recipe: TrainingRecipe, network: "Network") -> None:
    """Say where the last layers are asked for, and are such as have no weights."""
    spec = recipe.training
    if spec.finetune_epochs and spec.finetune_layers and not network.last_weights(spec.finetune_layers):
        layers = "last layer has" if spec.finetune_layers == 1 else f"last {spec.finetune_layers} layers have"
        told = f"{recipe.backbone}: its {layers} no weights, so it stays frozen in the second phase too"
        TERMINAL.note(f"{told}: a larger --finetune-layers unfreezes it")


def _costs(lesson: "Lesson", recipe: TrainingRecipe) -> list[float]:
    """Estimate what each epoch costs, in chunks through the backbone, and the scoring at the end."""
    spec, n_train, n_devel = recipe.training, len(lesson.train), len(lesson.devel)
    augmented = bool(recipe.augmentation.augmenters)
    head = n_train if augmented else _FROM_FEATURES * n_train
    passes = _TRAINING + (1.0 if augmented and recipe.augmentation.losses == "forward" else 0.0)
    finetune = passes * n_train + n_devel if spec.finetune_layers else head
    return [head] * spec.head_epochs + [finetune] * spec.finetune_epochs + [float(n_devel or n_train / 4)]


def _n_behind(history: Sequence[Epoch], spec: TrainSpec) -> int:
    """Count the epochs that are done, or left out as a phase ended early."""
    coming = next_epoch(history, spec)
    if coming is None:
        return spec.head_epochs + spec.finetune_epochs
    return (spec.head_epochs if coming[0] == "finetune" else 0) + coming[1] - 1


def _tell(history: Sequence[Epoch], info: run.RunInfo, steps: Steps) -> None:
    """Tell the epoch that was done last; of those that take no time, the best until then and the last of the phase."""
    last, spec = history[-1], info.recipe.training
    is_quick = last.phase == "head" and not info.recipe.augmentation.augmenters
    is_best = last.devel_loss is not None and best_epoch(history) == len(history) - 1
    if not is_quick or is_best or _n_behind(history, spec) >= spec.head_epochs:
        steps.tell(_named(last, info.task, f"loss {last.loss:.3f}"))


def _named(epoch: Epoch, task: Task, *more: str) -> str:
    score = () if epoch.devel_score is None else (f"devel {_SCORES[task]} {epoch.devel_score:.3f}",)
    said = ", ".join((*more, *score))
    return f"{epoch.phase} epoch {epoch.epoch}{said and f': {said}'}"


def _why_kept(epoch: Epoch, spec: TrainSpec) -> str:
    return ", the last" if spec.keep == "last" or epoch.devel_loss is None else ", the best on devel"


@contextmanager
def _told_that_it_goes_on(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        TERMINAL.note(f"{folder} keeps every whole epoch: the same command goes on from there")
        raise
