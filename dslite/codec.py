"""Records of data to JSON and back. Standard library only."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, cast

from dslite.errors import SpecError

R = TypeVar("R")


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
    return cast(R, _typed(record_type, data, where or record_type.__name__))


def _typed(annotation: Any, data: Any, where: str) -> Any:
    """Check `data` against one annotation: a record, a scalar, or one of the forms in `_FORMS`."""
    if dataclasses.is_dataclass(annotation):
        return _record(annotation, data, where)
    form = _FORMS.get(typing.get_origin(annotation))
    if form:
        return form(typing.get_args(annotation), data, where)
    if annotation is Any:
        return data
    is_bool = isinstance(data, bool)
    if annotation is float and isinstance(data, int) and not is_bool:
        return float(data)
    if not isinstance(data, annotation) or (is_bool and annotation is not bool):
        raise SpecError(f"{where}: expected {annotation.__name__}, got {data!r}")
    return data


def _optional(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in arguments:
        return None
    return _typed(next(a for a in arguments if a is not type(None)), data, where)


def _literal(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if data not in arguments:
        raise SpecError(f"{where}: expected one of {', '.join(map(str, arguments))}, got {data!r}")
    return data


def _tuple(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, list | tuple):
        raise SpecError(f"{where}: expected a list, got {data!r}")
    return tuple(_typed(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))


def _dict(arguments: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise SpecError(f"{where}: expected an object, got {data!r}")
    return {str(k): _typed(arguments[1], v, f"{where}.{k}") for k, v in data.items()}


_FORMS = {types.UnionType: _optional, typing.Union: _optional, Literal: _literal, tuple: _tuple, dict: _dict}


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
    return record_type(**{k: _typed(hints[k], v, f"{where}.{k}") for k, v in data.items()})
