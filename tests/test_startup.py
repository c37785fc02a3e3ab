import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import click
import pytest
from distributions import install

from dslite.cli import cli

COMMANDS = cli.list_commands(click.Context(cli))
HEAVY = [
    *("ai_edge_litert", "ai_edge_quantizer", "keras", "librosa", "matplotlib", "numba", "scipy", "sklearn"),
    *("tensorflow", "tensorflow_model_optimization", "tf_keras"),
]

# Runs the command line as the `dslite` script does, then tells on standard error which of HEAVY it imported.
_WATCHED = """
import json, sys
from dslite.cli import main

heavy, sys.argv[:] = json.loads(sys.argv[1]), ["dslite", *sys.argv[2:]]
code = None
try:
    main()
except SystemExit as end:
    code = end.code
finally:
    print(json.dumps([code, [name for name in heavy if name in sys.modules]]), file=sys.stderr)
"""


def _run(
    *arguments: str, watch: list[str] = HEAVY, site: Path | None = None, **environment: str
) -> tuple[str, int | None, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, json.dumps(watch), *arguments],
        env=os.environ | ({"PYTHONPATH": str(site)} if site else {}) | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, imported = json.loads(done.stderr)
    return done.stdout, code, imported


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["plugins", "--json"],
        ["show", "densenet121"],
        ["completion", "bash"],
        *([command, "--help"] for command in COMMANDS),
        ["plugins", "new", "--help"],
        ["recipe", "show", "ccs"],
    ],
    ids=" ".join,
)
def test_what_only_looks_things_up_imports_nothing_heavy(arguments: list[str]) -> None:
    stdout, code, imported = _run(*arguments)
    assert stdout
    assert not code
    assert imported == []


def test_an_import_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "weighty.py").touch()
    (tmp_path / "sitecustomize.py").write_text("import weighty\n")
    assert _run("list", watch=["weighty"], site=tmp_path)[2] == ["weighty"]


def test_a_plugin_that_takes_tensorflow_along_is_refused_before_it_costs_anything(tmp_path: Path) -> None:
    install(tmp_path, "weighty", "import tensorflow\n")
    stdout, code, imported = _run("plugins", "--json", site=tmp_path)
    assert "it imports tensorflow" in json.loads(stdout)[-1]["error"]
    assert not code
    assert imported == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(command: str) -> None:
    assert _run(command, "--help")[0].startswith(f"Usage: dslite {command} ")


@pytest.mark.parametrize(("shell", "binds"), [("bash", "complete "), ("zsh", "compdef "), ("fish", "complete ")])
def test_completion_gives_a_script_that_asks_dslite(shell: str, binds: str) -> None:
    script, code, _ = _run("completion", shell)
    assert not code
    assert f"_DSLITE_COMPLETE={shell}_complete" in script
    assert any(line.strip().startswith(binds) and "dslite" in line for line in script.splitlines())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("dslite pl", ["plugins"]),
        ("dslite nothing-of-this", []),
        ("dslite bench --backbone densenet12", ["densenet121"]),
        ("dslite bench --threads 2 --backbone densenet12", ["densenet121"]),
        ("dslite bench --backbone vgg16,densenet12", ["vgg16,densenet121"]),
        ("dslite bench --backbone al", ["all"]),
        ("dslite export --backbone al", []),
        ("dslite bench --exporter tflite-float", ["tflite-float16", "tflite-float32"]),
        ("dslite bench --backb", ["--backbone"]),
        ("dslite list aug", ["augmenters"]),
        ("dslite show densenet12", ["densenet121"]),
        ("dslite nothing-of-this --backb", []),
    ],
)
def test_the_shell_is_offered_what_fits_quickly_and_without_complaint(line: str, offered: list[str]) -> None:
    words = line.split()
    stdout, code, imported = _run(_DSLITE_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1))
    assert [item.partition(",")[2] for item in stdout.split()] == offered
    assert not code
    assert imported == []


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_the_script_completes_in_bash_itself() -> None:
    typed = """
        eval "$(dslite completion bash)"
        COMP_WORDS=(dslite bench --backbone densenet12) COMP_CWORD=3
        _dslite_completion dslite
        echo "${COMPREPLY[@]}"
    """
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", typed], env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("densenet121\n", "")


def test_lists_come_without_numpy() -> None:
    """It takes a third of the time of `dslite list`, and is needed only where something is computed."""
    for words in (["list"], ["plugins"], ["show", "host-litert"]):
        assert _run(*words, watch=["numpy"])[2] == []
