"""The manifest beside every exported file: what it was made from, what goes in, what comes out."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from dslite import __version__, files
from dslite.codec import from_json, to_json
from dslite.errors import ModelFileError, SpecError
from dslite.records import Artifact

SCHEMA = 1


def manifest_path(path: Path) -> Path:
    """Give where the manifest of a file is: ``model.tflite`` has ``model.tflite.json``."""
    return path.parent / f"{path.name}.json"


def to_text(artifact: Artifact) -> str:
    """Give a manifest's text; the path in it is the bare name, so the pair can be moved."""
    bare = replace(artifact, path=Path(artifact.path).name)
    return json.dumps({"schema": SCHEMA, "dslite": __version__, "artifact": to_json(bare)}, indent=1) + "\n"


def read(path: Path) -> Artifact:
    """Read the manifest beside a file and check that the two belong together.

    Raises:
        ModelFileError: where the file or its manifest is missing, broken, of another schema, or where size or
            SHA-256 of the file are not the manifest's.
    """
    check_exists(path)
    place = manifest_path(path)
    try:
        data: Any = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kind = "a run of `dslite train`, or an exported model" if path.is_dir() else "an exported model"
        raise ModelFileError(
            f"{path}: expected {kind} with its manifest beside it, {place.name}: copy it along, or export again"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{place}: expected a manifest written by `dslite export`: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        cure = "update dslite" if isinstance(schema, int) and schema > SCHEMA else "export the model again"
        raise ModelFileError(f"{place}: expected a manifest of schema {SCHEMA}, got {schema!r}: {cure}")
    try:
        artifact = from_json(Artifact, data.get("artifact"), "artifact")
    except SpecError as error:
        raise ModelFileError(f"{place}: {error}: export the model again") from None
    _check_fits(path, artifact)
    return replace(artifact, path=str(path))


def copy_export(path: Path, folder: Path) -> None:
    """Copy an exported file and its manifest into a folder, each whole or not at all, the manifest last.

    Raises:
        WriteError: where the system refuses to write.
    """
    with files.written_whole(manifest_path(folder / path.name)) as manifest_place:
        with files.written_whole(folder / path.name) as place:
            if path.is_dir():
                shutil.copytree(path, place)
            else:
                shutil.copyfile(path, place)
        shutil.copyfile(manifest_path(path), manifest_place)


def check_exists(path: Path) -> None:
    """Raise `ModelFileError` where there is nothing at `path`, or nothing that can be read."""
    if not path.exists():
        raise ModelFileError(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise ModelFileError(f"{path}: cannot be read: no permission")


def belongs_to(path: Path) -> bool:
    """Tell whether there is a manifest beside `path`, and not some other JSON."""
    try:
        text = manifest_path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return '"schema"' in text and '"artifact"' in text


def _check_fits(path: Path, artifact: Artifact) -> None:
    size = files.size_bytes(path)
    if size != artifact.size_bytes:
        raise ModelFileError(
            f"{path}: its manifest says {artifact.size_bytes} bytes, it has {size}: "
            f"truncated or changed; export the model again"
        )
    if files.sha256(path) != artifact.sha256:
        raise ModelFileError(
            f"{path}: its SHA-256 is not the one in its manifest: the file was changed; export the model again"
        )
