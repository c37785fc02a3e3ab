"""Reports side by side: pairs, verdicts, limits, and the command."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from conftest import invoke
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dslite.cli.commands.compare import command
from dslite.cli.options import share_of
from dslite.errors import ReportError, SpecError
from dslite.measure.bench import undescribed
from dslite.measure.figures import with_statistics
from dslite.measure.verdict import RUN_TO_RUN
from dslite.records import BenchReport, Device, Flag, Measurement, Plan, Run
from dslite.report import compare_table, comparison, document, limits

Command = Callable[..., CompletedProcess[str]]
HOST = Device("host", "a processor", "Linux", "x86_64", 2, 1 << 33)


@pytest.fixture
def dslite_command() -> Command:
    """Commands that read and write files alone: none of them needs a process of its own."""
    return invoke


def _row(
    backbone: str,
    seconds: float,
    *,
    size: float = 1e6,
    turns: tuple[float, ...] = (),
    beside: tuple[float, ...] = (),
    target: str = "host-litert",
    **others: float,
) -> Run:
    samples = tuple(np.random.default_rng(0).normal(seconds, seconds / 200, 100).tolist())
    found = [
        with_statistics(Measurement("latency", 0.0, "s", "a clock", samples)),
        Measurement("size", size, "bytes", "m"),
    ]
    found += [Measurement(name, value, "ratio" if name == "uar" else "bytes", "m") for name, value in others.items()]
    if turns:
        found += [
            Measurement("turn_latency", 0.0, "s", "m", turns),
            Measurement("reference_latency", 0.0, "s", "m", beside),
        ]
    artifact = undescribed(Path(f"{backbone}-whole-tflite-float32.tflite"), backbone, "tflite-float32")
    return Run(artifact, target, HOST, Plan(1), tuple(found))


def _report(*runs: Run, **environment: Any) -> BenchReport:
    return BenchReport(
        1, "2026-01-01T00:00:00Z", "0.1.0", None, "dslite bench", {"cpu": "x", "cpus": 2, **environment}, runs
    )


def _judge(found: comparison.Comparison, *texts: str) -> limits.Judgement:
    return limits.judge([limits.parse(text) for text in texts], [found], 0.25)


def _verdicts(found: comparison.Comparison) -> dict[str, str]:
    return {pair.name: pair.verdict for pair in found.pairs}


def test_cases_are_paired_by_what_they_are_in_any_order() -> None:
    before = _report(_row("a", 0.010), _row("b", 0.020), _row("gone", 0.030))
    after = _report(_row("b", 0.040), _row("new", 0.030), _row("a", 0.010))
    found = comparison.compare(before, after, ("A.json", "B.json"))
    assert _verdicts(found) == {"a": "no difference shown", "b": "slower"}
    assert [name for name, _ in found.only_before] == ["gone-whole-tflite-float32.tflite on host-litert"]
    assert [name for name, _ in found.only_after] == ["new-whole-tflite-float32.tflite on host-litert"]
    assert found.environment == ()


def test_two_reports_of_one_case_each_are_a_pair() -> None:
    found = comparison.compare(_report(_row("a", 0.010)), _report(_row("b", 0.020)), ("A", "B"))
    assert _verdicts(found) == {"a-whole-tflite-float32.tflite and b-whole-tflite-float32.tflite": "slower"}
    assert found.environment == ("backbone: a -> b",)
    with pytest.raises(ReportError, match="no row in common"):
        comparison.compare(_report(_row("a", 1), _row("b", 1)), _report(_row("c", 1)), ("A", "B"))


def test_what_differs_besides_the_files_is_named() -> None:
    before = _report(_row("a", 0.010), packages={"numpy": "2.0"}, load_average_1min=0.1)
    slow = replace(_row("a", 0.010), plan=Plan(2, runs=10))
    after = _report(slow, packages={"numpy": "2.1"}, load_average_1min=1.7, cpus=4)
    found = comparison.compare(before, replace(after, dslite="0.2.0"), ("A", "B"))
    assert found.environment == (
        "dslite: 0.1.0 -> 0.2.0",
        "cpus: 2 -> 4",
        "numpy: 2.0 -> 2.1",
        "threads: 1 -> 2",
        "runs: 50 -> 10",
    )


def test_what_is_allowed_from_run_to_run_is_one_figure() -> None:
    (option,) = [each for each in command.params if each.name == "run_to_run"]
    assert share_of(str(option.default)) == RUN_TO_RUN


def test_rows_that_took_turns_are_compared_by_their_rounds() -> None:
    base = tuple(0.01 * pace for pace in (1.0, 1.5, 0.9, 2.0, 1.1, 1.0, 1.2))
    slower = _row("slow", 0.5, turns=tuple(1.03 * t for t in base), beside=base)
    report = _report(slower, _row("base", 0.010, turns=base, beside=base), _row("else", 0.010))
    found = comparison.within(report, "AB.json")
    assert [pair.full_name for pair in found.pairs] == ["slow against base", "else against base"]
    (ratio, other) = [pair.ratio for pair in found.pairs]
    assert ratio is not None
    assert (ratio.value, ratio.n_rounds, ratio.verdict) == (pytest.approx(1.03), 7, "slower")
    assert other is not None
    assert other.n_rounds == 0
    with pytest.raises(ReportError, match="expected two rows of one part and target"):
        comparison.within(_report(base_row := _row("a", 1.0), replace(base_row, target="android")), "x.json")


def test_rows_of_one_report_that_do_something_else_are_not_compared() -> None:
    """As in the paper's Table 5: a front end is no slower or faster model."""
    frontend = _row("a", 0.001)
    frontend = replace(frontend, artifact=replace(frontend.artifact, part="frontend"))
    found = comparison.within(_report(_row("a", 0.010), frontend, _row("b", 0.020)), "x.json")
    assert [(pair.name, pair.against) for pair in found.pairs] == [("b, whole", "a, whole")]
    assert [name for name, _ in found.only_before] == ["a, frontend"]
    assert not _judge(found, "size>0").beyond


