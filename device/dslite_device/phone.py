"""What an Android device says of itself: what it is, and how it is just now.

Sources: ``getprop``, ``/proc/meminfo``, sysfs (cpufreq), ``dumpsys`` of battery, thermalservice and power, in the
formats of Android 8 to 15. What a device does not tell is None, or left out.
"""

import re
from dataclasses import dataclass
from typing import Any

from dslite.codec import to_json
from dslite.errors import MeasurementError
from dslite.records import Device
from dslite_device import adb

THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Of Android's ``PowerManager``, 0 to 6."""
_CURES = {
    "unauthorized": "unauthorised: unlock it and allow USB debugging for this computer",
    "authorizing": "not authorised yet: unlock it and allow USB debugging for this computer",
    "offline": "offline: unplug it and plug it in again (`adb reconnect offline`; on the network: `adb connect`)",
    "recovery": "in recovery: start Android",
    "sideload": "in sideload: start Android",
    "bootloader": "in the boot loader: start Android",
}
_NO_PERMISSION = "no permission for its USB port: install your system's Android udev rules, and plug it in again"
_SCRIPT = """echo '#properties'; getprop
echo '#memory'; cat /proc/meminfo
echo '#load'; cat /proc/loadavg
echo '#cores'
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  echo "${core##*/cpu} $(cat $core/cpufreq/cpuinfo_max_freq 2>/dev/null || echo 0) \
$(cat $core/cpu_capacity 2>/dev/null || echo 0) $(cat $core/cpufreq/scaling_max_freq 2>/dev/null || echo 0) \
$(cat $core/cpufreq/scaling_governor 2>/dev/null)"
done
echo '#battery'; dumpsys battery
echo '#thermal'; dumpsys thermalservice
echo '#saver'; settings get global low_power
echo '#power'; dumpsys power | grep mWakefulness=
echo '#end'"""
_CONSTANT = ("properties", "memory_bytes", "cores", "core_max_hz", "core_capacity")
"""Of a `State`, what does not change."""
_KIB = 1024
_TENTHS = 10


@dataclass(frozen=True, slots=True)
class State:
    """How a device is just now; None where it does not tell.

    Attributes:
        properties: of the system, by name.
        memory_bytes: RAM.
        cores: their numbers.
        core_max_hz: highest frequency of each; 0 where that is not known.
        core_capacity: computing power of each as the kernel's scheduler sees it, 1024 the largest; 0: unknown.
        load_1min: processes running or waiting, mean of a minute.
        battery_percent: charge.
        battery_celsius: temperature of the battery.
        powered_by: AC, USB, Wireless, Dock; empty: it runs on its battery.
        thermal_status: an index of `THERMAL_STATUS`; of Android 10 and later.
        battery_saver: whether it saves power, and is slower for it.
        awake: whether its screen is on; some devices are slower where it is not.
        core_limit_hz: highest frequency that each core is allowed just now; 0: unknown.
        governors: of each core.
    """

    properties: dict[str, str]
    memory_bytes: int = 0
    cores: tuple[int, ...] = ()
    core_max_hz: tuple[int, ...] = ()
    core_capacity: tuple[int, ...] = ()
    load_1min: float | None = None
    battery_percent: float | None = None
    battery_celsius: float | None = None
    powered_by: tuple[str, ...] = ()
    thermal_status: int | None = None
    battery_saver: bool | None = None
    awake: bool | None = None
    core_limit_hz: tuple[int, ...] = ()
    governors: tuple[str, ...] = ()

    @property
    def api_level(self) -> int:
        """Give Android's API level; 0 where it is not known."""
        text = self.properties.get("ro.build.version.sdk", "")
        return int(text) if text.isdecimal() else 0

    @property
    def power(self) -> dict[int, tuple[int, int]]:
        """Give of each core what tells fast ones from slow: capacity, then highest frequency."""
        return dict(zip(self.cores, zip(self.core_capacity, self.core_max_hz, strict=True), strict=True))

    @property
    def limits_hz(self) -> dict[int, int]:
        """Give the highest frequency that each core is allowed just now, of those that tell."""
        return {core: hz for core, hz in zip(self.cores, self.core_limit_hz, strict=True) if hz}

    @property
    def abis(self) -> list[str]:
        """Give the ABIs it runs, the best first."""
        listed = self.properties.get("ro.product.cpu.abilist", "").split(",")
        return list(dict.fromkeys(filter(None, [self.properties.get("ro.product.cpu.abi", ""), *listed])))

    def now(self) -> dict[str, Any]:
        """Give what changes, JSON-ready."""
        changing = {name: value for name, value in to_json(self).items() if name not in _CONSTANT}
        status = None if self.thermal_status is None else THERMAL_STATUS[self.thermal_status]
        return changing | {"thermal_status": status}


