"""What the benchmarks share: figures beside their aims, the real command, and how results are written down."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dslite.files import write_text
from dslite.measure.environment import commit, environment
from dslite.records import Artifact, Plan

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One aim and what was measured: the text says how; `met` is None where the aim is to tell."""

    name: str
    aim: str
    measured: str
    met: bool | None
    how: str


def dslite(*words: object, cache: Path | None = None) -> str:
    """Run the command, with a cache folder of its own if one is given, and give its output, rows that failed too."""
    command = [sys.executable, "-m", "dslite", *map(str, words)]
    env = {**os.environ, **({"DSLITE_CACHE": str(cache)} if cache else {})}
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=env)
    if not done.stdout:
        raise RuntimeError(f"exit code {done.returncode}: {' '.join(command)}")
    return done.stdout


def seconds_of(command: Sequence[str], env: dict[str, str] | None = None) -> float:
    """Give the wall-clock seconds a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=env)
    return time.perf_counter() - start


def on_host(artifact: Artifact, plan: Plan) -> dict[str, float]:
    """Measure a file with the target ``host-litert``, on the synthetic chunk, and give its figures by their metrics."""
    from dslite.measure import bench
    from dslite.measure.inputs import prepare
    from dslite.registry import registry

    target = registry().get("targets", "host-litert")
    run = bench.run(artifact, None, target, {}, plan, prepare(artifact, []), lambda *_: None)
    assert run.error is None, run.error
    return {m.metric: m.value for m in run.measurements}


def litert_tool(path: Path, threads: int) -> float:
    """Give the median latency that LiteRT's own tool finds, seconds, of at least 50 inferences."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        words = [f"--model={path}", f"--num_threads={threads}", "--num_runs=50", f"--result_json={result}"]
        command = [sys.executable, "-m", "ai_edge_litert.tools.benchmark_litert_model", *words]
        subprocess.run(command, check=True, capture_output=True)
        return float(json.loads(result.read_text(encoding="utf-8"))["latency"]["median_ms"]) / 1e3


def table(figures: Sequence[Figure]) -> str:
    """Write figures as a table in Markdown."""
    met = {None: "-", True: "yes", False: "NO"}
    rows = [f"| {f.name} | {f.aim} | {f.measured} | {met[f.met]} | {f.how} |" for f in figures]
    return "\n".join(["| figure | aim | measured | met | how |", "|---|---|---|---|---|", *rows])


class Results:
    """Figures of one benchmark, written as Markdown and JSON."""

    def __init__(self, name: str, title: str, command: str) -> None:
        self._name = name
        self._title = title
        self._command = command
        self._machine, self._commit = environment(), commit()  # before results are written: they are changes too
        self._parts: list[str] = []
        self._figures: list[Figure] = []

    def add(self, text: str) -> None:
        """Add a paragraph or a table."""
        self._parts.append(text)

    def add_figures(self, figures: Sequence[Figure]) -> None:
        """Add figures as a table."""
        self._figures += figures
        self.add(table(figures))

    def write(self, folder: Path, record: dict[str, Any] | None = None) -> None:
        """Write both files, and print the Markdown."""
        print(self.save(folder, record))

    def save(self, folder: Path, record: dict[str, Any] | None = None) -> str:
        """Write both files; give the Markdown."""
        machine = self._machine
        where = f"{machine['cpu']}, {machine['cpus']} cores, {machine['system']}, Python {machine['python']}"
        text = "\n\n".join([f"# {self._title}", f"`{self._command}` on {where}.", *self._parts]) + "\n"
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{self._name}.md", text)
        data = {"environment": machine, "commit": self._commit, "figures": [asdict(f) for f in self._figures]}
        write_text(folder / f"{self._name}.json", json.dumps(data | (record or {}), indent=1) + "\n")
        return text


def measure(name: str, title: str, says: str, parts: Mapping[str, Callable[[], list[Figure] | str]]) -> None:
    """Be the command of a benchmark whose parts, figures beside their aims or a text, may be chosen: measure, write."""
    parser = argparse.ArgumentParser(description=says)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    results = Results(name, title, f"python benchmarks/{name}.py")
    for part in options.only:
        print(f"measuring {part} ...", file=sys.stderr, flush=True)
        found = parts[part]()
        if isinstance(found, str):
            results.add(found)
        else:
            results.add_figures(found)
        text = results.save(options.output)  # what took half an hour is not lost where a later part fails
    print(text)
