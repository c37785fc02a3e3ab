"""``dslite completion``."""

import click
from click.shell_completion import get_completion_class


@click.command(epilog='Example, for this shell and, in ~/.bashrc, for every one: eval "$(dslite completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Write a completion script for a shell.

    It completes commands, options, and the names of installed plugins.
    """
    completion = get_completion_class(shell)
    root = ctx.find_root()
    if completion is not None:
        click.echo(completion(root.command, {}, "dslite", "_DSLITE_COMPLETE").source())
