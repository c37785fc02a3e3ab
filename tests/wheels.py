"""Wheels: the one that is tested, where it is one, and those that tests build."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def wheel_under_test() -> Path | None:
    """Give the wheel that `make WHEEL=...` has installed for these tests; None where they test this folder."""
    named = os.environ.get("DSLITE_TEST_WHEEL")
    return Path(named) if named else None


def own_wheel(folder: Path) -> Path:
    """Give the wheel that is tested, or build this folder's."""
    return wheel_under_test() or build_wheel(ROOT, folder)


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project, alone in a folder."""
    pip("wheel", "--no-deps", "--wheel-dir", folder, project)
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(*words: object) -> None:
    """Run pip, of this environment."""
    command = [sys.executable, "-m", "pip", *map(str, words), "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
