"""Fine-tuning against features and a linear SVM on real data: the paper's Tables 3 and 4 in our terms.

    DSLITE_TEST_DATA=/path/to/data python benchmarks/transfer.py [--set NAME ...] [--backbone NAME ...] [--runs FOLDER]

Everything is a command of dslite; the tables name them. For each setting one training scores devel, with the weights
of its last epoch, and a second one, of the same settings and epochs on train and devel together, scores test once. What
the same command of the same source has left in the folder of runs is not done again, so a benchmark that was stopped
goes on.
"""

import argparse
import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import RESULTS, Figure, Results, dslite

from dslite.experiment.keys import source

SVM = "features + SVM"
LAST_VISIT = "CutMix + SpecAugment, losses of the last visit"
AUGMENTATIONS = {
    "no augmentation": "",
    "CutMix": "--augment cutmix",
    "SpecAugment": "--augment specaugment",
    "CutMix + SpecAugment": "--augment cutmix --augment specaugment",
    LAST_VISIT: "--augment cutmix --augment specaugment --losses last-visit",
    "stretch + CutMix + SpecAugment, always": (
        "--augment stretch{stretch} --augment cutmix --augment specaugment --probability-min 1 --probability-max 1"
    ),
}
"""The paper's four; what it costs to rank by losses of the last visit; and one more augmenter, for every sample."""
GAIN = 0.077
"""The paper's median gain over the SVM, relative, on test (Table 3)."""


@dataclass(frozen=True)
class Backbone:
    """A backbone and how it is trained.

    Attributes:
        weights: file below ``weights/imagenet_keras`` in the data.
        training: options of the training.
        settings: titles of the augmentations it is trained with.
    """

    weights: str
    training: str
    settings: Sequence[str]


@dataclass(frozen=True)
class DataSet:
    """A data set and the settings that were chosen for it on devel.

    Attributes:
        title: as in the table.
        folder: below ``audio`` in the data.
        reading: options for the table.
        picture: options of chunks and front end, the SVM's too.
        epochs: of the second phase, by backbone.
        stretch: options of that augmenter.
        others: pictures that the SVM alone is tried with, so that nobody need fear it was given a bad one.
    """

    title: str
    folder: str
    reading: str
    picture: str
    epochs: Mapping[str, int]
    stretch: str
    others: Sequence[str]


COMMON = "--schedule cosine --label-smoothing 0.1 --finetune-rate 0.5 --keep last --head-epochs 10"
BACKBONES = {
    "squeezenet_v1": Backbone("squeezenet_v1.1_notop.h5", COMMON, list(AUGMENTATIONS)),
    "mobilenet_v2": Backbone(
        "mobilenet_v2_1.0_224_notop_dequantised.h5",
        f"{COMMON} --finetune-layers 77",  # the last half: an epoch takes less than half as long as with all layers
        [title for title in AUGMENTATIONS if title != LAST_VISIT],
    ),
}
SETS = {
    "emodb": DataSet(
        "EMO-DB",
        "emodb",
        "",
        "--chunk 2 --chunk-hop 2",
        {"squeezenet_v1": 30, "mobilenet_v2": 20},
        stretch="",
        others=["--chunk 1 --chunk-hop 1", "--chunk 3 --chunk-hop 3"],
    ),
    "esc10": DataSet(
        "ESC-10",
        "esc10",
        "",
        "--chunk 3 --chunk-hop 1 --tail drop",
        {"squeezenet_v1": 12, "mobilenet_v2": 12},
        stretch=":frequency=0.05",
        others=["--chunk 3", "--chunk 2 --chunk-hop 1 --tail drop", "--chunk 5"],
    ),
    "fsdd": DataSet(
        "FSDD",
        "fsdd",
        "--task classification",
        "--chunk 1 --fmax 4000 --top-db 45",
        {"squeezenet_v1": 6, "mobilenet_v2": 5},
        stretch=":time=0.25,frequency=0.2,frequency_shift=0.08",
        others=["--chunk 1", "--chunk 1 --fmax 4000"],
    ),
}


