"""``dslite devices``."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from dslite.cli.console import TERMINAL, json_option, out, print_json, print_table
from dslite.codec import plain
from dslite.errors import in_words
from dslite.records import Device
from dslite.registry import registry

_COLUMNS = ("DEVICE", "TARGETS", "MODEL", "SYSTEM", "ABI", "SOC", "CORES", "MEMORY", "BATTERY", "THERMAL")
_WIDE = 160
"""Characters of a terminal that the table of a host and a phone fits into."""
_GB = 1e9
_GHZ = 1e9


@click.command(epilog="Example: dslite devices --json")
@json_option
def command(as_json: bool) -> None:
    """List the devices that files can be measured on.

    This host, and every attached Android device: its model, Android version, ABI, system on chip, cores and their
    highest frequencies, memory, battery and thermal status. One that cannot be used says why, and what to do.
    """
    found, notes = _devices()
    if as_json:
        print_json({"devices": [{**plain(device), "targets": targets} for device, targets in found], "notes": notes})
        return
    usable = [(device, targets) for device, targets in found if not device.problem]
    rows = [_row(device, targets) for device, targets in usable]
    if out().width >= _WIDE and rows:
        print_table(_COLUMNS, rows)
    else:  # a table would break names apart
        for row in rows:
            print_table((_COLUMNS[0], row[0]), list(zip(_COLUMNS[1:], row[1:], strict=True)))
            click.echo()
    for device, _ in found:
        if device.problem:
            click.echo(f"not usable: {device.id}: {device.problem}", err=True)
    for note in notes:
        TERMINAL.note(note)
    for target, n in Counter(target for _, targets in usable for target in targets).items():
        if n > 1:
            one = next(device.id for device, targets in usable if target in targets)
            TERMINAL.note(f"{n} devices of target {target}: name one, --target {target}:device={one}")


def _devices() -> tuple[list[tuple[Device, list[str]]], list[str]]:
    """Ask all targets for their devices, each with the targets that measure on it; what one cannot tell is a note."""
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
    return [(device, targets[key]) for key, device in devices.items()], notes


def _row(device: Device, targets: Sequence[str]) -> list[str]:
    return [
        device.id,
        ", ".join(targets),
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
