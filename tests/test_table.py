from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_reports import BUSY, bench_report, table_of, with_figures

from dslite.codec import to_json
from dslite.measure.bench import undescribed
from dslite.measure.statistics import summarise
from dslite.metrics.forms import count, milliseconds, size
from dslite.recipe import REFERENCE, ChunkSpec, FrontendSpec
from dslite.records import Device, Flag, Measurement, Plan, Run
from dslite.report import document, paper
from dslite.report.names import flag_messages, titles


@pytest.mark.parametrize(
    ("text_of", "texts"),
    [
        (count, {None: "-", 0: "0", 999: "999", 6_121_000: "6.12 M", 2_833_663_488: "2.83 G", 1500: "1.50 k"}),
        # In powers of ten.
        (size, {None: "-", 12: "12 B", 146_704: "146.7 kB", 29_874_476: "29.9 MB", 3.2e9: "3.2 GB"}),
        (milliseconds, {None: "-", 0.00131: "1.31", 0.0327: "32.7", 4.286: "4286", 4.6e-7: "0.000460", 0.0: "0.00"}),
    ],
)
def test_figures_have_three_digits_and_a_unit(text_of: Any, texts: dict[float | None, str]) -> None:
    assert {value: text_of(value) for value in texts} == texts


def _run(backbone: str | None, error: str | None = None) -> Run:
    """Give a run of the reference system's image model."""
    samples = (0.030, 0.031, 0.040)
    latency = Measurement("latency", 0.031, "s", "clock", samples, summarise(samples))
    path = f"x/{backbone}-cnn-tflite-float32.tflite" if backbone else "x/m.tflite"
    artifact = undescribed(Path(path), backbone, "tflite-float32", "cnn")
    chunk, frontend = to_json(REFERENCE.chunk), to_json(REFERENCE.frontend)
    artifact = replace(artifact, chunk=chunk, frontend=frontend, params=7_564_358)
    return Run(artifact, "host-litert", None, Plan(2), () if error else (latency,), (), error)


@pytest.mark.parametrize(
    "change",
    [
        {"compressors": ("prune",)},
        {"frontend": to_json(FrontendSpec(size_px=96))},
        {"chunk": to_json(ChunkSpec(length_s=1.0))},
        {"params": 7_170_562},
        {"backbone": "mobilenet"},
    ],
)
def test_the_papers_figures_stand_beside_the_papers_system_only(change: dict[str, Any]) -> None:
    run = _run("densenet121")
    assert paper.figures_for(run) is not None
    assert "89.7" in table_of(bench_report(run))
    assert "89.7" not in table_of(bench_report(replace(run, artifact=replace(run.artifact, **change))))
    assert paper.figures_for(replace(run, artifact=replace(run.artifact, **change))) is None


def test_errors_and_flags_are_told_once_under_the_table() -> None:
    flag = Flag("threads_exceed_cores", "8 threads on 2 cores")
    good = replace(_run("densenet121"), flags=(flag,))
    text = table_of(bench_report(good, good, _run("densenet121", "it crashed [with brackets]")))
    assert text.count("8 threads on 2 cores") == 1
    assert "failed: densenet121-cnn-tflite-float32.tflite (3): it crashed [with brackets]" in text


def test_rows_that_are_not_valid_are_marked_where_they_stand() -> None:
    text = table_of(bench_report(_run("vgg16"), replace(_run("vgg19"), flags=(BUSY,))))
    lines = [line.strip() for line in text.splitlines()]
    assert any(line.startswith("! vgg19 ") for line in lines)
    assert "! vgg19: not valid because others were busy" in lines
    assert any(line.startswith("vgg16 ") for line in lines)


def test_a_report_that_is_not_whole_says_so() -> None:
    part = replace(bench_report(_run("vgg16")), partial="1 of 2 jobs were measured")
    assert "partial: 1 of 2 jobs were measured" in table_of(part)
    assert document.from_text(document.to_text(part)).partial == "1 of 2 jobs were measured"
    assert "partial" not in table_of(bench_report(_run("vgg16")))


def test_what_took_turns_says_in_which_processes() -> None:
    turns = Measurement("turn_latency", 0.03, "s", "m", (0.03,) * 6)
    text = table_of(bench_report(_run("vgg16"), with_figures(_run("vgg19"), turns)))
    (alone, in_turn) = [line for line in text.splitlines() if "batch 1" in line]
    assert "a fresh process each" in alone
    assert "in turn with other files; first, init and memory in a fresh process each" in in_turn


