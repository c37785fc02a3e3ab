"""The form of a report as JSON Schema (draft 2020-12), made from the records, so that it cannot differ from them."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

from dslite.metrics import known
from dslite.records import BenchReport
from dslite.report.document import SCHEMA

_SCALARS: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |^\S|\Z)", re.MULTILINE | re.DOTALL)


def json_schema() -> dict[str, Any]:
    """Give the schema of reports of this version."""
    definitions: dict[str, Any] = {}
    top = _of_record(BenchReport, definitions)
    metric = definitions["Measurement"]["properties"]["metric"]
    metric["description"] += ": " + "; ".join(f"{each.name} ({each.unit}): {each.meaning}" for each in known().values())
    top["properties"]["schema"] = {"const": SCHEMA, "description": "version of this form"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dslite bench report",
        **top,
        "$defs": definitions,
    }


def _of_record(record: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(record)
    text = inspect.cleandoc(record.__doc__ or "")
    told = {name: " ".join(what.split()) for name, what in _ATTRIBUTE.findall(text.partition("Attributes:\n")[2])}
    properties, required = {}, []
    for field in dataclasses.fields(record):
        properties[field.name] = _of(hints[field.name], definitions)
        if field.name in told:
            properties[field.name] = {**properties[field.name], "description": told[field.name]}
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    return {
        "type": "object",
        "description": text.splitlines()[0],
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _of(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if dataclasses.is_dataclass(annotation):
        name = typing.cast(type, annotation).__name__
        if name not in definitions:
            definitions[name] = {}  # a record that holds itself would never end
            definitions[name] = _of_record(annotation, definitions)
        return {"$ref": f"#/$defs/{name}"}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _COMPOUND:
        return _COMPOUND[origin](arguments, definitions)
    return {} if annotation is Any else {"type": _SCALARS[annotation]}


def _any_of(arguments: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [_of(argument, definitions) for argument in arguments]}


_COMPOUND: dict[Any, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    types.UnionType: _any_of,
    typing.Union: _any_of,
    Literal: lambda arguments, _: {"enum": list(arguments)},
    tuple: lambda arguments, definitions: {"type": "array", "items": _of(arguments[0], definitions)},
    dict: lambda arguments, definitions: {"type": "object", "additionalProperties": _of(arguments[1], definitions)},
}
