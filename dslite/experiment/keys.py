"""What an exported file and a measured run depend on, as hashes: equal keys, equal things.

A key covers settings, versions of the libraries, and the source of dslite and of the plugins that take part, so an
author who changes a line of a plugin measures the changed plugin.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from dslite import files
from dslite.codec import to_json
from dslite.deploy.manifest import manifest_path
from dslite.loading import Kind
from dslite.measure.environment import versions
from dslite.records import OptionValue, Plan
from dslite.registry import get_with_options, registry

_LIBRARIES = ("matplotlib", "tensorflow", "tf-keras", "ai-edge-litert", "ai-edge-quantizer", "numpy", "librosa")
_KEY_LENGTH = 32
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


def key(facts: Any) -> str:
    """Hash JSON-ready data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:_KEY_LENGTH]


def plugin(kind: Kind, name: str) -> dict[str, Any]:
    """Describe a plugin so that a change to it is a change here; the name may carry options, and is taken as typed."""
    record, options = get_with_options(kind, name)
    provider = registry().provider(record)
    return {
        "name": name,
        "options": {key: [value, _content(value)] for key, value in options.items()},
        "distribution": provider.distribution,
        **_installed(provider.distribution.partition(" ")[0]),
        "source": source(provider.module.partition(":")[0].partition(".")[0]),
    }


def surroundings() -> dict[str, Any]:
    """Describe dslite itself and the libraries that do the work."""
    return {"dslite": source("dslite"), **versions(_LIBRARIES)}


def _content(value: OptionValue) -> str | None:
    """Hash the file that an option names, if it names one."""
    path = Path(value) if isinstance(value, str) else None
    return files.sha256(path) if path and path.is_file() else None


@cache
def _installed(name: str) -> dict[str, Any]:
    """Give what the installer noted of a distribution, with the hash of each file, and versions of what it needs."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return {}
    needed = {match[0] for text in found.requires or () if (match := _REQUIREMENT.match(text))}
    return {"files": key(found.read_text("RECORD")), "needs": versions(sorted(needed))}


@cache
def source(name: str) -> str:
    """Hash the Python files of a package, or of a module and those beside it; of other files, names, sizes and times.

    An installation in editable mode has no other note of what changes.
    """
    spec = importlib.util.find_spec(name)
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    paths = [path for folder in folders for path in files.files_in(folder) if "__pycache__" not in path.parts]
    if not folders and spec and spec.origin:
        paths = sorted(path for path in Path(spec.origin).parent.glob("*.py") if path.is_file())
    return key([_fingerprint(path) for path in paths])


def _fingerprint(path: Path) -> list[str]:
    if path.suffix == ".py":
        return [path.name, files.sha256(path)]
    state = path.stat()
    return [path.name, str(state.st_size), str(state.st_mtime_ns)]


def weights(name: str) -> list[str]:
    """Describe where weights come from: a file by its content, ImageNet's by what is in the folder they are kept in."""
    if name == "none":
        return [name]
    if name != "imagenet":
        return [Path(name).name, files.sha256(Path(name))]
    from dslite.model.weights import cache_folder

    place = cache_folder()
    return [name, *(str(_fingerprint(path)) for path in (files.files_in(place) if place.is_dir() else ()))]


def file_key(path: Path) -> str:
    """Give the key of a file of the user's, and of the manifest beside it."""
    beside = manifest_path(path)
    return key([path.name, files.sha256(path), files.sha256(beside) if beside.is_file() else None])


def run_key(file: str, target: str, plan: Plan, audio: Sequence[str], machine: Sequence[Any]) -> str:
    """Give the key of a run: by the key of what is measured, hashes of its audio, and what else figures depend on."""
    return key([file, plugin("targets", target), to_json(plan), list(audio), list(machine), surroundings()])