def test_a_failed_case_has_no_verdict_and_why_figures_are_not_valid_is_told() -> None:
    failed = replace(_row("a", 1.0), error="its runtime crashed")
    busy = replace(
        _row("b", 1.0), flags=(Flag("background_load", "other processes kept 1.0 cores busy"), Flag("drift", ""))
    )
    found = comparison.compare(_report(_row("a", 1.0), _row("b", 1.0)), _report(failed, busy), ("A", "B"))
    assert _verdicts(found) == {"a": "failed after", "b": "not valid"}
    assert found.pairs[1].not_valid == ["after: other processes kept 1.0 cores busy"]
    judged = _judge(found, "size>0", "latency>5%")
    assert list(map(str, judged.beyond)) == ["a: it failed: its runtime crashed"]
    assert list(map(str, judged.not_judged)) == ["b: not valid after: other processes kept 1.0 cores busy (latency>5%)"]


def test_figures_that_are_not_valid_have_a_verdict_where_files_took_turns() -> None:
    base = tuple(0.01 * pace for pace in (1.0, 1.5, 0.9, 2.0, 1.1, 1.0, 1.2))
    busy = Flag("background_load", "other processes kept 1.0 cores busy")
    rows = [
        replace(_row(name, 0.01, turns=tuple(factor * t for t in base), beside=base), flags=(busy,))
        for name, factor in (("base", 1.0), ("slow", 1.03))
    ]
    (pair,) = comparison.within(_report(*rows), "AB.json").pairs
    assert (pair.verdict, len(pair.not_valid)) == ("slower", 2)


