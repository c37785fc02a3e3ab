"""Reports side by side: pairs, verdicts, limits, and the command."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_reports import BUSY, PACED, bench_report, bench_row, figures_of, in_turn, printed, with_samples
from conftest import assert_refused, invoke, said
from hypothesis import given
from hypothesis import strategies as st

from dslite.cli.commands.compare import command
from dslite.cli.options import share_of
from dslite.errors import ReportError, SpecError
from dslite.measure.verdict import RUN_TO_RUN
from dslite.records import BenchReport, Device, Flag, Plan, Run
from dslite.report import compare_table, comparison, document, limits


def _compared(before: BenchReport | Run, after: BenchReport | Run) -> comparison.Comparison:
    reports = [bench_report(each) if isinstance(each, Run) else each for each in (before, after)]
    return comparison.compare(reports[0], reports[1], ("A", "B"))


def _within(*rows: Run) -> comparison.Comparison:
    return comparison.within(bench_report(*rows), "AB.json")


def _judge(found: comparison.Comparison, *texts: str) -> limits.Judgement:
    return limits.judge([limits.parse(text) for text in texts], [found], 0.25)


def _verdicts(found: comparison.Comparison) -> dict[str, str]:
    return {pair.name: pair.verdict for pair in found.pairs}


def test_cases_are_paired_by_what_they_are_in_any_order() -> None:
    before = bench_report(bench_row("a", 10), bench_row("b", 20), bench_row("gone", 30))
    found = _compared(before, bench_report(bench_row("b", 40), bench_row("new", 30), bench_row("a", 10)))
    assert _verdicts(found) == {"a": "no difference shown", "b": "slower"}
    assert [name for name, _ in found.only_before] == ["gone-whole-tflite-float32.tflite on host-litert"]
    assert [name for name, _ in found.only_after] == ["new-whole-tflite-float32.tflite on host-litert"]
    assert found.environment == ()


def test_two_reports_of_one_case_each_are_a_pair() -> None:
    found = _compared(bench_row("a", 10), bench_row("b", 20))
    assert _verdicts(found) == {"a-whole-tflite-float32.tflite and b-whole-tflite-float32.tflite": "slower"}
    assert found.environment == ("backbone: a -> b",)
    with pytest.raises(ReportError, match="no row in common"):
        _compared(bench_report(bench_row("a", 1), bench_row("b", 1)), bench_row("c", 1))


def test_what_differs_besides_the_files_is_named() -> None:
    before = bench_report(bench_row("a", 10), load_average_1min=0.1)
    slow = replace(bench_row("a", 10), plan=Plan(2, runs=10))
    after = bench_report(slow, packages={"numpy": "2.1"}, load_average_1min=1.7, cpus=4, dslite="0.2.0")
    assert _compared(before, after).environment == (
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
    """Their own series, of other moments, say the opposite; and where they took turns, busy ones are judged too."""
    base, slow = in_turn(base=1.0, slow=1.03)
    slow = with_samples(slow, *[0.001] * 50)
    found = _within(replace(slow, flags=(BUSY,)), replace(base, flags=(BUSY,)), bench_row("else", 10))
    assert [pair.full_name for pair in found.pairs] == ["slow against base", "else against base"]
    (ratio, other) = [pair.ratio for pair in found.pairs]
    assert ratio is not None
    assert (ratio.value, ratio.n_rounds, ratio.verdict) == (pytest.approx(1.03), 7, "slower")
    assert (found.pairs[0].verdict, len(found.pairs[0].not_valid)) == ("slower", 2)
    assert other is not None
    assert other.n_rounds == 0
    with pytest.raises(ReportError, match="expected two rows of one part and target"):
        _within(bench_row("a", 1.0), bench_row("a", 1.0, target="android"))


def test_rows_of_one_report_that_do_something_else_are_not_compared() -> None:
    """As in the paper's Table 5: a front end is no slower or faster model."""
    found = _within(bench_row("a", 10), bench_row("a", 1, part="frontend"), bench_row("b", 20))
    assert [(pair.name, pair.against) for pair in found.pairs] == [("b, whole", "a, whole")]
    assert [name for name, _ in found.only_before] == ["a, frontend"]
    assert not _judge(found, "size>0").beyond


def test_a_failed_case_has_no_verdict_and_why_figures_are_not_valid_is_told() -> None:
    failed = bench_row("a", 1.0, error="its runtime crashed")
    busy = bench_row("b", 1.0, flags=(BUSY, Flag("drift", "")))
    found = _compared(bench_report(bench_row("a", 1.0), bench_row("b", 1.0)), bench_report(failed, busy))
    assert _verdicts(found) == {"a": "failed after", "b": "not valid"}
    assert found.pairs[1].not_valid == ["after: others were busy"]
    judged = _judge(found, "size>0", "latency>5%")
    assert list(map(str, judged.beyond)) == ["a: it failed: its runtime crashed"]
    assert list(map(str, judged.not_judged)) == ["b: not valid after: others were busy (latency>5%)"]
    assert (judged.blind, judged.judged) == (["latency>5%"], {"size>0": 1, "latency>5%": 0})


