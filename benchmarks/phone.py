"""Measure what measures on phones, against the host target and over a real adb, without a phone.

    python benchmarks/phone.py [--only NAME ...] [--output FOLDER]

The runner in C is built natively and runs the same files as the Python host target, on the same inputs and threads, in
turns (A B A B). adb, the runner and the way over it are those of a phone; the phone is emulated (`tests`): nothing
here is a figure of a phone.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from figures import Figure, measure, on_host
from scipy.stats import binom

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from emulated_device import EmulatedDevice, adb_server, connect  # noqa: E402 - helpers of the tests
from runner_builds import build_runner, litert_library  # noqa: E402 - likewise

from dslite.deploy.export import Provenance, export  # noqa: E402
from dslite.measure.inputs import prepare  # noqa: E402
from dslite.model.assembly import build_cnn, build_part  # noqa: E402
from dslite.recipe import REFERENCE  # noqa: E402
from dslite.records import Artifact, Plan  # noqa: E402
from dslite.registry import registry  # noqa: E402

PAIRS = 24
"""Single ratios vary by tens of percent on a shared machine: of ten, the median fell beyond 5 %, on either side."""
PUSHED_BYTES = 30_000_000
PUSHES = 7


@dataclass(frozen=True)
class Files:
    """densenet121 with random weights, end to end, and what is needed to run it."""

    folder: Path
    artifacts: dict[str, Artifact]
    runner: Path
    inputs: Path


def _files(folder: Path) -> Files:
    from dslite.model.keras import keras

    keras.utils.set_random_seed(0)
    cnn = build_cnn(registry().get("backbones", "densenet121"), {}, 224, REFERENCE.head, 4, None)
    whole = build_part("whole", REFERENCE, cnn)
    artifacts = {}
    noise = np.random.default_rng(0).normal(0, 0.1, (8, 1, 48_000)).astype(np.float32)
    for name in ("tflite-float32", "tflite-int8"):
        exporter = registry().get("exporters", name)
        options = {option.name: option.default for option in exporter.options}
        provenance = Provenance("densenet121", "none", "whole", REFERENCE, tuple("abcd"), name)
        path = folder / f"{name}.tflite"
        artifacts[name] = export(
            whole, exporter, options, path, provenance, list(noise) if exporter.needs_calibration else None
        )
    inputs = folder / "inputs.npy"
    np.save(inputs, prepare(artifacts["tflite-float32"], []).arrays)
    return Files(folder, artifacts, build_runner(folder / "build"), inputs)


def _runner(files: Files, artifact: Artifact, plan: Plan) -> dict[str, float]:
    """Run the passes of dslite's runner as the Android target does, without adb between."""
    from dslite_device import runner
    from dslite_device.tiny import tiny_model

    raw, tiny = files.folder / "inputs.raw", files.folder / "tiny.tflite"
    raw.write_bytes(np.load(files.inputs).tobytes())
    tiny.write_bytes(tiny_model())
    found = {}
    for mode in ("time", "memory") if plan.memory else ("time",):
        result = files.folder / f"{mode}.json"
        given = {
            "runtime": litert_library(),
            "model": artifact.path,
            "input": raw,
            "warm-model": tiny,
            "result": result,
        }
        words = runner.arguments(plan, mode, {k: str(v) for k, v in given.items()}, (), "litert", stop=False)
        environment = {**os.environ, **({"MALLOC_ARENA_MAX": "2"} if mode == "memory" else {})}  # as the host target
        subprocess.run([files.runner, *words], check=True, capture_output=True, env=environment)
        said = runner.read(result)
        found |= {m.metric: m.value for m in (runner.times(said, plan) if mode == "time" else runner.memory(said))}
    return found


def against_the_host() -> list[Figure]:
    """The runner against the Python host target: same file, input and threads, in turns."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        files = _files(Path(folder))
        for name, artifact in files.artifacts.items():
            for threads in (1, 2):
                plan = Plan(threads, runs=20, input_path=str(files.inputs), memory=False)
                pairs = [_pair(files, artifact, plan, runner_first=bool(i % 2)) for i in range(PAIRS)]
                figures.append(_latency(name, threads, pairs))
            plan = replace(plan, threads=1, memory=True, runs=1, min_s=0.0)
            figures.append(_memory(name, [(_runner(files, artifact, plan), on_host(artifact, plan)) for _ in range(3)]))
    return figures


def _pair(
    files: Files, artifact: Artifact, plan: Plan, *, runner_first: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Measure with both, one right after the other; whoever is second finds the machine as the first left it."""
    if runner_first:
        ours = _runner(files, artifact, plan)
        return ours, on_host(artifact, plan)
    host = on_host(artifact, plan)
    return _runner(files, artifact, plan), host


