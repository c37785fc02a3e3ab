"""``dslite predict``."""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from dslite.cli.console import out, print_json, progress
from dslite.cli.options import PATH
from dslite.errors import AudioError, UserError
from dslite.native import native_output_hidden
from dslite.records import Artifact

if TYPE_CHECKING:
    from dslite.deploy.predict import Prediction


@click.command(epilog="Example: dslite predict cough.tflite recordings/*.wav --csv > predictions.csv")
@click.argument("file", type=PATH)
@click.argument("audio", type=PATH, nargs=-1, required=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="For the runtime.")
@click.option("--json", "form", flag_value="json", help="Write JSON to standard output.")
@click.option("--csv", "form", flag_value="csv", help="Write CSV to standard output.")
def command(file: Path, audio: tuple[Path, ...], threads: int, form: str | None) -> None:
    """Predict audio with an exported file.

    FILE needs its manifest beside it. Gives probabilities for each chunk of AUDIO and for each audio file, which has
    the mean of its chunks. Audio that cannot be used is named on standard error, the other files are predicted all
    the same, and the exit code is 2.
    """
    from dslite.deploy import manifest
    from dslite.deploy.predict import check_predicts, predict
    from dslite.deploy.runtime import TENSORFLOW_SUFFIXES, open_session, set_tensorflow_threads

    artifact = manifest.read(file)
    check_predicts(artifact)
    predictions: list[Prediction] = []
    problems: list[str] = []
    with native_output_hidden(), progress(len(audio) + 1) as steps:
        steps.start(f"opening {file.name}")
        if file.suffix in TENSORFLOW_SUFFIXES:
            set_tensorflow_threads(threads)
        session = open_session(file, threads)
        for path in audio:
            steps.start(path.name)
            try:
                predictions.append(predict(session, artifact, path))
            except AudioError as error:
                problems.append(str(error))
    if form == "json":
        print_json([_as_dict(artifact, p) for p in predictions])
    elif form == "csv":
        _write_csv(artifact, predictions)
    elif predictions:
        out().print(_table(artifact, predictions))
    if predictions and artifact.weights == "none":
        click.echo("note: this model has random weights, its output means nothing", err=True)
    if problems:
        for problem in problems[:-1]:
            click.echo(click.style("error: ", fg="red") + problem, err=True)
        raise UserError(problems[-1])


def _names(artifact: Artifact) -> Sequence[str]:
    return artifact.labels or [f"value_{i}" for i in range(artifact.output.shape[-1])]


def _label(artifact: Artifact, outputs: Any) -> str:
    return artifact.labels[int(outputs.argmax())] if artifact.labels else ""


def _as_dict(artifact: Artifact, prediction: "Prediction") -> dict[str, Any]:
    def described(outputs: Any) -> dict[str, Any]:
        values = dict(zip(_names(artifact), map(float, outputs), strict=True))
        if artifact.labels:
            return {"label": _label(artifact, outputs), "probabilities": values}
        return {"values": values}

    return {
        "file": str(prediction.path),
        **described(prediction.mean),
        "chunks": [
            {"start_s": start_s, "end_s": end_s, **described(outputs)}
            for (start_s, end_s), outputs in zip(prediction.spans_s, prediction.chunks, strict=True)
        ],
    }


def _rows(artifact: Artifact, prediction: "Prediction") -> Iterator[tuple[str, float | None, float | None, str, Any]]:
    """Give level, start, end, label and outputs of each chunk, then of the file."""
    for (start_s, end_s), outputs in zip(prediction.spans_s, prediction.chunks, strict=True):
        yield "chunk", start_s, end_s, _label(artifact, outputs), outputs
    yield "file", None, None, _label(artifact, prediction.mean), prediction.mean


def _write_csv(artifact: Artifact, predictions: Sequence["Prediction"]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "level", "start_s", "end_s", "label", *_names(artifact)])
    for prediction in predictions:
        for level, start_s, end_s, label, outputs in _rows(artifact, prediction):
            span = ["", ""] if start_s is None else [f"{start_s:.3f}", f"{end_s:.3f}"]
            writer.writerow([prediction.path, level, *span, label, *(f"{x:.6g}" for x in outputs)])


def _table(artifact: Artifact, predictions: Sequence["Prediction"]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("FILE", overflow="fold")
    table.add_column("SECONDS", justify="right", no_wrap=True)
    if artifact.labels:
        table.add_column("LABEL")
    for name in _names(artifact):
        table.add_column(name, justify="right")
    for prediction in predictions:
        for level, start_s, end_s, label, outputs in _rows(artifact, prediction):
            span = "whole file" if start_s is None else f"{start_s:.1f}-{end_s:.1f}"
            labels = [label] if artifact.labels else []
            cells = [str(prediction.path), span, *labels, *(f"{x:.4f}" for x in outputs)]
            table.add_row(*cells, style="bold" if level == "file" else None)
    return table
