"""Documents made of reports: the page, in a real browser where there is one; Markdown; CSV."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from bench_reports import BUSY, bench_report, bench_row, csv_of, in_turn
from conftest import assert_refused, invoke, said

from dslite.records import BenchReport, Flag, Measurement, Run
from dslite.report import document
from dslite.report.markdown import markdown
from dslite.report.page import MOST_DRAWN, html
from dslite.report.view import view

VERSION_1 = Path(__file__).with_name("reports") / "version_1.json"
EVIL = "<img src=x onerror=alert('x')>"
VOID = {"meta", "link", "br"}


@pytest.fixture
def report() -> BenchReport:
    failed = bench_row("broken", 1, error=f"it crashed {EVIL}")
    busy = bench_row("busy", 20.0, 3e6, macs=5e8, flags=(BUSY, Flag("drift", "it drifts")))
    evil, formula = bench_row(EVIL, 4.0, 5e6, macs=3e8), bench_row("=1+1", 100.0, 2e6, macs=9e9)
    rows = (bench_row("slow", 30.0, 9e6, macs=2e9), evil, formula, busy, failed)
    return bench_report(*rows, command=f"dslite bench {EVIL}")


class _Page(HTMLParser):
    """Checks that elements are closed in order, and keeps links and what stands in cells of the first column."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.scripts = 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing_and_harms_nobody(report: BenchReport) -> None:
    text = html(view([("a.json", report), ("v1.json", document.read(VERSION_1))], EVIL, with_paper=True))
    page = _Page(text)
    assert page.addresses == ["data:,"]
    assert page.scripts == 1
    assert "alert('x')" not in text
    assert not re.search(r"https?://", re.sub(r"<dd>.*?</dd>", "", text))
    for words in ("not valid because others were busy", "it drifts", "failed", "numpy", "abc", "a clock"):
        assert words in text


def test_a_page_of_thousands_of_runs_stays_small(report: BenchReport) -> None:
    rows = [bench_row(f"b{i}", 1 + i % 17, 1e6 + i, macs=1e6 * (1 + i)) for i in range(17)]
    n = 1500  # of 17 kinds, which are as many as are quick to make
    many = replace(report, runs=tuple(rows[i % 17] for i in range(n)))
    text = html(view([("many.json", many)]))
    assert text.count("<article>") == MOST_DRAWN
    assert f"Of {n} runs, the first {MOST_DRAWN} are drawn" in text
    assert len(text) < 2000 * n
    _Page(text)


def test_markdown_has_table_truths_and_command(report: BenchReport) -> None:
    text = markdown(view([("a.json", report)], with_paper=True))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "- **! busy: not valid because others were busy**" in text
    assert "no row here is one of its" in text
    assert "\\<img" in text
    assert text.endswith("```\n")
    assert "| ! busy |" in text
    assert "| paper |" in markdown(view([("v1.json", document.read(VERSION_1))], with_paper=True))


def test_csv_is_read_back_and_no_cell_is_a_formula(report: BenchReport) -> None:
    rows = csv_of(report)
    assert [row["backbone"] for row in rows] == ["slow", EVIL, "'=1+1", "busy", "broken"]
    assert [row["valid"] for row in rows] == ["true", "true", "true", "false", "false"]
    assert float(rows[0]["latency_p50_s"]) == report.runs[0].measurements[0].value
    assert float(rows[0]["latency_low_s"]) <= float(rows[0]["latency_p50_s"]) <= float(rows[0]["latency_high_s"])
    assert rows[0]["latency_p99_s"] == ""  # a hundred runs do not support it
    assert float(rows[3]["macs"]) == 5e8
    assert rows[3]["flags"] == "background_load;drift"


def test_the_command_writes_by_suffix(report: BenchReport, tmp_path: Path) -> None:
    source = tmp_path / "a.json"
    document.write(report, source)
    for name, begin in (("a.html", "<!doctype html>"), ("a.md", "# "), ("a.csv", "name,backbone")):
        assert said(invoke("report", source, "-o", tmp_path / name)) == ""
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begin)
    shown = invoke("report", str(source), str(VERSION_1), "--title", "mine").stdout
    assert shown.startswith("# mine\n")
    assert "(version\\_1)" in shown
    schema = invoke("report", "--schema").stdout
    assert '"$schema"' in schema
    assert invoke("report", "--schema", "-o", str(tmp_path / "schema.json")).stdout == ""
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == schema


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a report: a file that `dslite bench -o` wrote"),
        (["gone.json"], "gone.json: no such file"),
        ([str(VERSION_1), "-o", "x.pdf"], "expected a name that ends in .html, .md or .csv"),
        ([str(VERSION_1), "--format", "pdf"], "'pdf' is not one of"),
        ([str(VERSION_1), "--format", "csv", "--paper"], "--paper: a CSV has figures of runs alone"),
        ([str(VERSION_1), "--schema"], "--schema goes with -o alone"),
    ],
)
def test_wrong_requests_are_one_line(words: list[str], message: str) -> None:
    assert_refused(invoke("report", *words), message)