def test_a_verdict_allows_for_what_the_machine_reached_beside_each() -> None:
    """Twice as slow on a machine of half the pace by then, as far as its matrix products tell, is no difference."""
    rate = Measurement("matmul_rate", 8e10, "flop/s", "m")
    before, after = _row("a", 0.010), _row("a", 0.020)
    before = replace(before, measurements=(*before.measurements, rate))
    slowed = replace(after, measurements=(*after.measurements, replace(rate, value=4e10)))
    found = comparison.compare(_report(before), _report(slowed), ("A", "B"))
    assert list(_verdicts(found).values()) == ["no difference shown"]
    assert found.environment == ("the machine's own pace, by matrix products: 0.50 times as fast after as before",)
    steady = replace(after, measurements=(*after.measurements, rate))
    assert list(_verdicts(comparison.compare(_report(before), _report(steady), ("A", "B"))).values()) == ["slower"]


# -- limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "before", "after", "is_beyond"),
    [
        ("size>0", {"size": 100}, {"size": 101}, True),
        ("size>0", {"size": 100}, {"size": 100}, False),
        ("size>1%", {"size": 100}, {"size": 101}, False),
        ("size>1%", {"size": 100}, {"size": 102}, True),
        ("size<-10%", {"size": 100}, {"size": 80}, True),
        ("memory>1MB", {"memory_delta": 5e6}, {"memory_delta": 6.5e6}, True),
        ("memory>1MB", {"memory_delta": 5e6}, {"memory_delta": 5.5e6}, False),
        ("uar<-0.02", {"uar": 0.80}, {"uar": 0.77}, True),
        ("uar<-0.02", {"uar": 0.80}, {"uar": 0.79}, False),
        ("uar < -5 %", {"uar": 0.80}, {"uar": 0.70}, True),
    ],
)
def test_limits(text: str, before: dict[str, float], after: dict[str, float], is_beyond: bool) -> None:
    found = comparison.compare(_report(_row("a", 1.0, **before)), _report(_row("a", 1.0, **after)), ("A", "B"))
    beyond = _judge(found, text).beyond
    assert bool(beyond) == is_beyond
    assert all(excess.limit == text.strip() for excess in beyond)


@pytest.mark.parametrize(
    ("factor", "text", "is_beyond"),
    [
        (2.0, "latency.p50>5%", True),
        (2.0, "latency>5%", True),
        (2.0, "latency.p90>5%", True),
        (2.0, "latency>1ms", True),
        (2.0, "latency>11ms", False),
        (1.1, "latency.p50>5%", False),  # a tenth is not shown by runs that did not take turns
        (0.5, "latency.p50>5%", False),
        (0.5, "latency.p50<-20%", True),
    ],
)
def test_a_latency_is_beyond_its_limit_where_the_difference_is_shown(factor: float, text: str, is_beyond: bool) -> None:
    found = comparison.compare(_report(_row("a", 0.010)), _report(_row("a", 0.010 * factor)), ("A", "B"))
    assert bool(_judge(found, text).beyond) == is_beyond


def test_a_limit_that_is_exceeded_by_what_is_not_shown_is_told() -> None:
    found = comparison.compare(_report(_row("a", 0.010)), _report(_row("a", 0.011)), ("A", "B"))
    judged = _judge(found, "latency.p50>5%")
    assert not judged.beyond
    (told,) = map(str, judged.not_judged)
    assert told.endswith("from 10.0 ms to 11.0 ms, which is not shown to be beyond it (latency.p50>5%)")


def test_the_tail_of_a_latency_is_beyond_its_limit_where_the_median_is_not() -> None:
    latency = Measurement("latency", 0.0, "s", "a clock", (0.010,) * 85 + (0.020,) * 15)
    before = _row("a", 0.010)
    after = replace(before, measurements=(with_statistics(latency), *before.measurements[1:]))
    found = comparison.compare(_report(before), _report(after), ("A", "B"))
    assert not _judge(found, "latency.p50>5%").beyond
    assert _judge(found, "latency.p90>5%").beyond


def test_a_case_that_is_gone_or_lost_its_figure_is_beyond_every_limit() -> None:
    before = _report(_row("a", 1.0, uar=0.8), _row("b", 1.0, uar=0.8), _row("gone", 1.0, uar=0.8))
    found = comparison.compare(before, _report(_row("a", 1.0), _row("b", 1.0, uar=0.8)), ("A", "B"))
    assert list(map(str, _judge(found, "uar<-0.02").beyond)) == [
        "gone-whole-tflite-float32.tflite on host-litert: it is gone",
        "a: uar is not there any more (uar<-0.02)",
    ]
    new = comparison.compare(_report(_row("a", 1.0), _row("b", 1.0)), before, ("A", "B"))
    assert not _judge(new, "uar<-0.02").beyond


