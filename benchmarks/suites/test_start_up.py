"""Starting the command: of short ones it is all that is felt."""

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize("words", [("-c", "pass"), ("-m", "dslite", "--help"), ("-m", "dslite", "list")], ids=" ".join)
def test_start_up(benchmark: Any, words: tuple[str, ...]) -> None:
    """A process from its start to its end; the first is the bare interpreter."""
    command = [sys.executable, *words]
    benchmark.pedantic(
        subprocess.run, (command,), {"check": True, "capture_output": True}, rounds=10, iterations=1, warmup_rounds=1
    )
