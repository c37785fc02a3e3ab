"""``dslite plugins`` and ``dslite plugins new``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dslite.cli.console import json_option, print_json, print_table
from dslite.errors import SpecError
from dslite.loading import KINDS, Plugin
from dslite.registry import registry

if TYPE_CHECKING:
    from dslite.scaffold import Kind


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[new NAME --kind KIND]",
    epilog="Example: dslite plugins --json",
)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List plugins, and what failed to load; `new` writes one.

    Each with its distribution and the time it took.

    Exit code 0 even where a plugin failed: the others work.
    """
    if ctx.invoked_subcommand:
        if as_json:
            raise click.UsageError("--json goes with the list: leave it away", ctx)
        return
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


@command.command(epilog="Example: dslite plugins new tinynet --kind backbone")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice([kind.removesuffix("s") for kind in KINDS]),
    required=True,
    help="What the plugin brings.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write it here; the folder must not exist yet.  [default: NAME]",
)
def new(name: str, kind: "Kind", output: Path | None) -> None:
    """Write a plugin to begin with.

    A distribution that installs, works, and has its tests.

    NAME is the distribution's, such as tinynet or dslite-tinynet; a leading dslite- is left out of the name the
    backbone, augmenter, compressor, exporter or target gets.
    """
    from dslite.scaffold import names, use, write

    called, found = names(name, kind), registry()
    (many,) = (k for k in KINDS if k == f"{kind}s")
    taken = next((record for record in found.records(many) if record.name == called.record), None)
    if taken:
        raise SpecError(
            f"NAME: {kind} {called.record!r} is taken by plugin {found.provider(taken).name!r}: "
            f"try my-{called.distribution}"
        )
    folder = output or Path(name)
    write(called, kind, folder)
    here = folder.as_posix() if folder.is_absolute() else f"./{folder.as_posix()}"
    click.echo(f"wrote {folder}; next:\n")
    for line in (
        f"pip install -e {shlex.quote(f'{here}[test]')}",
        f"pytest {shlex.quote(here)}",
        use(kind, called.record),
    ):
        click.echo(f"    {line}")
