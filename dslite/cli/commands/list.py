"""``dslite list``."""

import click

from dslite.cli.console import json_option, print_json, print_table
from dslite.loading import KINDS, Kind
from dslite.records import describe
from dslite.registry import registry


@click.command(epilog="Example: dslite list backbones")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@json_option
def command(kind: Kind | None, as_json: bool) -> None:
    """List what is installed.

    Backbones, augmenters, compressors, exporters and targets, of all plugins.
    """
    found = registry()
    rows = [(k, record) for k in ([kind] if kind else KINDS) for record in found.records(k)]
    if as_json:
        print_json([{"kind": k, "plugin": found.provider(record).name, **describe(record)} for k, record in rows])
        return
    if rows:
        print_table(
            ("KIND", "NAME", "DISTRIBUTION", "SOURCE"),
            [(k[:-1], record.name, found.provider(record).distribution, record.source) for k, record in rows],
        )
    else:
        click.echo(f"no {kind or 'plugin'} is installed", err=True)
    failed = [plugin.name for plugin in found.plugins if plugin.error]
    if failed:
        click.echo(f"not loaded: {', '.join(failed)} (`dslite plugins` says why)", err=True)
