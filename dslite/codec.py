"""Records of data to JSON and back. Standard library only."""

import contextlib
import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
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
    return tuple(typed(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))


def _dict(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise SpecError(f"{where}: expected an object, got {data!r}")
    return {str(k): typed(arguments[1], v, f"{where}.{k}") for k, v in data.items()}


_FORMS = {types.UnionType: _union, typing.Union: _union, Literal: _literal, tuple: _tuple, dict: _dict}


def _record(record_type: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise SpecError(f"{where}: expected an object, got {data!r}")
    fields = {f.name: f for f in dataclasses.fields(record_type)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise SpecError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(fields)}")
    missing = [
        name
        for name, f in fields.items()
        if name not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise SpecError(f"{where}: field {missing[0]!r} is missing")
    hints = typing.get_type_hints(record_type)
    return record_type(**{k: typed(hints[k], v, f"{where}.{k}") for k, v in data.items()})
