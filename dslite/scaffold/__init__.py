"""A plugin to begin with: a complete distribution, written from the modules in this folder.

``backbone.py`` and its like are plugins that work as they stand, ``backbone_tests.py`` are their tests; writing one
out replaces the names that stand for the plugin's own. This module only reads them, as text.
"""

import importlib.metadata
import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal, get_args

from dslite import __version__
from dslite.errors import SpecError
from dslite.files import written_whole

Kind = Literal["backbone", "augmenter", "compressor", "exporter", "target"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
_RESERVED = ("conftest", "setup", "tests")
_KEBAB: tuple[Kind, ...] = ("exporter", "target")
_EDIT: dict[Kind, str] = {
    "backbone": "`build` makes the network; the record says what it takes and gives.",
    "augmenter": "`apply` changes a whole batch with TensorFlow operations, each sample by its strength.",
    "compressor": "`compress` gets a trained Keras model and a `finetune` to call, and returns a Keras model.",
    "exporter": "`export` writes a Keras model to a path; `suffix` says what it writes.",
    "target": "`devices` names the machines, `run` measures a file on one of them, `main` is what runs there.",
}
_NEEDS: dict[Kind, str] = {"target": ', "psutil"'}
"""What a template imports of its own accord, as dslite's other dependencies may change."""
_USE: dict[Kind, str] = {
    "backbone": "dslite bench --backbone {}",
    "augmenter": "dslite image recording.wav -o augmented.png --augment {}",
    "compressor": "dslite show {}",
    "exporter": "dslite bench --backbone densenet121 --exporter {}",
    "target": "dslite bench --backbone densenet121 --exporter tflite-float32 --target {}",
}


@dataclass(frozen=True, slots=True)
class Names:
    """What a new plugin is called.

    Attributes:
        distribution: what pip installs, and the entry point.
        module: what Python imports.
        record: what the user of dslite types.
    """

    distribution: str
    module: str
    record: str


def names(distribution: str, kind: Kind) -> Names:
    """Derive the names of a plugin from that of its distribution.

    Raises:
        SpecError: where it is none, or something else has it.
    """
    if not _NAME.fullmatch(distribution) or len(distribution) > _LONGEST:
        near = re.sub(r"[^a-z0-9]+", "-", distribution.lower()).lstrip("-0123456789").rstrip("-")[:_LONGEST].rstrip("-")
        raise SpecError(
            f"NAME: expected a distribution's name of small letters, digits and single hyphens, a letter first, "
            f"at most {_LONGEST}, got {distribution!r}: try {near or 'tinynet'}"
        )
    module = distribution.replace("-", "_")
    if keyword.iskeyword(module) or module in _RESERVED:
        raise SpecError(f"NAME: a module cannot be called {module!r}: try {distribution}-{kind}")
    if _is_taken(distribution, module):
        raise SpecError(
            f"NAME: {module!r} is installed here already, and one would hide the other: "
            f"try {distribution}-{kind}, or pip uninstall it first"
        )
    record = distribution.removeprefix("dslite-")
    return Names(distribution, module, record if kind in _KEBAB else record.replace("-", "_"))


def _is_taken(distribution: str, module: str) -> bool:
    if module == "dslite" or module in sys.stdlib_module_names:
        return True
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec(module)
        return spec is not None and spec.origin is not None  # without an origin: a mere folder of that name
    return True


def use(kind: Kind, record: str) -> str:
    """Give the command that shows a new plugin at work."""
    return _USE[kind].format(record)


def write(new: Names, kind: Kind, folder: Path) -> None:
    """Write the distribution into a new folder, whole or not at all.

    Raises:
        SpecError: where there is something at `folder` already, or no folder to make it in.
        WriteError: where the file system refuses; nothing half-written is left.
    """
    if folder.exists() or folder.is_symlink():
        raise SpecError(f"{folder} exists already: name another folder with --output, or remove it first")
    if not folder.parent.is_dir():
        raise SpecError(f"the folder {folder.parent} does not exist: make it first")
    with written_whole(folder) as place:
        (place / "tests").mkdir(parents=True)
        for path, text in _contents(new, kind).items():
            (place / path).write_text(text, encoding="utf-8")


def _contents(new: Names, kind: Kind) -> dict[str, str]:
    a_kind = f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}"
    values = {
        "name": new.distribution,
        "module": new.module,
        "record": new.record,
        "kind": kind,
        "a_kind": a_kind,
        "a_kind_lower": a_kind.lower(),
        "dependencies": f'"dslite>={__version__}"{_NEEDS.get(kind, "")}',
        "edit": _EDIT[kind],
        "use": use(kind, new.record),
    }
    placeholder = f"new-{kind}" if kind in _KEBAB else f"new_{kind}"

    def code(template: str) -> str:
        return _read(template).replace(f"{__name__}.{kind}", new.module).replace(placeholder, new.record)

    return {
        "pyproject.toml": Template(_read("pyproject.toml.in")).substitute(values),
        "README.md": Template(_read("README.md.in")).substitute(values),
        f"{new.module}.py": code(f"{kind}.py"),
        f"tests/test_{new.module}.py": code(f"{kind}_tests.py"),
    }


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
