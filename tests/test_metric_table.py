"""One record describes a metric everywhere: dslite's own, one that a target describes, and one that nobody does."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bench_reports import BUSY, bench_report, bench_row, compared_trials, csv_of, printed, table_of, trial, with_figures
from conftest import invoke, said
from distributions import install
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import SpecError
from dslite.measure import bench, relative
from dslite.measure.inputs import Inputs
from dslite.metrics import metric, table
from dslite.metrics.scores import Difference
from dslite.metrics.table import METRICS
from dslite.records import BenchReport, Column, Device, Measurement, Metric, Plan, Run, Target
from dslite.report import compare_table, comparison, document, limits, page, pareto
from dslite.report.comma_separated import as_csv
from dslite.report.markdown import markdown
from dslite.report.names import numbered
from dslite.report.schema import json_schema
from dslite.report.view import ordered, view

ENERGY = Metric(
    *("energy", "J", "of one inference, by the board's own meter", "lower"),
    is_objective=True,
    axis="energy, J",
    best="least energy",
    columns=(Column("energy\nJ", form="factor", rank=90),),
)


def _with(name: str, joules: float, described: bool = True, ms: float = 5.0, size: float = 1e6) -> Run:
    run = with_figures(bench_row(name, ms, size), Measurement("energy", joules, "J", "by a meter"))
    return replace(run, metrics=(ENERGY,) if described else ())


def _again(report: BenchReport) -> BenchReport:
    """Give a report as another process reads it, which has no plugin."""
    text = document.to_text(report)
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(json.loads(text))) == []
    return document.from_text(text)


@pytest.mark.parametrize("described", [True, False])
def test_a_metric_of_a_target_is_in_every_format_in_comparisons_and_in_limits(described: bool) -> None:
    report = _again(bench_report(_with("a", 2.0, described), _with("b", 0.25, described), _with("c", 30.5, described)))
    shown = view([("a.json", report)])
    assert " energy " in table_of(report)
    assert "30.5" in table_of(report, 80)
    assert "| energy J |" in markdown(shown)
    assert [float(row["energy_J"]) for row in csv_of(report)] == [2.0, 0.25, 30.5]
    text = page.html(shown)
    assert 'data-key="energy"' in text
    assert 'data-value="30.5"' in text
    assert [run.artifact.backbone for run in ordered(report.runs, "energy")] == ["b", "a", "c"]
    found = comparison.compare(report, bench_report(_with("a", 3.0, described), *report.runs[1:]), ("A", "B"))
    assert "+50.0%" in printed(compare_table.comparison_table(found, 0.25, 120))
    assert compare_table.to_json(found, 0.25)["cases"][0]["figures"]["energy"] == {"before": 2.0, "after": 3.0}
    for limit in ("energy>10%", "energy>0.5", "energy>0.5J"):
        (excess,) = limits.judge([limits.parse(limit)], [found], 0.25).beyond
        assert excess.message == f"energy {'+50.0%' if '%' in limit else '+1 J'}, from 2 J to 3 J"
    with pytest.raises(SpecError, match="energy is in J, not in ms"):
        limits.judge([limits.parse("energy>1ms")], [found], 0.25)


def test_what_a_target_says_of_its_metric_decides_stars_plots_and_the_best_of_a_page() -> None:
    runs = [_with("slow", 1.0, ms=9.0), _with("quick", 2.0, ms=3.0), _with("neither", 3.0, ms=9.0)]
    best, judged = pareto.optimal(runs)
    assert best == {0, 1}
    assert "energy" in [each.name for each in judged]
    text = page.html(view([("a.json", _again(bench_report(*runs)))]))
    assert "<b>1.0 J</b><span>least energy: slow</span>" in text
    assert "energy, J" in text
    assert "no other row of this part and target is as low in p50, size, energy" in text
    assert pareto.optimal([replace(run, metrics=()) for run in runs])[0] == {1}


def test_a_limit_may_allow_for_what_measurements_of_such_a_metric_differ_by() -> None:
    noisy = replace(ENERGY, interval="run_to_run", run_to_run=0.5)
    before, after = (replace(_with("a", joules), metrics=(noisy,)) for joules in (2.0, 2.5))
    found = comparison.compare(bench_report(before), bench_report(after), ("A", "B"))
    judged = limits.judge([limits.parse("energy>0")], [found], 0.25)
    assert (judged.beyond, len(judged.not_judged)) == ([], 1)


def test_a_report_of_another_version_or_of_anybody_is_laid_out_all_the_same() -> None:
    column = Column("<b>energy|\nJ", form="of_tomorrow", paper="energy_of_tomorrow")
    runs = [replace(_with(name, 2.5), metrics=(replace(ENERGY, columns=(column,)),)) for name in ("a", "b")]
    report = _again(bench_report(*runs))
    shown = view([("a.json", report)], with_paper=True)
    assert "2.5" in table_of(report)
    assert "\\<b>energy\\| J" in markdown(shown)
    assert "<b>energy" not in page.html(shown)


def test_a_new_metric_of_dslite_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the table of metrics knows of it."""
    monkeypatch.setattr(table, "METRICS", (*METRICS, ENERGY))
    report = bench_report(*(replace(_with(name, joules), metrics=()) for name, joules in (("a", 2.0), ("b", 4.0))))
    test_a_metric_of_a_target_is_in_every_format_in_comparisons_and_in_limits(described=False)
    assert "<b>2.0 J</b><span>least energy: a</span>" in page.html(view([("a.json", report)]))
    assert "energy (J): of one inference" in json.dumps(json_schema())
    header = as_csv(view([("a.json", bench_report(bench_row("a", 1.0, 1e6)))])).splitlines()[0]
    assert "energy_J" in header.split(",")  # whether or not a run has it, as of all of dslite's own