def test_a_regression_is_judged_though_it_left_time_for_few_runs() -> None:
    """A file that became so slow that few runs were timed has an interval that knows how many there are."""
    slow = replace(_row("a", 0.100), flags=(Flag("few_runs", "10 timed runs where 50 were asked for"),))
    latency = slow.measurements[0]
    slow = replace(
        slow, measurements=(with_statistics(replace(latency, samples=latency.samples[:10])), *slow.measurements[1:])
    )
    found = comparison.compare(_report(_row("a", 0.010)), _report(slow), ("A", "B"))
    assert list(_verdicts(found).values()) == ["slower"]
    assert _judge(found, "latency.p50>5%").beyond


def test_a_limit_that_no_case_can_be_judged_by_is_blind() -> None:
    busy = replace(_row("a", 0.100), flags=(Flag("background_load", "others were busy"),))
    found = comparison.compare(_report(_row("a", 0.010)), _report(busy), ("A", "B"))
    judged = _judge(found, "latency.p50>5%", "size>0")
    assert (judged.beyond, judged.blind) == ([], ["latency.p50>5%"])
    assert judged.judged == {"latency.p50>5%": 0, "size>0": 1}


@pytest.mark.parametrize("text", ["latency.p50>0", "latency>0.1ms", "latency.p50>5%"])
def test_of_files_that_took_turns_every_bound_is_held_against_the_ratio_of_turns(text: str) -> None:
    """Medians of whole series say the opposite here: they are of other moments."""
    base = tuple(0.01 * pace for pace in (1.0, 1.5, 0.9, 2.0, 1.1, 1.0, 1.2))
    rows = [
        _row("base", 0.0101, turns=base, beside=base),
        _row("slow", 0.0100, turns=tuple(1.3 * t for t in base), beside=base),
    ]
    (excess,) = _judge(comparison.within(_report(*rows), "AB.json"), text).beyond
    assert excess.message == "latency.p50 +30.0% of 10.1 ms, in turn" or "p50" not in text


def test_a_bound_within_the_interval_is_not_shown_to_be_exceeded() -> None:
    base = tuple(0.01 * pace for pace in (1.0, 1.5, 0.9, 2.0, 1.1, 1.0, 1.2))
    turns = tuple(t * factor for t, factor in zip(base, (1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09), strict=True))
    rows = [_row("base", 0.01, turns=base, beside=base), _row("slow", 0.01, turns=turns, beside=base)]
    found = comparison.within(_report(*rows), "AB.json")
    assert list(_verdicts(found).values()) == ["slower"]
    judged = _judge(found, "latency.p50>5%", "latency.p50>2%")
    assert [excess.limit for excess in judged.beyond] == ["latency.p50>2%"]
    assert [excess.limit for excess in judged.not_judged] == ["latency.p50>5%"]


def test_a_percentile_that_too_few_runs_support_is_not_judged_and_not_lost() -> None:
    before, after = _row("a", 0.010), _row("a", 0.010)
    latency = before.measurements[0]
    long = with_statistics(replace(latency, samples=latency.samples * 3))
    found = comparison.compare(
        _report(replace(before, measurements=(long, *before.measurements[1:]))), _report(after), ("A", "B")
    )
    judged = _judge(found, "latency.p99>10%")
    assert (judged.beyond, judged.blind) == ([], ["latency.p99>10%"])
    assert "too few runs after for latency.p99" in str(judged.not_judged[0])