class Bench:
    """Runs the commands of one data set and backbone, and remembers them."""

    def __init__(self, data: Path, runs: Path, name: str, backbone: str, precision: str) -> None:
        self.set, self.name, self.backbone = SETS[name], name, backbone
        self._runs, self._data, self._precision = runs, data, precision
        self.commands: list[str] = []

    def result(self, file: str, *words: str, picture: str | None = None) -> dict[str, Any]:
        """Give what a command says in JSON, from the folder of runs if it has said it before."""
        place = self._runs / f"{self.name}-{self.backbone}-{file}.json"
        table = self._data / "audio" / self.set.folder / "manifest.csv"
        weights = self._data / "weights" / "imagenet_keras" / BACKBONES[self.backbone].weights
        full = [words[0], str(table), *shlex.split(self.set.reading), "--backbone", self.backbone]
        full += ["--weights", str(weights), *shlex.split(picture or self.set.picture), *words[1:]]
        shown = shlex.join(["dslite", *full]).replace(str(self._data), "$DSLITE_TEST_DATA")
        self.commands.append(shown.replace(str(self._runs), "runs"))
        made_by = [self.commands[-1], source("dslite"), source("dslite_plugins")]
        kept = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
        if kept.get("made_by") != made_by:
            print(f"running {self.commands[-1]}", file=sys.stderr, flush=True)
            begun = place.with_suffix(".begun")
            if words[0] == "train" and not (begun.is_file() and json.loads(begun.read_text()) == made_by):
                full.append("--force")  # what is there, if anything, is a training of other source or settings
            begun.write_text(json.dumps(made_by), encoding="utf-8")
            kept = {"made_by": made_by, "found": json.loads(dslite(*full, "--json"))}
            place.write_text(json.dumps(kept), encoding="utf-8")
        found: dict[str, Any] = kept["found"]
        return found

    def baseline(self, picture: str | None = None) -> dict[str, Any]:
        """Give the figures of the opponent, with the set's pictures or others."""
        slug = re.sub(r"\W+", "-", picture or "")
        return self.result(f"baseline{slug}", "baseline", picture=picture)

    def trained(self, title: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the evaluations of devel and test with one of the augmentations."""
        augment = shlex.split(AUGMENTATIONS[title].format(stretch=self.set.stretch))
        settings = [*shlex.split(BACKBONES[self.backbone].training), "--precision", self._precision, *augment]
        settings += ["--finetune-epochs", str(self.set.epochs[self.backbone])]
        slug = re.sub(r"\W+", "-", title.lower())
        folder = self._runs / f"{self.name}-{self.backbone}-{slug}"
        devel = self.result(slug, "train", *settings, "-o", str(folder))
        return devel, self.result(f"{slug}-final", "train", *settings, "--final", "-o", f"{folder}-final")

    def exported(self, run: Path) -> bool:
        """Tell whether the run's TFLite file takes every test file for what the run takes it for."""
        file, told = run.with_suffix(".tflite"), run.with_suffix(".csv")
        table = self._data / "audio" / self.set.folder / "manifest.csv"
        dslite("export", run, "--exporter", "tflite-float32", "-o", file, "--force", "--json")
        dslite("evaluate", file, table, "--predictions", told, "--json")
        with told.open(encoding="utf-8", newline="") as of_file, (run / "predictions.csv").open(newline="") as of_run:
            return [row["predicted"] for row in csv.DictReader(of_file)] == [
                row["predicted"] for row in csv.DictReader(of_run)
            ]


def uar(figures: dict[str, Any]) -> str:
    """Write a UAR with its interval."""
    low, high = figures["uar_interval"]
    return f"{figures['uar']:.3f} ({low:.3f} to {high:.3f})"


def compare(bench: Bench, titles: Sequence[str]) -> tuple[str, list[Figure], list[dict[str, Any]]]:
    """Give the table of a data set and backbone, whether the aims are met, and the table's rows as data."""
    opponent = bench.baseline()
    scores = {SVM: (opponent["devel"], opponent["test"])}
    for picture in bench.set.others:
        found = bench.baseline(picture)
        scores[f"{SVM}, `{picture}`"] = (found["devel"], found["test"])
    runs = {}
    for title in titles:
        devel, test = bench.trained(title)
        scores[title] = (devel["evaluation"]["file_level"], test["evaluation"]["file_level"])
        runs[title] = Path(test["run"])
    against = opponent["test"]["uar"]
    gains = {title: test["uar"] / against - 1 for title, (_, test) in scores.items()}
    strongest = max((title for title in scores if title not in runs), key=lambda title: scores[title][0]["uar"])
    against_strongest = scores[strongest][1]["uar"]
    rows = [
        f"| {title} | {uar(devel)} | {uar(test)} | {f'{gains[title]:+.1%}' if title in runs else ''} |"
        for title, (devel, test) in scores.items()
    ]
    best = max(runs, key=lambda title: scores[title][0]["uar"])  # of equals the first: test has no say
    chance = opponent["test"]["chance"]
    head = (
        f"### {bench.set.title}, {bench.backbone}\n\nPictures: `{bench.set.picture}`, but for rows that name others. "
        f"Chance {chance:.3f}; 95 % intervals from 1,000 resamples of files."
    )
    table = ["| setting | devel UAR | test UAR | against the SVM |", "|---|---|---|---|", *rows]
    commands = "\n".join(f"    {command}" for command in bench.commands)
    same = bench.exported(runs[best])
    figures = [
        Figure(
            f"{bench.set.title}, {bench.backbone}: {best}, the best on devel, against the SVM",
            f"at least {GAIN:.1%} more UAR on test",
            f"{gains[best]:+.1%}",
            gains[best] >= GAIN,
            f"SVM {against:.3f}",
        ),
        Figure(
            f"{bench.set.title}, {bench.backbone}: the same run against the SVM with the pictures that are best for it "
            "on devel",
            f"at least {GAIN:.1%} more UAR on test",
            f"{scores[best][1]['uar'] / against_strongest - 1:+.1%}",
            scores[best][1]["uar"] / against_strongest - 1 >= GAIN,
            f"{strongest}: {against_strongest:.3f}",
        ),
        Figure(
            f"{bench.set.title}, {bench.backbone}: the same run as a TFLite file",
            "every test file taken for the same",
            "yes" if same else "no",
            same,
            "predictions of `dslite evaluate` on the file beside those of the run",
        ),
    ]
    data = [
        {"set": bench.name, "backbone": bench.backbone, "setting": title, "devel": devel, "test": test}
        for title, (devel, test) in scores.items()
    ]
    return "\n".join([head, "", *table, "", commands]), figures, data


def main() -> None:
    """Measure what is asked for, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--backbone", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--setting", nargs="+", choices=AUGMENTATIONS, default=list(AUGMENTATIONS))
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / "runs")
    parser.add_argument("--precision", default="bfloat16", help="of products in training; figures are float32's")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    named = os.environ.get("DSLITE_TEST_DATA")
    if not named:
        sys.exit("DSLITE_TEST_DATA is not set: it names the folder with real audio and weights")
    options.runs.mkdir(parents=True, exist_ok=True)
    parts = {"--set": (options.set, SETS), "--backbone": (options.backbone, BACKBONES)}
    only = [shlex.join([option, *asked]) for option, (asked, known) in parts.items() if list(asked) != list(known)]
    only += [shlex.join(["--setting", *options.setting])] if options.setting != list(AUGMENTATIONS) else []
    command = " ".join(["python benchmarks/transfer.py", *only])
    results = Results("transfer", "Fine-tuning against features and a linear SVM", command)
    failed = False
    tables: list[str] = []
    figures: list[Figure] = []
    rows: list[dict[str, Any]] = []
    for name in options.set:
        for backbone in options.backbone:
            bench = Bench(Path(named), options.runs, name, backbone, options.precision)
            try:
                titles = [title for title in BACKBONES[backbone].settings if title in options.setting]
                table, found, data = compare(bench, titles)
            except (RuntimeError, subprocess.SubprocessError) as error:
                print(f"{name}, {backbone}: {error}", file=sys.stderr)
                tables.append(f"### {SETS[name].title}, {backbone}\n\nThis failed: no figures.")
                failed = True
                continue
            tables.append(table)
            figures += found
            rows += data
    results.add_figures(figures)
    for table in tables:
        results.add(table)
    results.write(options.output, {"rows": rows})
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
