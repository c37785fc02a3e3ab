"""The suites of benchmarks run, and their results are compared with those that are stored."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dslite.measure.environment import environment

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.checkout


def _compare(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "suites_stored.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _results(path: Path, **seconds: tuple[float, float]) -> Path:
    """Write what pytest-benchmark does, of it what is read; each benchmark with its median and its pace."""
    found = [
        {"name": name, "stats": {"median": median, "iqr": 0.0, "rounds": 9}, "extra_info": {"pace_s": pace}}
        for name, (median, pace) in seconds.items()
    ]
    path.write_text(json.dumps({"machine_info": {"node": "secret"}, "benchmarks": found}), encoding="utf-8")
    return path


def test_a_suite_runs_and_gives_pace_and_overhead(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    words = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "-k", "overhead"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(ROOT / "benchmarks" / "suites"), *words, f"--benchmark-json={results}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads(results.read_text(encoding="utf-8"))["benchmarks"]
    assert {each["name"] for each in found} == {"test_overhead_of_the_loop", "test_overhead_in_a_sample"}
    assert all(each["extra_info"]["pace_s"] > 0 and each["extra_info"]["overhead_us"] > 0 for each in found)
    assert "(" in _compare(results, "--stored", tmp_path).stdout


def test_results_are_stored_and_compared_by_pace(tmp_path: Path) -> None:
    first = _results(tmp_path / "a.json", one=(1.0, 0.01), two=(2.0, 0.01), gone=(1.0, 0.01))
    stored = tmp_path / "stored"
    done = _compare(first, "--store", "--stored", stored)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is stored of a machine of this kind" in done.stdout
    (kept,) = stored.iterdir()
    assert "secret" not in kept.read_text(encoding="utf-8")
    assert json.loads(kept.read_text(encoding="utf-8"))["environment"]["cpu"] == environment()["cpu"]
    # The machine has half its pace: `one` is as fast as it was, `two` takes three times as long.
    second = _results(tmp_path / "b.json", one=(2.0, 0.02), two=(12.0, 0.02), new=(1.0, 0.02))
    done = _compare(second, "--stored", stored, "--fail")
    assert done.returncode == 3
    rows = {line.split(" | ")[0][2:]: line for line in done.stdout.splitlines() if line.startswith("| ")}
    assert "| 1.00 | within |" in rows["one"]
    assert "| 3.00 | slower |" in rows["two"]
    assert "not run" in rows["gone"]
    assert "not stored" in rows["new"]
    assert _compare(second, "--stored", stored, "--fail", "--margin", "250%").returncode == 0
    assert _compare(second, "--stored", stored).returncode == 0


def test_what_is_no_result_is_one_line(tmp_path: Path) -> None:
    for content in ("{}", "[1]", "no JSON"):
        (tmp_path / "odd.json").write_text(content, encoding="utf-8")
        done = _compare(tmp_path / "odd.json", "--stored", tmp_path)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "expected what `pytest benchmarks/suites --benchmark-json` writes" in done.stderr
