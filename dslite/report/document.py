"""Reports as JSON files, with a version."""

import gc
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dslite import __version__, files
from dslite.codec import from_json, to_json
from dslite.errors import ReportError, SpecError
from dslite.measure.environment import commit
from dslite.records import BenchReport, Run

SCHEMA = 1


def report(runs: Sequence[Run], command: str, environment: dict[str, Any], partial: str = "") -> BenchReport:
    """Make a report of runs; files go by their bare names, with no more folders than tell them apart.

    Args:
        runs: in the order of the table.
        command: as it was typed.
        environment: from `dslite.measure.environment`, taken before the first run: its load is not ours.
        partial: what was not done yet; empty: nothing is missing.
    """
    names = files.told_apart([run.artifact.path for run in runs])
    return BenchReport(
        schema=SCHEMA,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        dslite=__version__,
        commit=commit(),
        command=command,
        environment=environment,
        runs=tuple(_without_folders(run, name) for run, name in zip(runs, names, strict=True)),
        partial=partial,
    )


def without_folders(target: str) -> str:
    """Give a target's name and options, of files that these name only their own name: ``android:runtime=lib.so``."""
    name, colon, options = target.partition(":")
    return name + colon + ",".join(_bare(option) for option in options.split(","))


def _bare(option: str) -> str:
    key, equals, value = option.partition("=")
    return key + equals + (Path(value).name if "/" in value or "\\" in value else value)


def _without_folders(run: Run, name: str) -> Run:
    artifact = replace(run.artifact, path=name)
    plan = replace(run.plan, input_path="")
    return replace(run, artifact=artifact, plan=plan, target=without_folders(run.target))


def to_text(bench_report: BenchReport) -> str:
    """Give a report as JSON text; versions before `Run.metrics` read it where no run has any."""
    data = to_json(bench_report)
    for run in data["runs"]:
        if not run["metrics"]:
            del run["metrics"]
    return json.dumps(data, indent=1) + "\n"


def write(bench_report: BenchReport, path: Path) -> None:
    """Write a report, whole or not at all."""
    files.write_text(path, to_text(bench_report))


def read(path: Path) -> BenchReport:
    """Read a report.

    Raises:
        ReportError: where the file is missing, no report, or of a schema this version does not read.
    """
    try:
        with _no_collection():
            return from_text(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(f"{path}: no such file") from None
    except OSError as error:
        raise ReportError(f"{path}: expected a report written by `dslite bench -o`: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ReportError(f"{path}: expected a report written by `dslite bench -o`, got no JSON") from None
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Put the collector of garbage off: records have no circles, and it looks at millions of them again and again.

    What was made meanwhile goes to its oldest generation, or the steps that follow would pay for three looks at all.
    """
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            if not gc.get_freeze_count():  # what the caller has frozen stays
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def from_text(text: str) -> BenchReport:
    """Read a report from JSON text.

    Raises:
        ValueError: where it is no JSON.
        ReportError: where it is no report, or of a schema this version does not read.
    """
    data: Any = json.loads(text)
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int or "runs" not in data:
        raise ReportError("expected a report written by `dslite bench -o`, got other JSON")
    if schema > SCHEMA:
        raise ReportError(f"schema {schema} is newer than this dslite reads ({SCHEMA}): update dslite")
    if schema < SCHEMA:
        raise ReportError(f"schema {schema} was never released: expected {SCHEMA}")
    try:
        return from_json(BenchReport, data, "report")
    except SpecError as error:
        raise ReportError(str(error)) from None
