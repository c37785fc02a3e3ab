"""The page of reports: what it shows of odd, long and large ones, on screen and on paper."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench_reports import BUSY, bench_report, bench_row, with_figures, with_samples
from matplotlib.figure import Figure
from test_report_cli import _loaded, in_browser

from dslite.metrics import metric
from dslite.records import BenchReport, Measurement, Run
from dslite.report import page
from dslite.report.comma_separated import as_csv
from dslite.report.markdown import markdown
from dslite.report.plots import axis, draw_points, shortened
from dslite.report.view import Best, view

LONG = "first-prune_sparsity_0.7_epochs_2_qat_epochs_1-tflite-float16-{}.tflite"


def _named(name: str, **figures: float) -> Run:
    run = bench_row("b", 5.0, **figures)
    return replace(run, artifact=replace(run.artifact, path=name, exporter=None))


def _html(*runs: Run) -> str:
    return page.html(view([("a.json", bench_report(*runs))]))


def _probed(text: str, script: str, folder: Path, width: int = 1200) -> str:
    """Give what a script finds out about a page in a browser."""
    path = folder / "probed.html"
    probe = f"<script>document.title = (() => {{ {script} }})();</script></main>"
    path.write_text(text.replace("</main>", probe), encoding="utf-8")
    shown, console = _loaded(path, folder, width=width)
    assert console == ""
    return re.findall("<title>(.*?)</title>", shown)[0]


def test_the_quickest_is_one_that_is_valid_and_a_size_stays_a_size() -> None:
    busy = replace(bench_row("busy", 1.0, 1e6), flags=(BUSY,))
    found = view([("a.json", bench_report(busy, bench_row("slow", 9.0, 3e6), bench_row("as_slow", 9.0, 3e6)))])
    assert found.best_of(metric("latency")) == Best("slow and 1 more", found.runs[1].measurements[0].value, "valid")
    assert found.best_of(metric("size")) == Best("busy", 1e6, "")
    assert "lowest median latency of the valid ones: slow and 1 more" in page.html(found)
    assert view([("a.json", bench_report(busy))]).best_of(metric("latency")) is None
    assert "3</b><span>rows, 2 of them valid" in page.html(found)


def test_only_what_does_the_same_stands_in_a_plot() -> None:
    model, quick = bench_row("m", 9.0, 9e6, macs=1e9), bench_row("q", 1.0, 1e6, macs=1e7)
    frontend = replace(quick, artifact=replace(quick.artifact, part="frontend"))
    assert "<figure>" in _html(model, quick)
    assert "<figure>" not in _html(model, frontend)
    assert "<figure>" not in _html(model, replace(quick, target="android"))
    several = _html(model, quick, frontend, frontend)
    assert "<h3>whole on host-litert</h3>" in several
    assert "<h3>frontend on host-litert</h3>" in several


def test_the_front_is_of_all_runs_also_of_those_that_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_POINTS", 5)
    text = _html(*(bench_row(f"b{i}", 100.0 - i, 1e8 - i) for i in range(20)))
    assert "Of 20 points, 5 are drawn; the line is of all." in text
    assert text.count('class="best"') == 1
    assert "<title>b19: " in text


def test_runs_that_are_not_valid_are_rings_and_a_score_has_its_interval() -> None:
    statistics = {"n": 50.0, "low": 0.5, "high": 0.7}
    runs = [bench_row(name, ms, 1e6, macs=ms) for name, ms in (("a", 3.0), ("b", 5.0))]
    scored = [with_figures(run, Measurement("uar", 0.6, "ratio", "", (), statistics)) for run in runs]
    text = _html(scored[0], replace(scored[1], flags=(BUSY,)))
    n_plots = text.count("<figure>")
    assert n_plots == 3
    assert text.count('class="reach"') == 2 * n_plots
    assert len(re.findall('class="(?:best|point) hollow"', text)) == n_plots


def test_values_that_are_no_numbers_and_machines_that_nobody_described_make_a_page() -> None:
    row = bench_row("odd", 3.0, 1e6, macs=math.nan)
    latency = Measurement("latency", math.inf, "s", "", (math.inf,) * 9 + (0.1,))
    endless = replace(row, measurements=(latency, *row.measurements[1:]))
    bare = replace(bench_report(row, endless, bench_row("fine", 2.0, 2e6, macs=1e8)), environment={"tool": "another"})
    found = view([("a.json", bare), ("none.json", replace(bare, runs=()))], with_paper=True)
    text = page.html(found)
    assert not re.search(r'="[^"]*\b(nan|inf)\b[^"]*"', text)
    assert "unknown processor" in text
    for write in (markdown, as_csv):
        assert "fine" in write(found)


def test_markdown_has_the_environment_and_a_command_cannot_leave_its_block() -> None:
    text = markdown(view([("a.json", replace(bench_report(bench_row("a", 1, 1)), command="x ```\n# evil"))]))
    assert "environment: cpu a processor; cpus 2; system Linux; packages numpy 2.0" in text
    assert text.endswith("````sh\nx ```\n# evil\n````\n")


def test_plots_of_one_page_share_no_id_and_have_its_colours() -> None:
    runs = [bench_row(f"b{i}", 5.0 + i, 1e6 * (9 - i), macs=1e8 * (i + 1)) for i in range(4)]
    text = _html(*runs, *(replace(run, target="android") for run in runs))
    assert text.count("<figure>") == 4
    ids = re.findall(r' id="(?!runs")([^"]*)"', text)
    assert len(set(ids)) == len(ids) > 4
    assert set(re.findall(r'href="#([^"]*)"', text)) == set(ids)
    plots = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert not any(re.search("<style|[:] #[0-9a-f]{6}|<metadata", plot) for plot in plots)
    assert text == _html(*runs, *(replace(run, target="android") for run in runs))


_SCALES = {"": 1.0, "B": 1.0, "k": 1e3, "kB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9}


@pytest.mark.parametrize(
    ("name", "low", "high", "scale"),
    [
        *(("latency", low, high, 1e-3) for low, high in ((0.1661e-3, 0.1689e-3), (1e-3, 2e-3), (0.02, 31.0))),
        *(("size", low, high, 1.0) for low, high in ((1.0e6, 2.4e6), (999.9e3, 1.0002e6), (1e3, 4e9))),
        *(("macs", low, high, 1.0) for low, high in ((2.8331e9, 2.8341e9), (3.0, 16.0), (100.0, 114.0))),
    ],
)
def test_ticks_are_written_as_what_they_are(name: str, low: float, high: float, scale: float) -> None:
    along = axis(metric(name), (low, high))
    figure = Figure()
    draw_points(
        figure.add_subplot(), along, axis(metric("latency"), (1, 2)), [{"color": "red"}] * 2, [], bar={}, line={}
    )
    ticks = figure.axes[0].get_xticks()
    told = [str(figure.axes[0].xaxis.get_major_formatter()(tick)).partition(" ") for tick in ticks]
    read = [float(number) * _SCALES[unit] * scale for number, _, unit in told]
    assert sum(low <= tick <= high for tick in ticks) > 2
    assert read == pytest.approx(ticks.tolist(), rel=1e-7)


def test_labels_keep_what_names_differ_in() -> None:
    assert shortened([LONG.format(i) for i in ("aa", "bb")]) == ["aa", "bb"]
    assert shortened(["mobilenet", "mobilenet_v2"]) == ["mobilenet", "mobilenet_v2"]
    assert shortened(["same", "same"]) == ["same", "same"]
    assert shortened(["x" * 40 + "1", "x" * 40 + "2"]) == ["x" * 12 + "…" + "x" * 10 + d for d in "12"]


@in_browser
@pytest.mark.parametrize("width", [500, 1200])
def test_no_name_is_so_long_that_it_hides_that_a_run_is_not_valid(tmp_path: Path, width: int) -> None:
    runs = [replace(_named(LONG.format(i)), flags=(BUSY,)) for i in range(3)]
    script = """return [...document.querySelectorAll("#runs .badge")].map((badge) => {
      const [inner, cell] = [badge.getBoundingClientRect(), badge.closest("td").getBoundingClientRect()];
      return inner.width > 20 && inner.left >= cell.left && inner.right <= cell.right && inner.bottom <= cell.bottom;
    }).join(" ");"""
    assert _probed(_html(*runs), script, tmp_path, width) == "true true true"


@in_browser
def test_labels_lie_on_no_other_label_and_no_point(tmp_path: Path) -> None:
    crowd = [
        bench_row(f"network_number_{i}", 30 * 1.07**i, 1e6 * 1.05 ** (i % 7 + i), macs=1e8 * 1.1**i) for i in range(18)
    ]
    script = """let n = 0; const over = [];
    for (const plot of document.querySelectorAll(".plot")) {
      const boxes = (kind) => [...plot.querySelectorAll(kind)].map((one) => one.getBBox());
      const labels = boxes(".label"); n += labels.length;
      const cut = (a, b) => Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 2
        && Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 3.5;
      labels.forEach((label, i) => {
        over.push(...[...labels.slice(i + 1), ...boxes("use")].filter((other) => cut(label, other)));
      });
    }
    return `${n} ${over.length}`;"""
    n_labels, n_over = map(int, _probed(_html(*crowd), script, tmp_path).split())
    assert n_over == 0
    assert n_labels >= 28  # of 36: one that finds no room is left out


@in_browser
def test_on_paper_the_table_is_whole_and_the_environment_is_there(report_of_all: BenchReport, tmp_path: Path) -> None:
    text = page.html(view([("a.json", report_of_all)])).replace("@media print", "@media all")
    script = """return [document.querySelector("#runs").getBoundingClientRect().right <= innerWidth,
      [...document.querySelectorAll("section > details dl")].every((one) => one.offsetHeight > 0)].join(" ");"""
    assert _probed(text, script, tmp_path, width=1040) == "true true"  # A4, landscape, less its margins


@pytest.fixture
def report_of_all() -> BenchReport:
    """A report with a figure in every column that there is."""
    counted = {"size": 2.4e8, "macs": 3.1e9, "flops": 6.2e9, "parameters": 7.6e6, "memory_delta": 1.2e8}
    others = {"memory_process": 7.2e8, "first_latency": 0.1, "init_time": 0.2, "real_time_factor": 30.0, "uar": 0.7}
    rates = {"flop_rate": 6e10, "flop_rate_share": 0.3, "temperature": 40.0, "gzip_size": 2.1e8}
    row = replace(_named("inception_resnet_v2", **counted, **others, **rates), flags=(BUSY,))
    return bench_report(with_samples(row, *(0.1 + 0.0001 * (i % 17) for i in range(400))))