def test_a_verdict_allows_for_what_the_machine_reached_beside_each() -> None:
    """Twice as slow on a machine of half the pace by then, as far as its matrix products tell, is no difference."""
    before = bench_row("a", 10, matmul_rate=8e10)
    found = _compared(before, bench_row("a", 20, matmul_rate=4e10))
    assert list(_verdicts(found).values()) == ["no difference shown"]
    assert found.environment == ("the machine's own pace, by matrix products: 0.50 times as fast after as before",)
    assert list(_verdicts(_compared(before, bench_row("a", 20, matmul_rate=8e10))).values()) == ["slower"]


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
        ("latency.p50>5%", {"ms": 10}, {"ms": 20}, True),
        ("latency>5%", {"ms": 10}, {"ms": 20}, True),
        ("latency.p90>5%", {"ms": 10}, {"ms": 20}, True),
        ("latency>1ms", {"ms": 10}, {"ms": 20}, True),
        ("latency>11ms", {"ms": 10}, {"ms": 20}, False),
        ("latency.p50>5%", {"ms": 10}, {"ms": 11}, False),  # not shown by runs that did not take turns
        ("latency.p50>5%", {"ms": 10}, {"ms": 5}, False),
        ("latency.p50<-20%", {"ms": 10}, {"ms": 5}, True),
    ],
)
def test_limits(text: str, before: dict[str, float], after: dict[str, float], is_beyond: bool) -> None:
    found = _compared(*(bench_row("a", **{"ms": 1.0, **figures}) for figures in (before, after)))
    beyond = _judge(found, text).beyond
    assert bool(beyond) == is_beyond
    assert all(excess.limit == text.strip() for excess in beyond)


def test_a_limit_that_is_exceeded_by_what_is_not_shown_is_told() -> None:
    judged = _judge(_compared(bench_row("a", 10), bench_row("a", 11)), "latency.p50>5%")
    assert not judged.beyond
    (told,) = map(str, judged.not_judged)
    assert told.endswith("from 10.0 ms to 11.0 ms, which is not shown to be beyond it (latency.p50>5%)")


def test_the_tail_of_a_latency_is_beyond_its_limit_where_the_median_is_not() -> None:
    after = with_samples(bench_row("a", 10), *[0.010] * 85, *[0.020] * 15)
    found = _compared(bench_row("a", 10), after)
    assert not _judge(found, "latency.p50>5%").beyond
    assert _judge(found, "latency.p90>5%").beyond


def test_a_case_that_is_gone_or_lost_its_figure_is_beyond_every_limit() -> None:
    before = bench_report(*(bench_row(name, 1.0, uar=0.8) for name in ("a", "b", "gone")))
    found = _compared(before, bench_report(bench_row("a", 1.0), bench_row("b", 1.0, uar=0.8)))
    assert list(map(str, _judge(found, "uar<-0.02").beyond)) == [
        "gone-whole-tflite-float32.tflite on host-litert: it is gone",
        "a: uar is not there any more (uar<-0.02)",
    ]
    new = _compared(bench_report(bench_row("a", 1.0), bench_row("b", 1.0)), before)
    assert not _judge(new, "uar<-0.02").beyond


def test_a_regression_is_judged_though_it_left_time_for_few_runs() -> None:
    """A file that became so slow that few runs were timed has an interval that knows how many there are."""
    slow = bench_row("a", 100, flags=(Flag("few_runs", "10 timed runs where 50 were asked for"),))
    slow = with_samples(slow, *slow.measurements[0].samples[:10])
    found = _compared(bench_row("a", 10), slow)
    assert list(_verdicts(found).values()) == ["slower"]
    assert _judge(found, "latency.p50>5%").beyond


@pytest.mark.parametrize("text", ["latency.p50>0", "latency>0.1ms", "latency.p50>5%"])
def test_of_files_that_took_turns_every_bound_is_held_against_the_ratio_of_turns(text: str) -> None:
    """Medians of whole series say the opposite here: they are of other moments."""
    base = bench_row("base", 10.1, turns=PACED)
    slow = bench_row("slow", 10.0, turns=[1.3 * t for t in PACED])
    (excess,) = _judge(_within(base, slow), text).beyond
    assert excess.message == "latency.p50 +30.0% of 10.1 ms, in turn" or "p50" not in text


