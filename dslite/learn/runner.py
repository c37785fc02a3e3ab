"""Train in the folder of a run: go on from its checkpoint, keep one after every epoch, leave weights and figures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslite import files
from dslite.codec import to_json
from dslite.learn import checkpoint, run
from dslite.learn.dataset import DataSet, Split, truth
from dslite.learn.evaluation import Evaluation, judged
from dslite.learn.history import Epoch, best_epoch
from dslite.learn.network import Network, predict
from dslite.learn.pictures import Pictures
from dslite.learn.tensorboard import Log
from dslite.learn.training import Lesson, Tell, in_users_unit, scale_of, train
from dslite.model.weights import save_weights
from dslite.recipe import TrainingRecipe
from dslite.records import Augmenter, Options

Floats = npt.NDArray[np.float32]


def lesson(data: DataSet, pictures: Pictures, features: Floats | None, learned: Sequence[Split], devel: bool) -> Lesson:
    """Put together what is learned from.

    Args:
        data: the data set.
        pictures: of all its files.
        features: of all chunks, float32 ``(chunks, d)``; None where no phase needs them.
        learned: the splits to learn from.
        devel: whether devel is scored after every epoch.
    """
    split = np.array([example.split for example in data.examples])
    known = truth(data.examples, data.labels)
    learned_from = np.isin(split, learned)
    if data.labels:
        targets = np.eye(len(data.labels), dtype=np.float32)[known]
    else:
        scale = scale_of(known[learned_from])
        targets = ((known.astype(np.float64) - scale.mean) / scale.std).astype(np.float32)[:, None]
    scored = pictures.of((split == "devel") & devel)
    known_features = np.zeros((len(pictures.levels), 0), np.float32) if features is None else features
    return Lesson(data.task, pictures, targets, pictures.of(learned_from), scored, known_features)


def epochs(
    folder: Path,
    network: Network,
    lesson: Lesson,
    recipe: TrainingRecipe,
    augmenters: Sequence[tuple[Augmenter, Options]],
    start: Callable[[str], Tell],
) -> Iterator[tuple[Epoch, ...]]:
    """Train in a run's folder; give the history first as it is there, then after every epoch, once that is kept.

    Arguments are those of `dslite.learn.training.train`.
    """
    initial = network.cnn.get_weights()
    place = folder / run.CHECKPOINT
    state = checkpoint.load(place, initial) if place.is_file() else None
    history = state.history if state else ()
    files.remove_half_written(folder)
    if history:  # the checkpoint is written first: a kill in between leaves an older history
        run.write_json(folder / run.HISTORY, [to_json(epoch) for epoch in history])
    log = Log(folder / run.TENSORBOARD, history)
    yield history
    for new in train(network, lesson, recipe.training, recipe.augmentation, augmenters, state, start):
        checkpoint.save(place, new, initial)
        run.write_json(folder / run.HISTORY, [to_json(epoch) for epoch in new.history])
        log.add(new.history[-1])
        yield new.history


def finish(
    folder: Path,
    network: Network,
    data: DataSet,
    pictures: Pictures,
    history: Sequence[Epoch],
    recipe: TrainingRecipe,
    learned: Sequence[Split],
    scored: Split,
    draw: Callable[[Evaluation, Path], None],
    tell: Tell,
) -> None:
    """Write weights, predictions, confusion matrix and, last, the figures of the split that is scored.

    Args:
        folder: of the run.
        network: with the weights that are kept; a regression's is changed to give numbers in the user's unit.
        data: the data set.
        pictures: of all its files.
        history: of the training.
        recipe: of the training.
        learned: the splits it learned from.
        scored: the split that is scored.
        draw: writes an evaluation's confusion matrix as a picture.
        tell: told what is done and the fraction done.
    """
    if not data.labels:
        in_users_unit(network, scale_of(truth(data.part(*learned), ())))
    with checkpoint.hdf5_written(folder / run.WEIGHTS) as file:
        save_weights(network.cnn, file)
    chosen = np.array([example.split == scored for example in data.examples])
    chunks = pictures.of(chosen)
    outputs = predict(network, pictures, chunks, tell)
    files_of = pictures.positions(chosen)
    evaluation = judged(scored, data.part(scored), data.labels, outputs, files_of, folder / run.PREDICTIONS)
    if data.labels:
        draw(evaluation, folder / run.CONFUSION)
    kept = len(history) - 1 if recipe.training.keep == "last" else best_epoch(history)
    run.write_json(folder / run.METRICS, {"kept_epoch": to_json(history[kept]), "evaluation": to_json(evaluation)})
    (folder / run.CHECKPOINT).unlink(missing_ok=True)
