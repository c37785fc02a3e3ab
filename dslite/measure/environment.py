"""What a figure depends on besides the model: the machine, its software, and the state of dslite's own code."""

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    "tensorflow",
    "tf-keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
    "librosa",
    "soxr",
    "soundfile",
)


def cpu_count() -> int:
    """Count the cores this process may use."""
    return len(cores_allowed() or ()) or os.cpu_count() or 1


def cores_allowed() -> list[int] | None:
    """Give the cores this process may use; None where the system does not tell."""
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else None


def load_average() -> float:
    """Give the processes that ran or waited to, on average of the last minute."""
    return round(psutil.getloadavg()[0], 2)


@cache
def cpu_model() -> str:
    """Give the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Hardware"))]
    return names[0] if names else platform.processor() or platform.machine()


_CODE = ("dslite", "plugins", "device", "pyproject.toml", "constraints.txt")


@cache
def commit() -> str | None:
    """Give the commit of the checkout dslite runs from; None if installed.

    ``+changes`` follows where its code, what figures depend on, has any: a file measured beside it is none.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", *_CODE) else "")
    except (OSError, subprocess.SubprocessError):
        return None


def environment() -> dict[str, Any]:
    """Describe machine and software; nothing that names a person or a folder."""
    return {
        "cpu": cpu_model(),
        "cpus": cpu_count(),
        "cpus_physical": psutil.cpu_count(logical=False),
        "cpu_max_mhz": _max_mhz(),
        "load_average_1min": load_average(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": versions(_PACKAGES),
    }


def _max_mhz() -> float | None:
    try:
        return psutil.cpu_freq().max or None
    except (AttributeError, NotImplementedError, OSError):  # not every system tells
        return None


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Give the versions of packages; None of one that is not installed."""
    found: dict[str, str | None] = dict.fromkeys(packages)
    for name in found:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
