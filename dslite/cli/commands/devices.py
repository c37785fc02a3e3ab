"""``dslite devices``."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import click

from dslite.cli.console import json_option, out, print_json, print_table
from dslite.codec import plain
from dslite.errors import in_words
from dslite.records import Device
from dslite.registry import registry

_COLUMNS = ("DEVICE", "TARGETS", "MODEL", "SYSTEM", "ABI", "SOC", "CORES", "MEMORY", "BATTERY", "THERMAL")
_WIDE = 160
"""Characters of a terminal that the table of a host and a phone fits into."""
_GB = 1e9
_GHZ = 1e9


@dataclass(frozen=True, slots=True)
class _Found:
    """A device and the targets that measure on it."""

    device: Device
    targets: tuple[str, ...]


@click.command(epilog="Example: dslite devices --json")
@json_option
def command(as_json: bool) -> None:
    """List the devices that files can be measured on.

    This host, and every attached Android device: its model, Android version, ABI, system on chip, cores and their
    highest frequencies, memory, battery and thermal status. One that cannot be used says why, and what to do.
    """
    found, notes = _devices()
    if as_json:
        print_json(
            {"devices": [{**plain(each.device), "targets": list(each.targets)} for each in found], "notes": notes}
        )
        return
    usable = [each for each in found if not each.device.problem]
    rows = [_row(each) for each in usable]
    if out().width >= _WIDE and rows:
        print_table(_COLUMNS, rows)
    else:  # a table would break names apart
        for row in rows:
            print_table((_COLUMNS[0], row[0]), list(zip(_COLUMNS[1:], row[1:], strict=True)))
            click.echo()
    for each in found:
        if each.device.problem:
            click.echo(f"not usable: {each.device.id}: {each.device.problem}", err=True)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    for target, n in Counter(target for each in usable for target in each.targets).items():
        if n > 1:
            one = next(each.device.id for each in usable if target in each.targets)
            click.echo(f"note: {n} devices of target {target}: name one, --target {target}:device={one}", err=True)


def _devices() -> tuple[list[_Found], list[str]]:
    """Ask all targets; what one of them cannot tell is a note."""
    targets: dict[str, list[str]] = {}
    devices: dict[str, Device] = {}
    notes = []
    for target in registry().records("targets"):
        try:
            for device in target.devices():  # type: ignore[union-attr]
                devices.setdefault(device.id, device)
                targets.setdefault(device.id, []).append(target.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin does, the others are listed
            notes.append(f"{target.name}: {in_words(error)}")
    return [_Found(device, tuple(targets[key])) for key, device in devices.items()], notes


def _row(found: _Found) -> list[str]:
    device = found.device
    return [
        device.id,
        ", ".join(found.targets),
        device.model,
        device.os,
        device.abi,
        device.soc or "-",
        _cores(device),
        f"{device.memory_bytes / _GB:.1f} GB",
        _battery(device.state),
        device.state.get("thermal_status") or "-",
    ]


def _cores(device: Device) -> str:
    """Name cores by their highest frequencies: ``4 x 2.4 + 4 x 1.8 GHz``."""
    if not device.core_max_hz:
        return str(device.cpus)
    clusters = sorted(Counter(device.core_max_hz).items(), reverse=True)
    return " + ".join(f"{n} x {hz / _GHZ:.2g}" for hz, n in clusters) + " GHz"


def _battery(state: dict[str, Any]) -> str:
    percent, celsius = state.get("battery_percent"), state.get("battery_celsius")
    parts = [f"{percent:.0f} %"] if percent is not None else []
    parts += [f"{celsius:.1f} °C"] if celsius is not None else []
    parts += ["saver"] if state.get("battery_saver") else []
    return ", ".join(parts) or "-"
