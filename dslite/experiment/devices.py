"""The devices that a bench measures on: asked for before anything long starts."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from dslite import files
from dslite.errors import RunError, SpecError, UserError
from dslite.measure.bench import choose_device
from dslite.records import Device
from dslite.registry import get_with_options


def with_runner(targets: Sequence[str], runner: str | None, path: Path | None) -> list[str]:
    """Give targets with the options ``runner`` and ``runner_path``, those that have such.

    Raises:
        SpecError: where none of them has, or one names its own.
    """
    given = {"runner": runner, "runner_path": path and str(path)}
    wanted = {name: value for name, value in given.items() if value}
    found, taken = [], False
    for target in targets:
        has = wanted.keys() <= {option.name for option in get_with_options("targets", target)[0].options}
        taken = taken or has
        mark = "," if ":" in target else ":"
        found.append(target + mark + ",".join(f"{k}={v}" for k, v in wanted.items()) if has and wanted else target)
    if wanted and not taken:
        raise SpecError("--runner and --runner-path go with a target that has one: --target android")
    for target in found:
        get_with_options("targets", target)
    return found


def check_devices(targets: Iterable[str]) -> None:
    """Refuse targets whose options cannot be, that have no device, or several where none is named.

    What else a target does wrong is told in its row.

    Raises:
        UserError: with the cure.
    """
    for target in dict.fromkeys(targets):
        if device_of(target):
            record, options = get_with_options("targets", target)
            with contextlib.suppress(RunError):  # its row will tell
                record.check(options)


def measured_with(target: str) -> list[str]:
    """Tell what a target measures with from what it did before: what another device or runner gave is not taken over.

    Raises:
        UserError: where there is no device, or no telling which.
    """
    device = device_of(target)
    if device is None:
        return []
    record, options = get_with_options("targets", target)
    try:
        uses = [files.sha256(path) for path in record.uses(options)]
    except (Exception, SystemExit):  # noqa: BLE001 - its row will tell
        uses = []
    return [device.id, device.model, device.os, *uses]


def device_of(target: str) -> Device | None:
    """Give the device of a target, named with its options; None where the plugin fails to tell.

    Raises:
        UserError: where there is none, or no telling which.
    """
    record, options = get_with_options("targets", target)
    try:
        return choose_device(record, options)
    except UserError:
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - its row will tell
        return None