def test_files_of_one_backbone_are_paired_by_their_bytes_and_names_not_by_their_places() -> None:
    def trained(name: str, seconds: float, sha256: str) -> Run:
        run = _row("mobilenet_v2", seconds)
        return replace(run, artifact=replace(run.artifact, path=f"{name}.tflite", sha256=sha256))

    x, y, new = trained("x", 0.010, "1"), trained("y", 0.030, "2"), trained("x", 0.010, "3")
    for before, after, pairs in (
        ((x, y), (y, x), [("x", "x"), ("y", "y")]),
        ((x, y), (y, new), [("x", "x"), ("y", "y")]),
        ((x, y), (y,), [("y", "y")]),
    ):
        found = comparison.compare(_report(*before), _report(*after), ("A", "B"))
        stems = [tuple(Path(run.artifact.path).stem for _, run in pair.sides) for pair in found.pairs]
        assert stems == pairs
    assert [name for name, _ in found.only_before] == ["x.tflite on host-litert"]


def test_two_phones_before_and_one_of_them_after_are_a_pair() -> None:
    def on(serial: str) -> Run:
        return replace(_row("a", 0.010, target="android"), device=Device(serial, "Phone", "Android", "arm64-v8a", 8, 1))

    found = comparison.compare(_report(on("S1"), on("S2")), _report(on("S2")), ("A", "B"))
    ((before, after),) = [(pair.before, pair.after) for pair in found.pairs]
    assert before.device == after.device == on("S2").device
    assert [run.device for _, run in found.only_before] == [on("S1").device]


def test_a_report_that_is_partial_is_told_and_what_it_lacks_is_not_judged() -> None:
    whole, part = _report(_row("a", 1.0), _row("b", 1.0)), replace(_report(_row("a", 1.0)), partial="1 of 2 measured")
    after = comparison.compare(whole, part, ("A", "B"))
    assert after.partial == ("B is partial: 1 of 2 measured",)
    judged = _judge(after, "size>0")
    assert [str(each) for each in judged.beyond] == ["b-whole-tflite-float32.tflite on host-litert: it is not there"]
    before = _judge(comparison.compare(part, whole, ("A", "B")), "size>0")
    assert (before.beyond, len(before.not_judged)) == ([], 1)


def test_what_failed_before_and_is_mended_passes() -> None:
    failed = replace(_row("a", 1.0), error="it crashed")
    assert _judge(comparison.compare(_report(failed), _report(_row("a", 1.0)), ("A", "B")), "size>0").beyond == []


def test_rows_of_one_report_that_failed_alone_are_beyond_every_limit() -> None:
    elsewhere = replace(_row("c", 1.0, target="host-tensorflow"), error="it crashed")
    found = comparison.within(_report(_row("a", 1.0), _row("b", 1.0), elsewhere), "x.json")
    assert [excess.message for excess in _judge(found, "size>0").beyond] == ["it failed: it crashed"]


def test_too_few_rounds_are_no_verdict() -> None:
    base = (0.010, 0.011, 0.012)
    rows = [_row("a", 0.01, turns=base, beside=base), _row("b", 0.02, turns=(0.02, 0.022, 0.024), beside=base)]
    found = comparison.within(_report(*rows), "AB.json")
    assert list(_verdicts(found).values()) == ["too few rounds"]
    assert _judge(found, "latency>5%").blind == ["latency>5%"]


def test_the_very_same_runs_are_called_so(reports: tuple[Path, Path], dslite_command: Command) -> None:
    told = "the very same runs before and after"
    assert told in dslite_command("compare", str(reports[0]), str(reports[0])).stdout
    assert f"b: {told}" in dslite_command("compare", *map(str, reports)).stdout  # made of one seed
    assert f"a: {told}" not in dslite_command("compare", *map(str, reports)).stdout


def test_there_is_nothing_to_judge_where_all_failed() -> None:
    failed = _report(replace(_row("a", 1.0), error="it crashed"))
    with pytest.raises(SpecError, match="every row failed, before and after"):
        _judge(comparison.compare(failed, failed, ("A", "B")), "size>0")


