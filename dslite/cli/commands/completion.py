"""``dslite completion``."""

import click
from click.shell_completion import get_completion_class


@click.command(epilog='Example: eval "$(dslite completion bash)"  (in ~/.bashrc: for every shell)')
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
