"""Training on tiny pictures; what the command makes of it is in test_train_cli.py."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from conftest import small_backbone
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from dslite.errors import ModelFileError, RunError
from dslite.learn import checkpoint, policy
from dslite.learn.finetuning import Finetuner
from dslite.learn.history import Epoch, Phase, best_epoch, next_epoch
from dslite.learn.network import Network, predict, take_apart
from dslite.learn.pictures import Pictures
from dslite.learn.training import Lesson, Scale, State, _Loss, class_weights, in_users_unit, scale_of, train
from dslite.model.assembly import build_cnn
from dslite.model.keras import keras
from dslite.recipe import AugmentSpec, FrontendSpec, HeadSpec, Losses, Optimizer, TrainingRecipe, TrainSpec
from dslite.records import Augmenter
from dslite.registry import get_with_options

FRONTEND = FrontendSpec(n_mels=16, size_px=16, colour_map="none")
N_CLASSES = 3
QUICK = TrainSpec(head_epochs=2, finetune_epochs=2, learning_rate=0.01, batch_size=8)
PLAIN = AugmentSpec()
Task = Literal["classification", "regression"]


def lesson_of(network: Network, task: Task = "classification", n: int = 25, n_devel: int = 9) -> Lesson:
    """A bright band on noise, whose height is the class; a third of the files has two chunks."""
    rng = np.random.default_rng(5)
    n_chunks = np.where(np.arange(n + n_devel) % 3 == 0, 2, 1)
    file = np.repeat(np.arange(n + n_devel), n_chunks)
    levels = rng.integers(0, 80, (len(file), 16, 20), dtype=np.uint8)
    for picture, i in zip(levels, file, strict=True):
        band = 5 * (i % N_CLASSES)
        picture[band : band + 5] += 150
    pictures = Pictures(levels, np.full(n + n_devel, 20), n_chunks)
    features = np.asarray(network.features(levels))
    train, devel = (np.flatnonzero(part) for part in (file < n, file >= n))
    if task == "regression":
        targets = (np.arange(n + n_devel) % N_CLASSES + np.linspace(-1.2, -0.8, n + n_devel)).astype(np.float32)
        return Lesson(task, pictures, targets[:, None], train, devel, features)
    targets = np.eye(N_CLASSES, dtype=np.float32)[np.arange(n + n_devel) % N_CLASSES]
    return Lesson(task, pictures, targets, train, devel, features)


def network_of(task: Task = "classification", dropout: float = 0.25) -> Network:
    keras.utils.set_random_seed(3)
    head = HeadSpec(8, dropout, "linear" if task == "regression" else "softmax")
    cnn = build_cnn(small_backbone(), {}, FRONTEND.size_px, head, 1 if task == "regression" else N_CLASSES, None)
    return take_apart(cnn, FRONTEND)


def states(
    network: Network,
    lesson: Lesson,
    spec: TrainSpec = QUICK,
    augmentation: AugmentSpec = PLAIN,
    *,
    state: State | None = None,
) -> Iterator[State]:
    augmenters: Any = [get_with_options("augmenters", name) for name in augmentation.augmenters]
    return train(network, lesson, spec, augmentation, augmenters, state, lambda _: lambda *_: None)


def trained(task: Task = "classification", spec: TrainSpec = QUICK, **how: Any) -> tuple[Network, list[State]]:
    network = network_of(task)
    return network, list(states(network, lesson_of(network, task), spec, **how))


def equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module", autouse=True)
def _deterministic() -> Iterator[None]:
    """As `dslite train` has it; other tests draw without a seed, which this forbids."""
    from tensorflow.python.framework import config

    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


# -- which epoch comes, and which is kept -----------------------------------------------------------------

SCORES = st.one_of(st.none(), st.sampled_from([0.25, 0.5, 0.75]))
LOSSES = st.sampled_from([0.1, 0.5, 2.0])


def _epoch(phase: Phase, number: int, loss: float | None, score: float | None) -> Epoch:
    return Epoch(phase, number, 0.1, 1.0, loss, score)


@given(st.data(), st.integers(0, 5), st.integers(0, 5), st.integers(0, 3), st.booleans())
def test_epochs_come_in_order_and_a_phase_ends_by_number_or_patience(
    data: st.DataObject, n_head: int, n_finetune: int, patience: int, has_devel: bool
) -> None:
    n_head += n_head + n_finetune == 0
    spec = TrainSpec(head_epochs=n_head, finetune_epochs=n_finetune, patience=patience)
    history: list[Epoch] = []
    while coming := next_epoch(history, spec):
        loss, score = (data.draw(LOSSES), data.draw(SCORES)) if has_devel else (None, None)
        history.append(_epoch(*coming, loss, score))
    assert [epoch.phase for epoch in history] == sorted((epoch.phase for epoch in history), reverse=True)
    for phase, n_epochs in (("head", n_head), ("finetune", n_finetune)):
        done = [epoch for epoch in history if epoch.phase == phase]
        assert [epoch.epoch for epoch in done] == list(range(1, len(done) + 1))
        assert len(done) <= n_epochs
        if not patience or not has_devel:
            assert len(done) == n_epochs
        elif len(done) < n_epochs:
            assert best_epoch(done) == len(done) - 1 - patience
        else:
            assert not done or best_epoch(done[:-1] or done) >= len(done[:-1] or done) - 1 - patience


@given(st.lists(st.tuples(LOSSES, SCORES), min_size=1, max_size=8))
def test_the_best_epoch_has_the_best_score_then_loss_or_is_first(figures: list[tuple[float, float | None]]) -> None:
    best = best_epoch([_epoch("head", i, *pair) for i, pair in enumerate(figures)])
    ranks = [(-1.0 if score is None else score, -loss) for loss, score in figures]
    assert best == ranks.index(max(ranks))
    without_devel = [_epoch("head", i, None, None) for i in range(3)]
    assert best_epoch(without_devel) == 2  # the last


# -- weights and losses of samples ------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_balanced_weights_are_those_of_scikit_learn_and_count_all_classes_alike(classes: list[int]) -> None:
    known = [*classes, 0, 1, 2, 3]  # each occurs
    targets = np.eye(4, dtype=np.float32)[known]
    weights = class_weights(targets, TrainSpec(class_weights="balanced"))
    assert weights == pytest.approx(compute_class_weight("balanced", classes=np.arange(4), y=known), rel=1e-6)
    assert targets.sum(axis=0) * weights == pytest.approx(np.full(4, len(known) / 4), rel=1e-6)
    assert class_weights(targets, TrainSpec(class_weights="none")).tolist() == [1.0] * 4
    absent = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    assert class_weights(absent, TrainSpec(class_weights="balanced")).tolist() == [0.5, 1.0, 0.0]


def test_loss_is_cross_entropy_of_smoothed_labels_weighted_by_classes_or_the_squared_error() -> None:
    lesson = lesson_of(network_of())
    loss = _Loss(lesson, TrainSpec(label_smoothing=0.2))
    loss.class_weights = np.array([1.0, 2.0, 4.0], np.float32)
    targets = np.array([[1, 0, 0], [0.5, 0.25, 0.25]], np.float32)
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]], np.float32)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -((0.8 * targets + 0.2 / 3) * log_p).sum(axis=1)
    each = loss.of_each(targets, logits)
    assert np.asarray(each) == pytest.approx(expected, rel=1e-5)
    of_class = -(0.8 * log_p + 0.2 / 3 * log_p.sum(axis=1, keepdims=True))  # a sample's loss if it were of that class
    mixed = (targets * [1.0, 2.0, 4.0] * of_class).sum(axis=1)
    assert np.asarray(loss.weighted(targets, logits)) == pytest.approx(mixed, rel=1e-5)
    squared = _Loss(lesson_of(network_of("regression"), "regression"), TrainSpec())
    pair = (np.array([[1.0], [-2.0]], np.float32), np.array([[3.0], [-2.5]], np.float32))
    assert np.asarray(squared.of_each(*pair)).tolist() == np.asarray(squared.weighted(*pair)).tolist() == [4.0, 0.25]


# -- the phases -------------------------------------------------------------------------------------------


def test_it_learns() -> None:
    spec = TrainSpec(head_epochs=12, finetune_epochs=6, learning_rate=0.02, batch_size=8)
    network = network_of()
    lesson = lesson_of(network)
    *_, last = states(network, lesson, spec)
    assert last.history[-1].loss < 0.5 * last.history[0].loss
    assert last.history[-1].devel_loss is not None
    assert last.history[-1].devel_loss < 0.5
    outputs = predict(network, lesson.pictures, lesson.devel, lambda *_: None)
    truth = lesson.targets[lesson.pictures.file[lesson.devel]].argmax(axis=1)
    assert (outputs.argmax(axis=1) == truth).mean() > 0.9


def test_a_regression_learns_and_the_network_gives_numbers_in_the_users_unit() -> None:
    spec = TrainSpec(head_epochs=15, finetune_epochs=5, learning_rate=0.02, batch_size=8)
    network = network_of("regression")
    lesson = lesson_of(network, "regression")
    *_, last = states(network, lesson, spec)
    assert last.history[-1].devel_score is not None
    assert last.history[-1].devel_score > 0.8
    scaled = predict(network, lesson.pictures, lesson.devel, lambda *_: None)
    in_users_unit(network, Scale(mean=40.0, std=12.0))
    in_unit = predict(network, lesson.pictures, lesson.devel, lambda *_: None)
    assert in_unit == pytest.approx(scaled * 12 + 40, rel=1e-5)


@pytest.mark.parametrize(("n_layers", "changed"), [(0, []), (1, [3, 4]), (2, [1, 2, 3, 4]), (1000, [0, 1, 2, 3, 4])])
def test_phase_one_changes_the_head_and_phase_two_the_last_layers_too(n_layers: int, changed: list[int]) -> None:
    spec = dataclasses.replace(QUICK, head_epochs=1, finetune_epochs=1, finetune_layers=n_layers, keep="last")
    network = network_of()
    before = network.cnn.get_weights()
    names = [weight.name for weight in network.cnn.weights]
    moments = [i for i, name in enumerate(names) if "moving" in name]
    (backbone,) = (layer for layer in network.cnn.layers if isinstance(layer, keras.Model))
    learnable = [i for i in range(len(backbone.weights)) if i not in moments]
    first, second = states(network, lesson_of(network), spec)
    head = range(len(backbone.weights), len(names))

    def changes(one: Sequence[Any], other: Sequence[Any]) -> set[int]:
        return {i for i in range(len(names)) if not np.array_equal(one[i], other[i])}

    assert len(moments) == 2
    assert changes(before, first.weights) == set(head)
    assert changes(first.weights, second.weights) == {*head, *(learnable[i] for i in changed)}
    assert [epoch.learning_rate for epoch in second.history] == pytest.approx([0.01, 0.001])
    if not n_layers:
        *_, alone = states(network_of(), lesson_of(network), dataclasses.replace(QUICK, head_epochs=0))
        assert [(epoch.phase, epoch.epoch) for epoch in alone.history] == [("finetune", 1), ("finetune", 2)]


def test_phase_one_from_features_equals_phase_one_from_pictures() -> None:
    spec = dataclasses.replace(QUICK, head_epochs=3, finetune_epochs=0)
    never = AugmentSpec(("cutmix",), probability_min=0.0, probability_max=0.0)
    (one, from_features), (other, from_pictures) = trained(spec=spec), trained(spec=spec, augmentation=never)
    for a, b in zip(from_features[-1].history, from_pictures[-1].history, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-4)
        assert a.devel_loss == pytest.approx(b.devel_loss, rel=1e-4)
    for a, b in zip(one.cnn.get_weights(), other.cnn.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("augmenters", [(), ("cutmix:size=8", "specaugment:size=6")])
def test_a_last_batch_of_one_is_learned_from(augmenters: tuple[str, ...]) -> None:
    network = network_of()
    lesson = lesson_of(network)
    spec = dataclasses.replace(QUICK, batch_size=len(lesson.train) - 1)
    *_, last = states(network, lesson, spec, AugmentSpec(augmenters))
    assert np.isfinite(last.losses).all()
    assert np.isfinite([epoch.loss for epoch in last.history]).all()


def test_a_training_that_diverges_says_so() -> None:
    spec = TrainSpec("sgd", learning_rate=100, head_epochs=30, finetune_epochs=0)
    with pytest.raises(RunError, match="diverged; train with a lower learning rate"):
        trained("regression", spec)


def test_losses_of_the_last_visit_are_those_of_each_sample_and_a_regression_begins_at_the_mean() -> None:
    network = network_of(dropout=0.0)
    lesson = lesson_of(network)
    spec = dataclasses.replace(QUICK, learning_rate=1e-12, label_smoothing=0.1, class_weights="none")
    (state, *_) = states(network, lesson, spec)
    file = lesson.pictures.file[lesson.train]
    expected = _Loss(lesson, spec).of_each(lesson.targets[file], network.head(lesson.features[lesson.train]))
    assert state.losses == pytest.approx(np.asarray(expected), rel=1e-5)
    assert state.history[0].loss == pytest.approx(state.losses.mean(), rel=1e-5)
    network = network_of("regression")
    lesson = lesson_of(network, "regression")
    (state, *_) = states(network, lesson, dataclasses.replace(QUICK, learning_rate=1e-12))
    of_train = lesson.targets[lesson.pictures.file[lesson.train]]  # in standard deviations from the mean
    assert state.losses == pytest.approx(np.square(of_train[:, 0]), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("losses", get_args(Losses))
def test_strengths_follow_the_losses_that_the_recipe_names(losses: Losses) -> None:
    seen: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]] = []

    def look(images: Any, labels: Any, strength: Any, seed: Any, options: Any) -> tuple[Any, Any]:
        del seed, options
        note = tf.py_function(lambda *pair: seen.append(tuple(x.numpy() for x in pair)), [labels, strength], [])  # type: ignore[arg-type]
        with tf.control_dependencies([note] if note is not None else []):
            return tf.identity(images), labels

    network = network_of("regression", dropout=0.9)
    lesson = lesson_of(network, "regression", n=6)
    lesson = dataclasses.replace(lesson, train=np.unique(lesson.pictures.file, return_index=True)[1][:6])  # one a file
    spec = TrainSpec(head_epochs=3, finetune_epochs=0, batch_size=6, learning_rate=0.05)
    policy_spec = AugmentSpec(("look",), probability_min=1.0, probability_max=1.0, losses=losses)
    training = train(
        network, lesson, spec, policy_spec, [(Augmenter("look", look, "tests"), {})], None, lambda _: lambda *_: None
    )
    next(training)  # a regression begins at the mean: without a word from dropout
    last = next(training)
    targets = lesson.targets[lesson.pictures.file[lesson.train]]
    clean = np.asarray(_Loss(lesson, spec).of_each(targets, network.head(lesson.features[lesson.train])))
    next(training)
    ranked_by = last.losses if losses == "last-visit" else clean
    assert not np.array_equal(np.argsort(last.losses), np.argsort(clean))  # else this shows nothing
    labels, strength = seen[2]
    order = [int(np.flatnonzero(targets[:, 0] == label)[0]) for label in labels[:, 0]]
    assert strength == pytest.approx(np.asarray(policy.strengths(ranked_by[order], policy_spec)), abs=1e-6)


def test_dropout_is_drawn_from_its_seed() -> None:
    network = network_of(dropout=0.5)
    features = np.ones((4000, 8), np.float32)
    draws = [np.asarray(network.head(features, seed)) for seed in ((0, 1), (0, 1), (0, 2))]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    kept = np.asarray(network.head(features))
    assert np.array_equal(kept[0], kept[1])
    assert draws[0].mean(axis=0) == pytest.approx(kept[0], abs=0.5)


def test_another_seed_is_another_training_and_the_same_seed_the_same() -> None:
    finals = [trained(spec=dataclasses.replace(QUICK, seed=seed))[1][-1] for seed in (1, 1, 2)]
    assert equal(finals[0].weights, finals[1].weights)
    assert finals[0].history == finals[1].history
    assert not equal(finals[0].weights, finals[2].weights)


# -- ending and going on ----------------------------------------------------------------------------------


def _stopped_after_every_epoch(
    path: Path, task: Task, spec: TrainSpec, augmentation: AugmentSpec
) -> tuple[Network, State]:
    """Train with a network, phase and optimizer that are new for each epoch, as after a kill."""
    state: State | None = None
    while state is None or next_epoch(state.history, spec):
        network = network_of(task)
        initial = network.cnn.get_weights()
        state = checkpoint.load(path, initial) if path.exists() else None
        state = next(states(network, lesson_of(network, task), spec, augmentation, state=state))
        checkpoint.save(path, state, initial)
    network = network_of(task)
    state = checkpoint.load(path, network.cnn.get_weights())
    assert list(states(network, lesson_of(network, task), spec, augmentation, state=state)) == []
    return network, state


BOTH = ("cutmix:size=8", "specaugment:size=6")


@pytest.mark.parametrize(
    ("augmenters", "losses", "task"),
    [
        ((), "forward", "classification"),
        (BOTH, "forward", "regression"),
        # As test_train_cli.py has it for (BOTH, "last-visit", "classification"), with processes that are killed.
        *(
            pytest.param(augmenters, losses, task, marks=pytest.mark.slow)
            for augmenters in ((), BOTH)
            for losses in get_args(Losses)
            for task in get_args(Task)
            if (augmenters, losses, task) not in {((), "forward", "classification"), (BOTH, "forward", "regression")}
        ),
    ],
)
def test_a_training_stopped_after_any_epoch_ends_as_one_that_was_not(
    tmp_path: Path, augmenters: tuple[str, ...], losses: Losses, task: Task
) -> None:
    augmentation = AugmentSpec(augmenters, probability_min=0.3, probability_max=0.9, losses=losses)
    network, done = trained(task, augmentation=augmentation)
    other, last = _stopped_after_every_epoch(tmp_path / "checkpoint.h5", task, QUICK, augmentation)
    assert last.history == done[-1].history
    assert equal(network.cnn.get_weights(), other.cnn.get_weights())
    assert equal(last.optimizer, done[-1].optimizer)
    assert np.array_equal(last.losses, done[-1].losses)


QUICK_OPTIMIZERS = ("adadelta", "nadam")  # the paper's, and the one with a state of its own


@pytest.mark.parametrize(
    "name",
    [
        *QUICK_OPTIMIZERS,
        *(pytest.param(name, marks=pytest.mark.slow) for name in get_args(Optimizer) if name not in QUICK_OPTIMIZERS),
    ],
)
def test_every_optimizer_steps_and_goes_on(tmp_path: Path, name: Optimizer) -> None:
    spec = dataclasses.replace(QUICK, optimizer=name, head_epochs=2, finetune_epochs=0, keep="last")
    network, done = trained(spec=spec)
    assert not equal(network_of().cnn.get_weights(), network.cnn.get_weights())
    other, last = _stopped_after_every_epoch(tmp_path / "checkpoint.h5", "classification", spec, PLAIN)
    assert last.history == done[-1].history
    assert equal(network.cnn.get_weights(), other.cnn.get_weights())


def test_a_checkpoint_leaves_out_what_is_as_it_was_and_says_if_it_does_not_fit(tmp_path: Path) -> None:
    network = network_of()
    initial = network.cnn.get_weights()
    first = next(states(network, lesson_of(network)))
    path = tmp_path / "checkpoint.h5"
    checkpoint.save(path, first, initial)
    with h5py.File(path) as file:
        assert len(file["weights"]) == len(network.head_weights())
    read = checkpoint.load(path, initial)
    assert read.history == first.history
    assert equal(read.weights, first.weights)
    assert equal(read.kept, first.kept)
    whole = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"do not fit the model.*--force"):
        checkpoint.load(path, network_of("regression").cnn.get_weights())
    for damaged in (b"", b"text", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"expected a checkpoint.*--force begins anew"):
            checkpoint.load(path, initial)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_weights_of_the_best_or_the_last_epoch_are_kept(keep: Literal["best", "last"]) -> None:
    spec = dataclasses.replace(QUICK, keep=keep, learning_rate=0.1, finetune_rate=1.0, head_epochs=6)
    network, done = trained(spec=spec)
    best = best_epoch(done[-1].history)
    assert best != len(done) - 1  # else this shows nothing
    assert equal(network.cnn.get_weights(), done[best if keep == "best" else -1].weights)
    assert equal(done[-1].kept, network.cnn.get_weights())


# -- regression -------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=20))
def test_scaled_numbers_have_mean_zero_and_deviation_one(numbers: list[float]) -> None:
    known = np.array(numbers, np.float32)
    scale = scale_of(known)
    assert scale.std > 0
    scaled = (known.astype(np.float64) - scale.mean) / scale.std
    assert scaled.mean() == pytest.approx(0, abs=1e-6)
    assert scaled.std() == pytest.approx(1 if len(set(numbers)) > 1 else 0, abs=1e-6)
    assert scale_of(np.full(1000, 0.7, np.float32)) == Scale(float(np.float32(0.7)), 1.0)  # equal ones


# -- the loop as compressors have it ----------------------------------------------------------------------


def _finetuner(spec: TrainSpec, begun: list[str]) -> tuple[Any, Lesson, Finetuner]:
    """A model, what it learned from, and its second phase to be had again."""
    network = network_of()
    lesson = lesson_of(network)
    recipe = TrainingRecipe(frontend=FRONTEND, training=spec)

    def start(name: str) -> Callable[[str, float], None]:
        begun.append(name)
        return lambda *_: None

    return network.cnn, lesson, Finetuner(lesson, recipe, [], start)


def test_finetuning_trains_the_whole_model_with_the_rate_of_the_second_phase() -> None:
    begun: list[str] = []
    spec = dataclasses.replace(QUICK, finetune_rate=0.5, patience=1, keep="best")
    cnn, lesson, finetune = _finetuner(spec, begun)
    before = {layer.name: layer.get_weights() for layer in cnn.layers}
    finetune(cnn, epochs=3, rate=0.2)
    assert len(begun) == 3  # neither devel nor patience ends it
    after = {layer.name: layer.get_weights() for layer in cnn.layers}
    assert not equal(before["hidden"], after["hidden"])
    (backbone,) = (layer for layer in cnn.layers if isinstance(layer, keras.Model))
    assert not equal(before[backbone.name], after[backbone.name])

    # The same by the training itself, with all that is asked for written out.
    network = network_of()
    spec = dataclasses.replace(QUICK, head_epochs=0, finetune_epochs=3, finetune_layers=1000, finetune_rate=0.1)
    spec = dataclasses.replace(spec, keep="last")
    learned = dataclasses.replace(lesson, devel=lesson.devel[:0])
    weights = tuple(network.cnn.get_weights())
    losses = np.full(len(lesson.train), np.inf, np.float32)
    assert list(states(network, learned, spec, state=State((), weights, (), weights, losses)))
    assert equal(network.cnn.get_weights(), cnn.get_weights())


def test_every_call_of_finetuning_draws_anew_and_the_same_calls_the_same() -> None:
    def learned() -> list[Any]:
        cnn, _, finetune = _finetuner(QUICK, [])
        weights, found = cnn.get_weights(), []
        for _ in range(2):
            cnn.set_weights(weights)
            finetune(cnn)
            found.append(cnn.get_weights())
        return found

    (one, another), again = learned(), learned()
    assert not equal(one, another)
    assert equal(one, again[0])
    assert equal(another, again[1])


def test_finetuning_counts_steps_and_gives_pictures_of_the_training_alone() -> None:
    _, lesson, finetune = _finetuner(QUICK, [])
    assert finetune.n_steps(3) == 3 * -(-len(lesson.train) // QUICK.batch_size)
    pictures = finetune.pictures(5)
    assert (pictures.shape, pictures.dtype) == ((5, 16, 16, 3), np.float32)
    assert np.array_equal(pictures, finetune.pictures(5))
    assert len(finetune.pictures(10_000)) == len(lesson.train)
