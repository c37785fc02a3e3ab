"""``dslite cache``."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from dslite import cache
from dslite.cli.console import TERMINAL, json_option, print_json, print_table
from dslite.errors import WriteError
from dslite.metrics.forms import size


@click.command(epilog="Example: dslite cache --clear")
@click.option("--clear", is_flag=True, help="Take everything away; it can be made again.")
@json_option
def command(clear: bool, as_json: bool) -> None:
    """Show or clear the cache.

    It holds exported files, the spectrograms and features of data sets, so that they need not be made again, and the
    runs of a bench that was stopped, so that it can go on. Beyond 10 GB, what was used longest ago goes. DSLITE_CACHE
    names another folder.
    """
    there, problems = cache.entries(), []
    found = [entry for entry in there if not (clear and entry.user)]
    for entry in found if clear else ():
        try:
            cache.remove(entry)
        except WriteError as error:
            problems.append(error)
    if as_json:
        entries = [{"kind": e.kind, "path": str(e.path), "size_bytes": e.size_bytes, "used": e.used} for e in found]
        print_json({"folder": str(cache.folder()), "cleared": clear, "entries": entries})
    else:
        _show(found, clear=clear)
    if left := sorted({entry.user for entry in there} if clear else set()):
        TERMINAL.note(f"not cleared: {_count(len(there) - len(found))}, in use by {', '.join(filter(None, left))}")
    if problems:
        raise problems[0]


def _show(found: Sequence[cache.Entry], *, clear: bool) -> None:
    if found and not clear:
        print_table(
            ("KIND", "SIZE", "USED", "NAME"),
            [(entry.kind, size(entry.size_bytes), _when(entry.used), _name(entry)) for entry in found],
        )
    verb = "cleared: " if clear else ""
    click.echo(f"{verb}{_count(len(found))}, {size(sum(e.size_bytes for e in found))}, in {cache.folder()}")


def _count(n: int) -> str:
    return "1 entry" if n == 1 else f"{n} entries"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _name(entry: cache.Entry) -> str:
    if entry.kind == "pictures":
        return _pictures(entry.path)
    if entry.kind == "runs":
        return f"{len(list(entry.path.glob('[!.]*.json')))} runs of a bench that was stopped"
    return ", ".join(p.name for p in entry.path.glob("[!.]*") if p.suffix != ".json") or entry.path.name


def _pictures(folder: Path) -> str:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        return f"{sum(n_chunks for _, n_chunks in index['files'])} chunks of {len(index['files'])} files"
    except (OSError, ValueError, KeyError):  # half-written
        return folder.name
