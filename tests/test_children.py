import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dslite import children

# Does what its request says, as a child of the real `follow`.
CHILD = """
import os, subprocess, sys, time
from dslite.children import say, take_request

request = take_request()
if "leave_s" in request:
    subprocess.Popen(["sleep", str(request["leave_s"])])
print('{"n": "of a library"}', end="", flush=True)
for n in range(request.get("words", 0)):
    say({"n": n})
    time.sleep(request.get("pause_s", 0))
if "size" in request:
    say({"size": len(request["padding"])})
if "exit" in request:
    sys.stderr.write("one thing\\nanother thing\\n")
    sys.exit(request["exit"])
if "signal" in request:
    os.kill(os.getpid(), request["signal"])
time.sleep(request.get("wait_s", 0))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "the_child.py").write_text(CHILD, encoding="utf-8")
    return {"PYTHONPATH": str(tmp_path)}


def _follow(environment: dict[str, str], timeout_s: float = 60, **request: Any) -> tuple[list[Any], children.Ending]:
    said: list[Any] = []
    renewed = bool(request.pop("renewed", False))
    ending = children.follow(
        "the_child", request, said.append, timeout_s=timeout_s, renewed=renewed, environment=environment
    )
    return said, ending


def test_what_a_child_says_arrives_in_order_and_chatter_does_not(environment: dict[str, str]) -> None:
    said, ending = _follow(environment, words=3)
    assert said == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert (ending.code, ending.gave_up) == (0, False)


def test_a_request_may_be_longer_than_a_pipe_holds(environment: dict[str, str]) -> None:
    said, _ = _follow(environment, size=1, padding="ä" * 1_000_000)
    assert said == [{"size": 1_000_000}]


def test_a_child_that_takes_too_long_is_given_up(environment: dict[str, str]) -> None:
    start = time.monotonic()
    said, ending = _follow(environment, timeout_s=3, words=1, wait_s=600)
    assert ending.gave_up
    assert said == [{"n": 0}]
    assert time.monotonic() - start < 120


@pytest.mark.slow
def test_time_begins_anew_with_each_word_where_that_is_asked_for(environment: dict[str, str]) -> None:
    words = {"words": 8, "pause_s": 1}
    assert not _follow(environment, timeout_s=5, renewed=True, **words)[1].gave_up
    assert _follow(environment, timeout_s=5, **words)[1].gave_up


def test_how_a_child_ended_is_told_in_words(environment: dict[str, str]) -> None:
    _, failed = _follow(environment, exit=3)
    assert children.in_words(failed) == "its process ended with exit code 3 (last words: another thing)"
    _, crashed = _follow(environment, signal=11)
    assert children.in_words(crashed, "runtime", "a broken file") == (
        'its runtime crashed with SIGSEGV: a broken file (last words: {"n": "of a library"})'
    )
    _, killed = _follow(environment, signal=9)
    assert "which the system does when memory runs out" in children.in_words(killed)
    _, missing = _follow({"PYTHONPATH": ""})
    assert "No module named the_child" in children.in_words(missing)


def test_what_a_child_leaves_behind_keeps_nobody_waiting(environment: dict[str, str]) -> None:
    start = time.monotonic()
    said, ending = _follow(environment, leave_s=300, words=1)
    assert (said, ending.code, ending.gave_up) == ([{"n": 0}], 0, False)
    assert time.monotonic() - start < 100


def test_a_child_ends_with_its_parent_however_that_ends(environment: dict[str, str], tmp_path: Path) -> None:
    import psutil

    parent = (
        "from dslite import children\n"
        "children.follow('the_child', {'words': 1, 'wait_s': 600}, lambda m: print(m, flush=True), timeout_s=600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline()  # the child is at work
        (child,) = psutil.Process(process.pid).children()
        process.kill()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert alive == []