def _latency(name: str, threads: int, pairs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> Figure:
    ratios = sorted(ours["latency"] / host["latency"] for ours, host in pairs)
    ratio = statistics.median(ratios)
    # By order statistics: the k-th smallest and largest, where fewer than k of n fall on one side in 2.5 % of cases.
    k = int(binom.ppf(0.025, len(ratios), 0.5))
    low, high = ratios[k - 1], ratios[-k]
    medians = [statistics.median(found["latency"] for found in side) * 1e3 for side in zip(*pairs, strict=True)]
    return Figure(
        f"runner against the host target, densenet121 {name}, {threads} thread{'s' if threads > 1 else ''}",
        "medians within 5 %",
        f"{ratio - 1:+.1%} ({medians[0]:.1f} ms, {medians[1]:.1f} ms)",
        abs(ratio - 1) <= 0.05,
        f"median of {len(pairs)} ratios of neighbours in time, either first by turns; its 95 % interval {low - 1:+.1%} "
        f"to {high - 1:+.1%}, single ratios from {ratios[0] - 1:+.1%} to {ratios[-1] - 1:+.1%}; "
        f"LiteRT {version('ai-edge-litert')} in both, at least 20 runs and 1 s each",
    )


def _memory(name: str, pairs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> Figure:
    ours, host = ([found["memory_delta"] / 1e6 for found in side] for side in zip(*pairs, strict=True))
    process = [statistics.median(found["memory_process"] / 1e6 for found in side) for side in zip(*pairs, strict=True)]
    difference = statistics.median(ours) / statistics.median(host) - 1
    return Figure(
        f"memory, runner and host target, densenet121 {name}",
        "told",
        f"{statistics.median(ours):.1f} MB, {statistics.median(host):.1f} MB ({difference:+.1%})",
        None,
        f"peak above the process before the file is opened, 1 thread, median of {len(pairs)}; whole process "
        f"{process[0]:.1f} MB, {process[1]:.1f} MB",
    )


def pushing() -> list[Figure]:
    """Copy a file through adb."""
    from dslite_device import adb

    with tempfile.TemporaryDirectory() as folder, adb_server(Path(folder) / "adb") as server:
        os.environ.update({name: value for name, value in server.items() if name.startswith(("ADB_", "ANDROID_"))})
        with EmulatedDevice(Path(folder) / "phone") as device:
            connect(server, device)
            local = Path(folder) / "file"
            local.write_bytes(np.random.default_rng(0).bytes(PUSHED_BYTES))
            seconds = []
            for _ in range(PUSHES):
                begin = time.perf_counter()
                adb.push(device.address, local, "/data/local/tmp/file", lambda _: None, 60.0)
                seconds.append(time.perf_counter() - begin)
            adb_version = adb.version()
    median = statistics.median(seconds)
    return [
        Figure(
            "push of 30 MB through adb",
            "told",
            f"{median:.2f} s ({PUSHED_BYTES / 1e6 / median:.0f} MB/s)",
            None,
            f"adb {adb_version} to the emulated device on loopback, median of {PUSHES}: adb without a cable",
        )
    ]


def faults() -> list[Figure]:
    """Inject every fault there is a test for, and count those that are survived."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "fault", "-p", "no:cacheprovider", str(ROOT / "tests")]
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    last = said.splitlines()[-1:]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", "".join(last))}
    injected = sum(counts.values())
    return [
        Figure(
            "faults injected",
            "all survived",
            f"{injected}, survived {counts.get('passed', 0)}",
            injected == counts.get("passed", 0) > 0,
            "`pytest -m fault`: a message of one line, what was measured is kept, nothing left behind here or there",
        )
    ]


def lines() -> list[Figure]:
    """Count lines that are not blank."""

    def count(paths: Sequence[Path]) -> int:
        return sum(bool(line.strip()) for path in paths for line in path.read_text(encoding="utf-8").splitlines())

    device = ROOT / "device"
    host = {"host.py", "host_child.py"}
    python = [path for path in sorted((device / "dslite_device").glob("*.py")) if path.name not in host]
    told = {
        "C, the runner": count([device / "runner/dslite_runner.c"]),
        "Python, the target": count(python),
        "Python, the emulated device of the tests": count([ROOT / "tests/emulated_device.py"]),
    }
    return [Figure(f"lines of {what}", "told", str(n), None, "not blank") for what, n in told.items()]


if __name__ == "__main__":
    measure(
        "phone",
        "What measures on phones, measured",
        __doc__ or "",
        {"runner": against_the_host, "push": pushing, "faults": faults, "lines": lines},
    )