def test_a_report_without_a_case_is_refused(report: BenchReport, tmp_path: Path) -> None:
    document.write(replace(report, runs=()), tmp_path / "a.json")
    assert_refused(invoke("report", tmp_path / "a.json"), "a.json: the report has no row")


def _in_turn() -> BenchReport:
    return replace(bench_report(*in_turn(base=1.0, slow=1.03)), partial="2 of 3 jobs were measured")


def test_every_form_has_the_verdicts_of_rows_that_took_turns() -> None:
    found = view([("a.json", _in_turn())])
    told = "in turn: slow against base: 1.030 times its latency (95 % interval of 7 rounds: 1.030 to 1.030): slower"
    assert told in html(found)
    assert told in markdown(found)
    base, slow = csv_of(_in_turn())
    assert (slow["against"], slow["rounds"], slow["verdict"]) == ("base", "7", "slower")
    assert float(slow["ratio"]) == pytest.approx(1.03)
    assert (base["against"], base["verdict"], base["report"]) == ("", "", "a.json")


def test_every_page_says_what_is_missing_of_a_report() -> None:
    found = view([("a.json", _in_turn()), ("b.json", bench_report(bench_row("b", 1.0)))])
    for text in (html(found), markdown(found)):
        assert "a.json is partial: 2 of 3 jobs were measured" in text
        assert "a.json: in turn: slow against base" in text


def test_what_is_true_of_a_row_is_told_of_the_row_as_it_stands_in_the_table(report: BenchReport) -> None:
    """Rows of several reports have the report in their names, and so have the sentences about them."""
    found = view([("a.json", report), ("b.json", replace(report, runs=report.runs[:1]))])
    assert "busy (a): not valid because others were busy" in found.invalid()
    assert any(text.startswith("busy (a): ") for text in found.flags())


def test_stars_are_judged_among_the_rows_of_one_device_and_explained_once() -> None:
    """Two hosts have one target: a row of the slower one is not beaten by the other's."""

    def on(model: str, name: str, ms: float) -> Run:
        row = bench_row(name, ms, 1e6)
        return replace(row, device=replace(row.device, model=model))  # type: ignore[type-var]

    quick, slow = ([on(model, name, ms * k) for k, name in ((1, "a"), (2, "b"))] for model, ms in (("x", 1), ("y", 9)))
    found = view([("x.json", bench_report(*quick)), ("y.json", bench_report(*slow))])
    assert found.best == {0, 2}
    for text in (html(found), markdown(found)):
        assert text.count("Pareto-optimal: no other row of this part and target is as low in p50, size") == 1
    alone = view([("x.json", bench_report(quick[0])), ("z.json", bench_report(quick[1]))])
    assert alone.best == {0}
    assert "Pareto-optimal" in markdown(alone)


