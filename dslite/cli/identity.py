"""What an exported file and a measured run depend on, as hashes: equal keys, equal things.

A key covers settings, versions of the libraries, and the source of dslite and of the plugins that take part, so an
author who changes a line of a plugin measures the changed plugin.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from dslite import files
from dslite.codec import to_json
from dslite.loading import Kind
from dslite.recipe import Recipe
from dslite.records import Part, Plan
from dslite.registry import get_with_options, registry

_LIBRARIES = ("tensorflow", "tf-keras", "ai-edge-litert", "ai-edge-quantizer", "numpy", "librosa")
_KEY_LENGTH = 32


def key(facts: Any) -> str:
    """Hash JSON-ready data."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:_KEY_LENGTH]


def plugin(kind: Kind, name: str) -> dict[str, Any]:
    """Describe a plugin so that any change to it is a change here; the name may carry options."""
    record, options = get_with_options(kind, name)
    provider = registry().provider(record)
    return {
        "name": record.name,
        "options": dict(options),
        "distribution": provider.distribution,
        "files": _installed(provider.distribution.partition(" ")[0]),
        "source": source(provider.module.partition(":")[0].partition(".")[0]),
    }


def surroundings() -> dict[str, Any]:
    """Describe dslite itself and the libraries that do the work."""
    return {"dslite": source("dslite"), **{name: _version(name) for name in _LIBRARIES}}


@cache
def _installed(name: str) -> str | None:
    """Give what the installer noted of a distribution: its RECORD holds the hash of each file."""
    try:
        return key(distribution(name).read_text("RECORD"))
    except PackageNotFoundError:
        return None


@cache
def source(name: str) -> str:
    """Hash the Python files of a package, or of a module and those beside it; of other files, names, sizes and times.

    An installation in editable mode has no other note of what changes.
    """
    spec = importlib.util.find_spec(name)
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    paths = [path for folder in folders for path in files.files_in(folder) if "__pycache__" not in path.parts]
    if not folders and spec and spec.origin:
        paths = sorted(Path(spec.origin).parent.glob("*.py"))
    return key([_fingerprint(path) for path in paths])


def _fingerprint(path: Path) -> list[str]:
    if path.suffix == ".py":
        return [path.name, files.sha256(path)]
    state = path.stat()
    return [path.name, str(state.st_size), str(state.st_mtime_ns)]


def weights(name: str) -> list[str | None]:
    """Describe where weights come from: a file by its content, ImageNet's by the folder Keras looks in."""
    if name == "imagenet":
        return [name, os.environ.get("KERAS_HOME")]
    return [name] if name == "none" else ["file", files.sha256(Path(name))]


def export_key(
    backbone: str | None, weights_name: str, seed: int, labels: Iterable[str], recipe: Recipe, part: Part, exporter: str
) -> str:
    """Give the key of an exported file; the front end alone has no backbone, and its file serves all of them."""
    alone = part == "frontend"
    return key(
        {
            "part": part,
            "exporter": plugin("exporters", exporter),
            "recipe": to_json(recipe),
            "model": None
            if alone or backbone is None
            else [plugin("backbones", backbone), weights(weights_name), seed, list(labels)],
            **surroundings(),
        }
    )


def run_key(file: str, target: str, plan: Plan, audio: Sequence[str], machine: Sequence[Any]) -> str:
    """Give the key of a run.

    Args:
        file: what is measured: the key of an export, or the hash of a file.
        target: name and options.
        plan: how.
        audio: hashes of the files it is fed with.
        machine: what else the figures depend on.
    """
    return key([file, plugin("targets", target), to_json(plan), list(audio), list(machine), surroundings()])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
