"""Every error dslite raises on purpose.

    DsliteError
    ├── UserError               what was asked for cannot be done as asked: exit code 2
    │   ├── AudioError          a file that is not usable audio
    │   ├── DataError           a table of files and labels with faults; it lists all of them
    │   ├── ModelFileError      a model file or manifest that is broken or does not fit
    │   ├── ReportError         a report of another schema, or no report
    │   ├── SpecError           an option or setting outside its range
    │   └── UnknownNameError    a plugin, option or device nobody provides
    ├── PluginError             a plugin broke its contract: exit code 1
    └── RunError                a well-formed request failed on the way: exit code 1
        ├── DownloadError       weights that are not here and could not be fetched
        ├── ExportError
        ├── MeasurementError
        └── WriteError          a file could not be written; nothing half-written is left

A message is one line and says what was expected, what was found, and what to do.
"""

from collections.abc import Sequence
from typing import Any, ClassVar


class DsliteError(Exception):
    """Base of all; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class UserError(DsliteError):
    """The request cannot be carried out as it was made."""

    exit_code: ClassVar[int] = 2


class AudioError(UserError):
    """A file is not audio that can be read, or its samples cannot be used."""


class DataError(UserError):
    """A table of files and labels cannot be used; `problems` holds every fault found, as (where, what)."""

    def __init__(self, message: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ModelFileError(UserError):
    """A model file or its manifest is missing, broken, or the two do not belong together."""


class ReportError(UserError):
    """A file is not a report this version reads."""


class SpecError(UserError):
    """A setting is unknown or outside its range."""


class UnknownNameError(UserError):
    """Nothing of this name is installed."""


class PluginError(DsliteError):
    """A plugin does not keep the contract of its hook."""


class RunError(DsliteError):
    """A well-formed request failed while it was carried out."""


class DownloadError(RunError):
    """A weight file is not in the cache and could not be downloaded."""


class ExportError(RunError):
    """A model could not be exported."""


class MeasurementError(RunError):
    """A file could not be run or measured; `measured` holds the measurements taken before, or their `Outcome`."""

    def __init__(self, message: str, measured: Any = ()) -> None:
        super().__init__(message)
        self.measured = measured


class WriteError(RunError):
    """A file could not be written."""


def first_line(error: BaseException) -> str:
    """Give the first line of a foreign error's text, or its type where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def in_words(error: BaseException) -> str:
    """Give an error as one line: dslite's own as it stands, a foreign one with its type."""
    return str(error) if isinstance(error, DsliteError) else f"{type(error).__name__}: {first_line(error)}"
