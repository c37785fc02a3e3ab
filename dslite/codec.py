"""Records of data to JSON and back. Standard library only."""

import contextlib
import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, cast

from dslite.errors import SpecError

R = TypeVar("R")
_LARGEST_FLOAT = sys.float_info.max


def to_json(record: Any) -> dict[str, Any]:
    """Give a record of data as JSON-ready dicts, lists and scalars."""
    return cast(dict[str, Any], plain(record))


def plain(value: Any) -> Any:
    """Give records, mappings, tuples and lists as dicts and lists, whatever is within."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def flattened(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give what objects within an object hold beside what itself holds, under both names: ``outer inner``."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        found |= flattened(value, f"{prefix}{name} ") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def from_json(record_type: type[R], data: Any, where: str = "") -> R:
    """Build a record from what `to_json` gave.

    Raises:
        SpecError: where a field is missing, unknown or of another type; the message names its path.
    """
    return cast(R, typed(record_type, data, where or record_type.__name__))


def typed(annotation: Any, data: Any, where: str) -> Any:
    """Give `data` as the type an annotation names: a record, a scalar, a union, literal, tuple or dict of such.

    Raises:
        SpecError: where it is of another type; the message begins with `where`.
    """
    if type(data) is annotation:
        return data
    if dataclasses.is_dataclass(annotation):
        return _record(annotation, data, where)
    form = _FORMS.get(typing.get_origin(annotation))
    if form:
        return form(typing.get_args(annotation), data, where)
    if annotation is Any:
        return data
    is_bool = isinstance(data, bool)
    if annotation is float and isinstance(data, int) and not is_bool and abs(data) <= _LARGEST_FLOAT:
        return data  # whole numbers stay whole, in JSON too
    if not isinstance(data, annotation) or (is_bool and annotation is not bool):
        raise SpecError(f"{where}: expected {annotation.__name__}, got {data!r}")
    return data


def _union(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in arguments:
        return None
    wanted = [a for a in arguments if a is not type(None)]
    for annotation in wanted[:-1]:
        with contextlib.suppress(SpecError):
            return typed(annotation, data, where)
    return typed(wanted[-1], data, where)


def _literal(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if data not in arguments:
        raise SpecError(f"{where}: expected one of {', '.join(map(str, arguments))}, got {data!r}")
    return data


def _tuple(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, list | tuple):
        raise SpecError(f"{where}: expected a list, got {data!r}")
    if arguments[0] in _FAST and set(map(type, data)) <= _FAST[arguments[0]]:
        return tuple(data)  # the samples of a series: reports have millions of them
    return tuple(typed(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))


def _dict(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise SpecError(f"{where}: expected an object, got {data!r}")
    if arguments[1] is Any or (arguments[1] in _FAST and set(map(type, data.values())) <= _FAST[arguments[1]]):
        return {str(k): v for k, v in data.items()}
    return {str(k): typed(arguments[1], v, f"{where}.{k}") for k, v in data.items()}


_FAST: dict[Any, set[type]] = {float: {float}, str: {str}, int: {int}}
"""Types of items that need no look at each, by the type that is wanted."""
_FORMS = {types.UnionType: _union, typing.Union: _union, Literal: _literal, tuple: _tuple, dict: _dict}


def _record(record_type: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise SpecError(f"{where}: expected an object, got {data!r}")
    hints, needed = _fields(record_type)
    unknown = sorted(set(data) - hints.keys())
    if unknown:
        raise SpecError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(hints)}")
    missing = [name for name in needed if name not in data]
    if missing:
        raise SpecError(f"{where}: field {missing[0]!r} is missing")
    return record_type(**{k: typed(hints[k], v, f"{where}.{k}") for k, v in data.items()})


@cache
def _fields(record_type: Any) -> tuple[dict[str, Any], list[str]]:
    """Give the types of a record's fields, and the names of those that have no default."""
    fields = dataclasses.fields(record_type)
    hints = typing.get_type_hints(record_type)
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    return {f.name: hints[f.name] for f in fields}, needed
