"""The time left of an experiment, of rows whose durations are known, by a clock that the test sets."""

import pytest

from dslite.experiment.building import ModelRequest, System
from dslite.experiment.compression import Compression
from dslite.experiment.eta import TURN_COST, Eta, epochs_of
from dslite.experiment.jobs import Job
from dslite.recipe import HeadSpec, Recipe

ROW_S, EPOCH_S, N_TURNS = 5.0, 60.0, 30
N_EPOCHS = (0.0, 0.0, 3.0, 0.0, 1.0, 0.0)
"""Of two rows of the model as it is, and two each of two compressed ones."""


def _seconds(n_epochs: float) -> float:
    return ROW_S + n_epochs * EPOCH_S


def test_the_time_left_is_that_of_the_trainings_and_rows_to_come() -> None:
    now = 0.0
    eta = Eta(N_EPOCHS, N_TURNS, 0.9, lambda: now)
    rounds_s = TURN_COST * ROW_S * N_TURNS
    total = sum(map(_seconds, N_EPOCHS)) + rounds_s
    assert eta.seconds_left() is None
    for number, n_epochs in enumerate(N_EPOCHS):
        eta.begin()
        if number < 2:
            eta.at(0.3)
            assert eta.seconds_left() is None  # what an epoch takes is not known before one was seen
        if number == 2:
            eta.at(0.01)
            now += 2.0
            assert eta.seconds_left() is None
            eta.at(0.45)  # half of the training
            now += n_epochs * EPOCH_S / 2 - 2.0
            assert eta.seconds_left() == pytest.approx(total - now, rel=0.02)
            now -= n_epochs * EPOCH_S / 2
        eta.at(0.3)
        now += _seconds(n_epochs)
    eta.begin()
    assert eta.seconds_left() is None
    eta.at(0.25)
    now += rounds_s / 4
    assert eta.seconds_left() == pytest.approx(rounds_s * 3 / 4)


def test_between_rows_the_time_left_is_known_from_the_first_training_on() -> None:
    now = 0.0
    eta = Eta(N_EPOCHS, 0, 0.9, lambda: now)
    for number, n_epochs in enumerate(N_EPOCHS):
        eta.begin()
        if number > 2:
            assert eta.seconds_left() == pytest.approx(sum(map(_seconds, N_EPOCHS[number:])))
        eta.at(0.3)
        now += _seconds(n_epochs)


def test_what_the_cache_had_and_what_failed_tell_nothing_of_trainings() -> None:
    now = 0.0
    eta = Eta((0.0, 0.0, 8.0, 20.0), 0, 0.9, lambda: now)
    for shares in ([0.3, 1.0], [], [0.9, 1.0]):  # a row, one that failed before it began, one whose model was there
        eta.begin()
        for share in shares:
            eta.at(share)
        now += ROW_S if shares else 0.1
    eta.begin()
    assert eta.seconds_left() is None
    eta.at(0.45)
    now += 10 * EPOCH_S
    assert eta.seconds_left() == pytest.approx(10 * EPOCH_S + ROW_S)


def test_a_job_trains_for_the_compressors_that_none_before_it_had() -> None:
    def job(*compressors: str) -> Job:
        model = ModelRequest(HeadSpec(), ("a", "b"), "none", 0)
        chosen = Compression("table.csv", None, 0, "key", "test", compressors)
        return Job("host-litert", None, System("mobilenet_v2", model, Recipe()), "whole", "tflite-int8", (), chosen)

    prune, qat = "prune:epochs=4", "qat:epochs=2"
    jobs = [job(), job(prune), job(prune), job(prune, qat), job(qat), job("cluster", qat)]
    assert epochs_of(jobs) == [0, 4, 0, 2, 2, 3 + 2]
