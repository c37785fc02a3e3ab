"""The table, CSV, Markdown and plots of an experiment, of runs with known figures."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_reports import (
    BUSY,
    bench_report,
    beside_each_other,
    compared_trials,
    csv_of,
    figures_of,
    table_of,
    trial,
    with_figures,
)
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from dslite.measure.relative import compared, without
from dslite.measure.turns import FAILED_BY_TURNS
from dslite.metrics import value
from dslite.metrics.scores import Difference
from dslite.records import BenchReport, Device, Flag, Measurement, Run
from dslite.report import markdown as documents
from dslite.report.experiment_plots import _BY_SPEED_UP, _LATENCY_TITLE, _latencies, draw, drawn, marker
from dslite.report.names import in_short
from dslite.report.notes import of_experiment
from dslite.report.pareto import optimal_trials as best
from dslite.report.view import view

FAILED = replace(trial(["prune:sparsity=1"]), measurements=(), error="sparsity: [expected] below 1, got 1")


def _report(*runs: Run, **environment: Any) -> BenchReport:
    return bench_report(*runs, command="dslite compress run data.csv", **environment)


def markdown(report: BenchReport) -> str:
    return documents.markdown(view([("report.json", report)])).replace("\\", "")


def _codes(*runs: Run) -> list[list[str]]:
    return [[flag.code for flag in run.flags] for run in compared_trials(*runs)]


def test_a_row_is_compared_with_the_float32_file_in_uar_and_with_that_of_its_target_in_speed() -> None:
    base, elsewhere = trial(seconds=0.004), trial(seconds=0.040, target="phone")
    ours = trial((), "tflite-int8", seconds=0.010, target="phone")
    asked = []

    def difference(run: Run, base: Run) -> Difference:
        asked.append((run.artifact.exporter, base.artifact.exporter, base.target))
        return Difference(40, 0.82, 0.8, 0.02, 3, (-0.01, 0.05), 1000, 0.95)

    first, second, found = compared(beside_each_other(base, elsewhere, ours), difference)
    assert asked == [("tflite-int8", "tflite-float32", "host-litert")]  # nothing is compared with itself
    assert figures_of(found)["speed_up"].value == pytest.approx(4)
    assert "none, tflite-float32" in figures_of(found)["speed_up"].method
    assert "40 files" in figures_of(found)["uar_difference"].method
    assert figures_of(found)["uar_difference"].statistics == {"low": -0.01, "high": 0.05, "n": 40.0, "n_changed": 3.0}
    assert [figures_of(run)["speed_up"].value for run in (first, second)] == [1, 1]
    assert in_short(found) == "UAR 0.800, 10.0 ms, 4.0 MB"


def test_without_the_float32_file_nothing_is_compared() -> None:
    failed = replace(trial(), measurements=(), error="it crashed")
    found = compared([failed, trial((), "tflite-int8")], lambda *_: pytest.fail("there is nothing to compare with"))
    assert found[0] == failed
    assert "uar_difference" not in figures_of(found[1])


def test_of_one_file_there_is_a_difference_and_no_interval() -> None:
    base, int8 = trial(), trial((), "tflite-int8")
    _, found = compared([base, int8], lambda *_: Difference(1, 0.0, 1.0, -1.0, 1, None, 1000, 0.95))
    assert figures_of(found)["uar_difference"].statistics == {"n": 1.0, "n_changed": 1.0}
    assert "interval" not in figures_of(found)["uar_difference"].method
    report = _report(base, found)
    assert " -1.000 " in table_of(report)
    assert "| -1.000 |" in markdown(report)
    row = csv_of(report)[1]
    assert (row["uar_difference"], row["uar_difference_low"]) == ("-1", "")


def test_zeros_that_are_no_faster_are_told_and_those_that_are_faster_not() -> None:
    base = trial()
    for seconds, expected in ((0.004, ["zeros_not_faster"]), (0.0038, ["zeros_not_faster"]), (0.002, [])):
        assert _codes(base, trial(["prune"], sparsity=0.8, seconds=seconds)) == [[], expected]
    (message,) = [flag.message for flag in compared_trials(base, trial(["prune"], sparsity=0.8))[1].flags]
    assert message == (
        "prune, tflite-float32: 80% of its weights are zero, and it is not 10% faster than none, tflite-float32: "
        "host-litert computes with zeros as with any weight"
    )


def test_zeros_are_judged_against_the_row_that_has_all_but_them() -> None:
    """An int8 file is faster than float32 by its bits, a small one by its channels: its zeros have no part in that."""
    base, int8 = trial(), trial((), "tflite-int8", seconds=0.002)
    small = trial(["channels"], "tflite-int8", seconds=0.001)
    both = trial(["channels", "prune"], "tflite-int8", sparsity=0.8, seconds=0.001)
    assert _codes(base, int8, trial(["prune"], "tflite-int8", sparsity=0.8, seconds=0.002))[2] == ["zeros_not_faster"]
    found = compared_trials(base, int8, small, both)[3]
    assert "not 10% faster than channels, tflite-int8" in found.flags[0].message
    assert _codes(base, int8, both)[2] == []  # faster than the only row there is to compare with


def test_zeros_do_not_take_the_credit_of_removed_channels() -> None:
    """Without a row of the channels alone there is nothing to tell both by."""
    base = _with_macs(trial(), 300e6)
    both = _with_macs(trial(["channels", "prune"], sparsity=0.8, seconds=0.001), 100e6)
    _, found = compared_trials(base, both)
    assert [flag.code for flag in found.flags] == ["zeros_unproven"]
    assert "80% of its weights are zero, and it is faster than none, tflite-float32, which computes more" in (
        found.flags[0].message
    )
    small = _with_macs(trial(["channels"], seconds=0.002), 100e6)
    assert _codes(base, small, both)[2] == []  # faster than the row that has all but the zeros: their merit
    trained = _with_macs(trial(["channels", "prune", "qat"], sparsity=0.8, seconds=0.001), 100e6)
    qat = _with_macs(trial(["qat"], seconds=0.004), 300e6)
    assert _codes(base, qat, small, trained)[3] == []  # of rows with as much in common, the one that computes as little


def _with_macs(run: Run, macs: float) -> Run:
    return with_figures(run, Measurement("macs", macs, "count", "counted"))


def test_zeros_that_come_with_the_bits_are_no_pruning() -> None:
    base, int8 = trial(), trial((), "tflite-int8", sparsity=0.3)
    qat = trial(["qat"], "tflite-int8", sparsity=0.33)
    assert _codes(base, int8, qat) == [[], [], []]
    assert _codes(base, int8, trial(["prune"], "tflite-int8", sparsity=0.6))[2] == ["zeros_not_faster"]


def test_what_became_slower_is_told_and_what_is_as_fast_not() -> None:
    base = trial()
    for seconds, expected in ((0.008, ["slower"]), (0.0041, [])):
        assert _codes(base, trial((), "tflite-int16x8", seconds=seconds)) == [[], expected]
    for best_round, expected in ((0.0039, []), (0.0041, ["slower"])):  # rounds of which some were disturbed
        disturbed = trial((), "tflite-float16", rounds=[best_round, 0.008, 0.009, 0.008, 0.007])
        assert _codes(base, disturbed) == [[], expected]
    (flag,) = compared_trials(base, trial((), "tflite-int16x8", seconds=0.008))[1].flags
    assert "slower than none, tflite-float32, 2.00 times its latency, and slower in each of 5 rounds" in flag.message


def test_speed_is_compared_round_by_round_whatever_the_pace_of_the_machine() -> None:
    """Half of the rounds were timed while the machine did something else: files are as fast as each other in all."""
    paces = (1, 1, 3, 3, 1)
    base = trial(rounds=[0.004 * pace for pace in paces])
    twice = trial(["channels"], seconds=0.006, rounds=[0.002 * pace for pace in paces])  # its p50 says 1.5 times slower
    speed = figures_of(compared_trials(base, twice)[1])["speed_up"]
    assert (speed.value, speed.statistics) == (
        pytest.approx(2),
        {"n": 5.0, "low": pytest.approx(2), "high": pytest.approx(2)},
    )
    uneven = trial(["channels"], rounds=[0.002, 0.001, 0.004, 0.012, 0.004])
    speed = figures_of(compared_trials(base, uneven)[1])["speed_up"]
    assert (speed.value, speed.samples) == (pytest.approx(2), pytest.approx((2, 4, 3, 1, 1)))
    report = _report(*compared_trials(base, uneven))
    assert "2.00x (1.00 to 4.00)" in table_of(report)
    assert " 1.00x " in table_of(report)  # of the base no range: with itself it was not compared
    row = csv_of(report)[1]
    assert [float(row[f"speed_up{end}"]) for end in ("", "_low", "_high")] == pytest.approx([2, 1, 4])


def test_where_float32_does_not_run_the_first_file_there_is_what_speed_is_compared_with() -> None:
    first, slow = trial((), "hdf5", target="tf"), trial(["prune"], "hdf5", seconds=0.008, target="tf")
    _, _, found = compared_trials(trial(), first, slow)
    assert figures_of(found)["speed_up"].value == pytest.approx(0.5)
    assert "slower than none, hdf5, 2.00 times its latency" in found.flags[0].message
    text = markdown(_report(*compared_trials(trial(), first, slow)))
    assert "speed-up: median latency of none, hdf5 on tf divided by that of this file, timed next to it in each" in text


def test_a_delegate_that_takes_a_part_is_told_with_what_it_leaves() -> None:
    assert _codes(trial()) == [[]]  # the front end is never taken
    (run,) = compared_trials(trial(delegated=70))
    assert run.flags[0].message == (
        "none, tflite-float32: XNNPACK takes 70 of 100 nodes; LiteRT's own kernels run 30 CONV_2D"
    )


_FEW = st.integers(1, 4)


@given(st.lists(st.tuples(_FEW, _FEW, _FEW), min_size=1, max_size=8))
def test_a_row_is_marked_where_no_other_beats_it(points: list[tuple[int, int, int]]) -> None:
    runs = [trial([f"c{i}"], uar=p[0] / 4, seconds=p[1] / 100, n_bytes=p[2] * 1e6) for i, p in enumerate(points)]
    marked = best(compared_trials(trial(seconds=0.04), *runs)[1:])
    for i, mine in enumerate(points):
        beaten = any(
            theirs != mine and theirs[0] >= mine[0] and theirs[1] <= mine[1] and theirs[2] <= mine[2]
            for theirs in points
        )
        assert (i in marked) == (not beaten)


def test_speeds_that_differ_by_less_than_the_noise_mark_nobody_down() -> None:
    assert best(compared_trials(trial(seconds=0.0100), trial(["qat"], seconds=0.0104))) == {0, 1}
    assert best(compared_trials(trial(seconds=0.0100), trial(["qat"], seconds=0.0104, uar=0.7))) == {0}
    assert best(compared_trials(trial(seconds=0.0100), trial(seconds=0.02, target="phone"), FAILED)) == {0, 1}


def test_speeds_are_told_apart_where_their_ranges_are() -> None:
    base, ours = trial(seconds=0.0100), trial((), "tflite-int8", rounds=[0.004, 0.005, 0.005, 0.006, 0.008])
    for slowest, expected in ((0.0041, {1, 2}), (0.0039, {2})):  # it has 1.7 times the speed in the median, in both
        faster = trial(["channels"], rounds=[slowest, 0.003, 0.003, 0.003, 0.002])
        assert best(compared_trials(base, ours, faster)) == expected


def test_few_rounds_give_no_verdict_on_speed() -> None:
    for n, expected in ((4, ([], set())), (5, (["slower"], {0}))):
        base, slow = trial(rounds=[0.004] * n), trial((), "tflite-int16x8", seconds=0.009, rounds=[0.009] * n)
        rows = compared_trials(base, slow)
        assert ([flag.code for flag in rows[1].flags], best(rows)) == expected
        assert ("it takes 5 rounds (--rounds) to tell speeds apart" in markdown(_report(*rows))) is (n == 4)
    assert "timed next to it once; p50" in markdown(
        _report(*compared_trials(trial(rounds=[1.0]), trial(["a"], rounds=[0.5])))
    )


def test_rows_are_drawn_by_their_speed_up_whatever_their_own_samples_say(tmp_path: Path) -> None:
    """Both were timed at another pace of the machine: by their own samples the faster one would be the slower one."""
    base, fast = (
        trial(seconds=0.004),
        trial((), "tflite-int8", seconds=0.008, rounds=[0.001, 0.002, 0.002, 0.002, 0.004]),
    )
    for rows, title in ((compared_trials(base, fast), _BY_SPEED_UP), ([base, fast], _LATENCY_TITLE)):
        places, found = _latencies(rows)
        assert found == title
        expected = (2.0, 1.0, 4.0) if title == _BY_SPEED_UP else (8.0, 8.0, 8.0)
        assert places[fast.artifact.path] == pytest.approx(expected)
        draw(_report(*rows), tmp_path, "test")
        assert title in _words_of(tmp_path / "uar-latency.svg")


def _words_of(drawing: Path) -> str:
    """Give what is written in an SVG: each text is drawn by its letters, and stands in a comment before them."""
    return " ".join(re.findall(r"<!-- (.*?) -->", drawing.read_text(encoding="utf-8")))


def test_the_table_names_rows_failures_and_what_the_figures_are() -> None:
    text = table_of(_report(*compared_trials(trial(), trial(["prune", "qat"], sparsity=0.8), FAILED)))
    assert "\n * none, tflite-float32" in text
    assert "prune+qat, tflite-float32" in text
    assert "0.800 (0.700 to 0.900)" in text
    assert "1.00x" in text
    assert "80%" in text
    assert "95/100" in text
    flat = " ".join(text.split())
    assert "failed: prune:sparsity=1, tflite-float32: sparsity: [expected] below 1, got 1" in flat
    assert "80% of its weights are zero, and it is not 10% faster" in flat
    assert "a processor, 2 cores, Linux; 2 threads" in flat


def test_what_is_true_of_many_rows_is_told_once() -> None:
    slow = [trial((f"c{i}",), seconds=0.008 + 0.002 * i) for i in range(4)]
    lines = markdown(_report(*compared_trials(trial(), *slow, trial(delegated=70)))).splitlines()
    (told,) = [line for line in lines if "slower" in line]
    assert told == (
        "- c0, tflite-float32: slower than none, tflite-float32, 2.00 times its latency, and slower in each of 5 "
        "rounds; likewise c1, tflite-float32 "
        "(speed-up 0.40x); c2, tflite-float32 (speed-up 0.33x); c3, tflite-float32 (speed-up 0.29x)"
    )
    assert sum("XNNPACK takes 70" in line for line in lines) == 1
    assert sum("slower" in line for line in markdown(_report(*compared_trials(trial(), *slow[:2]))).splitlines()) == 2


def test_what_was_not_timed_by_turns_has_no_speed_up_and_no_star() -> None:
    """As in an experiment that was stopped: between its rows lie trainings."""
    base, fast = trial(rounds=()), trial((), "tflite-int8", seconds=0.001, rounds=())
    none = _report(*compared_trials(base, fast))
    assert "speed_up" not in figures_of(none.runs[1])
    assert best(none.runs) == set()
    assert "speed-up, Pareto-optimal rows: not told, as the experiment was stopped before files" in markdown(none)
    some = _report(*compared_trials(trial(), trial(["qat"]), fast))
    assert best(some.runs) == set()  # what the third one beats is not known
    assert "Pareto-optimal rows: not told, as some were not timed by turns yet" in markdown(some)
    assert "in brackets the least and the greatest; -: not timed by turns with these, and p50" in markdown(some)
    assert {row["pareto"] for row in csv_of(some)} == {""}
    assert csv_of(some)[2]["speed_up"] == ""
    assert _codes(trial(), trial(["prune"], sparsity=0.8, seconds=0.1, rounds=())) == [[], []]


def test_without_an_uncompressed_file_no_speed_is_told() -> None:
    failed = replace(trial(), measurements=(), error="it crashed")
    text = markdown(_report(*compared_trials(failed, trial(["prune"]), trial(["qat"]))))
    assert "not told, as no uncompressed file ran that the others could be compared with" in text


def test_a_file_of_the_same_bytes_as_the_one_that_all_are_compared_with_is_as_fast() -> None:
    same = [replace(run, artifact=replace(run.artifact, sha256="1")) for run in (trial(), trial(["channels"]))]
    rows = compared_trials(*same, trial((), "tflite-int8", seconds=0.002))
    assert [figures_of(row)["speed_up"].statistics for row in rows[:2]] == [{}, {}]
    assert "or has the same bytes" in figures_of(rows[1])["speed_up"].method
    assert "or has the same bytes" not in markdown(_report(*rows))


def test_what_fails_by_turns_is_told(tmp_path: Path) -> None:
    failed = replace(
        trial((), "tflite-int8", rounds=()), flags=(Flag(FAILED_BY_TURNS, "x.tflite: it failed in 1 of 5"),)
    )
    rows = compared_trials(trial(), failed, trial(["channels"], seconds=0.002))
    assert [value(row, "speed_up") for row in rows] == [1, None, pytest.approx(2)]
    assert best(rows) == {2}
    draw(_report(*rows), tmp_path, "test")
    assert "left out: 1 not timed by turns" in _words_of(tmp_path / "uar-latency.svg")
    assert "left out" not in _words_of(tmp_path / "uar-size.svg")
    assert "- x.tflite: it failed in 1 of 5" in markdown(_report(*rows))
    alone = markdown(_report(*compared_trials(failed)))
    assert "speed-up, Pareto-optimal rows: not told, as files failed when they were timed by turns" in alone


def test_a_clock_that_is_too_coarse_gives_no_speed_up() -> None:
    base, ours = trial(), trial((), "tflite-int8", rounds=[0.0, 0.001, 0.0, 0.0, 0.001])
    assert value(compared_trials(base, ours)[1], "speed_up") is None


def test_what_was_compared_can_be_compared_anew() -> None:
    both = beside_each_other(trial(), trial((), "tflite-int8", seconds=0.01))
    rows = compared(both, lambda *_: Difference(9, 1.0, 1.0, 0.0, 0, None))
    assert [flag.code for flag in rows[1].flags] == ["slower"]
    assert without(rows[1], "speed_up", "uar_difference") == both[1]
    assert without(rows[1], "speed_up").measurements == rows[1].measurements[:-1]


def test_a_machine_that_was_busy_is_told() -> None:
    told = "machine was busy when this began, or just before: a load average of 3"
    assert told in markdown(_report(trial(), load_average_1min=3.0))
    assert told not in markdown(_report(trial(), load_average_1min=0.4))


def test_decisions_that_are_all_alike_are_no_proof_that_others_are() -> None:
    same = Difference(40, 0.8, 0.8, 0.0, 0, (0.0, 0.0))
    report = _report(*compared([trial(), trial((), "tflite-float16")], lambda *_: same))
    assert "+0.000 (all alike)" in markdown(report)
    assert "all alike: all decisions, on these 40 files; others may tell them apart" in markdown(report)
    assert csv_of(report)[1]["changed_decisions"] == "0"


def test_an_interval_of_one_point_is_none() -> None:
    uar = replace(figures_of(trial())["uar"], value=0.25, statistics={"low": 0.25, "high": 0.25, "chance": 0.25})
    text = markdown(_report(replace(trial(), measurements=(uar, figures_of(trial())["latency"]))))
    assert "0.250 (-)" in text
    assert "every class is recognised always or never" in text
    assert "every class is recognised" not in markdown(_report(trial()))


def test_machines_are_those_of_the_rows() -> None:
    phone = Device("1", "a phone", "Android 15", "arm64-v8a", 8, 1)
    text = " ".join(table_of(_report(trial(), trial(target="android", device=phone))).split())
    assert "host-litert on a processor, 2 cores, Linux; android on a phone, 8 cores, Android 15; 2 threads" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140])
def test_a_narrow_table_leaves_columns_out_and_says_which(width: int) -> None:
    rows = compared(
        beside_each_other(trial(), trial(["channels"], uar=0.9)),
        lambda *_: Difference(40, 0.9, 0.8, 0.1, 4, (-0.01, 0.2), 1000, 0.95),
    )
    text = table_of(_report(*rows), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "none, tflite-float32 " in text
    assert "channels," in text  # the rest may be folded
    assert "0.900" in text
    assert "+0.100 (-0.010 to +0.200)" in text
    assert ("0.900 (0.800 to 1.000)" in text) is (width >= 100)
    told = " ".join(text.split())
    assert "left out for want of width: " in told
    assert ("intervals of UAR" in told) is (width < 100)
    assert (" 1.00x" in text, " 4.0 MB" in text) == ((width >= 80,) * 2)
    assert "left out" not in table_of(_report(trial()), 250)


def test_a_long_name_is_folded_where_a_reader_would() -> None:
    rows = compared_trials(trial(), trial(["channels:macs=0.25,epochs=12,steps=4", "qat:epochs=2"], uar=0.9))
    lines = table_of(_report(*rows), 80).partition("\n- ")[0].splitlines()
    names = [line[3:].strip().split("  ")[0] for line in lines]
    begin = next(i for i, name in enumerate(names) if name.startswith("channels:"))
    end = names.index("tflite-float32", begin)
    assert "".join(names[begin : end + 1]) == "channels:macs=0.25,epochs=12,steps=4+qat:epochs=2,tflite-float32"
    assert {name[-1] for name in names[begin:end]} <= set(",:+")


def test_csv_has_si_units_and_no_figure_where_there_is_none() -> None:
    runs = compared_trials(trial(), trial(["a", "b"], uar=0.1), FAILED)
    rows = csv_of(_report(*runs))
    assert [row["compressors"] for row in rows] == ["none", "a+b", "prune:sparsity=1"]
    assert (rows[0]["latency_p50_s"], rows[0]["latency_p90_s"], rows[0]["size_bytes"]) == ("0.004", "0.008", "4000000")
    assert (rows[0]["uar"], float(rows[0]["uar_low"]), rows[0]["uar_difference"]) == ("0.8", pytest.approx(0.7), "")
    assert [row["pareto"] for row in rows] == ["yes", "no", ""]
    assert (rows[2]["uar"], rows[2]["error"]) == ("", FAILED.error)


def test_markdown_has_a_line_a_row_and_the_command() -> None:
    text = markdown(_report(*compared_trials(trial(), FAILED)))
    assert text.count("\n| ") == 3
    assert "- **failed**: prune:sparsity=1, tflite-float32: sparsity" in text
    assert "| * none, tflite-float32 | 0.800" in text
    assert text.endswith("\n```sh\ndslite compress run data.csv\n```\n")


def test_plots_are_the_same_bytes_for_the_same_figures(tmp_path: Path) -> None:
    chains = [(), *((f"c{i}",) for i in range(14))]  # more than there are markers
    runs = [
        trial(chain, exporter, uar=0.5 + i / 50, seconds=0.001 * (i + 1))
        for i, chain in enumerate(chains)
        for exporter in ("tflite-float32", "tflite-int8")
    ]
    (tmp_path / "again").mkdir()
    paths = draw(_report(*runs, FAILED), tmp_path, "test")
    assert sorted(path.name for path in paths) == ["uar-latency.png", "uar-latency.svg", "uar-size.png", "uar-size.svg"]
    for path in draw(_report(*runs, FAILED), tmp_path / "again", "test"):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    assert imread(tmp_path / "uar-latency.png").shape[1] > 800
    assert ET.parse(tmp_path / "uar-size.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own


def test_of_several_targets_each_has_its_latencies_and_a_file_its_one_size(tmp_path: Path) -> None:
    rows = [
        trial(chain, uar=0.7 + i / 10, seconds=0.001 * (i + 1), target=target)
        for i, chain in enumerate([(), ("prune",)])
        for target in ("host-litert", "phone:cores=2")
    ]
    names = {path.name for path in draw(_report(*rows), tmp_path, "test") if path.suffix == ".svg"}
    assert names == {"uar-size.svg", "uar-latency-host-litert.svg", "uar-latency-phone_cores_2.svg"}
    (tmp_path / "uar-latency-mine.svg").touch()
    assert {path.name for path in drawn(tmp_path, ["host-litert", "phone:cores=2"]) if path.suffix == ".svg"} == names
    n_points = {name: (tmp_path / name).read_text(encoding="utf-8").count("LineCollection") for name in names}
    assert set(n_points.values()) == {2}  # bars of intervals, of as many files


def test_of_several_targets_rows_and_what_is_said_of_them_name_theirs() -> None:
    rows = [trial(target="a"), trial(target="b")]
    rows += [trial(["prune"], sparsity=0.8, target=target) for target in ("a", "b")]
    text = markdown(_report(*compared_trials(*rows)))
    for target in ("a", "b"):
        assert f"| * none, tflite-float32, {target} | 0.800" in text
        assert f"- prune, tflite-float32, {target}: 80% of its weights are zero" in text
    assert "no other row of the same target is as good" in text
    for target in ("a", "b"):
        assert f"median latency of none, tflite-float32 on {target} divided by that of this file" in text


def test_compressors_are_told_apart_in_plots_however_many() -> None:
    styles = [tuple(sorted(marker(i, "0.4").items())) for i in range(40)]
    assert len(set(styles)) == 40


def test_nothing_is_drawn_of_rows_that_all_failed(tmp_path: Path) -> None:
    assert draw(_report(FAILED), tmp_path, "test") == []
    assert list(tmp_path.iterdir()) == []
    assert "failed: prune:sparsity=1" in table_of(_report(FAILED))


def test_what_is_said_of_time_and_machine_names_the_rows_that_it_is_true_of() -> None:
    drift = Flag("drift", "it became 9% slower")
    rows = [trial(), replace(trial(["qat"]), flags=(BUSY,)), replace(trial(["prune"]), flags=(BUSY, drift))]
    for text in (table_of(_report(*rows)), markdown(_report(*rows))):
        assert "qat, tflite-float32, prune, tflite-float32: not valid because others were busy" in text
        assert "prune, tflite-float32: it became 9% slower" in text


def test_how_memory_is_counted_is_told_where_it_was() -> None:
    counted = with_figures(trial(), Measurement("memory_delta", 2e6, "bytes", "peak"))
    said = ["no model" in " ".join(of_experiment(_report(run))) for run in (trial(), counted)]
    assert said == [False, True]
