import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import HEEDS_SIGINT, assert_refused, file_size_limited, invoke, run_dslite, said
from distributions import BAD_BUILDS, backbone, install

from dslite.deploy import manifest
from dslite.errors import ReportError
from dslite.records import BenchReport
from dslite.report import document

QUICK = ("--runs", 3, "--min-seconds", 0, "--warmup-seconds", 0, "--threads", 1)


def test_a_file_gives_a_table_and_a_report_that_can_be_read(small_system: Any, tmp_path: Path) -> None:
    path = small_system.path("whole", "tflite-float32")
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}  # a terminal that knows no more gets the table too
    words = ("bench", path, *QUICK, "-o", tmp_path / "report.json")
    assert "whole.tflite" in said(run_dslite(*words, environment=ascii_only))
    report = document.read(tmp_path / "report.json")
    (run,) = report.runs
    assert run.artifact.path == path.name
    assert run.plan.runs == 3
    assert report.command.startswith("dslite bench whole.tflite")
    assert str(tmp_path) not in (tmp_path / "report.json").read_text(encoding="utf-8")
    assert document.to_text(report) == (tmp_path / "report.json").read_text(encoding="utf-8")


def test_a_failing_file_is_a_row_and_the_others_are_measured(foreign: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(foreign.read_bytes()[:-300])
    done = invoke("bench", cut, foreign, *QUICK, "--json")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)["runs"]
    assert "broken TFLite file" in first["error"]
    assert {"metric": "size", "value": cut.stat().st_size}.items() <= first["measurements"][0].items()
    assert second["error"] is None
    table = invoke("bench", cut, *QUICK)
    assert table.returncode == 1
    assert "failed: cut.tflite: " in table.stdout


def test_real_audio_is_used_where_it_is_given(small_system: Any, tone: Path) -> None:
    path = small_system.path("whole", "tflite-float32")
    for sound in (tone, tone.parent):
        report = json.loads(invoke("bench", path, *QUICK, "--json", "--no-memory", "--audio", sound).stdout)
        assert report["schema"] == document.SCHEMA  # what is on standard output is the report
        assert "chunks of the given audio" in report["runs"][0]["plan"]["input"]
        metrics = {m["metric"] for m in report["runs"][0]["measurements"]}
        assert "latency" in metrics
        assert "memory_delta" not in metrics


def test_what_cannot_be_measured_is_one_line_and_exit_code_two(
    small_system: Any, foreign: Path, tone: Path, tmp_path: Path
) -> None:
    whole = small_system.path("whole", "tflite-float32")
    text, other, misfit, empty = (tmp_path / n for n in ("text.tflite", "model.onnx", "misfit.tflite", "empty"))
    folder = tmp_path / "folder.tflite"
    folder.mkdir()
    text.write_text("hello")
    other.write_text("hello")
    empty.mkdir()
    shutil.copy(whole, misfit)
    shutil.copy(manifest.manifest_path(small_system.path("cnn", "tflite-float32")), manifest.manifest_path(misfit))
    for words, message in (
        ([], "nothing to measure: name a --backbone"),
        ([tmp_path / "none.tflite"], "no such file"),
        ([text], "expected a TFLite file"),
        ([other], "runs .onnx"),
        ([misfit], "truncated or changed"),
        ([whole, "--target", "host-tensorflow"], "no target among host-tensorflow runs .tflite"),
        ([whole, "--target", "host-litret"], "did you mean 'host-litert'"),
        (["--backbone", "densenet112"], "did you mean 'densenet121'"),
        (["--backbone", "densenet121:alpha=2"], "has no option 'alpha'"),
        (["--backbone", "densenet121", "--weights", "w.h5"], "is no file"),
        (["--backbone", "densenet121", "--chunk", "0.01"], "at least one window"),
        (["--backbone", "densenet121", "--mels", "0"], "Mel bins: expected 1 to 1024"),
        ([whole, "--threads", "0"], "'--threads'"),
        ([whole, "--audio", tmp_path / "none.wav"], "no such file"),
        ([whole, "--audio", text], "expected audio that libsndfile reads"),
        ([foreign, "--audio", tone], "not known without a manifest"),
        ([whole, "--audio", empty], "expected a folder with audio files"),
        ([whole, "-o", tmp_path / "no folder" / "r.json"], "does not exist"),
        ([whole, "-o", tmp_path], "expected a file name"),
        ([whole, "-o", whole], "-o: a file is there that is not ours: name another, or remove it"),
        ([whole, foreign, "--interleave", "--rounds", "1001"], "'--rounds'"),
        ([folder], "got a folder"),
        ([whole, "--chunk", "1"], "--chunk goes with --backbone"),
        ([whole, "--part", "cnn"], "--part goes with --backbone"),
        (["--backbone", "densenet121", "--size", "31"], "at least 32 px, got 31"),
        (["--backbone", "densenet121", "--weights", text], "expected a weight file that Keras wrote"),
        ([whole, "--max-seconds", "nan"], "expected seconds"),
        ([whole, "--timeout", "inf"], "'--timeout'"),
        ([whole, "--max-seconds", "700"], "is beyond --timeout 600"),
    ):
        assert_refused(invoke("bench", *QUICK, *words), message)


