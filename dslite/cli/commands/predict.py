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
from dslite.experiment.predictor import Predictor, opened
from dslite.native import native_output_hidden

if TYPE_CHECKING:
    from dslite.deploy.predict import Prediction


@click.command(epilog="Example: dslite predict cough.tflite recordings/*.wav --csv > predictions.csv")
@click.argument("file", type=PATH)
@click.argument("audio", type=PATH, nargs=-1, required=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="For the runtime.")
@click.option("--json", "form", flag_value="json", help="Write JSON to standard output.")
@click.option("--csv", "form", flag_value="csv", help="Write CSV to standard output.")
def command(file: Path, audio: tuple[Path, ...], threads: int, form: str | None) -> None:
    """Predict audio with an exported file, or a trained run.

    FILE is an exported one, with its manifest beside it, or the folder of a run of `dslite train`. Gives probabilities
    for each chunk of AUDIO and for each audio file, which has the mean of its chunks. Audio that cannot be used is
    named on standard error, the other files are predicted all the same, and the exit code is 2.
    """
    from dslite.deploy.predict import predict

    predictions: list[Prediction] = []
    problems: list[str] = []
    with native_output_hidden(), progress(len(audio) + 1) as steps:
        model = opened(file, threads, steps.start(f"opening {file.name}"))
        for path in audio:
            steps.start(path.name)
            try:
                predictions.append(predict(model.session, model.chunk, model.sample_rate_hz, path))
            except AudioError as error:
                problems.append(str(error))
    if form == "json":
        print_json([_as_dict(model, p) for p in predictions])
    elif form == "csv":
        _write_csv(model, predictions)
    elif predictions:
        out().print(_table(model, predictions))
    if predictions and model.random:
        click.echo("note: this model has random weights, its output means nothing", err=True)
    if problems:
        for problem in problems[:-1]:
            click.echo(click.style("error: ", fg="red") + problem, err=True)
        raise UserError(problems[-1])


def _label(model: Predictor, outputs: Any) -> str:
    return model.labels[int(outputs.argmax())] if model.labels else ""


def _as_dict(model: Predictor, prediction: "Prediction") -> dict[str, Any]:
    def described(outputs: Any) -> dict[str, Any]:
        values = dict(zip(model.names, map(float, outputs), strict=True))
        if model.labels:
            return {"label": _label(model, outputs), "probabilities": values}
        return {"values": values}

    return {
        "file": str(prediction.path),
        **described(prediction.mean),
        "chunks": [
            {"start_s": start_s, "end_s": end_s, **described(outputs)}
            for (start_s, end_s), outputs in zip(prediction.spans_s, prediction.chunks, strict=True)
        ],
    }


def _rows(model: Predictor, prediction: "Prediction") -> Iterator[tuple[str, float | None, float | None, str, Any]]:
    """Give level, start, end, label and outputs of each chunk, then of the file."""
    for (start_s, end_s), outputs in zip(prediction.spans_s, prediction.chunks, strict=True):
        yield "chunk", start_s, end_s, _label(model, outputs), outputs
    yield "file", None, None, _label(model, prediction.mean), prediction.mean


def _write_csv(model: Predictor, predictions: Sequence["Prediction"]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "level", "start_s", "end_s", "label", *model.names])
    for prediction in predictions:
        for level, start_s, end_s, label, outputs in _rows(model, prediction):
            span = ["", ""] if start_s is None else [f"{start_s:.3f}", f"{end_s:.3f}"]
            writer.writerow([prediction.path, level, *span, label, *(f"{x:.6g}" for x in outputs)])


def _table(model: Predictor, predictions: Sequence["Prediction"]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("FILE", overflow="fold")
    table.add_column("SECONDS", justify="right", no_wrap=True)
    if model.labels:
        table.add_column("LABEL")
    for name in model.names:
        table.add_column(name, justify="right")
    for prediction in predictions:
        for level, start_s, end_s, label, outputs in _rows(model, prediction):
            span = "whole file" if start_s is None else f"{start_s:.1f}-{end_s:.1f}"
            labels = [label] if model.labels else []
            cells = [str(prediction.path), span, *labels, *(f"{x:.4f}" for x in outputs)]
            table.add_row(*cells, style="bold" if level == "file" else None)
    return table
