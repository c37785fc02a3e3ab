"""How small, how fast, at what cost: the grid of compressors and exporters on real data.

    DSLITE_TEST_DATA=/path/to/data python benchmarks/compression.py [--set NAME ...] [--backbone NAME ...]
                                                                    [--runs FOLDER] [--output FOLDER]

Everything is a command of dslite; the tables name them. Settings of the compressors are their defaults, or were chosen
on devel. What the same command of the same source has left in the folder of runs is not done again, so a benchmark that
was stopped goes on; the experiments themselves do that too.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import RESULTS, Figure, Results

from dslite.learn.run import is_complete
from dslite.records import Run
from dslite.report import document, experiment
from dslite.report.columns import find, value

COMMON = "--schedule cosine --label-smoothing 0.1 --keep last --precision bfloat16"
IMAGENET = f"{COMMON} --finetune-rate 0.5 --head-epochs 10"
SCRATCH = f"{COMMON} --weights none --finetune-rate 1 --head-epochs 0 --finetune-layers 500 --augment specaugment"
BACKBONES = {
    "mobilenet_v2": (
        f"{IMAGENET} --weights $W/mobilenet_v2_1.0_224_notop_dequantised.h5 --finetune-layers 77 --augment cutmix "
        "--augment specaugment"
    ),
    "squeezenet_v1": f"{IMAGENET} --weights $W/squeezenet_v1.1_notop.h5 --augment specaugment",
    "densenet121": SCRATCH,
}
SETS = {"esc10": "", "emodb": "--chunk 2 --chunk-hop 2"}
EPOCHS = {"mobilenet_v2": 20, "squeezenet_v1": 30, "densenet121": 25}
TITLES = {"esc10": "ESC-10", "emodb": "EMO-DB"}
CHAINS = (
    "channels",
    "channels:macs=0.25,epochs=20,steps=4",
    "prune",
    "cluster",
    "qat",
    "channels+qat",
    "prune+qat",
    "cluster+qat",
)
EXPORTERS = "tflite-float32,tflite-float16,tflite-dynamic,tflite-int8"
SMALLER, FASTER, MOST_LOST = 3.5, 1.8, 0.02


@dataclass(frozen=True)
class Experiment:
    """One data set and one backbone.

    Attributes:
        data: its key in `SETS`.
        backbone: its key in `BACKBONES`.
        runs: folder of runs.
    """

    data: str
    backbone: str
    runs: Path

    @property
    def name(self) -> str:
        """Name its run."""
        return f"{self.data}-{self.backbone}"

    def commands(self) -> list[list[str]]:
        """Give the commands: the training, and the experiment."""
        table = f"$DSLITE_TEST_DATA/audio/{self.data}/manifest.csv"
        training = f"--backbone {self.backbone} {SETS[self.data]} {BACKBONES[self.backbone]}"
        epochs = f"--finetune-epochs {EPOCHS[self.backbone]}"
        grid = " ".join(f"--compressor {chain}" for chain in CHAINS)
        return [
            f"train {table} {training} {epochs} -o runs/{self.name}".split(),
            f"compress runs/{self.name} {table} {grid} --exporter {EXPORTERS} -o runs/{self.name}-compressed".split(),
        ]

    def shown(self) -> str:
        """Write the commands for the reader."""
        folder = "$DSLITE_TEST_DATA/weights/imagenet_keras"
        return "\n".join(f"    dslite {' '.join(words).replace('$W', folder)}" for words in self.commands())

    def do(self) -> Sequence[Run]:
        """Run the commands and give the rows."""
        report = self.runs / f"{self.name}-compressed" / "report.json"
        done = self.runs / f"{self.name}-compressed" / "done"
        weights = os.environ["DSLITE_TEST_DATA"] + "/weights/imagenet_keras"
        asked = self.shown()
        if not (done.is_file() and done.read_text(encoding="utf-8") == asked):
            for words in self.commands()[is_complete(self.runs / self.name) :]:
                line = shlex.join(["dslite", *words])
                print(line, file=sys.stderr, flush=True)
                filled = [
                    word.replace("$DSLITE_TEST_DATA", os.environ["DSLITE_TEST_DATA"])
                    .replace("$W", weights)
                    .replace("runs/", f"{self.runs}/")
                    for word in words
                ]
                subprocess.run([sys.executable, "-m", "dslite", *filled], check=False, stdout=subprocess.DEVNULL)
            done.write_text(asked, encoding="utf-8")
        return document.read(report).runs


def figures_of(title: str, runs: Sequence[Run]) -> list[Figure]:
    """Hold the rows against what is asked for."""
    base = runs[0]
    small = [
        run
        for run in runs
        if (value(base, "size") or 0) >= SMALLER * (value(run, "size") or float("inf")) and _interval(run)[1] >= 0
    ]
    fast = [
        run
        for run in runs
        if run.artifact.exporter == "tflite-float32"
        and any(name.startswith("channels") for name in run.artifact.compressors)
        and (value(run, "speed_up") or 0) >= FASTER
    ]
    kept = [run for run in fast if (value(run, "uar_difference") or -1.0) >= -MOST_LOST]
    by_name = {experiment.name(run): run for run in runs}
    plain, trained = (by_name[f"{chain}, tflite-int8"] for chain in ("none", "qat"))
    smallest = max(small, key=lambda run: value(run, "uar") or 0, default=None)
    fastest = max(kept or fast, key=lambda run: value(run, "uar") or 0, default=None)
    return [
        Figure(
            f"{title}: a file {SMALLER} times smaller than float32 without a loss that is shown",
            "its interval holds 0",
            _told(smallest, "size", base),
            smallest is not None,
            f"{len(small)} of {len(runs)} rows are; this one has the highest UAR",
        ),
        Figure(
            f"{title}: a structured-pruned float32 file {FASTER} times faster",
            "a loss of at most 2 points",
            _told(fastest, "speed", base),
            bool(kept),
            f"{len(kept)} rows are; this one has the highest UAR",
        ),
        Figure(
            f"{title}: QAT against post-training int8",
            "at least as good",
            f"UAR {value(trained, 'uar'):.3f} against {value(plain, 'uar'):.3f}",
            (value(trained, "uar") or 0) >= (value(plain, "uar") or 1),
            "tflite-int8 of both",
        ),
    ]


def _interval(run: Run) -> tuple[float, float]:
    found = find(run, "uar_difference")
    return (found.statistics["low"], found.statistics["high"]) if found else (-1.0, -1.0)


def _told(run: Run | None, what: str, base: Run) -> str:
    if run is None:
        return "none"
    low, high = _interval(run)
    times = (value(base, "size") or 0) / (value(run, "size") or 1) if what == "size" else value(run, "speed_up") or 0
    word = "smaller" if what == "size" else "faster"
    return (
        f"{experiment.name(run)}: {times:.2f} times {word}, UAR {value(run, 'uar_difference'):+.3f} "
        f"({low:+.3f} to {high:+.3f})"
    )


def main() -> None:
    """Run the experiments, and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--backbone", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if "DSLITE_TEST_DATA" not in os.environ:
        sys.exit("DSLITE_TEST_DATA is not set: it names the folder with real audio and weights")
    results = Results("compression", "Compression of trained models", "python benchmarks/compression.py")
    parts = []
    found: list[Figure] = []
    for data in options.set:
        for backbone in options.backbone:
            one = Experiment(data, backbone, options.runs.resolve())
            title = f"{TITLES[data]}, {backbone}"
            found += figures_of(title, one.do())
            report = document.read(one.runs / f"{one.name}-compressed" / "report.json")
            text = experiment.markdown(report).rpartition("\n    ")[0].rstrip()
            parts.append(f"### {title}\n\n{text}\n\n{one.shown()}")
    results.add_figures(found)
    for part in parts:
        results.add(part)
    results.write(options.output)


if __name__ == "__main__":
    main()
