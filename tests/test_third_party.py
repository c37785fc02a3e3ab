"""A third party's plugin for real: its wheel beside dslite's in a fresh environment, and bad plugins beside both."""

import json
import os
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from distributions import BAD_BUILDS, backbone, install
from wheels import ROOT, build_wheel, own_wheel, pip

EXAMPLE = ROOT / "plugins" / "examples" / "dslite-squeezenext"
pytestmark = [pytest.mark.slow, pytest.mark.checkout]

# What is wrong at loading, and what `dslite plugins` must say; tests of the registry have all that can be wrong there.
BAD_MODULES = {
    "missing-import": ("import no_such_library\n", "No module named 'no_such_library': install it, or name it among"),
    "exit-at-import": ("import sys\nsys.exit('no licence')\n", "called sys.exit('no licence'): remove that call"),
    "tensorflow-along": ("import tensorflow\n", "it imports tensorflow as it is loaded, which takes seconds: move"),
}


@dataclass(frozen=True)
class Fresh:
    """An environment with both wheels, and an empty folder to run in."""

    python: Path
    site: Path
    folder: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("DSLITE_", "PYTHON"))}
        command = [self.python, "-m", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env=environment, check=False)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Install both wheels into an environment of their own; what they need, that of the tests lends it."""
    folder = tmp_path_factory.mktemp("third party")
    venv.create(folder / "venv")
    scheme = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    python = Path(sysconfig.get_path("scripts", "venv", scheme)) / "python"
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    # The folder alone: .pth files in it, such as the one that makes a checkout importable, are not followed.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    example = build_wheel(EXAMPLE, folder / "example")
    pip("--python", python, "install", "--no-deps", "--ignore-installed", own_wheel(folder / "own"), example)
    (folder / "empty").mkdir()
    return Fresh(python, site, folder / "empty")


def _row(text: str, name: str) -> list[str]:
    (row,) = [line.split() for line in text.splitlines() if name in line.split()]
    return row


def _bench(fresh: Fresh, name: str, *words: object) -> subprocess.CompletedProcess[str]:
    few = ["--part", "whole", "--exporter", "tflite-float32", "--runs", 3, "--min-seconds", 0]
    return fresh.run("dslite", "bench", "--backbone", name, *few, *words)


_SMALL = ["--size", 64, "--chunk", 1]


def test_the_plugin_is_found_by_its_entry_point(fresh: Fresh) -> None:
    code = "import dslite; print(dslite.__file__)"
    where = subprocess.run([fresh.python, "-c", code], cwd=fresh.folder, capture_output=True, text=True, check=True)
    assert Path(where.stdout.strip()).parent.parent == fresh.site
    assert _row(fresh.run("dslite", "list", "backbones").stdout, "squeezenext")[:4] == [
        *("backbone", "squeezenext"),
        *("dslite-squeezenext", "0.1.0"),
    ]
    listed = fresh.run("dslite", "plugins")
    assert _row(listed.stdout, "dslite-squeezenext")[:3] == ["squeezenext", "dslite-squeezenext", "0.1.0"]
    assert (listed.returncode, listed.stderr) == (0, "")
    assert fresh.run("dslite", "bench", "--help").stdout.startswith("Usage: ")


def test_it_is_benched_as_a_built_in_is(fresh: Fresh) -> None:
    path = fresh.folder / "report.json"
    done = _bench(fresh, "squeezenext", "-o", path)
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(path.read_text(encoding="utf-8"))["runs"]
    assert (run["artifact"]["backbone"], run["error"]) == ("squeezenext", None)
    measured = {m["metric"]: m for m in run["measurements"]}
    assert len(measured["latency"]["samples"]) >= 3
    assert run["artifact"]["macs"] > 275_792_640  # its own count at 224 px, and those of front end and head
    assert "squeezenext" in done.stdout


@pytest.mark.parametrize("chosen", ["contract", pytest.param("", marks=pytest.mark.nightly)])
def test_its_own_tests_pass_where_it_is_installed(fresh: Fresh, tmp_path: Path, chosen: str) -> None:
    tests = shutil.copytree(EXAMPLE / "tests", tmp_path / "its tests")
    done = fresh.run("pytest", "-p", "no:cacheprovider", "-k", chosen, tests)
    assert done.returncode == 0, done.stdout


def test_bad_plugins_beside_it_are_told_each_with_its_cure_and_it_lives_on(fresh: Fresh) -> None:
    for name, (source, _) in BAD_MODULES.items():
        module = f"bad_{name.replace('-', '_')}"
        install(fresh.site, module, source, f"{name} = {module}")
    install(fresh.site, "bad_pools", backbone("lab_pools", BAD_BUILDS["pools"][0]))

    listed = fresh.run("dslite", "list")
    assert listed.returncode == 0
    assert {"densenet121", "squeezenext", "tflite-float32", "host-litert"} <= set(listed.stdout.split())
    assert [name for name in BAD_MODULES if name not in listed.stderr] == []

    found = {plugin["name"]: plugin for plugin in json.loads(fresh.run("dslite", "plugins", "--json").stdout)}
    for name, (_, expected) in BAD_MODULES.items():
        assert found[name]["distribution"] == f"bad_{name.replace('-', '_')} 1.0"
        assert expected in found[name]["error"]
    assert [plugin["name"] for plugin in found.values() if plugin["error"]] == sorted(BAD_MODULES)

    done = _bench(fresh, "squeezenext:width=0.5", *_SMALL)
    assert done.returncode == 0, done.stderr

    done = _bench(fresh, "lab_pools", "--size", 32, "--chunk", 1)
    assert done.returncode == 1
    assert "(plugin bad_pools of bad_pools 1.0: mend it" in done.stdout + done.stderr
