import re
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import dslite

ROOT = Path(__file__).parent.parent


def test_the_installed_version_is_the_packages() -> None:
    assert distribution("dslite").version == dslite.__version__


def test_every_dependency_is_pinned_by_name_and_version() -> None:
    if not (ROOT / "constraints.txt").exists():
        pytest.skip("no checkout: constraints.txt is not installed")
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


@pytest.mark.checkout
@pytest.mark.slow
def test_the_wheel_holds_three_packages_their_types_and_the_licence(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"dslite", "dslite_plugins", "dslite_device"}
    for package in tops:
        assert f"{package}/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    suffixes = (".py", ".in", ".toml")
    checked_in = {p.relative_to(ROOT).as_posix() for p in (ROOT / "dslite").rglob("*.*") if p.suffix in suffixes}
    assert checked_in <= set(names)
