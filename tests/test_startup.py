"""Start-up: nothing heavy is imported before it is needed. Real processes; each runs many commands."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import click
import pytest
from conftest import invoke, said
from distributions import install

from dslite.cli import cli

COMMANDS = cli.list_commands(click.Context(cli))
HEAVY = [
    *("ai_edge_litert", "ai_edge_quantizer", "keras", "librosa", "matplotlib", "numba", "scipy", "sklearn"),
    *("tensorflow", "tensorflow_model_optimization", "tf_keras"),
]
Command = tuple[dict[str, str], list[str]]
"""Variables that are set for it, and its words."""

# Runs command lines as the `dslite` script does, and tells of each which packages have been imported when it ends.
_WATCHED = """
import contextlib, io, json, os, sys
from dslite.cli import main

watch, commands = json.load(sys.stdin)
for environment, words in commands:
    os.environ.update(environment)
    sys.argv[:] = ["dslite", *words]
    code, out = None, io.TextIOWrapper(io.BytesIO())
    try:
        with contextlib.redirect_stdout(out):
            main()
    except SystemExit as end:
        code = end.code
    for name in environment:
        del os.environ[name]
    out.flush()
    print(json.dumps([out.buffer.getvalue().decode(), code, [name for name in watch if name in sys.modules]]))
"""


def _run(*commands: Command, watch: list[str] = HEAVY, site: Path | None = None) -> list[tuple[str, int | None]]:
    """Run commands one after the other in one process; give what each writes, and its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED],
        input=json.dumps([watch, commands]),
        env=os.environ | ({"PYTHONPATH": str(site)} if site else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(commands)
    for (_, words), (_, _, imported) in zip(commands, found, strict=True):
        assert imported == [], words
    return [(out, code) for out, code, _ in found]


def test_what_only_looks_things_up_imports_nothing_heavy() -> None:
    commands = [
        *([], ["--version"], ["list"], ["list", "--json"], ["plugins", "--json"], ["show", "densenet121"]),
        *(["completion", "bash"], ["plugins", "new", "--help"], ["recipe", "show", "ccs"]),
        *([command, "--help"] for command in COMMANDS),
    ]
    for words, (out, code) in zip(commands, _run(*(({}, words) for words in commands)), strict=True):
        assert out, words
        assert not code, words


def test_lists_come_without_numpy() -> None:
    """It takes a third of the time of `dslite list`, and is needed only where something is computed."""
    _run(*(({}, words) for words in (["list"], ["plugins"], ["show", "host-litert"])), watch=["numpy"])


def test_a_plugin_that_takes_tensorflow_along_is_refused_before_it_costs_anything(tmp_path: Path) -> None:
    install(tmp_path, "weighty", "import tensorflow\n")
    ((out, code),) = _run(({}, ["plugins", "--json"]), site=tmp_path)
    assert "it imports tensorflow" in json.loads(out)[-1]["error"]
    assert not code


@pytest.mark.parametrize(("shell", "binds"), [("bash", "complete "), ("zsh", "compdef "), ("fish", "complete ")])
def test_completion_gives_a_script_that_asks_dslite(shell: str, binds: str) -> None:
    script = said(invoke("completion", shell))
    assert f"_DSLITE_COMPLETE={shell}_complete" in script
    assert any(line.strip().startswith(binds) and "dslite" in line for line in script.splitlines())


OFFERED = {
    "dslite pl": ["plugins"],
    "dslite nothing-of-this": [],
    "dslite bench --backbone densenet12": ["densenet121"],
    "dslite bench --threads 2 --backbone densenet12": ["densenet121"],
    "dslite bench --backbone vgg16,densenet12": ["vgg16,densenet121"],
    "dslite bench --backbone al": ["all"],
    "dslite export --backbone al": [],
    "dslite bench --exporter tflite-float": ["tflite-float16", "tflite-float32"],
    "dslite bench --backb": ["--backbone"],
    "dslite list aug": ["augmenters"],
    "dslite show densenet12": ["densenet121"],
    "dslite nothing-of-this --backb": [],
}


def test_the_shell_is_offered_what_fits_quickly_and_without_complaint() -> None:
    asked = {"_DSLITE_COMPLETE": "bash_complete"}
    commands: list[Command] = [
        (asked | {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}, []) for line in OFFERED
    ]
    for (line, offered), (out, code) in zip(OFFERED.items(), _run(*commands), strict=True):
        assert [item.partition(",")[2] for item in out.split()] == offered, line
        assert not code, line


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
