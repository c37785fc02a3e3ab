"""``dslite cache``."""

import time

import click

from dslite import cache
from dslite.cli.console import json_option, print_json, print_table
from dslite.report.columns import size


@click.command(epilog="Example: dslite cache --clear")
@click.option("--clear", is_flag=True, help="Take everything away; it can be made again.")
@json_option
def command(clear: bool, as_json: bool) -> None:
    """Show or clear the cache.

    It holds exported files, so that the next bench need not export them again, and the runs of a bench that was
    stopped, so that it can go on. Beyond 10 GB, what was used longest ago goes. DSLITE_CACHE names another folder.
    """
    found = cache.entries()
    if clear:
        for entry in found:
            cache.remove(entry)
    if as_json:
        entries = [{"kind": e.kind, "path": str(e.path), "size_bytes": e.size_bytes, "used": e.used} for e in found]
        print_json({"folder": str(cache.folder()), "cleared": clear, "entries": entries})
        return
    total = sum(entry.size_bytes for entry in found)
    if found and not clear:
        print_table(
            ("KIND", "SIZE", "USED", "NAME"),
            [(entry.kind, size(entry.size_bytes), _when(entry.used), _name(entry)) for entry in found],
        )
    verb = "cleared: " if clear else ""
    click.echo(f"{verb}{len(found)} entries, {size(total)}, in {cache.folder()}")


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _name(entry: cache.Entry) -> str:
    names = [p.name for p in entry.path.iterdir() if not p.name.endswith(".json")] if entry.path.is_dir() else []
    return ", ".join(names) or entry.path.name