def devices() -> list[Device]:
    """Describe all attached devices; those that cannot be used say why.

    Raises:
        UnknownNameError: where there is no adb.
        MeasurementError: where adb does not list them.
    """
    return [_device(each) for each in adb.attached()]


def state(serial: str) -> State:
    """Ask a device how it is.

    Raises:
        MeasurementError: where it does not answer.
    """
    return parse(adb.shell(serial, _SCRIPT, what="telling how it is"))


def identity(serial: str) -> str:
    """Give what tells a phone from others whichever way it is attached: its own number, where it has one.

    Raises:
        MeasurementError: where it does not answer.
    """
    # Emulators have the same number, all of them.
    said = adb.shell(serial, '[ 1 = "$(getprop ro.boot.qemu)" ] || getprop ro.serialno', what="getprop")
    return said.strip() or serial


def describe(serial: str, found: State) -> Device:
    """Give a device's record."""
    names = found.properties.get
    maker, model = names("ro.product.manufacturer", ""), names("ro.product.model", "unknown")
    soc = " ".join(filter(None, [names("ro.soc.manufacturer", ""), names("ro.soc.model", "")]))
    return Device(
        id=serial,
        model=model if model.lower().startswith(maker.lower()) else f"{maker} {model}",
        os=f"Android {names('ro.build.version.release', '?')} (API {found.api_level})",
        abi=(found.abis or ["unknown"])[0],
        cpus=len(found.core_max_hz),
        memory_bytes=found.memory_bytes,
        soc=soc or names("ro.board.platform", "") or names("ro.hardware", ""),
        core_max_hz=found.core_max_hz if any(found.core_max_hz) else (),
        state=found.now(),
    )


def _device(each: adb.Attached) -> Device:
    problem = "" if each.state == "device" else _CURES.get(each.state, f"{each.state}: see `adb devices`")
    if each.state.startswith("no permissions"):
        problem = _NO_PERMISSION
    if not problem:
        try:
            return describe(each.serial, state(each.serial))
        except MeasurementError as error:
            problem = str(error).removeprefix(f"{each.serial}: ")
    return Device(each.serial, "unknown", "Android", "unknown", 0, 0, problem=problem)


def parse(text: str) -> State:
    """Read what the script of `state` printed.

    Raises:
        MeasurementError: where it is not whole.
    """
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines = sections.setdefault(line[1:].strip(), [])
        else:
            lines.append(line)
    if "end" not in sections:
        raise MeasurementError("it did not say all that it was asked about itself: is it still plugged in?")
    battery, memory, thermal = (_pairs(sections[name]) for name in ("battery", "memory", "thermal"))
    status = _number(thermal.get("Thermal Status"))
    cores = sorted(
        (int(words[0]), words[1:]) for line in sections["cores"] if (words := line.split())[:1] and words[0].isdecimal()
    )
    charge, scale = _number(battery.get("level")), _number(battery.get("scale")) or 100.0
    temperature = _number(battery.get("temperature"))
    wakefulness = dict(pair.partition("=")[::2] for line in sections["power"] for pair in line.split())
    awake = wakefulness.get("mWakefulness")
    saver = "".join(sections["saver"]).strip()
    return State(
        properties=dict(re.findall(r"^\[(.*?)\]: \[(.*)\]$", "\n".join(sections["properties"]), re.MULTILINE)),
        memory_bytes=int(_number(memory.get("MemTotal", "").partition(" ")[0]) or 0) * _KIB,
        load_1min=_number(" ".join(sections["load"]).partition(" ")[0]),
        cores=tuple(number for number, _ in cores),
        core_max_hz=tuple(_integer(words, 0) * 1000 for _, words in cores),
        core_capacity=tuple(_integer(words, 1) for _, words in cores),
        core_limit_hz=tuple(_integer(words, 2) * 1000 for _, words in cores),
        governors=tuple("".join(words[3:4]) for _, words in cores),
        battery_percent=None if charge is None else charge / scale * 100,
        battery_celsius=None if temperature is None else temperature / _TENTHS,
        powered_by=tuple(
            key.removesuffix(" powered")
            for key, value in battery.items()
            if key.endswith("powered") and value == "true"
        ),
        thermal_status=int(status) if status is not None and 0 <= status < len(THERMAL_STATUS) else None,
        battery_saver={"0": False, "1": True, "null": False}.get(saver),  # null: it was never switched on
        awake=None if awake is None else awake == "Awake",
    )


def _pairs(lines: list[str]) -> dict[str, str]:
    cut = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, colon, value in cut if colon}


def _integer(words: list[str], i: int) -> int:
    return int(_number("".join(words[i : i + 1])) or 0)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
