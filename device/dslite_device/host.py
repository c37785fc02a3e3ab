"""This machine as a target: each file in fresh child processes, one for time and one for memory.

A model that crashes its runtime takes only its child along.
"""

import platform
import statistics
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from dslite import children, hookimpl
from dslite.codec import to_json
from dslite.errors import MeasurementError
from dslite.measure import watch
from dslite.measure.environment import cpu_count, cpu_model
from dslite.records import HOST, Artifact, Device, Measurement, Options, Outcome, Plan, Progress, Target
from dslite_device import figures
from dslite_device.products import BLAS_THREADS, N_ROWS

_TIME_SHARE = 0.8
"""Of a run's progress bar; the memory pass has the rest."""


@hookimpl
def dslite_targets() -> Iterable[Target]:
    """Give TensorFlow and LiteRT on this machine."""
    return [
        Target(name, suffixes, _devices, partial(_run, runtime), source, together=partial(_together, runtime))
        for name, runtime, suffixes, source in (
            ("host-litert", "LiteRT", (".tflite",), "https://ai.google.dev/edge/litert"),
            ("host-tensorflow", "TensorFlow", (".h5", ".savedmodel"), "https://www.tensorflow.org"),
        )
    ]


def _devices() -> Sequence[Device]:
    return [
        Device(
            id=HOST,
            model=cpu_model(),
            os=f"{platform.system()} {platform.release()}",
            abi=platform.machine(),
            cpus=cpu_count(),
            memory_bytes=psutil.virtual_memory().total,
            core_max_hz=_core_max_hz(),
        )
    ]


def _core_max_hz() -> tuple[int, ...]:
    """Give the highest frequency of each core; nothing where the system, or a virtual machine, does not tell."""
    try:
        return tuple(round(each.max * 1e6) for each in psutil.cpu_freq(percpu=True) if each.max)
    except (AttributeError, NotImplementedError, OSError):
        return ()


def _run(runtime: str, artifact: Artifact, device: Device, plan: Plan, options: Options, progress: Progress) -> Outcome:
    """Measure one file; see `dslite.records.Target`."""
    del device, options  # there is one host, and it has none
    share = _TIME_SHARE if plan.memory else 1.0
    timing = run_child("time", artifact, plan, lambda what, done: progress(what, done * share))
    setting = _setting(runtime, timing, plan)
    found = [
        *figures.times(timing["init_s"], timing["first_s"], timing["samples_s"], timing["warmup_runs"], setting),
        *_matmul_rate(timing, plan),
        *_coverage(timing["coverage"]),
    ]
    if plan.memory:
        progress("memory", share)
        try:
            found += figures.memory(**run_child("memory", artifact, plan, lambda what, _: progress(what, share)))
        except MeasurementError as error:
            raise MeasurementError(f"memory: {error}", _outcome(found, timing, plan)) from error
    progress("done", 1.0)
    return _outcome(found, timing, plan)


def _outcome(found: Sequence[Measurement], timing: dict[str, Any], plan: Plan) -> Outcome:
    return Outcome(tuple(found), tuple(watch.flags(timing["seen"], plan.threads)), timing["seen"])


def _matmul_rate(timing: dict[str, Any], plan: Plan) -> list[Measurement]:
    if timing["matmul_rate"] is None:
        return []
    method = (
        f"best float32 product of matrices of {N_ROWS} rows and columns, by numpy or LiteRT, "
        f"{figures.in_threads(plan.threads)}, afterwards in the same process"
    )
    return [Measurement("matmul_rate", timing["matmul_rate"], "flop/s", method)]


def _setting(runtime: str, timing: dict[str, Any], plan: Plan) -> str:
    return f"{runtime} {timing['version']}, {figures.in_threads(plan.threads)}, fresh process, input: {plan.input}"


def _coverage(found: dict[str, Any] | None) -> list[Measurement]:
    if found is None:
        return []
    others = ", ".join(f"{n} {name}" for name, n in found["others"].items()) or "none"
    method = f"operators that XNNPACK runs, of {found['n_nodes']} in the file; LiteRT's own kernels run {others}"
    return [
        Measurement("nodes", found["n_nodes"], "count", "operators in the file"),
        Measurement("delegated_nodes", found["n_delegated"], "count", method),
    ]


def _together(
    runtime: str, jobs: Sequence[tuple[Artifact, Plan]], device: Device, options: Options, progress: Progress
) -> Sequence[Outcome]:
    """Time files in turn, in one process; see `dslite.records.Target`."""
    del device, options
    timing = _follow("together", jobs, progress)
    flags = tuple(watch.flags(timing["seen"], jobs[0][1].threads))
    found = []
    for (_, each), turn in zip(jobs, timing["turns"], strict=True):
        samples = turn["samples_s"]
        method = (
            f"{len(samples)} runs, one of {len(jobs)} files in turn in one process, a few at a time, "
            f"wall clock, batch 1; {_setting(runtime, timing, each)}"
        )
        latency = Measurement("latency", statistics.median(samples), "s", method, tuple(samples))
        seen = timing["seen"] | {"elapsed_s": round(turn["elapsed_s"], 3)}
        found.append(Outcome((latency, *_matmul_rate(timing, each)), flags, seen))
    return found


def run_child(mode: str, artifact: Artifact, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Run `dslite_device.host_child` and give its result.

    A mode is ``time``, ``memory``, or ``outputs``: run each input once, and give the path of what comes out, ``.npy``.

    Raises:
        MeasurementError: where it crashes, fails, or takes longer than the plan's timeout.
    """
    return _follow(mode, [(artifact, plan)], progress)


def _follow(mode: str, jobs: Sequence[tuple[Artifact, Plan]], progress: Progress) -> dict[str, Any]:
    """Run the child with one file, or several that it times together; see `run_child`."""
    plan = jobs[0][1]
    # A fixed number of malloc arenas, or memory depends on which thread allocates first.
    environment = {"MALLOC_ARENA_MAX": "2"} if mode == "memory" else {}
    if mode in ("time", "together"):  # of numpy's matrix product, which the rate of a model is a share of
        environment = dict.fromkeys(BLAS_THREADS, str(plan.threads))
    result: dict[str, Any] = {}

    def receive(message: dict[str, Any]) -> None:
        if "progress" in message:
            progress(*message["progress"])
        result.update(message.get("result", {}))

    ending = children.follow(
        "dslite_device.host_child",
        {"mode": mode, "jobs": [[artifact.path, to_json(each)] for artifact, each in jobs]},
        receive,
        timeout_s=plan.timeout_s * len(jobs),
        label=f"{mode} {', '.join(Path(artifact.path).name for artifact, _ in jobs)}",
        environment=environment,
    )
    if ending.gave_up:
        raise MeasurementError(f"gave up after {plan.timeout_s * len(jobs):g} s ({mode} pass)")
    if "error" in result:
        raise MeasurementError(str(result["error"]))
    if ending.code or not result:
        raise MeasurementError(children.in_words(ending, "runtime", "the file is probably truncated or broken"))
    return result
