import io
import subprocess
import sys

import click
import pytest
from conftest import Environment, assert_refused, invoke, run_dslite, said, told_json
from rich.console import Console

from dslite import __version__
from dslite.cli import cli
from dslite.cli.console import _Title

COMMANDS = cli.list_commands(click.Context(cli))
SUBCOMMANDS = ["plugins new", "recipe show", "recipe check", "recipe import"]
KINDS = ["backbones", "augmenters", "compressors", "exporters", "targets"]


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_dslite_alone_and_with_help_says_what_it_can_do(arguments: list[str]) -> None:
    lines = [line.split() for line in said(invoke(*arguments)).splitlines() if line.strip()]
    assert lines[0][0] == "Usage:"
    assert ["Example:", "dslite"] in [words[:2] for words in lines]
    for command in COMMANDS:
        (described,) = [words for words in lines if words[0] == command]
        assert len(described) > 2, "a command without a word on what it does"
        assert not described[-1].endswith("..."), "cut off: shorten its first sentence"


def test_version_is_that_of_the_package() -> None:
    assert said(run_dslite("--version")) == f"dslite {__version__}\n"


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_help_has_the_usage_every_option_and_an_example(command: str) -> None:
    usage, found, example = said(invoke(*command.split(), "--help")).partition("\n  Example: ")
    assert usage.startswith(f"Usage: dslite {command} ")
    assert found, usage[-300:]
    assert f"dslite {command}" in " ".join(example.split())
    named: click.Command | None = cli
    for name in command.split():
        assert isinstance(named, click.Group)
        named = named.get_command(click.Context(named), name)
    assert named is not None
    assert named.help
    assert [p.name for p in named.params if isinstance(p, click.Option) and not p.help] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lst", "No such command 'lst': did you mean 'list'?"),
        ("xyzzy", "No such command 'xyzzy': the commands are baseline, bench, cache, compare,"),
        ("--frob", "No such option '--frob'"),
        ("list frobs", "'frobs' is not one of 'backbones', 'augmenters', 'compressors', 'exporters', 'targets'"),
        ("list backbones more", "unexpected extra argument (more)"),
        ("plugins --json new tinynet --kind backbone", "--json goes with the list"),
        ("plugins new", "Missing argument 'NAME'"),
        ("plugins new tinynet", "Missing option '--kind'"),
        ("plugins new tinynet --kind backbones", "'backbones' is not one of 'backbone', 'augmenter'"),
        ("plugins new tinynet --kind target -o no-such-folder/here", "the folder no-such-folder does not exist"),
        ("show densenet12", "no plugin is named 'densenet12': did you mean 'densenet121'?"),
        ("completion", "Choose from: bash, zsh, fish"),
        ("completion tcsh", "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        ("bench --backbon densenet121", "--backbone"),
        ("bench --backbone densenet121:depth", "expected densenet121:key=value"),
        ("bench --backbone densenet121 --target phone", "no target is named 'phone'"),
        ("bench --runs 0", "0 is not in the range x>=1"),
        ("bench --window nan", "window: expected"),
        ("bench --chunk-hop inf", "chunk hop: expected"),
        ("bench --classes 3 --labels a,b", "--classes 3 does not fit the 2 names of --labels"),
        ("predict", "Missing"),
        ("predict no-such-file.tflite no-such-file.wav", "no-such-file.tflite"),
    ],
)
def test_a_wrong_request_ends_with_2_and_one_line_that_says_what_to_mend(line: str, message: str) -> None:
    done = invoke(*line.split())
    assert_refused(done, message)
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_a_command_is_told_with_where_its_help_is(command: str) -> None:
    done = invoke(command, "--no-such-option")
    assert_refused(done, "No such option '--no-such-option'", f"dslite {command} --help")


def test_a_traceback_comes_only_when_asked_for() -> None:
    assert_refused(run_dslite("show", "nothing-of-this"), "no plugin is named 'nothing-of-this'")
    asked = invoke("show", "nothing-of-this", environment={"DSLITE_DEBUG": "1"})
    assert asked.returncode == 2
    assert "Traceback" in asked.stderr
    assert asked.stderr.splitlines()[-1].startswith("error: no plugin is named 'nothing-of-this'")


def test_list_gives_a_row_a_record_with_where_it_comes_from() -> None:
    header, *rows = said(invoke("list")).splitlines()
    assert header.split() == ["KIND", "NAME", "DISTRIBUTION", "SOURCE"]
    assert ["backbone", "densenet121", "dslite", __version__] in [row.split()[:4] for row in rows]
    assert len(rows) == len(told_json("list"))


@pytest.mark.parametrize("kind", KINDS)
def test_list_of_a_kind_gives_json_of_that_kind_only(kind: str) -> None:
    of_kind = told_json("list", kind)
    assert of_kind == [record for record in told_json("list") if record["kind"] == kind]
    assert all(record["name"] and record["source"] and record["plugin"] for record in of_kind)


def test_list_of_a_kind_nobody_provides_says_so_on_standard_error_only() -> None:
    nothing: Environment = {"DSLITE_DISABLE": ",".join(plugin["name"] for plugin in told_json("plugins"))}
    assert said(invoke("list", "augmenters", environment=nothing), "no augmenters is installed\n") == ""
    assert told_json("list", "augmenters", environment=nothing) == []


def test_show_gives_all_a_record_says_of_itself() -> None:
    (shown,) = told_json("show", "densenet121")
    assert {
        "kind": "backbone",
        "name": "densenet121",
        "scaling": "torch",
        "n_features": 1024,
        "min_size_px": 32,
        "licence": "Apache-2.0",
        "options": [],
        "plugin": "keras-applications",
        "distribution": f"dslite {__version__}",
    }.items() <= shown.items()
    assert ["n", "features", "1024"] in [line.split() for line in said(invoke("show", "densenet121")).splitlines()]


def test_plugins_gives_a_row_a_plugin_with_what_it_provides() -> None:
    found = {line.split()[0]: line for line in said(invoke("plugins")).splitlines()}
    assert "densenet121" in found["keras-applications"]
    assert set(found) == {"PLUGIN", *(plugin["name"] for plugin in told_json("plugins"))}


def test_a_reader_that_has_gone_is_no_reason_for_a_complaint() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dslite", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("width", "shown"),
    [(34, "channels:macs…: timing run 3 of 10"), (80, "channels:macs=0.25+qat on host-litert: timing run 3 of 10")],
)
def test_where_a_terminal_is_narrow_the_name_is_cut_and_not_what_is_being_done(width: int, shown: str) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(_Title("channels:macs=0.25+qat on host-litert", "timing run 3 of 10"))
    assert console.file.getvalue() == shown  # type: ignore[attr-defined]
