import re
import shlex
from pathlib import Path

import click
import pytest

from dslite.cli import cli
from dslite.registry import KINDS

ROOT = Path(__file__).parent.parent


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def _commands() -> list[str]:
    return re.findall(r"^    (?:eval \"\$\()?(dslite [^\n>)]+)", _readme(), re.MULTILINE)


def test_the_readme_shows_every_command_but_none_that_is_not_there() -> None:
    shown = {shlex.split(line)[1] for line in _commands()}
    context = click.Context(cli)
    assert shown == set(cli.list_commands(context))


@pytest.mark.parametrize("line", _commands())
def test_every_command_line_of_the_readme_is_understood(line: str) -> None:
    _, name, *words = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, words, resilient_parsing=False).close()


@pytest.mark.checkout
def test_the_readme_opens_with_the_two_commands_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = re.findall(r"^    make ([a-z-]+)", _readme(), re.MULTILINE)
    assert shown[:2] == ["bench", "test"]
    assert set(shown) <= set(targets)


@pytest.mark.checkout
def test_every_python_file_and_folder_of_the_core_stands_in_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = {p.stem for p in (ROOT / "dslite").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    tree = text.split("## Folders")[1].split("## Layers")[0]
    first_words = {word for line in tree.splitlines() for word in re.split(r"[ /]+", line[6:30].strip())}
    assert names - {"__init__", "__main__"} - first_words == set()


def test_the_readme_names_every_kind_of_plugin() -> None:
    assert [kind for kind in KINDS if kind not in _readme().lower()] == []


def _example() -> str:
    block = _readme().split("# my_plugin.py")[1].split("# pyproject.toml")[0]
    return "\n".join(line.removeprefix("    ") for line in block.splitlines())


def test_the_readmes_plugin_keeps_the_contract() -> None:
    from dslite.testing import check_backbone

    namespace: dict[str, object] = {}
    exec(_example(), namespace)  # noqa: S102 - it is our own document
    hook = namespace["dslite_backbones"]
    assert callable(hook)
    (backbone,) = hook()
    check_backbone(backbone)
