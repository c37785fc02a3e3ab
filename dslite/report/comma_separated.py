"""Reports as CSV."""

import csv
import io
import math
from collections.abc import Sequence

from dslite.measure.relative import chain
from dslite.measure.validity import broken
from dslite.metrics import csv_name, figure, statistic
from dslite.report.comparison import Pair
from dslite.report.names import numbered
from dslite.report.view import View

_FORMULA = ("=", "+", "-", "@")
"""How cells begin that spreadsheets compute, after blanks too."""
_FACTS = ("name", "backbone", "compressors", "exporter", "part", "target", "device", "threads", "file")
_TURNS = ("against", "rounds", "ratio", "ratio_low", "ratio_high", "verdict")
_LAST = ("pareto", "valid", "flags", "error", "sha256", "input", "report", "created")
_WHOLE = 1e15
"""Up to which whole numbers are written without a point: floats hold them exactly."""


def as_csv(view: View) -> str:
    """Write a view as CSV (RFC 4180), a line a run: SI units, empty where there is no figure.

    ``pareto`` is yes or no, and empty where a row could not be judged. Texts that a spreadsheet would take for a
    formula begin with an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    asked = [(metric, name) for metric in view.metrics for name in metric.in_csv]
    headings = numbered((csv_name(*each) for each in asked), (*_FACTS, *_TURNS, *_LAST))
    writer.writerow([*_FACTS, *map(_harmless, headings), *_TURNS, *_LAST])
    pairs = view.turns()
    origins = [(name, report.created) for name, report in view.reports for _ in report.runs]
    for i, (name, run, of) in enumerate(zip(view.names, view.runs, view.figures, strict=True)):
        artifact, device = run.artifact, run.device.model if run.device else None
        model = (artifact.backbone, chain(artifact.compressors), artifact.exporter, artifact.part)
        facts = (name, *model, run.target, device, run.plan.threads, artifact.path)
        last = [
            "" if i not in view.judged else "yes" if i in view.best else "no",
            "false" if run.error or broken(run) else "true",
            ";".join(flag.code for flag in run.flags),
            run.error,
            *(artifact.sha256, run.conditions.get("input", run.plan.input), *origins[i]),
        ]
        writer.writerow(
            [
                *map(_harmless, facts),
                *(_number(statistic(figure(of, metric), asked_for)) for metric, asked_for in asked),
                *_of_turns(pairs.get(i)),
                *map(_harmless, last),
            ]
        )
    return text.getvalue()


def _of_turns(pair: Pair | None) -> Sequence[object]:
    """Give how a run compares with the one that it took turns with."""
    if pair is None or pair.ratio is None:
        return [""] * len(_TURNS)
    ratio = pair.ratio
    ends = (ratio.low, ratio.high) if math.isfinite(ratio.high) else ("", "")
    return [_harmless(pair.against), ratio.n_rounds, ratio.value, *ends, pair.verdict]


def _number(value: float | None) -> object:
    if value is None:
        return ""
    return int(value) if abs(value) < _WHOLE and value == int(value) else value


def _harmless(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value
