"""The suites of benchmarks run, and their results are compared with those that are stored."""

import json
import os
import socket
import subprocess
import sys
import timeit
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
MACHINE = {"cpu": "A Processor", "cpus": 2, "system": "Linux", "machine": "x86_64", "python": "3.11.7"}
pytestmark = pytest.mark.checkout


def _compare(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "suites_stored.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _results(path: Path, machine: dict[str, Any] | None = None, **seconds: tuple[float, float]) -> Path:
    """Write what the suites do, of it what is read; each benchmark with its median and its pace."""
    found = [
        {
            "name": name,
            "stats": {"median": median, "iqr": 0.0, "rounds": 9, "data": [median]},
            "extra_info": {"pace_s": pace, "pace_loop_s": pace},
        }
        for name, (median, pace) in seconds.items()
    ]
    machine_info = {**MACHINE, "packages": {"numpy": "2"}, "node": "secret", **(machine or {})}
    path.write_text(json.dumps({"machine_info": machine_info, "benchmarks": found}), encoding="utf-8")
    return path


def _rows(text: str) -> dict[str, str]:
    return {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder with the results of one machine kind."""
    folder = tmp_path / "stored"
    first = _results(tmp_path / "a.json", one=(1.0, 0.01), two=(2.0, 0.01), gone=(1.0, 0.01))
    done = _compare(first, "--store", "--stored", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_suites_run_and_give_pace_and_overhead(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    words = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-k", "harness_overhead", f"--benchmark-json={results}"]
    quick = ["--benchmark-min-rounds=1", "--benchmark-max-time=0.01"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(ROOT / "benchmarks" / "suites"), *words, *quick],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    assert done.returncode == 0, done.stdout
    content = json.loads(results.read_text(encoding="utf-8"))
    assert "node" not in content["machine_info"]
    assert socket.gethostname() not in json.dumps(content["machine_info"])
    found: list[dict[str, Any]] = content["benchmarks"]
    assert {each["name"] for each in found} == {f"test_harness_overhead[{name}]" for name in ("nothing", "tiny file")}
    a_file_us = min(timeit.repeat(results.read_bytes, repeat=5, number=200)) / 200 * 1e6
    for each in found:
        assert each["extra_info"]["pace_s"] > 0
        # Of what is done for each inference, nothing takes as long as a collection of garbage, or a file.
        assert each["extra_info"]["figures"]["harness overhead per inference, us"] < 2 * a_file_us
    shown = _compare(results, "--stored", tmp_path).stdout
    assert "| test_harness_overhead[tiny file] | harness overhead per inference, us |" in shown


def test_what_is_stored_is_medians_pace_and_versions(stored: Path) -> None:
    (kept,) = stored.iterdir()
    assert kept.name == "a-processor-2-cores-linux-x86-64-py3.11.json"
    text = kept.read_text(encoding="utf-8")
    assert "secret" not in text
    assert "data" not in text
    content = json.loads(text)
    assert content["machine"] == {**MACHINE, "packages": {"numpy": "2"}}
    assert content["benchmarks"]["one"]["median_s"] == 1.0


def test_results_are_compared_by_pace(tmp_path: Path, stored: Path) -> None:
    # The machine has half its pace: `one` is as fast as it was, `two` takes three times as long.
    second = _results(tmp_path / "b.json", one=(2.0, 0.02), two=(12.0, 0.02), new=(1.0, 0.02))
    done = _compare(second, "--stored", stored, "--fail")
    assert done.returncode == 3
    assert done.stderr == "slower: two\n"
    rows = _rows(done.stdout)
    assert "| 1.00 | within |" in rows["one"]
    assert "| 3.00 | slower |" in rows["two"]
    assert "not stored" in rows["new"]
    assert "stored, and not run now: 1: gone" in done.stdout
    assert _compare(second, "--stored", stored, "--fail", "--margin", "250%").returncode == 0
    assert _compare(second, "--stored", stored).returncode == 0
    other = _compare(_results(tmp_path / "o.json", {"cpus": 64}, one=(9.0, 0.01)), "--stored", stored, "--fail")
    assert (other.returncode, other.stderr) == (0, "")
    assert "nothing is stored of a machine of this kind (a-processor-64-cores-linux-x86-64-py3.11;" in other.stdout
    third = _results(tmp_path / "c.json", one=(0.5, 0.01))
    assert "| 0.50 | faster |" in _rows(_compare(third, "--stored", stored, "--fail").stdout)["one"]


def test_a_part_is_stored_beside_the_rest_of_the_same_versions(tmp_path: Path, stored: Path) -> None:
    assert _compare(_results(tmp_path / "b.json", one=(5.0, 0.01)), "--store", "--stored", stored).returncode == 0
    (kept,) = stored.iterdir()
    found = json.loads(kept.read_text(encoding="utf-8"))["benchmarks"]
    assert {name: each["median_s"] for name, each in found.items()} == {"one": 5.0, "two": 2.0, "gone": 1.0}
    newer = {"packages": {"numpy": "3"}}
    done = _compare(_results(tmp_path / "c.json", newer, one=(7.0, 0.01)), "--store", "--stored", stored)
    assert done.returncode == 1
    assert "stored with other versions: numpy 2 then, 3 now" in done.stdout
    assert "run all to store" in done.stderr
    assert json.loads(kept.read_text(encoding="utf-8"))["benchmarks"] == found


def test_what_is_no_result_is_one_line(tmp_path: Path) -> None:
    no_pace = {"machine_info": {**MACHINE, "packages": {}}, "benchmarks": [{"name": "a", "stats": {}}]}
    for content in ("[1]", "no JSON", json.dumps(no_pace)):
        (tmp_path / "odd.json").write_text(content, encoding="utf-8")
        done = _compare(tmp_path / "odd.json", "--stored", tmp_path / "none")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "expected what `pytest benchmarks/suites --benchmark-json` writes" in done.stderr


def test_what_is_stored_and_broken_is_one_line(tmp_path: Path, stored: Path) -> None:
    (kept,) = stored.iterdir()
    whole = json.loads(kept.read_text(encoding="utf-8"))
    del whole["benchmarks"]["one"]["iqr_s"]
    odd = {"no JSON": "a broken file", '{"schema": 9}': "got 9", json.dumps(whole): "a broken file"}
    for content, said in odd.items():
        kept.write_text(content, encoding="utf-8")
        done = _compare(tmp_path / "a.json", "--stored", stored)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert said in done.stderr
