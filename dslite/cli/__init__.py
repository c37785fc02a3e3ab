"""The command line. Each command is a module of its own, imported only when it runs."""

import contextlib
import difflib
import importlib
import io
import pkgutil
import sys
import traceback
from typing import Any

import click

from dslite import __version__
from dslite.children import Signalled, end_by_unwinding
from dslite.cli import commands
from dslite.errors import DsliteError, in_words
from dslite.native import debug

_COMMANDS = sorted(module.name for module in pkgutil.iter_modules(commands.__path__))
_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """Imports ``dslite.cli.commands.NAME`` when command NAME is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return _COMMANDS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS and ctx.resilient_parsing:
            return None  # the shell completes: no word about a slip before the one it asks for
        if cmd_name not in _COMMANDS:
            near = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(_COMMANDS)}"
            raise click.UsageError(f"No such command {cmd_name!r}: {hint}", ctx)
        command: click.Command = importlib.import_module(f"dslite.cli.commands.{cmd_name}").command
        return command


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: dslite bench --backbone densenet121",
)
@click.version_option(__version__, message="dslite %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Choose, train, compress and measure an audio classifier for a phone, with every part a plugin.

    Exit codes: 0 done, 1 something failed on the way, 2 the request cannot be carried out as it was made,
    3 `compare` found a change beyond a limit, 130 interrupted, 143 asked to end.
    DSLITE_DEBUG=1 shows tracebacks and the logs of native libraries; DSLITE_DISABLE=a,b leaves plugins out.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the command line; every expected failure is one line on standard error."""
    end_by_unwinding("SIGTERM", "SIGHUP")  # asked to end, or the terminal was closed; Windows has no SIGHUP
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a ± shows the rest all the same
    sys.exit(_run())


def _run() -> Any:
    try:
        return cli.main(standalone_mode=False)
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__cause__ or error  # click makes an Abort of it
        message, code = ("asked to end", cause.code) if isinstance(cause, Signalled) else ("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: no second complaint at exit
        return 1
    except Exception as error:  # noqa: BLE001 - the user gets one line; DSLITE_DEBUG shows the rest
        if debug():
            traceback.print_exc()
        message, code = _explain(error)
    with contextlib.suppress(OSError):  # a terminal that was closed
        click.echo(click.style("error: ", fg="red") + " ".join(message.split()), err=True)
    return code


def _explain(error: Exception) -> tuple[str, int]:
    if isinstance(error, click.UsageError):
        where = error.ctx.command_path if error.ctx else "dslite"
        return f"{error.format_message()} (see {where} --help)", error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, DsliteError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ' (standard output?)'}", 1
    return f"a defect in dslite or a plugin: {in_words(error)} (DSLITE_DEBUG=1 shows where)", 1