def test_shares_of_peaks_that_differ_are_not_compared() -> None:
    def run(name: str, rate: float) -> Run:
        share = Measurement("flop_rate_share", 0.5, "ratio", "m")
        return with_figures(_run(name), Measurement("matmul_rate", rate, "flop/s", "m"), share)

    told = "they reached 80 to 160 GFLOP/s, so shares of different rows do not compare"
    assert told in table_of(bench_report(run("vgg16", 8e10), run("vgg19", 1.6e11)))
    assert "do not compare" not in table_of(bench_report(run("vgg16", 8e10), run("vgg19", 9e10)))


def test_a_note_names_the_rows_that_it_is_true_of() -> None:
    def run(name: str, cores: str, *messages: str) -> Run:
        artifact = replace(_run(None).artifact, path=f"x/{name}.tflite")
        phone = Device("S1", "Phone", "Android", "arm64-v8a", 8, 2**30)
        flags = tuple(Flag("any", f"{name}.tflite on S1: {message}") for message in messages)
        return replace(_run(None), artifact=artifact, target=f"android:cores={cores}", device=phone, flags=flags)

    runs = [run("m", "0", "busy"), run("m", "1", "busy", "hot"), *(run(f"n{i}", "0", "busy", "cold") for i in range(4))]
    assert flag_messages(runs, titles(runs)) == [
        "busy",
        "m.tflite on android:cores=1: hot",
        "n0.tflite, n1.tflite, n2.tflite and 1 more: cold",
    ]
    assert flag_messages(runs[1:2], titles(runs[1:2])) == ["busy", "hot"]


@pytest.mark.parametrize("width", [60, 72, 80, 90, 100, 120, 200])
def test_no_figure_is_cut_at_any_width(width: int) -> None:
    run = replace(_run("densenet121"), target="host-litert")
    long = replace(run, artifact=replace(run.artifact, path="a_long_name_of_a_foreign_file_v2_1.0_224.tflite"))
    for report in (bench_report(run, _whole(run)), bench_report(long)):
        text = table_of(report, width)
        shown = [name for name in ("p50", "p90", "mean", "memory", "size") if name in text.split("- ")[0]]
        assert {"p50", "memory", "size"} <= set(shown)
        assert "30.0 MB" in text
        assert text.count("…") <= text.count("a_long_name")  # a name may be cut, a figure never
        assert "31.0" in text
        assert max(map(len, text.splitlines())) <= width
        missing = [name for name in ("std", "init", "first", "p90", "FLOPs") if name not in text.split("- ")[0]]
        assert bool(missing) == ("left out" in text)  # what is not shown is said
        assert not missing or width <= 120


def _whole(run: Run) -> Run:
    path = f"{run.artifact.backbone}-whole-tflite-float32.tflite"
    return replace(run, artifact=replace(run.artifact, path=path, part="whole"))


def test_rows_are_the_papers_in_its_table_and_files_otherwise() -> None:
    model, other = _run("densenet121"), _run("mobilenet")
    whole = _whole(model)
    elsewhere = replace(whole, target="android")
    assert titles([model, whole]) == ["TFLite model", "TFLite, end to end"]
    assert titles([whole]) == [name := "densenet121-whole-tflite-float32.tflite"]
    assert titles([model, other]) == ["densenet121", "mobilenet"]
    assert titles([model, _whole(other)]) == ["densenet121, cnn", "mobilenet, whole"]
    assert titles([whole, elsewhere]) == [f"{name} on host-litert", f"{name} on android"]


def test_files_have_their_own_names_with_folders_and_numbers_where_these_tell_them_apart() -> None:
    def called(path: str, backbone: str | None = None) -> Run:
        run = _run(backbone)
        return replace(run, artifact=replace(run.artifact, path=path))

    assert titles([called("voice.tflite", "densenet121"), called("small.tflite", "mobilenet")]) == [
        "voice.tflite",
        "small.tflite",
    ]
    assert titles([called("x/old/m.tflite"), called("x/new/m.tflite"), called("x/new/n.tflite")]) == [
        "old/m.tflite",
        "new/m.tflite",
        "n.tflite",
    ]
    same, elsewhere = called("x/m.tflite"), replace(called("x/m.tflite"), target="android")
    assert titles([same, same]) == ["m.tflite", "m.tflite (2)"]
    assert titles([same, elsewhere, same]) == [
        "m.tflite on host-litert",
        "m.tflite on android",
        "m.tflite on host-litert (2)",
    ]


def test_the_column_that_rows_are_ordered_by_and_the_star_are_never_left_out() -> None:
    run, long = _run("densenet121"), "a_backbone_with_a_very_long_name"
    quick = replace(run, artifact=replace(run.artifact, path=f"{long}-cnn-tflite-float32.tflite", backbone=long))
    for width in (60, 80):
        text = table_of(bench_report(quick, _run("vgg16")), width, "std")
        assert " std " in text.split("- ")[0]
        (row,) = [line for line in text.splitlines() if "a_backbone" in line]
        assert row.strip().startswith("* a_backbone")
