"""What every record is checked for: its texts, its options, and that its module is quick to import."""

import importlib.util
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dslite.errors import in_words
from dslite.records import NOT_IN_NAMES, Compressor, Exporter, Option, OptionValue, PluginRecord

_OPTION = re.compile(r"[a-z][a-z0-9_]*")
_IMPORT_TIMEOUT_S = 300

# In a fresh interpreter: import the module and call its hooks, as dslite does at start-up.
_IMPORT = """
import importlib, json, sys
name, sys.path[:] = sys.argv[1], json.loads(sys.argv[2])
from dslite.hookspecs import __dict__ as specs
from dslite.lazy import heavy_imports_refused
try:
    with heavy_imports_refused():
        module = importlib.import_module(name)
        for hook in [hook for hook in specs if hook.startswith("dslite_") and hasattr(module, hook)]:
            list(getattr(module, hook)())
except (Exception, SystemExit) as error:
    known = type(error).__module__ == "dslite.errors"
    sys.exit(str(error) if known else f"importing it alone raises {type(error).__name__}: {error}")
"""


def default_options(record: PluginRecord) -> dict[str, OptionValue]:
    """Give a plugin's options as they are where the user says nothing."""
    return {option.name: option.default for option in record.options}


def check_record(record: PluginRecord, *functions: Callable[..., Any]) -> None:
    """Check what all records have in common: name, source, options, and where the functions they hold come from.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    name = record.name
    assert name.split() == [name] and not set(name) & set(NOT_IN_NAMES), (  # noqa: PT018 - one rule, one message
        f"{name!r} is no name a user can type: no blanks and none of {' '.join(NOT_IN_NAMES)}"
    )
    assert record.source.strip(), f"{name}: source is empty: name the publication, or an address"
    names = [option.name for option in record.options]
    assert len(set(names)) == len(names), f"{name}: options {', '.join(names)}: one name is there twice"
    for option in record.options:
        _check_option(name, option)
    for function in functions:
        check_lazy_imports(name, function)


def check_defaults(record: Compressor | Exporter) -> None:
    """Check that a plugin's own check takes its default options."""
    try:
        record.check(default_options(record))
    except Exception as error:
        raise AssertionError(f"{record.name}: its check refuses its default options: {in_words(error)}") from error


def _check_option(owner: str, option: Option) -> None:
    where = f"{owner}: option {option.name!r}"
    assert _OPTION.fullmatch(option.name), f"{where}: expected a name such as width or drop_rate, in snake case"
    assert type(option.default) in (bool, int, float, str), (
        f"{where}: default {option.default!r}: expected bool, int, float or str; its type is the option's type"
    )
    assert not isinstance(option.default, float) or math.isfinite(option.default), (
        f"{where}: default {option.default}: expected a finite number"
    )
    assert "," not in str(option.default) and str(option.default), (  # noqa: PT018 - one rule, one message
        f"{where}: default {option.default!r}: a user must be able to type it after {option.name}=, "
        "so it is not empty and has no comma"
    )
    assert option.help.strip(), f"{where}: help is empty: say in one sentence what it does, `dslite show` prints it"


def through_tflite(what: str, model: Any, x: Any) -> Any:
    """Give a Keras model's outputs for `x`, float32 ``(n, *shape of the input)``, by way of a TFLite file."""
    from dslite.deploy.runtime import open_session
    from dslite.errors import ExportError
    from dslite.model.convert import to_tflite

    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        path = Path(folder) / "model.tflite"
        try:
            path.write_bytes(to_tflite(model))
        except ExportError as error:
            raise AssertionError(f"{what} cannot become a TFLite file: {error}") from error
        session = open_session(path, 1)
        return np.concatenate([session.run(sample[np.newaxis]) for sample in x])


def check_lazy_imports(name: str, function: Callable[..., Any]) -> None:
    """Check that the module of a record's function imports nothing heavy, in a fresh interpreter.

    Its hooks are called there too. A function that no import can reach (typed into a console, run from a string)
    is passed over: nobody's start-up waits for it.

    Args:
        name: for the message.
        function: such as the `build` of a backbone; a `functools.partial` stands for what it wraps.

    Raises:
        AssertionError: where one of `dslite.lazy.HEAVY` is imported, or the module cannot be imported alone.
    """
    while isinstance(function, partial):
        function = function.func
    module = getattr(function, "__module__", None)
    if not module or not _importable(module):
        return
    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        done = subprocess.run(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-P", "-c", _IMPORT, module, json.dumps([str(Path(p).resolve()) for p in sys.path])],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_IMPORT_TIMEOUT_S,
            check=False,
        )
    words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    assert done.returncode == 0, f"{name}: its module {module}: {words[-1]}"


def _importable(module: str) -> bool:
    if module in ("__main__", "builtins"):
        return False
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # made by hand, or below something that is no package
        return False
