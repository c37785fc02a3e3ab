"""Recipe files: the published ones by name, and the users' own.

A recipe file is TOML with the fields of `dslite.recipe.TrainingRecipe`: ``backbone`` and ``weights`` at its top, then a
table for each of its records, such as ``[training]``; what is left out has its default. The files beside this module
are the settings of the paper's eight data sets: S. Amiriparian et al., "DeepSpectrumLite", Frontiers in Artificial
Intelligence 5:856232, 2022, Table 2 and section 3.2.
"""

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import takewhile
from pathlib import Path
from typing import Any

from dslite.codec import typed
from dslite.errors import SpecError, UnknownNameError
from dslite.recipe import TrainingRecipe
from dslite.recipes.writing import to_toml

__all__ = ["examine", "names", "read", "title", "to_toml"]

_SUFFIX = ".toml"


def names() -> list[str]:
    """List the published recipes, sorted."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in _shipped() if file.name.endswith(_SUFFIX))


def read(name_or_path: str | Path) -> TrainingRecipe:
    """Read a recipe.

    Args:
        name_or_path: the name of a published recipe, or a file of the user's.

    Raises:
        UnknownNameError: where there is neither.
        SpecError: where the file is no recipe: the first fault, with file and field, and how many more there are.
    """
    recipe, problems = examine(name_or_path)
    if recipe is None:
        more = f" (and {len(problems) - 1} more: `dslite recipe check` lists them)" if len(problems) > 1 else ""
        raise SpecError(problems[0] + more)
    return recipe


def examine(name_or_path: str | Path) -> tuple[TrainingRecipe | None, list[str]]:
    """Read a recipe, or find all that is wrong with it: one line a fault, with file and field.

    Raises:
        UnknownNameError: where there is no such recipe and no such file.
        SpecError: where the file cannot be read.
    """
    where, text = _open(name_or_path)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers too long and of lists too deep
        return None, [f"{where}: expected TOML: {error}"]
    recipe, problems = _record(TrainingRecipe, data, where)
    if recipe is not None:
        try:
            _ = recipe.system.chunk_samples  # raises where a chunk is shorter than a window
        except SpecError as error:
            return None, [f"{where}: {error}"]
    return recipe, problems


def title(name_or_path: str | Path) -> str:
    """Give the comment a recipe begins with, without its ``#``; empty where it has none. Raises as `examine`."""
    _, text = _open(name_or_path)
    lines = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


def _shipped() -> Iterable[Traversable]:
    return resources.files(__name__).iterdir()


def _open(name_or_path: str | Path) -> tuple[str, str]:
    """Give what messages call the recipe, and its text."""
    for file in _shipped():
        if file.name == f"{name_or_path}{_SUFFIX}" and not isinstance(name_or_path, Path):
            return str(name_or_path), file.read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.exists() and path.name == str(name_or_path) and path.suffix != _SUFFIX:
        near = difflib.get_close_matches(path.name.lower(), names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names())}, and files (.toml)"
        raise UnknownNameError(f"no recipe is named {path.name!r}: {hint}")
    try:
        return str(path), path.read_text(encoding="utf-8-sig")  # with or without the mark some editors begin with
    except OSError as error:
        raise SpecError(f"{path}: cannot read the recipe: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: expected a recipe, TOML in UTF-8, got something else") from None


def _record(record_type: Any, data: Any, where: str) -> tuple[Any, list[str]]:
    """Build a record of what a table holds, or find all that is wrong with it."""
    if not isinstance(data, Mapping):
        return None, [f"{where}: expected a table, got {data!r}"]
    hints = typing.get_type_hints(record_type)
    problems = [_unknown(name, value, record_type, where) for name, value in data.items() if name not in hints]
    given: dict[str, Any] = {}
    for name, hint in hints.items():
        if name not in data:
            continue
        if dataclasses.is_dataclass(hint):
            value, found = _record(hint, data[name], f"{where}: [{name}]")
        else:
            try:
                value, found = typed(hint, data[name], _field(where, name)), []
            except SpecError as error:
                found = [str(error)]
        if not found:
            given[name] = value
        problems += found
    record, found = _built(record_type, given, where)
    problems += found
    return (None if problems else record), problems


def _built(record_type: Any, given: dict[str, Any], where: str) -> tuple[Any, list[str]]:
    """Build a record; a field that is refused is told of and left out, and so on, until what is left is accepted."""
    problems: list[str] = []
    given = dict(given)
    while True:
        record, message = _attempt(record_type, given)
        if not message:
            return record, problems
        alone = (name for name in given if _attempt(record_type, {name: given[name]})[1] == message)
        with_others = (name for name in given if _attempt(record_type, _without(given, name))[1] != message)
        culprit = next(alone, None) or next(with_others, None)
        problems.append(f"{_field(where, culprit) if culprit else where}: {message}")
        if culprit is None:
            return None, problems
        given = _without(given, culprit)


def _attempt(record_type: Any, given: dict[str, Any]) -> tuple[Any, str]:
    try:
        return record_type(**given), ""
    except SpecError as error:
        return None, str(error)


def _without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def _field(where: str, name: str) -> str:
    return f"{where} {name}" if where.endswith("]") else f"{where}: {name}"


def _unknown(name: str, value: Any, record_type: Any, where: str) -> str:
    hints = typing.get_type_hints(record_type)
    is_table = isinstance(value, Mapping)
    known = [field for field, hint in hints.items() if dataclasses.is_dataclass(hint) == is_table]
    near = difflib.get_close_matches(name, known, n=1)
    home = next((table for table, fields in _places().items() if name in fields), None)
    if near:
        hint = f"did you mean {_shown(near[0], is_table=is_table)}?"
    elif home is not None and not is_table:
        hint = f"it belongs {f'in [{home}]' if home else 'at the top, above all tables'}"
    else:
        hint = f"known are {', '.join(_shown(field, is_table=is_table) for field in known) or 'none here'}"
    what = "table" if is_table else "field"
    return f"{where}: unknown {what} {_shown(name, is_table=is_table)}: {hint}"


def _shown(name: str, *, is_table: bool) -> str:
    return f"[{name}]" if is_table else repr(name)


def _places() -> dict[str, list[str]]:
    """Give the fields of each table; those of the top under the empty name."""
    tables = {f.name: f.default for f in dataclasses.fields(TrainingRecipe) if dataclasses.is_dataclass(f.default)}
    top = [f.name for f in dataclasses.fields(TrainingRecipe) if f.name not in tables]
    return {"": top, **{name: [f.name for f in dataclasses.fields(default)] for name, default in tables.items()}}