@pytest.mark.parametrize(
    "text",
    ["", "latency", "latency=5%", "latency>", "latency>five", "size>1 parsec", "a.b.c>1", "size>1e400", "size>nan"],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--fail-if: expected METRIC"):
        limits.parse(text)


def test_a_limit_on_a_figure_that_is_not_there_is_refused_and_does_not_pass() -> None:
    found = comparison.compare(_report(_row("a", 1.0)), _report(_row("a", 1.0)), ("A", "B"))
    there = "they have latency, latency.max, latency.mean, latency.p50, latency.p90, latency.p95, size"
    for text, message in (
        ("uar<0", rf"no row of these reports has uar \(those of `dslite compress` have UAR\); {there}"),
        ("latency.p42>5%", f"no row of these reports has latency.p42; {there}"),
        ("size>1ms", "size is in bytes, not in ms"),
        ("real_time_factor<-5%", "no limit can be on real_time_factor: it follows from the latency"),
        ("speed_up<-5%", "no limit can be on speed_up: it follows from latencies"),
        ("latency.n<0", "no row of these reports has latency.n"),
        ("latency>-5%", "expected latency>X, which fails where it rises by more than X"),
        ("first<2ms", "or first_latency<-X, where it falls by more"),
        ("latency>5", "expected a unit, % or s or ms or us: latency is in s"),
        ("size>100", "expected a unit, % or B or kB or MB or GB: size is in bytes"),
    ):
        with pytest.raises(SpecError, match=message):
            _judge(found, text)


@given(st.sampled_from("<>"), st.floats(-1e6, 1e6), st.sampled_from(["", "%", "ms", "kB"]))
def test_limits_are_read_as_they_are_written(sign: str, bound: float, unit: str) -> None:
    limit = limits.parse(f"some_metric.p50{sign}{bound!r}{unit}")
    scale = {"": 1, "%": 0.01, "ms": 1e-3, "kB": 1e3}[unit]
    assert (limit.metric, limit.statistic, limit.above) == ("some_metric", "p50", sign == ">")
    assert limit.bound == pytest.approx(bound * scale)


# -- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "A.json", tmp_path / "B.json"
    document.write(_report(_row("a", 0.010, size=1e6, uar=0.8), _row("b", 0.010)), paths[0])
    document.write(_report(_row("a", 0.020, size=1.1e6, uar=0.75), _row("b", 0.010), cpus=4), paths[1])
    return paths


def test_the_command_names_differences_first_and_gives_verdicts(
    reports: tuple[Path, Path], dslite_command: Command
) -> None:
    done = dslite_command("compare", *map(str, reports))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0] == ["A.json", "and", "B.json"]
    assert " ".join(lines[1]) == "not the same: cpus: 2 -> 4"
    (row,) = [" ".join(line) for line in lines if line[0] == "a"]
    assert row.startswith("a 10.0 20.0 2.000 (1.5")
    assert row.endswith("slower +10.0% - -0.050")
    assert "wider by 25%, which two runs of one file may differ by" in " ".join(done.stdout.split())


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_figure_is_cut_and_rows_keep_their_names_at_any_width(width: int) -> None:
    base = tuple(0.01 * pace for pace in (1.0, 1.5, 0.9, 2.0, 1.1, 1.0, 1.2))
    rows = [
        _row(name, 0.01, turns=tuple(factor * t for t in base), beside=base, memory_delta=31.4e6 * factor, uar=0.7)
        for name, factor in (("mobilenet_v2:alpha=1.0", 1.0), ("mobilenet_v2:alpha=0.35", 1.03), ("other", 1.0))
    ]
    found = comparison.within(_report(*rows), "report.json")
    console = Console(file=io.StringIO(), width=width)
    console.print(compare_table.comparison_table(found, 0.25, width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    shown = " ".join(text.split())
    assert "1.030" in shown
    assert shown.startswith("report.json: each row against mobilenet_v2:alpha=1.0 ")
    assert sum("mobilenet_v2:alpha=0.35" in line for line in text.splitlines()) == 1
    assert ("left out for want of width: UAR" in shown) == (width <= 100)


def test_the_command_ends_with_3_where_a_limit_is_exceeded(reports: tuple[Path, Path], dslite_command: Command) -> None:
    words = ["compare", *map(str, reports)]
    done = dslite_command(*words, "--fail-if", "latency.p50>5%", "--fail-if", "size>0")
    assert done.returncode == 3
    assert "beyond the limit: a: latency.p50 +100.0%, from 10.0 ms to 20.0 ms (latency.p50>5%)" in done.stdout
    assert "beyond the limit: a: size +100.0 kB, from 1.0 MB to 1.1 MB (size>0)" in done.stdout
    assert dslite_command(*words, "--fail-if", "latency.p50>150%").returncode == 0
    assert dslite_command(*words, "--fail-if", "latency>5%", "--run-to-run", "150%").returncode == 0
    told = json.loads(dslite_command(*words, "--json", "--fail-if", "size>0").stdout)
    (comparison,) = told["comparisons"]
    case = comparison["cases"][0]
    assert (case["case"], case["verdict"], case["ratio"]["rounds"]) == ("a", "slower", 0)
    assert case["figures"]["size"] == {"before": 1e6, "after": 1.1e6}
    assert len(told["beyond"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fail-if", "speed"], "--fail-if: expected METRIC"),
        (["--fail-if", "wattage>0"], "no row of these reports has wattage; they have latency"),
        (["--run-to-run", "lots"], "expected a share such as 25% or 0.25"),
        (["nowhere.json"], "no such file"),
    ],
)
def test_wrong_requests_are_one_line(
    reports: tuple[Path, Path], dslite_command: Command, words: list[str], message: str
) -> None:
    done = dslite_command("compare", *map(str, reports), *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_files_that_take_turns_show_a_small_difference(
    small_system: Any, tmp_path: Path, dslite_command: Command
) -> None:
    """The whole file computes a picture first: it is slower than the part without that, in each round."""
    cnn, whole = (small_system.path(part, "tflite-float32") for part in ("cnn", "whole"))
    report = tmp_path / "turns.json"
    words = ["--threads", "1", "--interleave", "--rounds", "6", "--runs", "30", "--min-seconds", "0.1", "--no-memory"]
    done = dslite_command("bench", str(cnn), str(whole), *words, "-o", str(report))
    assert done.returncode == 0, done.stderr
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("in turn: ")]
    assert re.search(r" times its latency \(95 % interval of 6 rounds: .*\): slower$", told)
    runs = document.read(report).runs
    rounds = [{m.metric: m for m in run.measurements}["turn_latency"].samples for run in runs]
    assert [len(turns) for turns in rounds] == [6, 6]
    assert all(len(run.conditions["turns"]) == 6 for run in runs)
    compared = dslite_command("compare", str(report), "--json", "--fail-if", "latency>5%")
    assert compared.returncode == 3
    (case,) = json.loads(compared.stdout)["comparisons"][0]["cases"]
    assert (case["verdict"], case["ratio"]["rounds"]) == ("slower", 6)


def test_interleaving_takes_two_files(small_system: Any, dslite_command: Command) -> None:
    path = str(small_system.path("cnn", "tflite-float32"))
    done = dslite_command("bench", path, "--interleave")
    assert (done.returncode, done.stderr) == (
        2,
        "error: --interleave: expected two files or more of one target, which take turns, got one\n",
    )
    other = str(small_system.path("cnn", "hdf5"))
    done = dslite_command("bench", path, other, "--interleave")  # each runs on a target of its own
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected two files or more of one target" in done.stderr
    done = dslite_command("bench", path, "--rounds", "6")
    assert done.returncode == 2
    assert "--rounds goes with --interleave" in done.stderr


def test_reports_of_one_name_are_told_apart_by_their_folders(
    reports: tuple[Path, Path], tmp_path: Path, dslite_command: Command
) -> None:
    places = []
    for folder, report in zip(("before", "after"), reports, strict=True):
        (tmp_path / folder).mkdir()
        places.append(report.rename(tmp_path / folder / "report.json"))
    done = dslite_command("compare", *map(str, places))
    assert done.stdout.startswith("before/report.json and after/report.json\n")
    assert str(tmp_path) not in done.stdout
