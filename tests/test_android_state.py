"""What a device says of itself, and what is made of it: parsing, choosing cores, flags, comparing outputs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import MeasurementError, SpecError
from dslite_device import phone, runner, tools, validity
from dslite_device.android import cores_for
from dslite_device.outputs import difference
from dslite_device.phone import State, parse

# Written after the formats of Android 13 (dumpsys battery, dumpsys thermalservice, getprop); figures are made up.
SAID = """#properties
[ro.build.version.release]: [13]
[ro.build.version.sdk]: [33]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]
[ro.product.manufacturer]: [Fairphone]
[ro.product.model]: [FP4]
[ro.soc.manufacturer]: [QTI]
[ro.soc.model]: [SM7225]
#memory
MemTotal:        5797344 kB
MemFree:          201344 kB
#load
3.10 2.80 2.75 2/2960 31337
#cores
0 1804800 512 1804800 schedutil
1 1804800 512 1516800 schedutil
10 2208000 1024 2208000 schedutil
2 0 0 0
#battery
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 87
  scale: 100
  voltage: 4301
  temperature: 294
  technology: Li-ion
#thermal
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=39.1, mType=3, mName=skin-therm, mStatus=1}
HAL Ready: true
#saver
0
#power
  mWakefulness=Awake
#end
"""


def test_a_device_is_read_whole() -> None:
    found = parse(SAID)
    assert found.cores == (0, 1, 2, 10)
    assert found.core_max_hz == (1_804_800_000, 1_804_800_000, 0, 2_208_000_000)
    assert cores_for("big", found.power, 1) == (10,)
    assert found.memory_bytes == 5_797_344 * 1024
    assert (found.battery_percent, found.battery_celsius, found.powered_by) == (87, 29.4, ("USB",))
    assert (found.thermal_status, found.battery_saver, found.load_1min, found.awake) == (1, False, 3.1, True)
    assert found.limits_hz == {0: 1_804_800_000, 1: 1_516_800_000, 10: 2_208_000_000}
    assert found.governors == ("schedutil", "schedutil", "", "schedutil")
    assert found.abis == ["arm64-v8a", "armeabi-v7a", "armeabi"]
    device = phone.describe("FP4-1", found)
    assert (device.model, device.os, device.soc) == ("Fairphone FP4", "Android 13 (API 33)", "QTI SM7225")


def test_windows_line_ends_of_old_devices_do_not_matter() -> None:
    assert parse(SAID.replace("\n", "\r\n")) == parse(SAID)


def test_what_an_old_device_does_not_know_is_none() -> None:
    said = SAID.replace("Thermal Status: 1", "").replace("#saver\n0", "#saver\nCan't find service: settings")
    said = said.replace("  level: 87", "").replace("  temperature: 294", "")
    said = said.replace("  mWakefulness=Awake\n", "")
    found = parse(said)
    assert (found.thermal_status, found.battery_saver, found.awake) == (None, None, None)
    assert (found.battery_percent, found.battery_celsius) == (None, None)


@given(st.integers(0, len(SAID) - len("#end\n") - 1))
def test_half_an_answer_is_refused(end: int) -> None:
    with pytest.raises(MeasurementError, match="still plugged in"):
        parse(SAID[:end])


def powers(hz: tuple[int, ...], capacity: tuple[int, ...] = ()) -> dict[int, tuple[int, int]]:
    return dict(enumerate(zip(capacity or (0,) * len(hz), hz, strict=True)))


FOUR_AND_FOUR = powers((1_600, 1_600, 1_600, 1_600, 1_800, 1_800, 1_800, 1_800))
PRIME = powers((1_800, 1_800, 1_800, 1_800, 2_400, 2_400, 2_400, 2_800))
BY_CAPACITY = powers((1_600,) * 8, (250,) * 6 + (1024,) * 2)  # clusters of one frequency


@pytest.mark.parametrize(
    ("text", "power", "threads", "cores"),
    [
        ("big", BY_CAPACITY, 1, (6, 7)),
        ("big", BY_CAPACITY, 4, tuple(range(8))),
        ("big", FOUR_AND_FOUR, 4, (4, 5, 6, 7)),
        ("big", FOUR_AND_FOUR, 1, (4, 5, 6, 7)),
        ("big", FOUR_AND_FOUR, 6, tuple(range(8))),
        ("big", PRIME, 1, (7,)),
        ("big", PRIME, 4, (4, 5, 6, 7)),
        ("big", powers((0, 0)), 4, (0, 1)),
        ("all", PRIME, 1, tuple(range(8))),
        ("0-2+5", PRIME, 4, (0, 1, 2, 5)),
        ("3", PRIME, 4, (3,)),
    ],
)
def test_cores_are_chosen(text: str, power: dict[int, tuple[int, int]], threads: int, cores: tuple[int, ...]) -> None:
    assert cores_for(text, power, threads) == cores


@pytest.mark.parametrize("text", ["8", "0-8", "fast", "3-", "", "-2", "1+", "5-3"])
def test_cores_that_are_not_there_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match="android:cores"):
        cores_for(text, PRIME, 4)


# -- flags ----------------------------------------------------------------------------------------------


def document(**more: Any) -> dict[str, Any]:
    """What the runner says of a quiet run on cores 4 to 7."""
    limits = {"cpu_max_hz": [1.8e9] * 4 + [2.4e9] * 4}
    quiet = {"wall_ns": 1e9, "own_ns": 3.8e9, "busy_ns": 4e9}
    return {"cpus": [4, 5, 6, 7], "threads": 4, "stopped": None, "cpu": quiet, "conditions": [limits, limits], **more}


COOL = State(
    {},
    cores=tuple(range(8)),
    core_max_hz=(1_800_000_000,) * 4 + (2_400_000_000,) * 4,
    core_capacity=(0,) * 8,
    core_limit_hz=(1_800_000_000,) * 4 + (2_400_000_000,) * 4,
    battery_percent=80.0,
    thermal_status=0,
)


def codes(before: State = COOL, after: State = COOL, *, fixed: bool = True, **more: Any) -> list[str]:
    asked = [4, 5, 6, 7]
    return [flag.code for flag in validity.flags(before, after, document(**more), asked, fixed=fixed)]


def changed(**fields: Any) -> State:
    return replace(COOL, **fields)


def limits(*hz: float) -> dict[str, list[float]]:
    """What the cores may reach at one moment."""
    return {"cpu_max_hz": list(hz)}


FULL = (1.8e9,) * 4 + (2.4e9,) * 4
HELD = (1.8e9,) * 4 + (1.2e9,) * 4
HELD_BEFORE = {"before": changed(core_limit_hz=HELD), "conditions": [limits(*HELD)] * 2}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, []),
        ({"fixed": False}, []),
        ({"conditions": [limits(*FULL), limits(*FULL[:-1], 1.2e9)]}, ["throttled"]),
        ({"conditions": [limits(*FULL), limits(*[0.9e9] * 4, *FULL[4:])]}, []),  # little cores that are not used
        ({"stopped": "throttled"}, ["throttled"]),
        ({"after": changed(thermal_status=2)}, ["throttled"]),
        ({"before": changed(thermal_status=1)}, ["not_cool"]),
        ({"before": changed(battery_saver=True)}, ["battery_saver"]),
        ({"after": changed(battery_percent=12.0)}, ["low_battery"]),
        ({"cpu": {"wall_ns": 1e9, "own_ns": 2e9, "busy_ns": 4e9}}, ["background_load"]),
        ({"cpu": {"wall_ns": 1e7, "own_ns": 9e6, "busy_ns": 3e7}}, []),  # three ticks of 10 ms
        ({"threads": 6}, ["threads_exceed_cores"]),
        ({"cpus": [4, 5, 6], "threads": 3}, ["other_cores"]),
        ({"after": changed(awake=False)}, ["asleep"]),
        ({"before": changed(thermal_status=None)}, ["thermal_unknown"]),
        ({"backend": "tflite", "delegate": None, "runtime_version": "2.5.0"}, ["no_xnnpack"]),
        ({"backend": "tflite", "delegate": "XNNPACK"}, []),
        # held back by the sustained mode; and without that, while it warmed up
        ({"conditions": [limits(*[1.8e9] * 8)] * 2}, []),
        ({"conditions": [limits(*[1.8e9] * 8)] * 2, "fixed": False}, ["throttled"]),
        (HELD_BEFORE, ["frequency_limited"]),
        (HELD_BEFORE | {"fixed": False}, ["frequency_limited"]),
    ],
)
def test_what_makes_a_figure_doubtful_is_told(more: dict[str, Any], told: list[str]) -> None:
    assert codes(**more) == told


def test_a_document_that_lacks_what_is_judged_is_an_error_of_the_run() -> None:
    with pytest.raises(MeasurementError, match="lacks 'cpu_max_hz'"), runner.whole():
        codes(conditions=[{}])


def test_the_charge_of_the_battery_is_no_temperature_of_the_processor() -> None:
    from dslite_device.runner import _temperature

    zones = [
        {"zone": "cpu-0-0", "celsius": 38.1},
        {"zone": "soc", "celsius": 87.0},
        {"zone": "pm8150b-bcl", "celsius": 90.0},
    ]
    (found,) = _temperature([{"temperatures": zones, "battery": None}] * 2)
    assert found.value == 38.1
    assert "(cpu-0-0)" in found.method
    (found,) = _temperature([{"temperatures": zones[1:], "battery": {"celsius": 31.0}}])
    assert (found.value, found.method.partition(",")[0]) == (31.0, "battery")


def test_memory_that_an_old_kernel_does_not_tell_is_left_out() -> None:
    use = {"baseline_bytes": 10, "peak_bytes": 30, "peak_reset": True}
    told = {"anonymous_bytes": 9, "baseline_anonymous_bytes": 4}
    assert {m.metric: m.value for m in runner.memory({"memory": use | told})} == {
        "memory_delta": 20,
        "memory_process": 30,
        "memory_anonymous_delta": 5,
    }
    hidden = dict.fromkeys(told)
    assert [m.metric for m in runner.memory({"memory": use | hidden})] == ["memory_delta", "memory_process"]


# -- outputs --------------------------------------------------------------------------------------------


def test_difference_is_absolute_for_probabilities_and_relative_for_large_values() -> None:
    ours = np.array([[0.2, 0.8]], np.float32)
    assert difference(ours, ours) == 0
    assert difference(ours, ours + np.float32(0.01)) == pytest.approx(0.01, rel=1e-4)
    assert difference(ours * 1000, ours * 1000 + 8) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_as_far_as_can_be(wrong: float) -> None:
    ours, theirs = np.zeros((2, 3)), np.zeros((2, 3))
    theirs[1, 1] = wrong
    assert difference(ours, theirs) == np.inf
    assert difference(theirs, ours) == np.inf
    assert difference(theirs, theirs) == 0


# -- runner and runtime of an ABI -----------------------------------------------------------------------


def elf(path: Path, machine: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + machine.to_bytes(2, "little") + bytes(44))
    return path


@pytest.fixture
def android_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSLITE_ANDROID", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    return tmp_path


def test_files_are_found_by_abi(android_files: Path) -> None:
    program = elf(android_files / "arm64-v8a/dslite_runner", 183)
    library = elf(android_files / "arm64-v8a/libtensorflowlite_jni.so", 183)
    found = tools.find(["arm64-v8a", "armeabi-v7a"])
    assert (found.abi, found.runner, found.runtime) == ("arm64-v8a", program, library)
    assert tools.find(["arm64-v8a"], needs_runtime=False).runtime is None


def test_a_device_of_64_bits_may_run_files_of_32(android_files: Path) -> None:
    elf(android_files / "armeabi-v7a/dslite_runner", 40)
    elf(android_files / "armeabi-v7a/libLiteRt.so", 40)
    assert tools.find(["arm64-v8a", "armeabi-v7a"]).abi == "armeabi-v7a"


def test_one_message_says_all_that_is_missing_and_where_it_belongs(android_files: Path) -> None:
    with pytest.raises(SpecError) as told:
        tools.find(["arm64-v8a"])
    for word in ("dslite_runner", "libLiteRt.so", "libtensorflowlite_jni.so", str(android_files / "arm64-v8a"), "NDK"):
        assert word in str(told.value)
    elf(android_files / "arm64-v8a/dslite_runner", 183)
    with pytest.raises(SpecError, match=r"there is no libLiteRt.so or libtensorflowlite_jni.so .* put it into"):
        tools.find(["arm64-v8a"])


def test_a_file_of_another_machine_is_refused(android_files: Path) -> None:
    elf(android_files / "arm64-v8a/libLiteRt.so", 183)
    ours = elf(android_files / "built/dslite_runner", 62)
    with pytest.raises(SpecError, match="for arm64-v8a, got one for x86_64"):
        tools.find(["arm64-v8a"], str(ours))
    text = android_files / "readme"
    text.write_text("no program")
    with pytest.raises(SpecError, match="got something else"):
        tools.find(["arm64-v8a"], str(text))
    with pytest.raises(SpecError, match="got no such file"):
        tools.find(["arm64-v8a"], str(text / "none"))
    elf(android_files / "arm64-v8a/dslite_runner", 62)  # where it is looked for
    with pytest.raises(SpecError, match=r"arm64-v8a/dslite_runner: expected .* got one for x86_64"):
        tools.find(["arm64-v8a"])
