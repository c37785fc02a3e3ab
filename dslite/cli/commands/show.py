"""``dslite show``."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from dslite.cli.console import json_option, print_json, print_table
from dslite.loading import KINDS
from dslite.records import as_typed, describe
from dslite.registry import registry


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del ctx, param
    names = {name for kind in KINDS for name in registry().names(kind)}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


@click.command(epilog="Example: dslite show densenet121")
@click.argument("name", shell_complete=_complete)
@json_option
def command(name: str, as_json: bool) -> None:
    """Show all that is known of one plugin.

    NAME is that of a backbone, augmenter, compressor, exporter or target.
    """
    found = registry()
    described = [
        {
            "kind": kind[:-1],
            **describe(record),
            "plugin": found.provider(record).name,
            "distribution": found.provider(record).distribution,
            "module": found.provider(record).module,
        }
        for kind, record in found.find(name)
    ]
    if as_json:
        print_json(described)
        return
    for entry in described:
        options, metrics = entry.pop("options"), entry.pop("metrics", [])
        rows = [(key.replace("_", " "), _text(value)) for key, value in entry.items()]
        rows += [("option", f"{o['name']}={as_typed(o['default'])}  {o['help']}") for o in options]
        rows += [("metric", f"{m['name']}, in {m['unit']}  {m['meaning']}") for m in metrics]
        print_table(("FIELD", "VALUE"), rows)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