def test_a_bound_within_the_interval_is_not_shown_to_be_exceeded() -> None:
    factors = (1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09)
    slow = bench_row("slow", 10, turns=[t * factor for t, factor in zip(PACED, factors, strict=True)])
    found = _within(bench_row("base", 10, turns=PACED), slow)
    assert list(_verdicts(found).values()) == ["slower"]
    judged = _judge(found, "latency.p50>5%", "latency.p50>2%")
    assert [excess.limit for excess in judged.beyond] == ["latency.p50>2%"]
    assert [excess.limit for excess in judged.not_judged] == ["latency.p50>5%"]


def test_a_percentile_that_too_few_runs_support_is_not_judged_and_not_lost() -> None:
    row = bench_row("a", 10)
    judged = _judge(_compared(with_samples(row, *row.measurements[0].samples * 3), row), "latency.p99>10%")
    assert (judged.beyond, judged.blind) == ([], ["latency.p99>10%"])
    assert "too few runs after for latency.p99" in str(judged.not_judged[0])


def test_files_of_one_backbone_are_paired_by_their_bytes_and_names_not_by_their_places() -> None:
    def trained(name: str, ms: float, sha256: str) -> Run:
        run = bench_row("mobilenet_v2", ms)
        return replace(run, artifact=replace(run.artifact, path=f"{name}.tflite", sha256=sha256))

    x, y, new = trained("x", 10, "1"), trained("y", 30, "2"), trained("x", 10, "3")
    for before, after, pairs in (
        ((x, y), (y, x), [("x", "x"), ("y", "y")]),
        ((x, y), (y, new), [("x", "x"), ("y", "y")]),
        ((x, y), (y,), [("y", "y")]),
    ):
        found = _compared(bench_report(*before), bench_report(*after))
        stems = [tuple(Path(run.artifact.path).stem for _, run in pair.sides) for pair in found.pairs]
        assert stems == pairs
    assert [name for name, _ in found.only_before] == ["x.tflite on host-litert"]


def test_two_phones_before_and_one_of_them_after_are_a_pair() -> None:
    first, second = (
        replace(bench_row("a", 10, target="android"), device=Device(serial, "Phone", "Android", "arm64-v8a", 8, 1))
        for serial in ("S1", "S2")
    )
    found = _compared(bench_report(first, second), second)
    ((before, after),) = [(pair.before, pair.after) for pair in found.pairs]
    assert before.device == after.device == second.device
    assert [run.device for _, run in found.only_before] == [first.device]


def test_a_report_that_is_partial_is_told_and_what_it_lacks_is_not_judged() -> None:
    whole = bench_report(bench_row("a", 1.0), bench_row("b", 1.0))
    part = replace(bench_report(bench_row("a", 1.0)), partial="1 of 2 measured")
    after = _compared(whole, part)
    assert after.partial == ("B is partial: 1 of 2 measured",)
    judged = _judge(after, "size>0")
    assert [str(each) for each in judged.beyond] == ["b-whole-tflite-float32.tflite on host-litert: it is not there"]
    before = _judge(_compared(part, whole), "size>0")
    assert (before.beyond, len(before.not_judged)) == ([], 1)


def test_what_failed_is_beyond_every_limit_unless_it_is_mended() -> None:
    failed = bench_row("a", 1.0, error="it crashed")
    assert _judge(_compared(failed, bench_row("a", 1.0)), "size>0").beyond == []
    elsewhere = bench_row("c", 1.0, target="host-tensorflow", error="it crashed")
    judged = _judge(_within(bench_row("a", 1.0), bench_row("b", 1.0), elsewhere), "size>0")
    assert [excess.message for excess in judged.beyond] == ["it failed: it crashed"]
    with pytest.raises(SpecError, match="every row failed, before and after"):
        _judge(_compared(failed, failed), "size>0")


def test_too_few_rounds_are_no_verdict() -> None:
    rows = [bench_row(name, 10, turns=[k * t for t in PACED[:3]], beside=PACED[:3]) for name, k in (("a", 1), ("b", 2))]
    found = _within(*rows)
    assert list(_verdicts(found).values()) == ["too few rounds"]
    assert _judge(found, "latency>5%").blind == ["latency>5%"]


