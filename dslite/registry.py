"""Find plugins by their entry points, load each in isolation, and look their records up by name.

pluggy isolates nothing: one plugin that fails to import stops its loader, one that fails in a hook stops the
hook. So each plugin gets a plugin manager of its own here, its hooks are called alone, its records are checked,
and only then are they taken, all or none. What failed is kept, with its reason.
"""

import contextlib
import difflib
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pluggy

from dslite import hookspecs
from dslite.codec import plain, typed
from dslite.errors import PluginError, SpecError, UnknownNameError
from dslite.records import (
    Augmenter,
    Backbone,
    Compressor,
    Exporter,
    Option,
    OptionValue,
    PluginRecord,
    Target,
)

Kind = Literal["backbones", "augmenters", "compressors", "exporters", "targets"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_RECORD_TYPE: dict[Kind, type[PluginRecord]] = {
    "backbones": Backbone,
    "augmenters": Augmenter,
    "compressors": Compressor,
    "exporters": Exporter,
    "targets": Target,
}
GROUP = "dslite"
OWN_DISTRIBUTION = "dslite"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point and what became of it.

    Attributes:
        name: of the entry point.
        module: what it points at.
        distribution: name and version of the installed distribution that declares it.
        load_s: seconds its import and its hooks took.
        error: why it was left out, or None.
        records: what it brought, by kind.
    """

    name: str
    module: str
    distribution: str
    load_s: float = 0.0
    error: str | None = None
    records: dict[Kind, tuple[PluginRecord, ...]] = field(default_factory=dict)


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
        near = difflib.get_close_matches(name, known, n=1) or [n for n in known if name and name in n]
        hint = f"did you mean {near[0]!r}?" if near else f"{command} shows what is installed"
        failed = [p.name for p in self.plugins if p.error]
        if failed:
            hint += f"; not loaded: {', '.join(failed)} (`dslite plugins` says why)"
        return UnknownNameError(f"no {what} is named {name!r}: {hint}")


@cache
def registry() -> Registry:
    """Load all plugins of this environment, once per process.

    dslite's own come first, then the others by distribution and name; a name that is taken is an error of the
    later plugin. Entry points named in ``DSLITE_DISABLE`` (comma-separated) are left out.
    """
    disabled = {name.strip() for name in os.environ.get("DSLITE_DISABLE", "").split(",")}
    found = sorted(
        (point for point in entry_points(group=GROUP) if point.name not in disabled),
        key=lambda point: (_distribution(point)[0] != OWN_DISTRIBUTION, _distribution(point), point.name),
    )
    taken: dict[tuple[Kind, str], str] = {}
    return Registry(tuple(load(point, taken) for point in found))


def _distribution(point: EntryPoint) -> tuple[str, str]:
    if point.dist is None:
        return "unknown", ""
    name, version = point.dist.name, point.dist.version  # both None where an uninstall was interrupted
    return name or "unknown", version or ""


def load(point: EntryPoint, taken: dict[tuple[Kind, str], str]) -> Plugin:
    """Load one plugin; its failure is part of the result.

    Args:
        point: where it is declared.
        taken: who brought which names so far; the plugin's own are added when it loads whole.
    """
    distribution = " ".join(_distribution(point)).strip()
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints must not end up in our JSON
            module = point.load()
            records = _collect(module, point.name)
        _check_names(records, taken)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin does, the others live on
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {_text(error)}"
        reason = " ".join(reason.split())
        return Plugin(point.name, point.value, distribution, time.perf_counter() - start, error=reason)
    taken.update({(kind, r.name): point.name for kind, group in records.items() for r in group})
    return Plugin(point.name, point.value, distribution, time.perf_counter() - start, records=records)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a plugin's own error class may fail at anything
        return "its message cannot be told"


def _collect(module: Any, name: str) -> dict[Kind, tuple[PluginRecord, ...]]:
    """Call the hooks of one plugin module and check the types of what they return."""
    manager = pluggy.PluginManager("dslite")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name)
    known = [f"dslite_{kind}" for kind in KINDS]
    for hook in vars(manager.hook):
        if hook not in known and not hook.startswith("_"):
            near = difflib.get_close_matches(hook, known, n=1)
            cure = f"did you mean {near[0]}?" if near else f"the hooks are {', '.join(known)}"
            raise PluginError(f"{hook} is no hook of dslite: {cure}")
    records = {kind: _call(manager, kind) for kind in KINDS}
    if not any(manager.get_hookcallers(module) or ()):
        raise PluginError(
            f"{module.__name__} has no hook: define one of {', '.join(known)} and mark it @dslite.hookimpl"
        )
    return {kind: group for kind, group in records.items() if group}


def _call(manager: pluggy.PluginManager, kind: Kind) -> tuple[PluginRecord, ...]:
    expected = _RECORD_TYPE[kind]
    records: list[PluginRecord] = []
    # Called one by one: pluggy's own call drops None, which is what a hook without `return` gives.
    for implementation in getattr(manager.hook, f"dslite_{kind}").get_hookimpls():
        answer = implementation.function()
        if not isinstance(answer, Iterable) or isinstance(answer, str):
            raise PluginError(
                f"dslite_{kind} must return an iterable of dslite.records.{expected.__name__}, "
                f"got {type(answer).__name__}: put the record in a list"
            )
        for record in answer:
            if not isinstance(record, expected):
                raise PluginError(
                    f"dslite_{kind} must return dslite.records.{expected.__name__} records, got {record!r}"
                )
            _check_fields(record, kind)
            records.append(record)
    return tuple(records)


def _check_fields(record: PluginRecord, kind: Kind) -> None:
    for name, hint in get_type_hints(type(record)).items():
        value = getattr(record, name)
        where = f"{kind[:-1]} {record.name!r}: {name}"
        if get_origin(hint) is Callable:
            if not callable(value):
                raise PluginError(f"{where}: expected a function, got {value!r}")
            continue
        try:
            typed(hint, plain(value), where)
        except SpecError as error:
            raise PluginError(str(error)) from None


def _check_names(records: dict[Kind, tuple[PluginRecord, ...]], taken: dict[tuple[Kind, str], str]) -> None:
    own: set[tuple[Kind, str]] = set()
    for kind, group in records.items():
        for record in group:
            name = record.name
            if not isinstance(name, str) or not name or set(name) & set(":,*? "):
                raise PluginError(f"{name!r} is no name for one of the {kind}: no blanks and none of : , * ?")
            if (kind, name) in own:
                raise PluginError(f"{kind[:-1]} {name!r} is there twice in this plugin: rename one")
            if (kind, name) in taken:
                raise PluginError(
                    f"{kind[:-1]} {name!r} is taken by plugin {taken[kind, name]!r}: "
                    f"rename it, or skip that plugin with DSLITE_DISABLE={taken[kind, name]}"
                )
            own.add((kind, name))


# -- names with options: "prune:sparsity=0.8,epochs=3" ---------------------------------------------------


def parse_name(text: str) -> tuple[str, dict[str, str]]:
    """Split ``name:key=value,key=value`` into the name and its options, still as text.

    Raises:
        SpecError: where an option has no ``=`` or is given twice.
    """
    name, _, rest = text.partition(":")
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
        raise SpecError(
            f"{owner}:{option.name} expects {wanted.__name__}, such as {option.default}, got {text!r}"
        ) from None


def get_with_options(kind: Kind, text: str) -> tuple[Any, dict[str, OptionValue]]:
    """Look up ``name:key=value,...`` and give the record and its options, complete and typed."""
    name, given = parse_name(text)
    record = registry().get(kind, name)
    return record, resolve_options(record, given)
