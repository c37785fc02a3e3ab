"""The Android target against a device emulated on loopback, with the real adb, the real runner and real runtimes."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import HEEDS_SIGINT, SmallSystem, assert_refused, invoke
from emulated_device import EmulatedDevice, Faults, adb_server, connect, disconnect
from runner_builds import android_files, tflite_library

from dslite.experiment.devices import measured_with
from dslite.files import sha256
from dslite.measure import bench
from dslite.measure.inputs import Inputs, prepare
from dslite.records import Artifact, Plan, Run
from dslite.registry import get_with_options
from dslite_device.phone import identity

pytestmark = pytest.mark.checkout  # of which the runner is built
QUICK = Plan(1, warmup_runs=1, warmup_s=0.0, runs=5, min_s=0.0, max_s=20.0, timeout_s=60.0)
WORDS = ("--runs", 5, "--min-seconds", 0, "--warmup-seconds", 0, "--threads", 1)
RUNS = "data/local/tmp/dslite/run/pid"
"""There, below the device's root, while a runner runs."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return android_files(tmp_path_factory)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with adb_server(tmp_path_factory.mktemp("adb")) as environment:
        yield environment


@pytest.fixture
def site(
    server: dict[str, str], files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The environment of our processes: our adb server, our files, and a temporary folder to look at."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    own = {name: value for name, value in server.items() if name.startswith(("ADB_", "ANDROID_"))}
    own |= {"DSLITE_ANDROID": str(files), "TMPDIR": str(scratch)}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    yield own
    # Nothing half-written on the host, however it went: what is left are locks, empty files that are never removed.
    assert [path.name for path in scratch.iterdir() if path.suffix != ".lock"] == []


@pytest.fixture
def phone(site: dict[str, str], server: dict[str, str], tmp_path: Path) -> Iterator[EmulatedDevice]:
    """One emulated phone, connected; nothing of ours is on it afterwards."""
    with _attached(server, EmulatedDevice(tmp_path / "phone")) as device:
        yield device


@contextlib.contextmanager
def _attached(server: dict[str, str], device: EmulatedDevice, state: str = "device") -> Iterator[EmulatedDevice]:
    """Have a device that adb lists while the block runs; nothing of ours is on it afterwards."""
    with device:
        try:
            connect(server, device, state)
            yield device
        finally:
            disconnect(server, device)
        _nothing_left(device)


def _nothing_left(device: EmulatedDevice) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and (device.running() or any(device.folder.iterdir())):
        time.sleep(0.05)
    assert [str(path.relative_to(device.folder)) for path in device.folder.rglob("*")] == []
    assert device.running() == []
    switched = [call.rpartition(" ")[2] for call in device.calls if "fixed-performance" in call]
    on = [i for i, to in enumerate(switched) if to == "true"]
    assert [switched[i + 1 : i + 2] for i in on] == [["false"]] * len(on)


def measure(
    artifact: Artifact,
    name: str = "android",
    plan: Plan = QUICK,
    inputs: Inputs | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Run:
    target, options = get_with_options("targets", name)
    told: list[float] = []

    def progress(what: str, done: float) -> None:
        told.append(done)
        on_progress(what)

    run = bench.run(artifact, None, target, options, plan, inputs or prepare(artifact, []), progress)
    assert all(0 <= done <= 1 for done in told)
    return run


@pytest.fixture(scope="module")
def whole(small_system: SmallSystem) -> Artifact:
    return small_system.files["whole", "tflite-float32"]


def compiled(program: Path, source: str) -> Path:
    """Build a program of one C file."""
    if not shutil.which("cc"):
        pytest.skip("no cc on this machine")
    code = program.with_suffix(".c")
    code.write_text(source, encoding="utf-8")
    subprocess.run(["cc", "-o", program, code], check=True, timeout=60)
    return program


def found(run: Run) -> dict[str, Any]:
    assert run.error is None
    return {m.metric: m for m in run.measurements}


# -- the whole way --------------------------------------------------------------------------------------


def test_a_file_is_measured_and_what_it_computes_is_compared(phone: EmulatedDevice, whole: Artifact) -> None:
    run = measure(whole)
    by_metric = found(run)
    assert len(by_metric["latency"].samples) >= QUICK.runs
    assert by_metric["latency"].value == np.median(by_metric["latency"].samples)
    assert 0 < by_metric["memory_delta"].value < by_metric["memory_process"].value
    assert by_metric["output_difference"].value <= 1e-4
    assert by_metric["temperature"].value == 41.0
    assert by_metric["cpu_frequency"].value == 1.2e9
    assert {m.unit for m in run.measurements} <= {"s", "bytes", "count", "ratio", "flop/s", "celsius", "hertz"}
    assert all(m.method for m in run.measurements)
    assert (run.device and run.device.id, run.device and run.device.abi) == (phone.address, "x86_64")
    conditions = run.conditions
    assert conditions["cores"] == [1]
    assert conditions["fixed_performance"] is True
    assert conditions["build"].startswith("Example/emulated")
    assert (conditions["before"]["battery_percent"], conditions["before"]["thermal_status"]) == (80, "none")
    assert set(conditions["files"]) == {"dslite_runner", "libLiteRt.so"}
    assert len(conditions["samples_began_s"]) == len(by_metric["latency"].samples)
    json.dumps(conditions, allow_nan=False)


def test_the_other_runtime_agrees_on_real_audio_of_several_chunks(
    phone: EmulatedDevice, whole: Artifact, tone: Path
) -> None:
    inputs = prepare(whole, [tone])
    assert len(inputs.arrays) > 1
    run = measure(whole, f"android:runtime={tflite_library()}", inputs=inputs)
    by_metric = found(run)
    assert by_metric["output_difference"].value <= 1e-4
    assert f"for the same {len(inputs.arrays)} inputs" in by_metric["output_difference"].method
    assert "TensorFlow Lite 2." in by_metric["latency"].method
    assert run.conditions["backend"] == "tflite"


def test_what_is_there_already_is_not_copied_again(phone: EmulatedDevice, whole: Artifact) -> None:
    pushed: list[int] = []
    for _ in range(2):
        before = phone._pushed_bytes
        found(measure(whole, "android:keep=true"))
        pushed.append(phone._pushed_bytes - before)
        kept = [path for path in phone.folder.rglob("*") if path.is_file()]
        assert len(kept) == 5
        assert not (phone.folder / "dslite/run").exists()
    assert pushed[0] > 8_000_000
    assert pushed[1] == 0
    torn = max(kept, key=lambda path: path.stat().st_size)
    torn.write_bytes(torn.read_bytes()[:-1])  # as an earlier run leaves it that was killed
    found(measure(whole))


@pytest.mark.fault
def test_an_old_device_without_shell_v2_or_sustained_performance_is_measured_too(
    site: dict[str, str], server: dict[str, str], tmp_path: Path, whole: Artifact
) -> None:
    with _attached(server, EmulatedDevice(tmp_path / "old", shell_v2=False)) as old:
        old.set_property("ro.build.version.sdk", "29")
        run = measure(whole)
        assert found(run)["latency"].value > 0
        assert (run.conditions["fixed_performance"], old.calls) == (False, [])


def test_host_and_phone_are_rows_of_one_table(
    phone: EmulatedDevice, small_system: SmallSystem, tmp_path: Path, tone: Path
) -> None:
    path = small_system.path("whole", "tflite-float32")
    report = tmp_path / "report.json"
    words = ("--target", "host-litert,android", "--audio", tone, *WORDS, "-o", report)
    done = invoke("bench", path, *words)
    assert done.returncode == 0, done.stderr
    assert "whole.tflite on android" in done.stdout
    assert "whole.tflite on host-litert" in done.stdout
    assert "41.0" in done.stdout
    assert (
        f"android {phone.address}: Example Emulated 1, Example EX1, Android 13 (API 33), x86_64, 1 thread"
        in done.stdout
    )
    written = json.loads(report.read_text())
    assert written["environment"]["audio"] == [{"file": tone.name, "sha256": sha256(tone)}]
    runs = written["runs"]
    assert [run["target"] for run in runs] == ["host-litert", "android"]
    assert str(tmp_path) not in report.read_text()


def test_a_file_is_measured_on_the_host_alone_where_no_target_is_named(phone: EmulatedDevice, foreign: Path) -> None:
    done = invoke("bench", foreign, *WORDS, "--no-memory", "--json")
    assert [run["target"] for run in json.loads(done.stdout)["runs"]] == ["host-litert"]
    assert phone.commands == []


# -- which device ---------------------------------------------------------------------------------------


@pytest.mark.fault
def test_of_two_devices_one_must_be_named(
    phone: EmulatedDevice, server: dict[str, str], tmp_path: Path, whole: Artifact
) -> None:
    with _attached(server, EmulatedDevice(tmp_path / "second", model="Second")) as second:
        done = invoke("bench", whole.path, "--target", "android", *WORDS)
        assert_refused(done, "target android has 2 devices", "name one: --target android:device=127.0.0.1:")
        run = measure(whole, f"android:device={second.address}")
        assert found(run)
        assert run.device
        assert run.device.model == "Example Second"
        assert not any("--pass" in command for command in phone.commands)
        listed = invoke("devices")
        assert "Emulated 1" in listed.stdout
        assert "Second" in listed.stdout
        assert "2 devices of target android: name one" in listed.stderr
        both = f"android:device={phone.address},android:device={second.address}"
        table = invoke("bench", whole.path, "--target", both, *WORDS, "--no-memory").stdout
        assert "whole.tflite on Example Emulated 1" in table
        assert "whole.tflite on Example Second" in table


def test_a_device_that_is_not_there_is_told_at_once(phone: EmulatedDevice, whole: Artifact) -> None:
    done = invoke("bench", whole.path, "--target", "android:device=R58M", *WORDS)
    assert_refused(done, f"target android has no device 'R58M', it has {phone.address}")


@pytest.mark.fault
def test_no_device_and_no_adb_are_a_line_each(site: dict[str, str], foreign: Path) -> None:
    no_adb = "no adb, which reaches Android devices: DSLITE_ADB=/nowhere/adb is no program"
    for environment, words in (
        ({}, "no Android device is attached: plug one in with USB debugging on"),
        ({"DSLITE_ADB": "/nowhere/adb"}, no_adb),
    ):
        assert_refused(invoke("bench", foreign, "--target", "android", environment=environment), words)
        listed = invoke("devices", environment=environment)
        assert listed.returncode == 0
        assert listed.stdout.count("\n") == 2
        assert words in listed.stderr


@pytest.mark.fault
@pytest.mark.parametrize(
    ("state", "cure"),
    [("unauthorized", "unlock it and allow USB debugging"), ("offline", "unplug it and plug it in again")],
)
def test_a_device_that_cannot_be_used_says_why_and_the_cure(
    state: str, cure: str, site: dict[str, str], server: dict[str, str], tmp_path: Path, foreign: Path
) -> None:
    offline = state == "offline"
    phone = EmulatedDevice(tmp_path / "phone", faults=Faults(authorised=offline))
    with _attached(server, phone, "device" if offline else state) as device:
        if offline:
            device.unplug()  # on the network, adb tries for a minute to get it back
        done = invoke("devices")
        assert done.returncode == 0
        assert f"not usable: {device.address}: " in done.stderr
        assert cure in done.stderr
        assert_refused(invoke("bench", foreign, "--target", "android"), cure)


@pytest.mark.fault
def test_a_runner_that_is_missing_is_one_message(
    phone: EmulatedDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DSLITE_ANDROID", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    done = invoke("bench", "--backbone", "densenet121", "--target", "android")  # told before it is built
    assert_refused(done, "for x86_64 there is no dslite_runner", str(tmp_path / "none/x86_64"))


# -- faults ---------------------------------------------------------------------------------------------


def failed(run: Run) -> str:
    assert run.error
    return run.error


@pytest.mark.fault
def test_unplugged_while_a_file_is_copied(phone: EmulatedDevice, server: dict[str, str], whole: Artifact) -> None:
    phone.faults = Faults(unplug_after_pushed_bytes=1_000_000)
    assert "pushing libLiteRt.so failed" in failed(measure(whole))
    phone.plug()
    connect(server, phone)
    found(measure(whole))  # and what the first left there is gone


@pytest.mark.fault
@pytest.mark.parametrize(("part", "waits_for"), [("time", RUNS), ("memory", "")])
def test_unplugged_while_it_runs(
    phone: EmulatedDevice, server: dict[str, str], whole: Artifact, part: str, waits_for: str
) -> None:
    phone.faults = Faults(unplug_when_command_has=f"--pass={part}", waits_for=waits_for)
    run = measure(whole, plan=replace(QUICK, min_s=3.0))
    assert "went away" in failed(run)
    if part == "memory":
        assert any(m.metric == "latency" for m in run.measurements)
    else:
        _nothing_left(phone)  # the device has seen to it by itself
    phone.plug()
    connect(server, phone)
    found(measure(whole))  # and where it came before the device could, this run does


@pytest.mark.fault
@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(disk_bytes=2_000_000), "No space left on device"),
        (Faults(corrupt_push=True), "arrived changed (SHA-256)"),
        (Faults(truncate_pull_bytes=100), "not whole"),
        (Faults(kill_when_command_has="--pass=time", waits_for=RUNS, kill_spares_shell=True), "the runner was killed"),
        (Faults(kill_when_command_has="--pass=time", waits_for=RUNS), "went away"),
        (
            Faults(replaced_output={"--pass=time": "progress nan nothing\nprogress 0.5\n\x7f\xe9\ndslite-exit:0\n"}),
            "left no result",
        ),
    ],
)
def test_what_a_device_does_wrong_is_told(phone: EmulatedDevice, whole: Artifact, faults: Faults, said: str) -> None:
    phone.faults = faults
    # Where all is killed, nothing there takes the sustained performance back until the next run.
    assert said in failed(measure(whole, "android:fixed=false", plan=replace(QUICK, min_s=3.0)))


