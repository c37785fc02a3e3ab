"""Starting the command: of short ones it is all that is felt."""

import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("word", ["--help", "list"])
def test_start_up(benchmark: Any, timed: Callable[..., Any], word: str) -> None:
    """A process from its start to its end; its pace is the start of the bare interpreter, in turn with it."""

    def start(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    rounds = timed(lambda: start("-m", "dslite", word), beside=lambda: start("-c", "pass"), longer=3)
    if rounds:
        ours_s, bare_s = (statistics.median(each) for each in zip(*rounds, strict=True))
        benchmark.extra_info["pace_s"] = bare_s
        benchmark.extra_info["figures"] = {"starts of the bare interpreter in that time": ours_s / bare_s}
