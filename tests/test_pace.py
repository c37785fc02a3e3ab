"""The time left of an experiment, of rows whose durations are known, by a clock that the test sets."""

import pytest

from dslite.cli.options import ModelRequest
from dslite.experiment.building import System
from dslite.experiment.compression import Trial
from dslite.experiment.eta import TURN_COST, Pace, epochs_of
from dslite.experiment.jobs import Case
from dslite.recipe import HeadSpec, Recipe

ROW_S, EPOCH_S, N_TURNS = 5.0, 60.0, 30
N_EPOCHS = (0.0, 0.0, 3.0, 0.0, 1.0, 0.0)
"""Of two rows of the model as it is, and two each of two compressed ones."""


def _seconds(n_epochs: float) -> float:
    return ROW_S + n_epochs * EPOCH_S


def test_the_time_left_is_that_of_the_trainings_and_rows_to_come() -> None:
    now = 0.0
    pace = Pace(N_EPOCHS, N_TURNS, 0.9, lambda: now)
    rounds_s = TURN_COST * ROW_S * N_TURNS
    total = sum(map(_seconds, N_EPOCHS)) + rounds_s
    assert pace.seconds_left() is None
    for number, n_epochs in enumerate(N_EPOCHS):
        pace.begin()
        if number < 2:
            pace.at(0.3)
            assert pace.seconds_left() is None  # what an epoch takes is not known before one was seen
        if number == 2:
            pace.at(0.01)
            now += 2.0
            assert pace.seconds_left() is None
            pace.at(0.45)  # half of the training
            now += n_epochs * EPOCH_S / 2 - 2.0
            assert pace.seconds_left() == pytest.approx(total - now, rel=0.02)
            now -= n_epochs * EPOCH_S / 2
        pace.at(0.3)
        now += _seconds(n_epochs)
    pace.begin()
    assert pace.seconds_left() is None
    pace.at(0.25)
    now += rounds_s / 4
    assert pace.seconds_left() == pytest.approx(rounds_s * 3 / 4)


def test_between_rows_the_time_left_is_known_from_the_first_training_on() -> None:
    now = 0.0
    pace = Pace(N_EPOCHS, 0, 0.9, lambda: now)
    for number, n_epochs in enumerate(N_EPOCHS):
        pace.begin()
        if number > 2:
            assert pace.seconds_left() == pytest.approx(sum(map(_seconds, N_EPOCHS[number:])))
        pace.at(0.3)
        now += _seconds(n_epochs)


def test_what_the_cache_had_and_what_failed_tell_nothing_of_trainings() -> None:
    now = 0.0
    pace = Pace((0.0, 0.0, 8.0, 20.0), 0, 0.9, lambda: now)
    for shares in ([0.3, 1.0], [], [0.9, 1.0]):  # a row, one that failed before it began, one whose model was there
        pace.begin()
        for share in shares:
            pace.at(share)
        now += ROW_S if shares else 0.1
    pace.begin()
    assert pace.seconds_left() is None
    pace.at(0.45)
    now += 10 * EPOCH_S
    assert pace.seconds_left() == pytest.approx(10 * EPOCH_S + ROW_S)


def test_a_case_trains_for_the_compressors_that_none_before_it_had() -> None:
    def case(*compressors: str) -> Case:
        model = ModelRequest(HeadSpec(), ("a", "b"), "none", 0)
        trial = Trial("table.csv", None, 0, "key", "test", compressors)
        return Case("host-litert", None, System("mobilenet_v2", model, Recipe()), "whole", "tflite-int8", (), trial)

    prune, qat = "prune:epochs=4", "qat:epochs=2"
    cases = [case(), case(prune), case(prune), case(prune, qat), case(qat), case("cluster", qat)]
    assert epochs_of(cases) == [0, 4, 0, 2, 2, 3 + 2]