def test_interrupting_ends_the_child_keeps_what_was_measured_and_cleans_up(
    small_system: Any, foreign: Path, tmp_path: Path
) -> None:
    temporary, report = tmp_path / "temporary", tmp_path / "report.json"
    temporary.mkdir()
    long = small_system.path("whole", "tflite-float32")
    # The first file ends by its time limit, the second is interrupted long before its own.
    command = ["bench", foreign, long, "--runs", 10**9, "--max-seconds", 5, "--no-memory", "-o", report]
    with subprocess.Popen(
        [*HEEDS_SIGINT, *map(str, command)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        parent = psutil.Process(process.pid)
        child = _wait_for_child(parent, long.name)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "error: interrupted"
    assert "1 of 2 jobs were measured" in err
    assert foreign.name in out
    stopped = document.read(report)
    assert [run.artifact.path for run in stopped.runs] == [foreign.name]
    assert stopped.partial == "1 of 2 jobs were measured"
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert list(temporary.iterdir()) == []


def test_progress_is_shown_on_a_terminal_and_goes_away(foreign: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dslite", "bench", foreign, "--runs", 10**6, "--max-seconds", 2, "--no-memory"]
    parent, child = pty.openpty()
    with subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=child) as process:
        os.close(child)
        shown = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal nobody holds with an error
            while block := os.read(parent, 65_536):
                shown += block
        os.close(parent)
    assert process.returncode == 0
    assert re.search(f"{re.escape(foreign.name)}[ a-z…-]*: timing", shown.decode())  # in 80 columns the name is cut
    assert b"error" not in shown


def _wait_for_child(parent: psutil.Process, word: str) -> psutil.Process:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for child in parent.children():
            try:
                # Its label is the last word; before it is a process of its own, it has all of ours.
                if word in " ".join(child.cmdline()[-1:]):
                    time.sleep(0.3)
                    return child
            except psutil.Error:
                continue
        time.sleep(0.02)
    raise AssertionError("no child was started")


# -- backbones that break the contract ------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD_BUILDS)
def test_a_build_that_breaks_the_contract_is_an_error_that_names_backbone_plugin_and_cure(
    name: str, tmp_path: Path
) -> None:
    body, expected = BAD_BUILDS[name]
    (tmp_path / "site").mkdir()
    install(tmp_path / "site", "lab", backbone(f"lab_{name}", body))
    small, environment = ("--backbone", f"lab_{name}", "--size", 32), {"PYTHONPATH": str(tmp_path / "site")}
    words = ("export", *small, "--exporter", "tflite-float32", "-o", tmp_path / "m.tflite")
    facts = (f"backbone lab_{name}", expected, "(plugin lab of lab 1.0: mend it, or tell its authors what DSLITE_DEBUG")
    assert_refused(invoke(*words, environment=environment), *facts, code=1)
    if name != "exits":  # the one that could take a bench along
        return
    report = tmp_path / "report.json"
    done = invoke("bench", *small, "--part", "cnn", *QUICK, "-o", report, environment=environment)
    assert done.returncode == 1
    assert [fact for fact in facts if fact not in done.stdout + done.stderr] == []
    assert expected.split("'")[0] in report.read_text(encoding="utf-8")  # the report holds it too


# -- export on the command line -------------------------------------------------------------------------


def test_export_refuses_what_it_cannot_do_before_anything_long(tmp_path: Path) -> None:
    there = tmp_path / "there.tflite"
    there.write_text("precious")
    base = ("--backbone", "densenet121", "--exporter", "tflite-float32")
    for words, message in (
        ((*base, "-o", there), "exists: take another name, or --force"),
        ((*base, "-o", tmp_path / "m.h5"), "ends in .tflite"),
        ((*base, "-o", tmp_path / "none" / "m.tflite"), "does not exist"),
        ((*base, "-o", tmp_path / "m.tflite", "--labels", "a,a"), "two or more different names"),
        ((*base, "-o", tmp_path / "m.tflite", "--seed", "-1"), "'--seed'"),
        ((*base, "-o", tmp_path / "m.tflite", "--regression", "--classes", "3"), "no classes"),
        ((*base, "-o", tmp_path / "m.tflite", "--dropout", "1"), "dropout: expected 0 to below 1"),
    ):
        assert_refused(invoke("export", *words), message)
    assert there.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["there.tflite"]


@pytest.mark.slow
def test_export_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    for exporter, suffix in (("hdf5", ".h5"), ("tflite-float32", ".tflite")):
        words = ("export", "--backbone", "densenet121", "--exporter", exporter, "-o", tmp_path / f"m{suffix}")
        with file_size_limited(20_000_000):
            done = invoke(*words)
        assert_refused(done, "full", code=1)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_reference_command_measures_table_five(tmp_path: Path) -> None:
    shown = said(run_dslite("bench", "--backbone", "densenet121", "--runs", 5, "-o", tmp_path / "report.json"))
    for words in (
        "Preprocessing (TFLite)",
        "TensorFlow model",
        "TFLite model",
        "TFLite, end to end",
        "240.0",
        "3.10 G",
    ):
        assert words in shown
    report: BenchReport = document.read(tmp_path / "report.json")
    assert [run.error for run in report.runs] == [None] * 4
    assert [flag for run in report.runs for flag in run.flags if flag.code == "macs_disagree"] == []
    assert [run.artifact.params for run in report.runs] == [0, 7_564_358, 7_564_358, 7_564_358]
    values = {m.metric: m.value for m in report.runs[2].measurements}
    assert values["macs"] == 2_833_137_664 + 1024 * 512 + 512 * 4


# -- reports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "expected a report written by"),
        ("[1, 2]", "got other JSON"),
        ('{"runs": []}', "got other JSON"),
        ('{"schema": 99, "runs": []}', "newer than this dslite reads"),
        ('{"schema": 0, "runs": []}', "never released"),
        ('{"schema": 1, "runs": []}', "field 'created' is missing"),
    ],
)
def test_what_is_no_report_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=message):
        document.read(path)
