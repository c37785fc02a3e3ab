import importlib
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from wheels import ROOT, own_wheel, wheel_under_test

import dslite


def test_the_installed_version_is_the_packages() -> None:
    assert distribution("dslite").version == dslite.__version__


@pytest.mark.checkout
def test_every_dependency_is_pinned_by_name_and_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
    assert _needed() - {_normal(line.split("==")[0]) for line in pins} == set()


def _needed() -> set[str]:
    """Walk what dslite needs in this environment, its development tools among it, and what those need in turn."""
    found: set[str] = set()
    open_ends = [("dslite", "dev")]
    while open_ends:
        name, extra = open_ends.pop()
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            wanted = _normal(requirement.name)
            if wanted not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": extra})):
                found.add(wanted)
                open_ends.append((wanted, ""))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# -- the wheel ------------------------------------------------------------------------------------------

PACKAGES = {
    "dslite": ROOT / "dslite",
    "dslite_plugins": ROOT / "plugins" / "dslite_plugins",
    "dslite_device": ROOT / "device" / "dslite_device",
}


@pytest.mark.checkout
@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_tested_is_what_make_was_asked_for(package: str) -> None:
    where = f"import {package}; print({package}.__file__)"
    child = subprocess.run([sys.executable, "-c", where], cwd=ROOT, capture_output=True, text=True, check=True)
    here = Path(str(importlib.import_module(package).__file__)).parent
    assert Path(child.stdout.strip()).parent == here
    wheel = wheel_under_test()
    if not wheel:
        assert here == PACKAGES[package]
        return
    assert here != PACKAGES[package]
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(f"{package}/")]
        assert [name for name in names if archive.read(name) != (here.parent / name).read_bytes()] == []


@pytest.mark.checkout
@pytest.mark.slow
def test_the_wheel_holds_three_packages_whole_and_the_licence(tmp_path: Path) -> None:
    names = zipfile.ZipFile(own_wheel(tmp_path)).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == set(PACKAGES)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    for package, folder in PACKAGES.items():
        files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {f"{package}/{path.relative_to(folder).as_posix()}" for path in files} <= set(names)
        assert f"{package}/py.typed" in names
