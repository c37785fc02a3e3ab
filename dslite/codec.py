"""Records of data to JSON and back. Standard library only."""

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar, cast

from dslite.errors import SpecError

R = TypeVar("R")
_LARGEST_FLOAT = sys.float_info.max
_Reader: TypeAlias = Callable[[Any], Any]


def to_json(record: Any) -> dict[str, Any]:
    """Give a record of data as JSON-ready dicts, lists and scalars."""
    return cast(dict[str, Any], plain(record))


def plain(value: Any) -> Any:
    """Give records, mappings, tuples and lists as dicts and lists, whatever is within."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if names := _field_names(kind):
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return list(value) if set(map(type, value)) <= _PLAIN else [plain(v) for v in value]
    return value


_PLAIN: set[type] = {str, float, int, bool, type(None)}


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


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
    try:
        return _reader(annotation)(data)
    except _Mismatch as error:
        raise SpecError(f"{where}{error.path}: {error.message}") from None


class _Mismatch(Exception):  # noqa: N818 - never leaves this module
    """Data of another type than the one that is wanted.

    Attributes:
        message: expected, got.
        path: of the data within what is read; known when the error has come back up.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message, self.path = message, ""


@cache
def _reader(annotation: Any) -> _Reader:
    """Make the function that reads data of a type: reports have millions of values, and few types."""
    if dataclasses.is_dataclass(annotation):
        return _reader_of_records(annotation)
    form = _FORMS.get(typing.get_origin(annotation))
    if form:
        return form(typing.get_args(annotation))
    return (lambda data: data) if annotation is Any else _reader_of_scalars(annotation)


def _read_each(items: Iterable[tuple[Any, Any]], reader_of: Callable[[Any], _Reader], step: str) -> dict[Any, Any]:
    """Read named or numbered items; an error tells in which of them it is."""
    found, name = {}, ""
    try:
        for name, item in items:
            found[name] = reader_of(name)(item)
    except _Mismatch as error:
        error.path = step.format(name) + error.path
        raise
    return found


def _reader_of_scalars(annotation: Any) -> _Reader:
    def read(data: Any) -> Any:
        if type(data) is annotation:
            return data
        is_bool = isinstance(data, bool)
        if annotation is float and isinstance(data, int) and not is_bool and abs(data) <= _LARGEST_FLOAT:
            return data  # whole numbers stay whole, in JSON too
        if not isinstance(data, annotation) or (is_bool and annotation is not bool):
            raise _Mismatch(f"expected {annotation.__name__}, got {data!r}")
        return data

    return read


def _reader_of_unions(arguments: tuple[Any, ...]) -> _Reader:
    *others, last = [_reader(argument) for argument in arguments if argument is not type(None)]
    may_be_none = type(None) in arguments

    def read(data: Any) -> Any:
        if data is None and may_be_none:
            return None
        for reader in others:
            try:
                return reader(data)
            except _Mismatch:
                continue
        return last(data)

    return read


def _reader_of_literals(arguments: tuple[Any, ...]) -> _Reader:
    def read(data: Any) -> Any:
        if data not in arguments:
            raise _Mismatch(f"expected one of {', '.join(map(str, arguments))}, got {data!r}")
        return data

    return read


def _reader_of_tuples(arguments: tuple[Any, ...]) -> _Reader:
    reader, fast = _reader(arguments[0]), {arguments[0]}

    def read(data: Any) -> Any:
        if not isinstance(data, list | tuple):
            raise _Mismatch(f"expected a list, got {data!r}")
        if set(map(type, data)) <= fast:
            return tuple(data)  # such as the samples of a series: they need no look at each
        return tuple(_read_each(enumerate(data), lambda _: reader, "[{}]").values())

    return read


def _reader_of_mappings(arguments: tuple[Any, ...]) -> _Reader:
    reader, fast = _reader(arguments[1]), {arguments[1]}

    def read(data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _Mismatch(f"expected an object, got {data!r}")
        if arguments[1] is Any or set(map(type, data.values())) <= fast:
            return {str(k): v for k, v in data.items()}
        return {str(key): item for key, item in _read_each(data.items(), lambda _: reader, ".{}").items()}

    return read


_FORMS: dict[Any, Callable[[tuple[Any, ...]], _Reader]] = {
    types.UnionType: _reader_of_unions,
    typing.Union: _reader_of_unions,
    Literal: _reader_of_literals,
    tuple: _reader_of_tuples,
    dict: _reader_of_mappings,
}


def _reader_of_records(record_type: Any) -> _Reader:
    fields = dataclasses.fields(record_type)
    hints = typing.get_type_hints(record_type)
    needed = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    readers: dict[str, _Reader] = {}

    def read(data: Any) -> Any:
        if type(data) is record_type:
            return data
        if not isinstance(data, Mapping):
            raise _Mismatch(f"expected an object, got {data!r}")
        if not readers:  # a record may hold itself
            readers.update((f.name, _reader(hints[f.name])) for f in fields)
        if unknown := data.keys() - readers.keys():
            raise _Mismatch(f"unknown field {min(unknown)!r}; known are {', '.join(readers)}")
        for name in needed:
            if name not in data:
                raise _Mismatch(f"field {name!r} is missing")
        return record_type(**_read_each(data.items(), readers.__getitem__, ".{}"))

    return read