def test_what_nobody_describes_follows_from_its_unit() -> None:
    for unit, heading in {
        "s": "some wait\nms",
        "bytes": "some wait",
        "count": "some wait",
        "V": "some wait\nV",
    }.items():
        (column,) = metric("some_wait", unit).columns
        assert column.title == heading
    assert metric("latency") == metric("latency", "s") == next(each for each in METRICS if each.name == "latency")


def test_a_bench_keeps_what_its_target_describes(small_system: Any) -> None:
    def run(*_: object) -> list[Measurement]:
        return [Measurement("latency", 0.0, "s", "m", (0.01,) * 50), Measurement("energy", 2.0, "J", "by a meter")]

    device = Device("desk", "my desk", "Linux", "x86_64", 1, 1)
    other = replace(ENERGY, name="charge")
    target = Target("desk", (".tflite",), lambda: [device], run, "tests", metrics=(ENERGY, other))  # type: ignore[arg-type]
    artifact = small_system.files["cnn", "tflite-float32"]
    inputs = Inputs([[0.0]], "none")  # type: ignore[arg-type]
    found = bench.run(artifact, None, target, {}, Plan(1), inputs, lambda *_: None)
    assert found.error is None
    assert found.metrics == (ENERGY,)


# -- experiments, in documents ------------------------------------------------------------------------------


def _experiment() -> BenchReport:
    rows = compared_trials(trial(), trial(["prune", "qat"], "tflite-int8", sparsity=0.8, seconds=0.002, n_bytes=1e6))
    base, ours = relative.compared(
        [relative.without(run, "speed_up") for run in rows],
        lambda *_: Difference(40, 0.82, 0.8, 0.02, 3, (-0.01, 0.05), 1000, 0.95),
    )
    return bench_report(base, ours, command="dslite compress run data.csv")


