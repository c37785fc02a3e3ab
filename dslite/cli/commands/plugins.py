"""``dslite plugins``."""

import click

from dslite.cli.console import json_option, print_json, print_table
from dslite.loading import Plugin
from dslite.registry import registry


@click.command(epilog="Example: dslite plugins --json")
@json_option
def command(as_json: bool) -> None:
    """List plugins, and what failed to load.

    Each with its distribution and the time it took.

    Exit code 0 even where a plugin failed: the others work.
    """
    plugins = registry().plugins
    if as_json:
        print_json(
            [
                {
                    "name": p.name,
                    "module": p.module,
                    "distribution": p.distribution,
                    "load_s": p.load_s,
                    "error": p.error,
                    "provides": {kind: [r.name for r in group] for kind, group in p.records.items()},
                }
                for p in plugins
            ]
        )
        return
    print_table(
        ("PLUGIN", "DISTRIBUTION", "LOADED IN", "PROVIDES"),
        [(p.name, p.distribution, f"{p.load_s * 1e3:.1f} ms", _provides(p)) for p in plugins],
    )


def _provides(plugin: Plugin) -> str:
    if plugin.error:
        return f"FAILED: {plugin.error}"
    return ", ".join(record.name for group in plugin.records.values() for record in group)
