"""A recipe as TOML: every field, with its documentation as a comment."""

import dataclasses
import inspect
import json
import re
import textwrap
import typing
from collections.abc import Iterator
from typing import Any, Literal

from dslite.recipe import TrainingRecipe

_TITLE = "A recipe of dslite."
_WIDTH = 110
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HARD_BLANK = "\xa0"  # where a comment is not wrapped


def to_toml(recipe: TrainingRecipe, title: str = _TITLE) -> str:
    """Write a recipe as TOML that `dslite.recipes.read` gives back exactly.

    Every field is there, with what the docstring of its record says of it, its choices and its default. TOML has no
    None: such a field is left out, and a comment says so.

    Args:
        recipe: with units as in its records (seconds, hertz, pixels).
        title: the comment at the top; lines are not wrapped.
    """
    said = "\n".join(_CONTROL.sub(" ", line).rstrip() for line in title.splitlines()).strip("\n")
    lines = [f"# {line}".rstrip() for line in (said or _TITLE).splitlines()]
    lines += _fields(recipe)
    docs = attributes(TrainingRecipe)
    for name in (field.name for field in dataclasses.fields(recipe)):
        record = getattr(recipe, name)
        if dataclasses.is_dataclass(record):
            lines += ["", "", f"[{name}]", *_comment(f"{name}: {docs[name]}" if name in docs else ""), *_fields(record)]
    return "\n".join(lines) + "\n"


def attributes(record_type: type) -> dict[str, str]:
    """Give what a record's docstring says of each field; nothing where Python runs without docstrings."""
    _, _, section = (inspect.getdoc(record_type) or "").partition("\nAttributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        begins = re.fullmatch(r" {4}(\w+): (.*)", line)
        if begins:
            name, found[begins[1]] = begins[1], begins[2]
        elif line.startswith(" " * 8) and name:
            found[name] += f" {line.strip()}"
        else:
            break
    return found


def _fields(record: Any) -> Iterator[str]:
    """Write the fields that are no tables."""
    docs, hints = attributes(type(record)), typing.get_type_hints(type(record))
    for field in dataclasses.fields(record):
        name, value = field.name, getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            continue
        sentences = [f"{name}: {docs[name]}" if name in docs else ""]
        if typing.get_origin(hints[name]) is Literal:
            sentences.append(f"One of {', '.join(map(str, typing.get_args(hints[name])))}.")
        if field.default not in (None, "", ()):
            sentences.append(f"Default:{_HARD_BLANK}{_value(field.default)}.")
        yield from ("", *_comment(" ".join(filter(None, sentences))))
        yield f"# {name} is None here: the line is left out" if value is None else f"{name} = {_value(value)}"


def _comment(text: str) -> list[str]:
    lines = textwrap.wrap(text.replace("``", ""), _WIDTH - 2, break_on_hyphens=False)
    return [f"# {line.replace(_HARD_BLANK, ' ')}" for line in lines]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for the one control character that JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
