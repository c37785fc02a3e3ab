"""Load plugins one by one, each in isolation.

pluggy isolates nothing: one plugin that fails to import stops its loader, one that fails in a hook stops the
hook. So each plugin gets a plugin manager of its own here, its hooks are called alone, its records are checked,
and only then are they taken, all or none. What failed is kept, with its reason and what to do about it.
"""

import difflib
import inspect
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pluggy

from dslite import hookspecs
from dslite.codec import plain, typed
from dslite.errors import PluginError, SpecError
from dslite.lazy import heavy_imports_refused
from dslite.native import debug
from dslite.records import NOT_IN_NAMES, Augmenter, Backbone, Compressor, Exporter, PluginRecord, Target

Kind = Literal["backbones", "augmenters", "compressors", "exporters", "targets"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_RECORD_TYPE: dict[Kind, type[PluginRecord]] = {
    "backbones": Backbone,
    "augmenters": Augmenter,
    "compressors": Compressor,
    "exporters": Exporter,
    "targets": Target,
}
_HOOKS = [f"dslite_{kind}" for kind in KINDS]
_METRIC_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point and what became of it.

    Attributes:
        name: of the entry point.
        module: what it points at.
        distribution: name and version of the installed distribution that declares it.
        load_s: seconds its import and its hooks took.
        error: why it was left out and what to do, or None.
        records: what it brought, by kind.
    """

    name: str
    module: str
    distribution: str
    load_s: float = 0.0
    error: str | None = None
    records: dict[Kind, tuple[PluginRecord, ...]] = field(default_factory=dict)


def distribution_of(point: EntryPoint) -> tuple[str, str]:
    """Give name and version of the distribution that declares an entry point, as far as they are known."""
    if point.dist is None:
        return "unknown", ""
    metadata = point.dist.metadata  # parsed at each access; empty where an uninstall was interrupted
    name, version = (metadata[key] if key in metadata else "" for key in ("Name", "Version"))  # noqa: SIM401 - no get
    return name or "unknown", version or ""


def load(point: EntryPoint, distribution: str, taken: dict[tuple[Kind, str], str]) -> Plugin:
    """Load one plugin; its failure is part of the result.

    `taken` says who brought which names so far; the plugin's own are added when it loads whole.
    """
    start = time.perf_counter()
    try:
        # What a plugin prints must not end up in our JSON.
        with redirect_stdout(sys.stderr), heavy_imports_refused(), _failures_in_words("loading it", point):
            records = _collect(point.load(), point)
            _check_names(records, taken)
    except PluginError as error:
        if debug():
            traceback.print_exception(error)
        reason = " ".join(str(error).split())
        return Plugin(point.name, point.value, distribution, time.perf_counter() - start, error=reason)
    taken.update({(kind, r.name): point.name for kind, group in records.items() for r in group})
    return Plugin(point.name, point.value, distribution, time.perf_counter() - start, records=records)


# -- the hooks ------------------------------------------------------------------------------------------


def _collect(plugin: Any, point: EntryPoint) -> dict[Kind, tuple[PluginRecord, ...]]:
    """Call the hooks of one plugin and check what they return."""
    manager = pluggy.PluginManager("dslite")
    manager.add_hookspecs(hookspecs)
    marked = [name for name in dir(plugin) if manager.parse_hookimpl_opts(plugin, name)]
    for name in marked:
        _check_hook(name, getattr(plugin, name))
    if not marked:
        raise PluginError(f"{point.value} has no hook: define one of {', '.join(_HOOKS)} and mark it @dslite.hookimpl")
    manager.register(plugin, point.name)
    records = {kind: _call(manager, kind, point) for kind in KINDS}
    return {kind: group for kind, group in records.items() if group}


def _check_hook(name: str, function: Callable[..., Any]) -> None:
    """Refuse what pluggy would refuse in its own terms, or leave out without a word."""
    if name not in _HOOKS:
        near = difflib.get_close_matches(name, _HOOKS, n=1)
        cure = f"did you mean {near[0]}?" if near else f"the hooks are {', '.join(_HOOKS)}"
        raise PluginError(f"{name} is no hook of dslite: {cure}")
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    extra = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in optional
    ]
    if extra:
        raise PluginError(f"{name} takes {', '.join(extra)}, but hooks are called without arguments: remove it there")


def _call(manager: pluggy.PluginManager, kind: Kind, point: EntryPoint) -> tuple[PluginRecord, ...]:
    expected = _RECORD_TYPE[kind]
    records: list[PluginRecord] = []
    # Called one by one: pluggy's own call drops None, which is what a hook without `return` gives.
    for implementation in getattr(manager.hook, f"dslite_{kind}").get_hookimpls():
        with _failures_in_words(f"dslite_{kind}", point):
            answer = implementation.function()
            given = list(answer) if isinstance(answer, Iterable) and not isinstance(answer, str) else None
        if given is None:
            raise PluginError(
                f"dslite_{kind} must return an iterable of dslite.records.{expected.__name__}, "
                f"got {type(answer).__name__}: put the record in a list"
            )
        for record in given:
            if not isinstance(record, expected):
                raise PluginError(
                    f"dslite_{kind} must return dslite.records.{expected.__name__} records, got {_shown(record)}: "
                    "return each record from the hook of its kind"
                )
            _check_fields(record, kind)
            if isinstance(record, Target):
                _check_metrics(record)
            records.append(record)
    return tuple(records)


def _check_fields(record: PluginRecord, kind: Kind) -> None:
    for name, hint in get_type_hints(type(record)).items():
        value = getattr(record, name)
        where = f"{kind[:-1]} {record.name!r}: {name}"
        if get_origin(hint) is Callable:
            if not callable(value):
                raise PluginError(f"{where}: expected a function, got {_shown(value)}")
            continue
        try:
            typed(hint, plain(value), where)
        except SpecError as error:
            raise PluginError(str(error)) from None


def _check_metrics(target: Target) -> None:
    """Refuse metrics that limits cannot name, and that would write more to a terminal than a line of text."""
    for metric in target.metrics:
        where = f"target {target.name!r}: metric {metric.name!r}"
        if not _METRIC_NAME.fullmatch(metric.name):
            raise PluginError(f"{where}: rename it, in snake case such as first_latency")
        titles = [line for column in metric.columns for line in column.title.split("\n")]
        odd = [text for text in (metric.unit, metric.axis, metric.best, *titles) if not text.isprintable()]
        if odd or not metric.unit.strip():
            raise PluginError(f"{where}: expected a unit and headings that can be printed, got {(odd or [''])[0]!r}")


def _check_names(records: dict[Kind, tuple[PluginRecord, ...]], taken: dict[tuple[Kind, str], str]) -> None:
    own: set[tuple[Kind, str]] = set()
    for kind, group in records.items():
        for record in group:
            name = record.name
            if not name or name.split() != [name] or set(name) & set(NOT_IN_NAMES):
                forbidden = " ".join(NOT_IN_NAMES)
                raise PluginError(
                    f"{name!r} is no name for one of the {kind}: rename it, without blanks and any of {forbidden}"
                )
            if (kind, name) in own:
                raise PluginError(f"{kind[:-1]} {name!r} is there twice in this plugin: rename one")
            if (kind, name) in taken:
                raise PluginError(
                    f"{kind[:-1]} {name!r} is taken by plugin {taken[kind, name]!r}: "
                    f"rename it, or skip that plugin with DSLITE_DISABLE={taken[kind, name]}"
                )
            own.add((kind, name))


# -- failures in words ----------------------------------------------------------------------------------


@contextmanager
def _failures_in_words(where: str, point: EntryPoint) -> Iterator[None]:
    """Turn whatever a plugin raises into `PluginError` with the cure; interruptions and signals go through."""
    try:
        yield
    except (PluginError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a plugin may raise anything, such as a panic of its native code
        raise PluginError(_in_words(where, error, point)) from error


def _in_words(where: str, error: BaseException, point: EntryPoint) -> str:
    told = f"{type(error).__name__}: {_text(error)}"
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "dslite":
        return f"{told}: it was made for another version of dslite: update one of the two"
    if isinstance(error, ModuleNotFoundError) and f"{point.module}.".startswith(f"{error.name}."):
        return f"{told}: its entry point names a module that is not installed: mend the entry point, or install anew"
    if isinstance(error, ModuleNotFoundError):
        return f"{told}: install it, or name it among the plugin's dependencies"
    if isinstance(error, SyntaxError):
        place = f"{error.filename or 'unknown file'}, line {error.lineno or 'unknown'}"
        version = ".".join(map(str, sys.version_info[:2]))
        return f"{type(error).__name__} in {place}: {error.msg}: mend it, or install a version for Python {version}"
    if isinstance(error, SystemExit):
        return f"{where} called sys.exit({_shown(error.code)}): remove that call, or raise an error that says why"
    leave_out = f"leave it out with DSLITE_DISABLE={point.name}"
    return f"{where} raised {told}: mend it (DSLITE_DEBUG=1 shows where), or {leave_out}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a plugin's own error class may fail at anything
        return "its message cannot be told"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - likewise
        return f"a {type(value).__name__}"
