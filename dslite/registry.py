"""All plugins of this environment, and their records looked up by name."""

import difflib
import os
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from dslite.errors import SpecError, UnknownNameError
from dslite.loading import KINDS, Kind, Plugin, distribution_of, load
from dslite.records import Option, OptionValue, PluginRecord, as_typed

GROUP = "dslite"
OWN_DISTRIBUTION = "dslite"


@dataclass(frozen=True, slots=True)
class Registry:
    """All plugins, those that failed too, and the records of those that did not."""

    plugins: tuple[Plugin, ...]

    def names(self, kind: Kind) -> list[str]:
        """List the names of one kind, sorted."""
        return sorted(record.name for record in self.records(kind))

    def records(self, kind: Kind) -> list[PluginRecord]:
        """List the records of one kind, in the order they were loaded."""
        return [record for plugin in self.plugins for record in plugin.records.get(kind, ())]

    def provider(self, record: PluginRecord) -> Plugin:
        """Give the plugin that brought a record."""
        return next(p for p in self.plugins for group in p.records.values() if record in group)

    def find(self, name: str) -> list[tuple[Kind, PluginRecord]]:
        """Give every record of this name, of whatever kind.

        Raises:
            UnknownNameError: where there is none.
        """
        found = [(kind, r) for kind in KINDS for r in self.records(kind) if r.name == name]
        if not found:
            everything = [n for kind in KINDS for n in self.names(kind)]
            raise self._unknown("plugin", name, everything, "`dslite list`")
        return found

    def get(self, kind: Kind, name: str) -> Any:
        """Give the record of this kind and name.

        Raises:
            UnknownNameError: where there is none; the message names the nearest, and plugins that failed.
        """
        for record in self.records(kind):
            if record.name == name:
                return record
        raise self._unknown(kind[:-1], name, self.names(kind), f"`dslite list {kind}`")

    def _unknown(self, what: str, name: str, known: list[str], command: str) -> UnknownNameError:
        for plugin in self.plugins:
            if plugin.error and _alike(plugin.name) == _alike(name):
                return UnknownNameError(
                    f"no {what} is named {name!r}: plugin {plugin.name} was left out: {plugin.error}"
                )
        near = difflib.get_close_matches(name, known, n=1) or [n for n in known if name and name in n]
        hint = f"did you mean {near[0]!r}?" if near else f"{command} shows what is installed"
        failed = [p.name for p in self.plugins if p.error]
        if failed:
            hint += f"; not loaded: {', '.join(failed)} (`dslite plugins` says why)"
        return UnknownNameError(f"no {what} is named {name!r}: {hint}")


def _alike(name: str) -> str:
    return name.removeprefix("dslite-").replace("-", "_")


@cache
def registry() -> Registry:
    """Load all plugins of this environment, once per process.

    dslite's own come first, then the others by distribution and name; a name that is taken is an error of the
    later plugin. Entry points named in ``DSLITE_DISABLE`` (comma-separated) are left out.
    """
    disabled = {name.strip() for name in os.environ.get("DSLITE_DISABLE", "").split(",")}
    points = [point for point in entry_points(group=GROUP) if point.name not in disabled]
    found = sorted(
        ((distribution_of(point), point) for point in points),
        key=lambda pair: (pair[0][0] != OWN_DISTRIBUTION, pair[0], pair[1].name),
    )
    taken: dict[tuple[Kind, str], str] = {}
    return Registry(tuple(load(point, " ".join(source).strip(), taken) for source, point in found))


# -- names with options: "prune:sparsity=0.8,epochs=3" ---------------------------------------------------


def parse_name(text: str) -> tuple[str, dict[str, str]]:
    """Split ``name:key=value,key=value`` into the name and its options, still as text.

    Raises:
        SpecError: where an option has no ``=`` or is given twice.
    """
    name, colon, rest = text.partition(":")
    if colon and not rest.strip(","):
        raise SpecError(f"{text!r}: expected {name}:key=value,key=value, or {name} alone")
    given: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key or not value:
            raise SpecError(f"{text!r}: expected {name}:key=value,key=value, got {item!r}")
        if key in given:
            raise SpecError(f"{text!r}: option {key!r} is given twice")
        given[key] = value
    return name, given


def resolve_options(record: PluginRecord, given: dict[str, str]) -> dict[str, OptionValue]:
    """Fill in defaults and turn text into each option's type.

    Raises:
        UnknownNameError: where the plugin has no such option.
        SpecError: where a value is not of the option's type.
    """
    known = {option.name: option for option in record.options}
    for key in given:
        if key not in known:
            offers = f"it has {', '.join(known)}" if known else "it has none"
            raise UnknownNameError(f"{record.name} has no option {key!r}: {offers}")
    return {
        name: _typed(record.name, option, given[name]) if name in given else option.default
        for name, option in known.items()
    }


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _typed(owner: str, option: Option, text: str) -> OptionValue:
    wanted = type(option.default)
    try:
        return _TRUTH[text.lower()] if wanted is bool else wanted(text)
    except (KeyError, ValueError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, wanted.__name__)
        such = "" if wanted is bool else f", such as {as_typed(option.default)}"
        raise SpecError(f"{owner}:{option.name} expects {expected}{such}, got {text!r}") from None


def get_with_options(kind: Kind, text: str) -> tuple[Any, dict[str, OptionValue]]:
    """Look up ``name:key=value,...`` and give the record and its options, complete and typed."""
    name, given = parse_name(text)
    record = registry().get(kind, name)
    return record, resolve_options(record, given)