@pytest.mark.fault
@pytest.mark.parametrize(
    ("option", "program", "said"),
    [
        ("", "echo", "left no result: is it dslite's runner?"),
        ("", "sleep", "left no result: is it dslite's runner?"),
        ("runner=benchmark_model,", "false", "benchmark_model gave no figures of inference"),
    ],
)
def test_a_runner_that_says_something_else(
    phone: EmulatedDevice, whole: Artifact, option: str, program: str, said: str
) -> None:
    assert said in failed(measure(whole, f"android:{option}runner_path={shutil.which(program)}"))


@pytest.mark.fault
def test_a_model_that_crashes_the_runtime(phone: EmulatedDevice, whole: Artifact, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    content = Path(whole.path).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    run = measure(replace(whole, path=str(path)))
    assert any(word in failed(run) for word in ("crashed", "the runner failed (model)"))


@pytest.mark.fault
def test_wrong_outputs_are_an_error_that_keeps_the_figures(phone: EmulatedDevice, whole: Artifact) -> None:
    phone.faults = Faults(corrupt_pull="outputs")  # sign and exponent of the last probability
    run = measure(whole, plan=replace(QUICK, memory=False))
    assert failed(run).startswith("wrong outputs: they differ from this host's by")
    assert {"latency", "output_difference"} <= {m.metric for m in run.measurements}


@pytest.mark.fault
def test_throttling_stops_the_timing_and_is_told(phone: EmulatedDevice, whole: Artifact) -> None:
    limit = "sys/devices/system/cpu/cpu1/cpufreq/scaling_max_freq"
    fixed: list[str] = []

    def throttle(what: str) -> None:
        if what == "timing" and not fixed:
            fixed.append((phone.root / "fixed_performance").read_text())
            phone.write(limit, "900000\n")

    run = measure(whole, plan=replace(QUICK, min_s=15.0, memory=False), on_progress=throttle)
    assert found(run)
    (told,) = [flag.message for flag in run.flags if flag.code == "throttled"]
    assert told.endswith("meanwhile: timing was stopped")
    assert run.conditions["stopped"] == "throttled"
    assert fixed == ["true\n"]
    assert (phone.root / "fixed_performance").read_text() == "false\n"


@pytest.mark.fault
def test_a_hot_device_is_waited_for(phone: EmulatedDevice, whole: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslite_device.session._COOL_POLL_S", 0.1)
    hot = (phone.root / "dumpsys/thermalservice").read_text().replace("Thermal Status: 0", "Thermal Status: 2")
    phone.write("dumpsys/thermalservice", hot)
    told: list[str] = []
    run = measure(whole, "android:cool=0.3", plan=replace(QUICK, memory=False), on_progress=told.append)
    assert found(run)
    assert [what for what in told if "waiting until it is cool (moderate" in what]
    assert {"not_cool", "throttled"} <= {flag.code for flag in run.flags}
    assert run.conditions["waited_until_cool_s"] >= 0.3
    told.clear()
    assert found(measure(whole, "android:cool=0", plan=replace(QUICK, memory=False), on_progress=told.append))
    assert not [what for what in told if "waiting until it is cool" in what]


def _start(artifact: Artifact, target: str, *words: object, **more: Any) -> "subprocess.Popen[str]":
    """Begin a bench in a process of its own, that heeds signals."""
    command = [*HEEDS_SIGINT, "bench", artifact.path, "--target", target, *map(str, (*WORDS, *words))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.005)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("place", "number", "code", "last"),
    [
        ("dslite", signal.SIGINT, 130, ""),  # as soon as it begins
        ("dslite/run/pid", signal.SIGINT, 130, "error: interrupted"),
        ("dslite/run/pid", signal.SIGTERM, 143, "error: asked to end"),
        ("dslite/run/pid", signal.SIGKILL, -9, ""),  # before, nobody there would tidy up
    ],
)
def test_interrupted_it_leaves_nothing(
    phone: EmulatedDevice, whole: Artifact, place: str, number: int, code: int, last: str
) -> None:
    command = _start(whole, "android", "--min-seconds", 30)
    _until((phone.folder / place).exists)
    command.send_signal(number)
    said, _ = command.communicate(timeout=60)
    assert command.returncode == code
    assert "Traceback" not in said
    assert not last or said.splitlines()[-1] == last


@pytest.mark.fault
def test_unplugged_while_the_sustained_performance_comes_it_goes_again(
    phone: EmulatedDevice, server: dict[str, str], whole: Artifact
) -> None:
    phone.write("slow", "1")
    phone.faults = Faults(unplug_when_command_has="--pass=time", waits_for="log")
    assert "went away" in failed(measure(whole))
    _nothing_left(phone)
    assert (phone.root / "fixed_performance").read_text() == "false\n"


@pytest.mark.fault
def test_what_a_killed_bench_left_running_is_ended_first(
    phone: EmulatedDevice, whole: Artifact, tmp_path: Path
) -> None:
    """As a silent tool goes on: nothing tells it that nobody listens."""
    tool = compiled(tmp_path / "silent", "#include <unistd.h>\nint main(void) { return (int)sleep(60); }\n")
    # What is killed that way leaves its temporary folders here.
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with _start(whole, f"android:runner=benchmark_model,runner_path={tool}", env=environment) as command:
        _until((phone.root / RUNS).exists)
        ours = psutil.Process(command.pid)
        for each in [ours, *ours.children(recursive=True)][::-1]:  # the worker first: it would tidy up
            if each.name() != "adb":
                each.kill()
    assert phone.running()
    calls = len(phone.calls)
    run = measure(whole, plan=replace(QUICK, memory=False))
    assert found(run)
    assert run.conditions["fixed_performance"] is True
    assert [call.rpartition(" ")[2] for call in phone.calls[calls:]] == ["false", "true", "false"]


def test_a_device_that_has_no_sustained_performance_is_measured_without(phone: EmulatedDevice, whole: Artifact) -> None:
    phone.write("refuses_true", "")
    run = measure(whole, plan=replace(QUICK, memory=False))
    assert found(run)
    assert run.conditions["fixed_performance"] is False
    assert phone.calls == ["cmd power set-fixed-performance-mode-enabled true"]
    (phone.root / "log").unlink()


@pytest.mark.fault
def test_a_device_that_keeps_its_sustained_performance_is_told_until_it_is_restored(
    phone: EmulatedDevice, whole: Artifact
) -> None:
    phone.write("refuses_false", "")
    run = measure(whole, plan=replace(QUICK, memory=False))
    assert found(run)
    (told,) = [flag.message for flag in run.flags if flag.code == "untidy"]
    assert f"adb -s {phone.address} shell cmd power set-fixed-performance-mode-enabled false" in told
    assert "does not leave the fixed-performance mode" in failed(measure(whole))
    (phone.root / "refuses_false").unlink()
    found(measure(whole, "android:fixed=false"))
    assert (phone.root / "fixed_performance").read_text() == "false\n"
    (phone.root / "log").unlink()  # which has the attempts


def test_what_sysfs_hides_is_left_out_or_asked_of_android(phone: EmulatedDevice, whole: Artifact) -> None:
    shutil.rmtree(phone.root / "sys/class")
    for folder in (phone.root / "sys/devices/system/cpu").glob("cpu*/cpufreq"):
        shutil.rmtree(folder)
    run = measure(whole, "android:fixed=false", plan=replace(QUICK, memory=False))
    by_metric = found(run)
    temperature = by_metric["temperature"]
    assert (temperature.value, temperature.method) == (31.0, "battery, by dumpsys, after the timed runs")
    assert "cpu_frequency" not in by_metric
    assert (run.conditions["fixed_performance"], phone.calls) == (False, [])  # nobody asks for what is not wanted
    assert run.conditions["cores"] == [0, 1]


@pytest.mark.fault
def test_a_device_without_sha256sum_is_told_before_anything_is_copied(phone: EmulatedDevice, whole: Artifact) -> None:
    phone.faults = Faults(replaced_output={"sha256sum": "sh: sha256sum: not found\ndslite-exit:0\n"})
    assert "expected SHA-256 sums (Android 8 and later), got: sh: sha256sum" in failed(measure(whole))
    assert phone._pushed_bytes == 0


def test_a_phone_on_a_cable_and_on_the_network_is_one(
    phone: EmulatedDevice, server: dict[str, str], tmp_path: Path
) -> None:
    with _attached(server, EmulatedDevice(tmp_path / "again")) as again:
        both = phone, again
        assert [identity(each.address) for each in both] == [each.address for each in both]
        for each in both:
            each.set_property("ro.serialno", "R58M123")
        assert [identity(each.address) for each in both] == ["R58M123"] * 2
        again.set_property("ro.boot.qemu", "1")  # emulators have one number, all of them
        assert identity(again.address) == again.address


def test_a_bench_that_goes_on_sees_that_the_runner_has_changed(
    phone: EmulatedDevice, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    shutil.copytree(files, own)
    monkeypatch.setenv("DSLITE_ANDROID", str(own))
    before = measured_with("android")
    assert before == measured_with("android")
    assert before[0] == phone.address
    for name in ("dslite_runner", "libLiteRt.so"):
        last = measured_with("android")
        path = own / "x86_64" / name
        path.write_bytes(path.read_bytes() + b"\0")
        assert measured_with("android") != last


def test_two_benches_take_turns(phone: EmulatedDevice, whole: Artifact) -> None:
    for each in [_start(whole, "android", "--fresh") for _ in range(2)]:
        out, _ = each.communicate(timeout=120)
        assert each.returncode == 0, out


def test_the_target_refuses_options_that_cannot_be(phone: EmulatedDevice, whole: Artifact) -> None:
    for options, words in (
        ("cores=9", "the device has cores 0, 1"),
        ("backend=gpu", "android:backend expects auto or tflite or litert, got 'gpu'"),
        ("runner=mine", "android:runner expects dslite or benchmark_model"),
        ("runner=benchmark_model", "name the program: --runner-path FILE"),
        ("runner=benchmark_model,runner_path=x,backend=litert", "leave runtime and backend away"),
        ("cool=-1", "android:cool expects seconds"),
        (f"runtime={__file__}", "got something else"),
    ):
        assert words in failed(measure(whole, f"android:{options}"))
    assert_refused(invoke("bench", whole.path, "--target", "android:cores=9"), "the device has cores 0, 1")


def test_the_target_keeps_the_contract(phone: EmulatedDevice, whole: Artifact) -> None:
    from dslite.registry import registry
    from dslite.testing import check_target

    check_target(registry().get("targets", "android"), whole)


@pytest.mark.fault
def test_of_a_client_that_goes_away_only_the_shell_hears(phone: EmulatedDevice, server: dict[str, str]) -> None:
    """So it is with Android's adbd, and the other tests count on it."""
    child = "sh -c 'trap \"touch child; exit\" HUP; touch begun; while :; do sleep 0.1; done'"
    shell = f"cd /data/local/tmp; trap 'touch shell; exit' HUP; {child} & wait"
    with subprocess.Popen(["adb", "-s", phone.address, "shell", shell], env=server, stdin=subprocess.DEVNULL) as client:
        _until((phone.folder / "begun").exists)
        client.kill()
    _until((phone.folder / "shell").exists)
    time.sleep(0.3)
    assert {path.name for path in phone.folder.iterdir()} == {"begun", "shell"}
    for pid in phone.running():
        os.kill(pid, signal.SIGKILL)
    for path in phone.folder.iterdir():
        path.unlink()


# -- Google's tool --------------------------------------------------------------------------------------

TOOL = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    if (argc < 2 || strncmp(argv[1], "--graph=/", 9) || !fopen(argv[1] + 8, "rb")) {
        fprintf(stderr, "ERROR: Failed to load model %s\\n", argc < 2 ? "" : argv[1]);
        return 1;
    }
    fprintf(stderr, "INFO: Replacing 3 out of 4 node(s) with delegate (TfLiteXNNPackDelegate) node,"
            " yielding 2 partitions.\\n");
    puts("count=2 first=300 curr=200 min=200 max=300 avg=250 std=50");
    puts("count=50 first=210 curr=200 min=190 max=230 avg=205 std=7");
    puts("Inference timings in us: Init: 900, First inference: 300, Warmup (avg): 250, Inference (avg): 205");
    puts("Overall peak memory footprint (MB) via periodic monitoring: 12.5");
    return 0;
}
"""
"""A stand-in that prints what benchmark_model does; the real one cannot be had where this was written."""


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("tool") / "benchmark_model", TOOL)


def test_googles_tool_can_stand_in_for_the_runner(
    phone: EmulatedDevice, foreign: Path, tool: Path, tmp_path: Path
) -> None:
    words = ("--target", "android", "--runner", "benchmark_model", "--runner-path", tool)
    done = invoke("bench", foreign, *words, "--json", environment={"DSLITE_ANDROID": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    by_metric = {m["metric"]: m for m in run["measurements"]}
    assert by_metric["latency"]["value"] == pytest.approx(205e-6)
    assert by_metric["latency"]["statistics"]["n"] == 50
    assert by_metric["memory_process"]["value"] == 12.5 * 2**20
    assert by_metric["delegated_nodes"]["value"] == 3
    assert "outputs_unchecked" in [flag["code"] for flag in run["flags"]]
    assert run["target"] == "android:runner=benchmark_model,runner_path=benchmark_model"
    assert str(tmp_path) not in done.stdout


def test_the_runner_is_named_where_there_is_a_phone(foreign: Path) -> None:
    done = invoke("bench", foreign, "--runner", "benchmark_model")
    assert done.returncode == 2
    assert "--runner and --runner-path go with a target that has one: --target android" in done.stderr
