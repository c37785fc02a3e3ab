"""Run .tflite files in a process of its own on this host: where to begin for any other place.

`run` has `dslite.children` start this module as a child process, which begins at `main`. To reach another machine,
copy `artifact.path` and `plan.input_path` there in `_measure`, and have the work done there (``ssh board ...``).
"""

import importlib
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil
from dslite import children, hookimpl
from dslite.codec import from_json, to_json
from dslite.errors import MeasurementError, in_words
from dslite.records import Artifact, Device, Measurement, Options, Plan, Progress, Target


def devices() -> Sequence[Device]:
    """Give the machines this target reaches; quickly, nothing is started here."""
    return [
        Device(
            id="host",
            model=platform.node(),
            os=f"{platform.system()} {platform.release()}",
            abi=platform.machine(),
            cpus=os.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
        )
    ]


def run(artifact: Artifact, device: Device, plan: Plan, options: Options, progress: Progress) -> Sequence[Measurement]:
    """Measure one file: time in one process, memory in another where the plan asks for it.

    Args:
        artifact: the file, and what is known of it.
        device: one of `devices`.
        plan: threads, warm-up, runs, seconds, timeout, and the inputs: a .npy file, used in turn.
        options: none.
        progress: told what is being done and the fraction done, 0 to 1.

    Returns:
        Measurements, each with the method by which it was made; `latency` at least, with every sample.

    Raises:
        MeasurementError: where the file cannot be run, its process crashes, or takes longer than the plan allows.
    """
    del device, options  # there is one, and there are none
    setting = f"LiteRT, threads: {plan.threads}, fresh process, input: {plan.input}"
    times = _child("time", artifact, plan, progress)
    samples = tuple(times["samples_s"])
    how = f"{len(samples)} runs after {times['warmup_runs']} of warm-up, wall clock, batch 1; {setting}"
    found = [
        Measurement("init_time", times["init_s"], "s", f"open the file until ready to run; {setting}"),
        Measurement("first_latency", times["first_s"], "s", f"first run after opening; {setting}"),
        Measurement("latency", statistics.median(samples), "s", how, samples),
    ]
    if plan.memory:
        memory = _child("memory", artifact, plan, progress)
        how = f"{memory['method']}; above the same process with the runtime imported and the input in place"
        found.append(Measurement("memory_delta", memory["delta"], "bytes", how))
        found.append(Measurement("memory_process", memory["process"], "bytes", f"{memory['method']}; all of it"))
    return found


def _child(mode: str, artifact: Artifact, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Run `main` in a process of its own and give its result: a model that crashes takes only that along."""
    result: dict[str, Any] = {}

    def receive(message: dict[str, Any]) -> None:
        if "progress" in message:
            what, done = message["progress"]
            progress(f"{mode}: {what}", done)
        result.update(message.get("result", {}))

    request = {"mode": mode, "path": artifact.path, "plan": to_json(plan)}
    ending = children.follow(__name__, request, receive, timeout_s=plan.timeout_s)
    if ending.gave_up:
        raise MeasurementError(f"{mode}: gave up after {plan.timeout_s:g} s")
    if "error" in result:
        raise MeasurementError(result["error"])
    if ending.code or not result:
        raise MeasurementError(f"{mode}: {children.in_words(ending)}")
    return result


# -- in the child process --------------------------------------------------------------------------------


def main() -> None:
    """Do what the request says; an error is a result too."""
    request = children.take_request()
    try:
        result = _measure(request["mode"], Path(request["path"]), from_json(Plan, request["plan"]))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent process tells it
        result = {"error": in_words(error)}
    children.say({"result": result})


def _measure(mode: str, path: Path, plan: Plan) -> dict[str, Any]:
    from dataclasses import asdict

    import numpy as np
    from dslite.deploy.runtime import open_session
    from dslite.measure.memory import measure_memory
    from dslite.measure.protocol import measure_latency

    _tell("starting", 0.0)
    importlib.import_module("ai_edge_litert.interpreter")  # neither its time nor its memory is the model's
    inputs = np.load(plan.input_path)
    if mode == "memory":
        return asdict(measure_memory(lambda: open_session(path, plan.threads).run(inputs[0])))
    return asdict(measure_latency(lambda: open_session(path, plan.threads), inputs, plan, _tell))


def _tell(what: str, done: float) -> None:
    children.say({"progress": [what, done]})


@hookimpl
def dslite_targets() -> Iterable[Target]:
    """Give the targets of this plugin."""
    return [
        Target(
            name="new-target",
            suffixes=(".tflite",),
            devices=devices,
            run=run,
            source="https://ai.google.dev/edge/litert",
        )
    ]


if __name__ == "__main__":
    main()
