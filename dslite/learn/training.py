"""Two-phase transfer learning: the head alone, then the backbone's last layers with it.

Source: S. Amiriparian et al., "DeepSpectrumLite", 2022, sections 2.1 and 3.2. Every random number comes from the
recipe's seed and the number of the step, so a training that goes on from its last epoch ends as it would have without
the stop.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dslite.audio.frontend import coloured
from dslite.errors import RunError
from dslite.learn import policy
from dslite.learn.dataset import Task
from dslite.learn.evaluation import evaluate
from dslite.learn.history import Epoch, Phase, best_epoch, next_epoch
from dslite.learn.network import Network, any_number_of, in_batches
from dslite.learn.pictures import Pictures
from dslite.model.keras import keras
from dslite.recipe import AugmentSpec, Optimizer, Precision, Schedule, TrainSpec
from dslite.records import Augmenter, Options

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned from.

    Attributes:
        task: classification or regression.
        pictures: of the whole data set.
        targets: of each file, float32 ``(files, k)``: one-hot rows, or ``(files, 1)`` numbers of a regression, scaled.
        train: indices of the chunks to learn from; one or more.
        devel: indices of the chunks to score after every epoch; may be none.
        features: of all chunks by the backbone as it comes, float32 ``(chunks, d)``; not looked at where the backbone
            learns from the first epoch on (`needs_features`).
    """

    task: Task
    pictures: Pictures
    targets: Floats
    train: Indices
    devel: Indices
    features: Floats


def needs_features(network: Network, spec: TrainSpec) -> bool:
    """Tell whether there is a phase in which the backbone is frozen; layers without weights have nothing to learn."""
    return bool(spec.head_epochs) or not network.last_weights(spec.finetune_layers)


@dataclass(frozen=True, slots=True)
class Scale:
    """The numbers of a regression as the network learns them: (number - mean) / std, over the training files.

    Attributes:
        mean: in the user's unit.
        std: likewise, above 0.
    """

    mean: float
    std: float


def scale_of(numbers: Floats) -> Scale:
    """Give mean and standard deviation; 1 in its place where all numbers are equal."""
    exact = numbers.astype(np.float64)
    differ = exact.min() < exact.max()  # of equal numbers, rounding can leave a deviation above 0
    return Scale(float(exact.mean()), float(exact.std()) if differ else 1.0)


def in_users_unit(network: Network, scale: Scale) -> None:
    """Change the output layer of a network that learned scaled numbers, so that it gives them in the user's unit."""
    output = network.cnn.get_layer("output")
    output.kernel.assign(output.kernel * scale.std)
    output.bias.assign(output.bias * scale.std + scale.mean)


@dataclass(frozen=True, slots=True)
class State:
    """A training between two epochs: all that is needed to go on.

    Attributes:
        history: of the epochs done.
        weights: of the model.
        optimizer: variables of the phase's optimizer.
        kept: weights of the best epoch until now; the model's own where the last is kept.
        losses: of each training chunk at its last visit, float32 ``(train,)``; infinite before the first.
    """

    history: tuple[Epoch, ...]
    weights: tuple[Floats, ...]
    optimizer: tuple[npt.NDArray[Any], ...]
    kept: tuple[Floats, ...]
    losses: Floats


def class_weights(targets: Floats, spec: TrainSpec) -> Floats:
    """Give the weight of each class from one-hot rows, float32 ``(k,)``: n / (k n_class), or 1 for all.

    A class without rows has 0.
    """
    if spec.class_weights == "none":
        return np.ones(targets.shape[1], np.float32)
    n_of_class = targets.sum(axis=0)
    return np.where(n_of_class > 0, len(targets) / (targets.shape[1] * np.maximum(n_of_class, 1)), 0).astype(np.float32)


def train(
    network: Network,
    lesson: Lesson,
    spec: TrainSpec,
    augmentation: AugmentSpec,
    augmenters: Sequence[tuple[Augmenter, Options]],
    state: State | None,
    start: Callable[[str], Tell],
) -> Iterator[State]:
    """Train a network in place and give the state after every epoch; at the end it has the weights that are kept.

    Args:
        network: as built, its backbone with the weights it starts from.
        lesson: what is learned from.
        spec: phases, optimizer, seed.
        augmentation: the policy.
        augmenters: records and their options, in the order they are applied; none: no augmentation.
        state: to go on from, or None.
        start: called with the name of an epoch as it begins; what it returns is told how far it is.

    Raises:
        RunError: where the model diverges.
    """
    state = state or _first_state(network, lesson)
    network.cnn.set_weights(state.weights)
    phase: _Phase | None = None
    while coming := next_epoch(state.history, spec):
        if phase is None or phase.name != coming[0]:
            phase = _Phase(coming[0], network, lesson, spec, augmentation, augmenters)
            if coming[1] > 1:
                phase.load(state.optimizer)
        n_before = len(state.history)
        tell = start(f"{coming[0]} epoch {coming[1]}")
        with _products_in(spec.precision):
            mean_loss, losses = phase.run(n_before, coming[1], state.losses, tell)
        devel_loss, devel_score = phase.score() if len(lesson.devel) else (None, None)
        epoch = Epoch(coming[0], coming[1], phase.learning_rate, mean_loss, devel_loss, devel_score)
        history = (*state.history, epoch)
        weights = tuple(network.cnn.get_weights())
        is_kept = spec.keep == "last" or best_epoch(history) == n_before
        state = State(history, weights, phase.variables(), weights if is_kept else state.kept, losses)
        yield state
    network.cnn.set_weights(state.kept)