@pytest.mark.parametrize(
    "text",
    ["", "latency", "latency=5%", "latency>", "latency>five", "size>1 parsec", "a.b.c>1", "size>1e400", "size>nan"],
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--fail-if: expected METRIC"):
        limits.parse(text)


def test_a_limit_on_a_figure_that_is_not_there_is_refused_and_does_not_pass() -> None:
    found = _compared(bench_row("a", 1.0), bench_row("a", 1.0))
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
    document.write(bench_report(bench_row("a", 10, uar=0.8), bench_row("b", 10)), paths[0])
    document.write(bench_report(bench_row("a", 20, 1.1e6, uar=0.75), bench_row("b", 10), cpus=4), paths[1])
    return paths


def test_the_command_names_differences_first_and_gives_verdicts(reports: tuple[Path, Path]) -> None:
    shown = said(invoke("compare", *reports))
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    assert lines[0] == ["A.json", "and", "B.json"]
    assert " ".join(lines[1]) == "not the same: cpus: 2 -> 4"
    (row,) = [" ".join(line) for line in lines if line[0] == "a"]
    assert row.startswith("a 10.0 20.0 2.000 (1.5")
    assert row.endswith("slower +10.0% - -0.050")
    assert "wider by 25%, which two runs of one file may differ by" in " ".join(shown.split())
    same = "the very same runs before and after"
    assert f"b: {same}" in shown  # made of one seed
    assert f"a: {same}" not in shown
    assert same in said(invoke("compare", reports[0], reports[0]))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_figure_is_cut_and_rows_keep_their_names_at_any_width(width: int) -> None:
    rows = [
        bench_row(name, 10, turns=[factor * t for t in PACED], memory_delta=31.4e6 * factor, uar=0.7)
        for name, factor in (("mobilenet_v2:alpha=1.0", 1.0), ("mobilenet_v2:alpha=0.35", 1.03), ("other", 1.0))
    ]
    text = printed(compare_table.comparison_table(_within(*rows), 0.25, width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    shown = " ".join(text.split())
    assert "1.030" in shown
    assert shown.startswith("AB.json: each row against mobilenet_v2:alpha=1.0 ")
    assert sum("mobilenet_v2:alpha=0.35" in line for line in text.splitlines()) == 1
    assert ("left out for want of width: UAR" in shown) == (width <= 100)


def test_the_command_ends_with_3_where_a_limit_is_exceeded(reports: tuple[Path, Path]) -> None:
    words = ["compare", *reports]
    done = invoke(*words, "--fail-if", "latency.p50>5%", "--fail-if", "size>0")
    assert done.returncode == 3
    assert "beyond the limit: a: latency.p50 +100.0%, from 10.0 ms to 20.0 ms (latency.p50>5%)" in done.stdout
    assert "beyond the limit: a: size +100.0 kB, from 1.0 MB to 1.1 MB (size>0)" in done.stdout
    assert invoke(*words, "--fail-if", "latency.p50>150%").returncode == 0
    assert invoke(*words, "--fail-if", "latency>5%", "--run-to-run", "150%").returncode == 0
    told = json.loads(invoke(*words, "--json", "--fail-if", "size>0").stdout)
    case = told["comparisons"][0]["cases"][0]
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
def test_wrong_requests_are_one_line(reports: tuple[Path, Path], words: list[str], message: str) -> None:
    assert_refused(invoke("compare", *reports, *words), message)


@pytest.mark.slow
def test_files_that_take_turns_show_a_small_difference(small_system: Any, tmp_path: Path) -> None:
    """The whole file computes a picture first: it is slower than the part without that, in each round."""
    files = (small_system.path(part, "tflite-float32") for part in ("cnn", "whole"))
    report = tmp_path / "turns.json"
    words = ["--threads", "1", "--interleave", "--rounds", "6", "--runs", "30", "--min-seconds", "0.1", "--no-memory"]
    done = invoke("bench", *files, *words, "-o", report)
    (told,) = [line for line in said(done, None).splitlines() if line.startswith("in turn: ")]
    assert re.search(r" times its latency \(95 % interval of 6 rounds: .*\): slower$", told)
    runs = document.read(report).runs
    assert [len(figures_of(run)["turn_latency"].samples) for run in runs] == [6, 6]
    assert all(len(run.conditions["turns"]) == 6 for run in runs)
    compared = invoke("compare", report, "--json", "--fail-if", "latency>5%")
    assert compared.returncode == 3
    (case,) = json.loads(compared.stdout)["comparisons"][0]["cases"]
    assert (case["verdict"], case["ratio"]["rounds"]) == ("slower", 6)


def test_interleaving_takes_two_files(small_system: Any) -> None:
    path, other = (small_system.path("cnn", exporter) for exporter in ("tflite-float32", "hdf5"))
    expected = "--interleave: expected two files or more of one target, which take turns, got one"
    assert_refused(invoke("bench", path, "--interleave"), expected)
    # Each of these runs on a target of its own.
    assert_refused(invoke("bench", path, other, "--interleave"), "expected two files or more of one target")
    assert_refused(invoke("bench", path, "--rounds", "6"), "--rounds goes with --interleave")


def test_reports_of_one_name_are_told_apart_by_their_folders(reports: tuple[Path, Path], tmp_path: Path) -> None:
    places = []
    for folder, report in zip(("before", "after"), reports, strict=True):
        (tmp_path / folder).mkdir()
        places.append(report.rename(tmp_path / folder / "report.json"))
    shown = said(invoke("compare", *places))
    assert shown.startswith("before/report.json and after/report.json\n")
    assert str(tmp_path) not in shown
