import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dslite

PACKAGE = Path(dslite.__file__).parent
# From the bottom up: a module imports from lower lines and from its own package, never from its own line.
# "" is dslite/__init__.py, which gives plugin authors their `hookimpl`.
LAYERS = [
    ["errors", "native"],
    ["children", "codec", "files", "lazy"],
    ["records"],
    ["metrics"],
    ["recipe", "hookspecs"],
    [""],
    ["loading", "recipes"],
    ["registry", "audio", "cache"],
    ["model"],
    ["deploy"],
    ["measure", "learn"],
    ["report"],
    ["testing"],
    ["scaffold"],
    ["cli"],
    ["__main__"],
]
LEVEL = {part: level for level, line in enumerate(LAYERS) for part in line}
# Objects go down, names do not; testing is for plugins, and the tests of the plugin that is written out use both.
ONLY_FOR = {"loading": {"registry", "cli", "scaffold"}, "registry": {"cli", "scaffold"}, "testing": {"scaffold"}}
BARE = ["errors", "native", "children", "codec", "files", "lazy", "records", "recipe"]  # standard library only
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):  # walks into functions too: an import is one wherever it stands
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ("." * node.level + f"{node.module}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    """`dslite.model.keras.keras` is of `model`; `dslite.hookimpl` is of the package itself."""
    second = name.split(".")[1] if "." in name else ""
    return second if (PACKAGE / second).is_dir() or (PACKAGE / f"{second}.py").exists() else ""


def faults(part: str, source: str) -> list[str]:
    names = list(imported(source))
    own = [name for name in names if name.split(".")[0] == "dslite"]
    bad = [name for name in names if name.split(".")[0] in ("dslite_plugins", "dslite_device", "")]
    for name in own:
        to = part_of(name)
        allowed = ONLY_FOR.get(to, {part})
        if to != part and (LEVEL[to] >= LEVEL[part] or part not in allowed):
            bad.append(name)
    if part in BARE:
        bad += [n for n in names if n not in own and n.split(".")[0] not in sys.stdlib_module_names]
    return bad


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(module: Path) -> None:
    place = module.relative_to(PACKAGE).with_suffix("").parts[0]
    part = "" if place == "__init__" else place
    assert part in LEVEL, "a new part of dslite: give it a line in LAYERS"
    assert faults(part, module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("package", ["dslite_plugins", "dslite_device"])
def test_plugins_use_nothing_that_looks_plugins_up(package: str) -> None:
    (folder,) = __import__(package).__path__
    names = {name for path in Path(folder).rglob("*.py") for name in imported(path.read_text(encoding="utf-8"))}
    assert {name.split(".")[0] for name in names} >= {"dslite"}
    assert [n for n in names if n.startswith("dslite.") and part_of(n) in ("registry", "report", "cli")] == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("model", "import dslite.cli"),
        ("model", "def f():\n    from dslite import registry"),
        ("audio", "from dslite.model.keras import keras"),
        ("registry", "from dslite.audio import load"),
        ("report", "import dslite_plugins.exporters.tflite"),
        ("cli", "from dslite_device import host"),
        ("cli", "from dslite.testing import check_backbone"),
        ("testing", "from dslite.registry import registry"),
        ("testing", "import dslite.scaffold"),
        ("recipe", "import numpy as np"),
        ("errors", "from dslite import hookimpl"),
        ("deploy", "from . import manifest"),
    ],
)
def test_an_import_that_points_elsewhere_is_found(part: str, source: str) -> None:
    assert len(faults(part, source)) == 1