_BFLOAT16 = "auto_mixed_precision_onednn_bfloat16"


@contextmanager
def _products_in(precision: Precision) -> Iterator[None]:
    """While the block runs, have the functions that TensorFlow makes ready compute products in this precision."""
    tf.config.optimizer.set_experimental_options({_BFLOAT16: precision == "bfloat16"})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_BFLOAT16: False})


def _first_state(network: Network, lesson: Lesson) -> State:
    if lesson.task == "regression":
        # It begins at the mean: where a backbone's features are large, random weights begin so far from it (squared
        # errors of 40 and more standard deviations) that the epochs go by before it is found.
        output = network.cnn.get_layer("output")
        output.kernel.assign(tf.zeros_like(output.kernel))
    weights = tuple(network.cnn.get_weights())
    return State((), weights, (), weights, np.full(len(lesson.train), np.inf, np.float32))


_WARM_UP = 0.1


def share_of_rate(schedule: Schedule, done: float) -> float:
    """Give the share of a phase's learning rate that holds when a fraction of the phase, 0 to 1, is done."""
    if schedule == "constant":
        return 1.0
    if done < _WARM_UP:
        return done / _WARM_UP
    return 0.5 * (1.0 + math.cos(math.pi * (done - _WARM_UP) / (1.0 - _WARM_UP)))


class _Loss:
    """Cross-entropy with class weights and label smoothing; of a regression, the squared error."""

    def __init__(self, lesson: Lesson, spec: TrainSpec) -> None:
        self.regression = lesson.task == "regression"
        self.smoothing = spec.label_smoothing
        targets = lesson.targets[lesson.pictures.file[lesson.train]]
        self.class_weights = np.ones(1, np.float32) if self.regression else class_weights(targets, spec)

    def weighted(self, targets: Any, logits: Any) -> Any:
        """Give the loss of each sample with its class's weight; of mixed labels, the mix of their classes' losses."""
        return self.of_each(targets, logits, self.class_weights)

    def of_each(self, targets: Any, logits: Any, weights: Any = 1.0) -> Any:
        """Give the loss of each sample, float32 ``(n,)``, all classes alike or with weights, float32 ``(k,)``."""
        if self.regression:
            return tf.reduce_sum(tf.square(logits - targets), axis=-1)
        of_class = -tf.nn.log_softmax(logits)
        smooth = (1.0 - self.smoothing) * of_class + self.smoothing * tf.reduce_mean(of_class, axis=-1, keepdims=True)
        return tf.reduce_sum(targets * weights * smooth, axis=-1)


def _optimizer(name: Optimizer, learning_rate: float) -> Any:
    # By class: `keras.optimizers.get` does not know all of them.
    (found,) = (getattr(keras.optimizers, each) for each in dir(keras.optimizers) if each.lower() == name)
    return found(learning_rate=learning_rate)