@pytest.mark.parametrize("form", ["markdown", "csv", "html"])
def test_documents_of_an_experiment_have_all_that_its_table_has(form: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    document.write(_experiment(), path)
    done = invoke("report", path, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    assert "prune+qat, tflite-int8" in done.stdout
    if form == "csv":
        _, row = csv.DictReader(io.StringIO(done.stdout))
        asked = "uar_difference uar_difference_low uar_difference_high speed_up sparsity delegated_nodes"
        assert [float(row[name]) for name in asked.split()] == pytest.approx([0.02, -0.01, 0.05, 2.0, 0.8, 95])
        assert (row["changed_decisions"], row["pareto"]) == ("3", "yes")
        return
    for cell in ("+0.020 (-0.010 to +0.050)", "2.00x (2.00 to 2.00)", "80%", "95/100", "0.800 (0.700 to 0.900)"):
        assert cell in done.stdout
    assert "an interval with 0 in it shows no difference" in done.stdout


def test_a_row_of_an_experiment_that_is_not_valid_has_no_star_and_takes_none() -> None:
    base, better = compared_trials(trial(), trial(["channels"], uar=0.9, seconds=0.001, n_bytes=1e6))
    assert pareto.optimal_trials([base, better]) == {1}
    busy = replace(better, flags=(BUSY,))
    assert pareto.optimal_trials([base, busy]) == {0}
    report = bench_report(base, busy, command="dslite compress run data.csv")
    assert "\n ! channels, tflite-float32" in table_of(report)
    assert "rows that are not valid are not judged" in table_of(report)
    none = replace(report, runs=tuple(replace(run, flags=busy.flags) for run in report.runs))
    assert "Pareto-optimal rows: none, as no row with a speed-up is valid" in table_of(none)


# -- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rise", "is_beyond"), [(1.0, False), (1.015, False), (1.03, True)])
def test_memory_must_rise_by_more_than_two_measurements_of_one_file_differ_by(rise: float, is_beyond: bool) -> None:
    before, after = (bench_report(bench_row("a", 5.0, memory_delta=peak)) for peak in (17.3e6, 17.3e6 * rise))
    found = comparison.compare(before, after, ("A", "B"))
    judged = limits.judge([limits.parse("memory>0")], [found], 0.25)
    assert bool(judged.beyond) == is_beyond
    assert bool(judged.not_judged) == (rise > 1.0 and not is_beyond)  # what is not shown is told
    assert judged.blind == []


# -- the command line -----------------------------------------------------------------------------------------

METER = """
from dslite import hookimpl
from dslite.records import Column, Device, Measurement, Metric, Target

def run(artifact, device, plan, options, progress):
    samples = tuple(0.01 + 0.0001 * (i % 7) for i in range(60))
    joules = artifact.size_bytes / 1e6
    return [Measurement("latency", 0.01, "s", "made up", samples), Measurement("energy", joules, "J", "made up")]

@hookimpl
def dslite_targets():
    board = Device("board", "a board", "Linux", "aarch64", 4, 2**30)
    energy = Metric("energy", "J", "of one inference", "lower", columns=(Column("energy\\nJ", rank=90),))
    return [Target("meter", (".tflite",), lambda: [board], run, "tests", by_default=False, metrics=(energy,))]
"""


def test_a_plugins_metric_from_bench_to_compare(small_system: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "meter", METER)
    files = [small_system.path(part, "tflite-float32") for part in ("whole", "cnn")]
    words = ["bench", *files, "--target", "meter", "--sort", "energy", "-o", tmp_path / "a.json"]
    shown = said(invoke(*words, environment={"PYTHONPATH": str(site)}), None)
    assert shown.index("cnn.tflite") < shown.index("whole.tflite")  # the smaller one first
    report = document.read(tmp_path / "a.json")
    assert {run.metrics[0].meaning for run in report.runs} == {"of one inference"}
    rows = [replace(run, measurements=tuple(map(_doubled, run.measurements))) for run in report.runs]
    document.write(replace(report, runs=tuple(rows)), tmp_path / "b.json")
    compared = invoke("compare", tmp_path / "a.json", tmp_path / "b.json", "--fail-if", "energy>10%")
    assert compared.returncode == 3
    assert "energy +100.0%" in compared.stdout
    refused = invoke("bench", files[0], "--sort", "entropy")
    assert (refused.returncode, refused.stdout) == (2, "")


def _doubled(m: Measurement) -> Measurement:
    return replace(m, value=2 * m.value) if m.metric == "energy" else m


# -- metrics of targets that do not fit together --------------------------------------------------------------


def _compared_energy(before: Run, after: Run) -> comparison.Comparison:
    return comparison.compare(bench_report(before), bench_report(after), ("A", "B"))


def _judged(limit: str, before: Run, after: Run) -> limits.Judgement:
    return limits.judge([limits.parse(limit)], [_compared_energy(before, after)], 0.1)


def _in_unit(name: str, value: float, unit: str, **changes: Any) -> Run:
    about = replace(ENERGY, unit=unit, columns=(Column(f"energy\n{unit}"),), **changes)
    run = _with(name, value)
    return replace(
        run, measurements=(*run.measurements[:-1], Measurement("energy", value, unit, "m")), metrics=(about,)
    )


def test_figures_of_one_name_in_two_units_are_not_mixed() -> None:
    first, second = _with("a", 1.0), _in_unit("a", 0.5, "kWh")
    judged = _judged("energy>0", first, second)
    assert (judged.beyond, judged.blind) == ([], ["energy>0"])
    assert "was in J, and is in kWh" in str(judged.not_judged[0])
    assert "unit of energy: J -> kWh" in _compared_energy(first, second).environment
    both = view([("a.json", bench_report(first, replace(_in_unit("b", 5.5, "kWh"), target="another")))])
    (row, other) = csv.DictReader(io.StringIO(as_csv(both)))
    assert (row["energy_J"], row["energy_kWh"], other["energy_J"], other["energy_kWh"]) == ("1", "", "", "5.5")


def test_stars_go_by_what_the_rows_own_target_says_is_better() -> None:
    lower = [_in_unit(name, value, "J") for name, value in (("a", 1.0), ("b", 2.0))]
    higher = [replace(_in_unit(n, v, "J", better="higher"), target="other") for n, v in (("c", 1.0), ("d", 2.0))]
    for runs in (lower + higher, higher + lower):
        best, _ = pareto.optimal(runs)
        assert {runs[i].artifact.backbone for i in best} == {"a", "d"}


@pytest.mark.parametrize("after", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_keeps_no_limit(after: float) -> None:
    judged = _judged("energy>0", _with("a", 1.0), _with("a", after))
    assert (judged.beyond, len(judged.not_judged)) == ([], 1)
    told = compare_table.to_json(_compared_energy(_with("a", 1.0), _with("a", after)), 0.1)
    assert told["cases"][0]["figures"]["energy"] == {"before": 1.0, "after": None}


def test_limits_know_what_a_target_says_of_its_metric() -> None:
    refusing = [replace(_with("a", v), metrics=(replace(ENERGY, no_limit="it is the board's"),)) for v in (1.0, 2.0)]
    with pytest.raises(SpecError, match="no limit can be on energy: it is the board's"):
        _judged("energy>0", *refusing)
    other = replace(ENERGY, name="Energy2", columns=(Column("power\nJ"),))
    found = [Measurement("Energy2", v, "J", "m") for v in (1.0, 2.0)]
    runs = [replace(bench_row("a", 1.0, 1e6), measurements=(each,), metrics=(other,)) for each in found]
    for text in ("Energy2>0", "power>0"):
        assert [each.limit for each in _judged(text, *runs).beyond] == [text]


def test_headings_of_a_csv_and_of_a_page_are_harmless_and_differ() -> None:
    alike = [Metric(name, "ratio", columns=(Column("size"),)) for name in ("error", "valid", "=1+1")]
    found = tuple(Measurement(each.name, 0.5, "ratio", "m") for each in alike)
    run = replace(bench_row("a", 1.0, 1e6), metrics=tuple(alike))
    shown = view([("a.json", bench_report(replace(run, measurements=(*run.measurements, *found))))])
    (row,) = csv.DictReader(io.StringIO(as_csv(shown)))
    assert (row["error_2"], row["valid_2"], row["'=1+1"], row["valid"]) == ("0.5", "0.5", "0.5", "true")
    keys = re.findall(r'data-key="([^"]*)"', page.html(shown))
    assert len(keys) == len(set(keys))


def test_columns_of_a_comparison_are_all_there_whatever_metrics_call_theirs() -> None:
    titled = {"pages": "memory", "judge": "verdict", "joules": "e", "euros": "e"}
    own = tuple(Metric(name, "ratio", columns=(Column(title),)) for name, title in titled.items())

    def row(value: float) -> Run:
        found = [Measurement(name, value, "ratio", "m") for name in titled]
        memory = Measurement("memory_delta", value * 1e6, "bytes", "peak")
        return replace(with_figures(bench_row("a", 1.0, 1e6), memory, *found), metrics=own)

    text = printed(compare_table.comparison_table(_compared_energy(row(1.0), row(2.0)), 0.1, 200))
    headings = text.splitlines()[[" row " in line for line in text.splitlines()].index(True)]
    assert re.findall(r"memory\S*|verdict\S*|\be\S*", headings.partition("interval)")[2]) == [
        *("verdict", "memory", "verdict_2", "e", "e_2", "memory_2")
    ]
    assert (text.count("+100.0%"), text.count("+1.000")) == (1, 4)


@given(st.lists(st.sampled_from(["e", "e_2", "e_3", "f"])), st.sets(st.sampled_from(["e", "f", "f_2"])))
def test_numbered_headings_differ(names: list[str], taken: set[str]) -> None:
    found = numbered(names, taken)
    assert len({*found, *taken}) == len(found) + len(taken)
    assert all(heading.startswith(name) for heading, name in zip(found, names, strict=True))


def test_names_in_limits_may_be_written_in_capitals_and_units_as_plugins_write_them() -> None:
    rows = [_in_unit("a", value, "mJ/inf") for value in (1.0, 3.0)]
    for text in ("Energy>1mJ/inf", "ENERGY>10%", "energy>1"):
        assert [each.limit for each in _judged(text, *rows).beyond] == [text]
    assert limits.parse("LATENCY>5%").metric == "latency"
    undescribed = [replace(row, metrics=()) for row in rows]
    assert _judged("Energy>1mJ/inf", *undescribed).beyond


@pytest.mark.parametrize("latency", [-1.0, 0.0])
def test_a_latency_that_nothing_can_have_is_compared_with_nothing(latency: float) -> None:
    row = bench_row("a", 5.0, 1e6)
    changed = replace(row, measurements=(replace(row.measurements[0], value=latency), *row.measurements[1:]))
    pair = _compared_energy(row, changed).pairs[0]
    assert (pair.ratio, pair.verdict) == (None, "not timed")


@pytest.mark.parametrize("extreme", [1e308, 5e-324, -1e308])
def test_a_page_draws_or_leaves_out_extreme_figures(extreme: float) -> None:
    assert "energy" in page.html(
        view([("a.json", bench_report(_with("a", extreme), _with("b", 1.0), _with("c", 2.0)))])
    )


def test_rows_stay_where_nobody_measured_what_they_are_ordered_by(small_system: Any, tmp_path: Path) -> None:
    runs = [bench_row(name, 1.0, 1e6) for name in ("b", "a")]
    assert ordered(runs, "energy") == runs
    install(tmp_path, "meter", METER)
    small = small_system.path("whole", "tflite-float32")
    done = invoke("bench", small, "--sort", "energy", environment={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, "--sort energy: not measured on host-litert" in done.stderr) == (2, True)