def test_nothing_but_documents_is_replaced(report: BenchReport, tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_bytes(b"RIFF")
    document.write(report, tmp_path / "a.json")
    done = invoke("report", tmp_path / "a.json", "--format", "csv", "-o", tmp_path / "voice.wav")
    assert_refused(done, "is there, and by its name no page, Markdown or CSV")
    assert (tmp_path / "voice.wav").read_bytes() == b"RIFF"


def test_reports_whose_names_differ_in_their_last_part_alone_are_told_apart() -> None:
    one = bench_report(bench_row("a", 1.0))
    assert view([("v1.0.json", one), ("v1.1.json", one)]).names[0].endswith("(v1.0)")
    assert view([("a.json", one), ("a", one)]).names[0].endswith("(a.json)")
    assert view([("first/report.json", one), ("second/report.json", one)]).names[0].endswith(" (first/report)")


def test_a_figure_that_was_made_in_two_ways_has_both() -> None:
    one, two, three = bench_row("a", 1.0), bench_row("b", 1.0), bench_row("c", 1.0)
    counted = [Measurement("macs", 1e6, "count", f"counted from {what}") for what in ("48 nodes", "51 nodes", "memory")]
    rows = [replace(row, measurements=(m,)) for row, m in zip((one, two, three), counted, strict=True)]
    assert view([("a.json", bench_report(*rows))]).methods() == [
        ("macs", "a, b: counted from 48 nodes (a; of others, figures in it differ)"),
        ("macs", "c: counted from memory"),
    ]
    assert view([("a.json", bench_report(rows[0], rows[0]))]).methods() == [("macs", "counted from 48 nodes")]


@pytest.fixture
def alike(tmp_path: Path) -> list[str]:
    """Two reports of one name, as each folder of `dslite compress` has one."""
    paths = [tmp_path / folder / "report.json" for folder in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(VERSION_1.read_bytes())
    return [str(path) for path in paths]


def test_reports_of_one_name_are_told_apart_by_folders_and_no_more(alike: list[str], tmp_path: Path) -> None:
    shown = said(invoke("report", *alike, VERSION_1))
    for name in ("first/report.json: 2", "second/report.json: 2", "\nversion\\_1.json: 2"):
        assert name in shown
    assert str(tmp_path) not in shown


def test_a_report_that_is_named_twice_is_refused(alike: list[str], tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(alike[0])
    for again in (alike[0], str(tmp_path / "link.json")):
        assert_refused(invoke("report", alike[0], again), f"{alike[0]}: expected each report once, got it 2 times")


def test_a_report_is_never_replaced_by_its_own_page(alike: list[str], tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to(alike[1])
    for output in (alike[1], str(tmp_path / "link.html")):
        assert_refused(invoke("report", *alike, "--format", "html", "-o", output), "is a report that is to be read")
    assert Path(alike[1]).read_bytes() == VERSION_1.read_bytes()


# -- in a browser ---------------------------------------------------------------------------------------

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: apt install chromium")


def _loaded(page: Path, folder: Path, fragment: str = "", width: int = 1200) -> tuple[str, str]:
    """Give a page as a browser has it once its script has run, and what that wrote to its console."""
    done = subprocess.run(
        [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--enable-logging=stderr"),
            *(f"--window-size={width},900", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000"),
            *("--allow-file-access-from-files", f"{page.as_uri()}{fragment}"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


PROBE = """<!doctype html><title>?</title>
<iframe id="f" src="a.html" style="width:WIDTHpx;height:800px;border:0"></iframe>
<script>
const f = document.getElementById("f");
f.onload = () => {
  const w = f.contentWindow, d = w.document, heading = d.querySelector('th[data-key="size"]');
  heading.querySelector("button").click();
  document.title = [d.documentElement.scrollWidth <= w.innerWidth, heading.ariaSort, w.location.hash,
    d.querySelector("tbody .name").lastChild.textContent.trim()].join(" ");
};
</script>"""
"""A page around the page: a window of Chromium is 500 pixels wide at the least, a frame may be narrower."""


@in_browser
def test_a_browser_loads_it_without_a_word_and_sorts_it(report: BenchReport, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text(html(view([("a.json", report)])), encoding="utf-8")

    def order(fragment: str) -> list[str]:
        text, console = _loaded(page, tmp_path, fragment)
        assert console == ""
        table = text[text.index('<table id="runs"') : text.index("</table>")]
        return re.findall(r'<span class="name">(?:<span class="star">\*</span> )?([^<]*)</span>', table)

    evil = "&lt;img src=x onerror=alert('x')&gt;"
    assert order("")[0] == "slow"
    fastest_first = [name.replace("<", "&lt;").replace(">", "&gt;") for name in order("#sort=p50")]
    assert fastest_first == [evil, "busy", "slow", "=1+1", "broken"]
    assert order("#sort=-p50")[:3] == ["=1+1", "slow", "busy"]
    assert order("#sort=-p50")[-1] == "broken"  # without a figure, last in either order
    assert order("#sort=size")[:2] == ["=1+1", "busy"]
    assert order("#sort=nonsense")[0] == "slow"


@in_browser
@pytest.mark.parametrize("width", [340, 1200])
def test_a_browser_scrolls_only_the_table_and_a_click_sorts(report: BenchReport, tmp_path: Path, width: int) -> None:
    (tmp_path / "a.html").write_text(html(view([("a.json", report)])), encoding="utf-8")
    (tmp_path / "probe.html").write_text(PROBE.replace("WIDTH", str(width)), encoding="utf-8")
    text, _ = _loaded(tmp_path / "probe.html", tmp_path, width=max(500, width))
    (title,) = re.findall("<title>(.*?)</title>", text)
    assert title == "true ascending #sort=size =1+1"
