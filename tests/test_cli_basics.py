import io
import json
import os
import subprocess
import sys
from typing import Any

import click
import pytest
from rich.console import Console

from dslite import __version__
from dslite.cli import cli
from dslite.cli.console import _Title

COMMANDS = cli.list_commands(click.Context(cli))
SUBCOMMANDS = ["plugins new", "recipe show", "recipe check", "recipe import"]
KINDS = ["backbones", "augmenters", "compressors", "exporters", "targets"]


def _dslite(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dslite", *arguments],
        env={k: v for k, v in os.environ.items() if not k.startswith("DSLITE_")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _json(*arguments: str) -> Any:
    done = _dslite(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_dslite_alone_and_with_help_says_what_it_can_do(arguments: list[str]) -> None:
    done = _dslite(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0][0] == "Usage:"
    assert ["Example:", "dslite"] in [words[:2] for words in lines]
    for command in COMMANDS:
        (described,) = [words for words in lines if words[0] == command]
        assert len(described) > 2, "a command without a word on what it does"
        assert not described[-1].endswith("..."), "cut off: shorten its first sentence"


def test_version_is_that_of_the_package() -> None:
    done = _dslite("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dslite {__version__}\n", "")


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_the_help_of_a_command_ends_with_an_example_of_it(command: str) -> None:
    done = _dslite(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    _, found, example = done.stdout.partition("\n  Example: ")
    assert found, done.stdout[-300:]
    assert f"dslite {command}" in " ".join(example.split())


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
def test_every_option_of_a_command_is_explained(command: str) -> None:
    found: click.Command | None = cli
    for name in command.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name)
    assert found is not None
    assert found.help
    unexplained = [p.name for p in found.params if isinstance(p, click.Option) and not p.help]
    assert unexplained == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lst", "No such command 'lst': did you mean 'list'?"),
        ("xyzzy", "No such command 'xyzzy': the commands are baseline, bench, cache, compare,"),
        ("--frob", "No such option '--frob'"),
        ("list frobs", "'frobs' is not one of 'backbones', 'augmenters', 'compressors', 'exporters', 'targets'"),
        ("list backbones more", "unexpected extra argument (more)"),
        ("list --jso", "--json"),
        ("plugins more", "No such command 'more'"),
        ("plugins --json new tinynet --kind backbone", "--json goes with the list"),
        ("plugins new", "Missing argument 'NAME'"),
        ("plugins new tinynet", "Missing option '--kind'"),
        ("plugins new tinynet --kind backbones", "'backbones' is not one of 'backbone', 'augmenter'"),
        ("plugins new tinynet --kind target -o no-such-folder/here", "the folder no-such-folder does not exist"),
        ("show", "Missing argument 'NAME'"),
        ("show densenet12", "no plugin is named 'densenet12': did you mean 'densenet121'?"),
        ("completion", "Choose from: bash, zsh, fish"),
        ("completion tcsh", "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        ("bench", "nothing to measure: name a --backbone"),
        ("bench --backbon densenet121", "--backbone"),
        ("bench --backbone", "Option '--backbone' requires an argument"),
        ("bench --backbone densenet12", "no backbone is named 'densenet12': did you mean 'densenet121'?"),
        ("bench --backbone densenet121:depth=3", "densenet121 has no option 'depth'"),
        ("bench --backbone densenet121:depth", "expected densenet121:key=value"),
        ("bench --backbone densenet121 --exporter tflite", "no exporter is named 'tflite'"),
        ("bench --backbone densenet121 --target phone", "no target is named 'phone'"),
        ("bench --backbone densenet121 --exporter hdf5 --target phone", "no target is named 'phone'"),
        ("bench --runs few", "'few' is not a valid integer"),
        ("bench --runs 0", "0 is not in the range x>=1"),
        ("bench --size 1", "picture size: expected 8 to 4096 px, got 1"),
        ("bench --window nan", "window: expected"),
        ("bench --chunk-hop inf", "chunk hop: expected"),
        ("bench --chunk 0.001", "expected at least one window of 0.032 s, got 16 samples"),
        ("bench --classes 3 --labels a,b", "--classes 3 does not fit the 2 names of --labels"),
        ("bench --labels a,a", "--labels: expected two or more different names"),
        ("bench --classes 0", "--classes"),
        ("bench --classes 1", "--classes"),
        ("bench --weights no-such-file", "--weights: expected none, imagenet or a weight file, got 'no-such-file'"),
        ("bench no-such-file.tflite", "no-such-file.tflite"),
        ("export", "Missing"),
        ("image", "Missing"),
        ("image no-such-file.wav -o no-such-picture.png", "no-such-file.wav"),
        ("predict", "Missing"),
        ("predict no-such-file.tflite no-such-file.wav", "no-such-file.tflite"),
    ],
)
def test_a_wrong_request_ends_with_2_and_one_line_that_says_what_to_mend(line: str, message: str) -> None:
    done = _dslite(*line.split())
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_a_command_is_told_with_where_its_help_is(command: str) -> None:
    done = _dslite(command, "--no-such-option")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No such option '--no-such-option'" in done.stderr
    assert f"dslite {command} --help" in done.stderr


def test_a_traceback_comes_only_when_asked_for() -> None:
    assert "Traceback" not in _dslite("show", "nothing-of-this").stderr
    asked = _dslite("show", "nothing-of-this", DSLITE_DEBUG="1")
    assert asked.returncode == 2
    assert "Traceback" in asked.stderr
    assert asked.stderr.splitlines()[-1].startswith("error: no plugin is named 'nothing-of-this'")


def test_list_gives_a_row_a_record_with_where_it_comes_from() -> None:
    done = _dslite("list")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["KIND", "NAME", "DISTRIBUTION", "SOURCE"]
    assert ["backbone", "densenet121", "dslite", __version__] in [row.split()[:4] for row in rows]
    assert len(rows) == len(_json("list", "--json"))


@pytest.mark.parametrize("kind", KINDS)
def test_list_of_a_kind_gives_json_of_that_kind_only(kind: str) -> None:
    of_kind = _json("list", kind, "--json")
    assert of_kind == [record for record in _json("list", "--json") if record["kind"] == kind]
    assert all(record["name"] and record["source"] and record["plugin"] for record in of_kind)


def test_list_of_a_kind_nobody_provides_says_so_on_standard_error_only() -> None:
    everything = ",".join(plugin["name"] for plugin in _json("plugins", "--json"))
    done = _dslite("list", "augmenters", DSLITE_DISABLE=everything)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no augmenters is installed\n")
    done = _dslite("list", "augmenters", "--json", DSLITE_DISABLE=everything)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "")


def test_show_gives_all_a_record_says_of_itself() -> None:
    (shown,) = _json("show", "densenet121", "--json")
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
    table = _dslite("show", "densenet121").stdout
    assert ["n", "features", "1024"] in [line.split() for line in table.splitlines()]


def test_plugins_gives_a_row_a_plugin_with_what_it_provides() -> None:
    done = _dslite("plugins")
    assert (done.returncode, done.stderr) == (0, "")
    found = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "densenet121" in found["keras-applications"]
    assert set(found) == {"PLUGIN", *(plugin["name"] for plugin in _json("plugins", "--json"))}


@pytest.mark.parametrize("command", ["list", "plugins"])
def test_a_reader_that_has_gone_is_no_reason_for_a_complaint(command: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dslite", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
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