class _Phase:
    """One of the two phases, ready to run its epochs."""

    def __init__(
        self,
        name: Phase,
        network: Network,
        lesson: Lesson,
        spec: TrainSpec,
        augmentation: AugmentSpec,
        augmenters: Sequence[tuple[Augmenter, Options]],
    ) -> None:
        self.name = name
        self.learning_rate = spec.learning_rate * (spec.finetune_rate if name == "finetune" else 1.0)
        self._n_epochs = spec.finetune_epochs if name == "finetune" else spec.head_epochs
        self._network, self._lesson, self._spec = network, lesson, spec
        backbone = network.last_weights(spec.finetune_layers) if name == "finetune" else []
        self._frozen = not backbone
        self._learned = [*backbone, *network.head_weights()]
        self._optimizer = _optimizer(spec.optimizer, self.learning_rate)
        self._optimizer.build(self._learned)
        self._loss = _Loss(lesson, spec)
        self._augmentation, self._augmenters = augmentation, augmenters
        self._ranks_by_forward_pass = bool(augmenters) and augmentation.losses == "forward"
        self._seen = lesson.features if self._frozen else lesson.pictures.levels
        self._learned_from = lesson.pictures.levels if augmenters else self._seen
        self._learns_from_features = self._frozen and not augmenters
        # With signatures each is traced once: the last batch of an epoch may be smaller than the others.
        inputs, seen, targets = map(any_number_of, (self._learned_from, self._seen, lesson.targets))
        losses, seed = tf.TensorSpec((None,)), tf.TensorSpec((2,), tf.int32)
        self._step = tf.function(self._learn, [inputs, targets, losses, seed])
        self._clean_losses = tf.function(self._clean, [seen, targets])
        self._outputs = tf.function(self._predict, [seen])

    def _learn(self, inputs: Any, targets: Any, losses: Any, seed: Any) -> tuple[Any, Any]:
        """Make a step; `inputs` are levels, or features where the backbone is frozen and nothing is augmented."""
        dropout_seed, augment_seed = (tf.random.experimental.stateless_fold_in(seed, i) for i in range(2))
        images = inputs if self._learns_from_features else coloured(inputs, self._network.frontend)
        if self._augmenters:
            images, targets = policy.augment(
                images, targets, losses, self._augmenters, self._augmentation, augment_seed
            )
        with tf.GradientTape() as tape:
            training = self._network.training
            pooled = images if self._learns_from_features else self._network.extractor(images, training=training)
            pooled = tf.stop_gradient(pooled) if self._frozen else pooled
            logits = self._network.head(pooled, dropout_seed)
            weighted = self._loss.weighted(targets, logits)
            mean = tf.reduce_mean(weighted)
        gradients = tape.gradient(mean, self._learned)
        self._optimizer.apply_gradients(zip(gradients, self._learned, strict=True))
        return weighted, self._loss.of_each(targets, logits)

    def _clean(self, inputs: Any, targets: Any) -> Any:
        """Give losses without augmentation; `inputs` are levels, or features where the backbone is frozen."""
        return self._loss.of_each(targets, self._predict(inputs))

    def _predict(self, inputs: Any) -> Any:
        return self._network.head(inputs if self._frozen else self._network.features(inputs))

    def variables(self) -> tuple[npt.NDArray[Any], ...]:
        """Give the optimizer's variables: its counter of steps, and what it keeps for each weight."""
        return tuple(variable.numpy() for variable in self._optimizer_variables())

    def load(self, variables: Sequence[npt.NDArray[Any]]) -> None:
        """Put the optimizer's variables back."""
        for variable, value in zip(self._optimizer_variables(), variables, strict=True):
            variable.assign(value)

    def _optimizer_variables(self) -> list[Any]:
        of_nadam = getattr(self._optimizer, "_u_product", None)  # which Keras forgets to list
        return [*self._optimizer.variables, *([] if of_nadam is None else [of_nadam])]

    def run(self, n_before: int, epoch: int, losses: Floats, tell: Tell) -> tuple[float, Floats]:
        """Run epoch `epoch` of this phase, after `n_before` of both; give the mean loss, and that of each chunk."""
        lesson, spec = self._lesson, self._spec
        file = lesson.pictures.file
        order = np.random.default_rng((spec.seed, n_before)).permutation(len(lesson.train))
        starts = range(0, len(order), spec.batch_size)
        visited, total = losses.copy(), 0.0
        for step, start in enumerate(starts):
            batch = order[start : start + spec.batch_size]
            chunks = lesson.train[batch]
            targets = lesson.targets[file[chunks]]
            ranked_by = visited[batch]
            if self._ranks_by_forward_pass:
                ranked_by = self._clean_losses(self._seen[chunks], targets)
            # A step is timed by its middle: neither the first nor the last learns nothing.
            done = (epoch - 1 + (step + 0.5) / len(starts)) / self._n_epochs
            self._optimizer.learning_rate.assign(self.learning_rate * share_of_rate(spec.schedule, done))
            seed = np.array((spec.seed, n_before * len(starts) + step), np.int32)
            weighted, each = self._step(self._learned_from[chunks], targets, ranked_by, seed)
            visited[batch] = each
            total += float(tf.reduce_sum(weighted))
            tell(f"loss {total / (start + len(batch)):.3f}", (step + 1) / len(starts))
        if not math.isfinite(total):
            raise RunError(
                "the loss is no finite number any more: the model diverged; train with a lower learning rate"
            )
        return total / len(order), visited

    def score(self) -> tuple[float, float | None]:
        """Give the mean loss of the devel chunks and the score of the devel files."""
        lesson = self._lesson
        logits = in_batches(self._outputs, self._seen, lesson.devel, lambda *_: None)
        file = lesson.pictures.file[lesson.devel]
        loss = float(tf.reduce_mean(self._loss.of_each(lesson.targets[file], logits)))
        outputs = self._network.activated(tf.constant(logits))
        classes = [] if lesson.task == "regression" else [str(i) for i in range(lesson.targets.shape[1])]
        truth = lesson.targets.argmax(axis=1) if classes else lesson.targets[:, 0]
        return loss, evaluate("devel", classes, truth, outputs, file, n_resamples=0).score
