"""How small, how fast, at what cost: the grid of compressors and exporters on real data.

    DSLITE_TEST_DATA=/path/to/data python benchmarks/compression.py [--set NAME ...] [--backbone NAME ...]
                                                                    [--runs FOLDER] [--output FOLDER] [--time-again]

Everything but ``--time-again`` is a command of dslite; the tables name them. An experiment is one data set and one
backbone with a table of its own, so they can be run one by one, on one day or several; the overview has what was run
until then.
Settings of the compressors are their defaults, but for the numbers of epochs: those of the small backbones give about
as many steps as were best on devel, those of densenet121 are for the time there was. It has no ImageNet weights: on
ESC-10 it learns from scratch, on EMO-DB from the weights that ESC-10 gave it, for from scratch it learned nothing there
in eight epochs. A run in the folder of runs that was trained with the same command is taken as it is, and so are
results of the same commands and the same source: a benchmark that was stopped goes on, as experiments do.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from figures import RESULTS, Figure, Results, table

from dslite.experiment import interleave, launchers
from dslite.experiment.keys import source
from dslite.learn.evaluation import difference_of_predictions, read_predictions
from dslite.learn.run import is_complete, is_run, read
from dslite.measure import relative
from dslite.measure.environment import environment
from dslite.measure.relative import trial_name as name
from dslite.metrics import find, value
from dslite.metrics.scores import Difference
from dslite.records import BenchReport, Run
from dslite.report import document
from dslite.report.markdown import markdown
from dslite.report.view import view

COMMON = "--schedule cosine --label-smoothing 0.1 --keep last --precision bfloat16 --batch-size 16 --losses last-visit"
IMAGENET = f"{COMMON} --finetune-rate 0.5 --head-epochs 10"
NO_WEIGHTS = "--weights none"
SCRATCH = f"{COMMON} {NO_WEIGHTS} --finetune-rate 1 --head-epochs 0 --finetune-layers 500 --augment specaugment"
BACKBONES = {
    "mobilenet_v2": (
        f"{IMAGENET} --weights $W/mobilenet_v2_1.0_224_notop_dequantised.h5 --finetune-layers 77 --augment cutmix "
        "--augment specaugment"
    ),
    "squeezenet_v1": f"{IMAGENET} --weights $W/squeezenet_v1.1_notop.h5 --augment specaugment",
    "densenet121": SCRATCH,
}
TITLES = {"esc10": "ESC-10", "emodb": "EMO-DB"}


@dataclass(frozen=True)
class Settings:
    """What depends on data set and backbone: how audio is cut, and how long is learned.

    Attributes:
        chunks: options of the training that say how audio is cut.
        epochs: of the second phase.
        begun_by: run whose backbone the training begins with; None: with the weights of `BACKBONES`.
        half: compressor that leaves half of the channels' work; None: none.
        fewest: likewise, one that leaves less.
        prune: compressor.
        cluster: likewise.
        qat: likewise.
    """

    chunks: str
    epochs: int
    half: str | None
    fewest: str
    prune: str
    cluster: str
    qat: str
    begun_by: str | None = None


_ESC10 = Settings(
    "",
    epochs=15,
    half="channels:epochs=6",
    fewest="channels:macs=0.25,epochs=12,steps=4",
    prune="prune:epochs=4",
    cluster="cluster:epochs=2",
    qat="qat:epochs=2",
)
_EMODB = Settings(
    "--chunk 2 --chunk-hop 2",
    epochs=20,
    half="channels:epochs=18",
    fewest="channels:macs=0.2,epochs=30,steps=4",
    prune="prune",
    cluster="cluster",
    qat="qat",
)
_DENSENET = replace(_EMODB, epochs=25, half=None, fewest="channels:macs=0.3,epochs=12,steps=4", prune="prune:epochs=6")
SETTINGS = {
    ("esc10", "squeezenet_v1"): _ESC10,
    ("esc10", "mobilenet_v2"): replace(_ESC10, epochs=12),
    ("esc10", "densenet121"): replace(_DENSENET, chunks="--chunk 5 --chunk-hop 5 --tail drop"),
    ("emodb", "squeezenet_v1"): _EMODB,
    ("emodb", "mobilenet_v2"): replace(_EMODB, epochs=15),
    ("emodb", "densenet121"): replace(
        _DENSENET,
        epochs=10,
        begun_by="esc10-densenet121",
        fewest="channels:macs=0.3,epochs=8,steps=4",
        prune="prune:epochs=3",
        cluster="cluster:epochs=1",
        qat="qat:epochs=1",
    ),
}
EXPORTERS = "tflite-float32,tflite-float16,tflite-dynamic,tflite-int8"
NAME = "compression"
"""Of the overview, and of the folder with the tables."""
ROUNDS = 5
TIMED_AGAIN = "timed-again.json"
SMALLER, FASTER, MOST_LOST = 3.5, 1.8, 0.02
SMALL = "none, tflite-int8"
"""The plainest small row. It, and what `Experiment` names, are held against what is asked for."""


@dataclass(frozen=True)
class Experiment:
    """One data set and one backbone.

    Attributes:
        data: its key in `TITLES`.
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

    @property
    def title(self) -> str:
        """Name it in words."""
        return f"{TITLES[self.data]}, {self.backbone}"

    @property
    def folder(self) -> Path:
        """Give where the results go."""
        return self.runs / f"{self.name}-compressed"

    @property
    def chains(self) -> Sequence[str]:
        """Give the compressors."""
        of = self._settings
        alone = (of.half, of.fewest, of.prune, of.cluster, of.qat)
        joint = (f"{first}+{of.qat}" for first in (of.fewest, of.prune, of.cluster))
        return [chain for chain in (*alone, *joint) if chain]

    @property
    def fast(self) -> str:
        """Name the row with the fewest channels."""
        return f"{self._settings.fewest}, tflite-float32"

    @property
    def smallest(self) -> str:
        """Name the row that is quoted where `SMALL` is not small enough."""
        return f"{self._settings.fewest}, tflite-int8"

    @property
    def trained(self) -> str:
        """Name the row of QAT."""
        return f"{self._settings.qat}, tflite-int8"

    @property
    def _settings(self) -> Settings:
        return SETTINGS[self.data, self.backbone]

    @property
    def _begin(self) -> list[str]:
        """Give the command that takes weights to begin with out of another run, if there are such."""
        other = self._settings.begun_by
        return f"python benchmarks/backbone_weights.py runs/{other} runs/{other}.h5".split() if other else []

    def commands(self) -> list[list[str]]:
        """Give the commands of dslite: the training, and the experiment."""
        table = f"$DSLITE_TEST_DATA/audio/{self.data}/manifest.csv"
        training = f"--backbone {self.backbone} {self._settings.chunks} {BACKBONES[self.backbone]}"
        if self._settings.begun_by:
            training = training.replace(NO_WEIGHTS, f"--weights runs/{self._settings.begun_by}.h5")
        epochs = f"--finetune-epochs {self._settings.epochs}"
        grid = " ".join(f"--compressor {chain}" for chain in self.chains)
        return [
            f"train {table} {training} {epochs} -o runs/{self.name}".split(),
            f"compress runs/{self.name} {table} {grid} --exporter {EXPORTERS} -o runs/{self.name}-compressed".split(),
        ]

    def shown(self) -> str:
        """Write the commands for the reader."""
        folder = "$DSLITE_TEST_DATA/weights/imagenet_keras"
        commands = (f"dslite {' '.join(words).replace('$W', folder)}" for words in self.commands())
        return "\n".join(["```sh", *filter(None, [" ".join(self._begin)]), *commands, "```"])

    def do(self) -> BenchReport:
        """Run the commands and give the report."""
        done = self.folder / "done"
        asked = "\n".join([self.shown(), *map(source, ("dslite", "dslite_plugins", "dslite_device")), ""])
        there = done.read_text(encoding="utf-8") if done.is_file() else None
        if there != asked:
            training, compressing = (self._filled(words) for words in self.commands())
            if not _was_trained_by(self.runs / self.name, training):
                if self._begin:
                    _, script, *folders = self._filled(self._begin)
                    subprocess.run([sys.executable, script, *folders], check=True, cwd=Path(__file__).parents[1])
                _run(training)
            if there is not None:  # complete, of other commands or another source
                done.unlink()
                compressing.append("--fresh")
            _run(compressing)
            done.write_text(asked, encoding="utf-8")
        return document.read(self.folder / "report.json")

    def time_again(self) -> BenchReport:
        """Time the files of a complete experiment anew, by turns, and give its report with these latencies."""
        if not (self.folder / "done").is_file():
            sys.exit(f"{self.folder}: expected a complete experiment: run it without --time-again")
        report = document.read(self.folder / "report.json")
        paths = (str(self.folder / run.artifact.path) for run in report.runs)
        bare = (relative.without(run, "speed_up", "uar_difference") for run in report.runs)
        rows = {
            number: replace(run, artifact=replace(run.artifact, path=path))
            for number, (run, path) in enumerate(zip(bare, paths, strict=True))
        }
        print(f"{self.name}: {len(rows)} files in {ROUNDS} rounds", file=sys.stderr, flush=True)
        machine, rows = (
            environment(),
            rows | interleave.time_in_rounds(rows, rows[0].plan, ROUNDS, lambda *_: None, launchers.Process()),
        )
        runs = relative.compared(list(rows.values()), self.difference)
        timed = document.report(runs, report.command, machine)
        document.write(timed, self.folder / TIMED_AGAIN)
        return timed

    def difference(self, one: Run, other: Run) -> Difference:
        """Compare the predictions of two rows."""
        files = (self.folder / "predictions" / f"{Path(run.artifact.path).name}.test.csv" for run in (one, other))
        return difference_of_predictions(*map(read_predictions, files))

    def _filled(self, words: Sequence[str]) -> list[str]:
        data = os.environ["DSLITE_TEST_DATA"]
        return [
            word.replace("$DSLITE_TEST_DATA", data)
            .replace("$W", f"{data}/weights/imagenet_keras")
            .replace("runs/", f"{self.runs}/")
            for word in words
        ]


def _was_trained_by(folder: Path, words: Sequence[str]) -> bool:
    """Tell whether a run is complete, and of a command with the same options, in any order and wherever files are."""
    if not (is_run(folder) and is_complete(folder)):
        return False
    recorded = shlex.split(read(folder).command)
    return sorted(map(_bare, recorded)) == sorted(map(_bare, ["dslite", *words]))


def _bare(word: str) -> str:
    return Path(word).name if Path(word).is_absolute() else word


def _run(words: Sequence[str]) -> None:
    """Run a command of dslite; where it fails, so does the benchmark, and goes on there the next time."""
    print(shlex.join(["dslite", *words]), file=sys.stderr, flush=True)
    ended = subprocess.run([sys.executable, "-m", "dslite", *words], check=False, stdout=subprocess.DEVNULL)
    if ended.returncode:
        sys.exit(f"exit code {ended.returncode}: dslite {shlex.join(words)}")


def figures_of(one: Experiment, runs: Sequence[Run]) -> list[Figure]:
    """Hold the rows against what is asked for.

    What is asked for is one row of the table: one that is named above, or where these fall short the first that does
    not, which is told with how many there were to choose from.
    """
    base = runs[0]
    small = [run for run in runs if (value(base, "size") or 0) >= SMALLER * (value(run, "size") or float("inf"))]
    fast = [
        run
        for run in runs
        if run.artifact.exporter == "tflite-float32"
        and any(chain.startswith("channels") for chain in run.artifact.compressors)
        and (value(run, "speed_up") or 0) >= FASTER
    ]
    no_loss_shown = [run for run in small if (ends := _interval(run)) and ends[1] >= 0]
    little_lost = [run for run in fast if (lost := value(run, "uar_difference")) is not None and lost >= -MOST_LOST]
    trained = _trained_and_plain(one, runs)
    gained = _told_difference(trained.difference, trained.interval)
    return [
        Figure(
            f"a file {SMALLER} times smaller than float32",
            "no loss, or one whose interval holds 0",
            _told(_quoted((SMALL, one.smallest), no_loss_shown, small), "size", base),
            bool(no_loss_shown),
            f"so {len(no_loss_shown)} of {len(small)} rows as small",
        ),
        Figure(
            f"a structured-pruned float32 file {FASTER} times faster",
            "a loss of at most 2 points",
            _told(_quoted((one.fast,), little_lost, fast or runs), "speed", base),
            bool(little_lost),
            f"so {len(little_lost)} of {len(fast)} rows as fast",
        ),
        Figure(
            "QAT against post-training int8",
            "at least as good",
            f"UAR {trained.uar_a:.3f} against {trained.uar_b:.3f}: {gained}",
            trained.difference >= 0,
            f"tflite-int8 of both, {trained.n} files",
        ),
    ]


def _quoted(named: Sequence[str], fitting: Sequence[Run], others: Sequence[Run]) -> Run | None:
    """Give the first row that is named and fits, else the first that does; of the others where none does."""
    rows = {name(run): run for run in fitting or others}
    return next((rows[one] for one in named if one in rows), next(iter(rows.values()), None))


def _trained_and_plain(one: Experiment, runs: Sequence[Run]) -> Difference:
    """Compare int8 after QAT and without, on the same files."""
    rows = {name(run): run for run in runs}
    return one.difference(rows[one.trained], rows[SMALL])


def _interval(run: Run) -> tuple[float, float] | None:
    found = find(run.measurements, "uar_difference")
    return (found.statistics["low"], found.statistics["high"]) if found else None


def _told(run: Run | None, what: str, base: Run) -> str:
    if run is None:
        return "none"
    if what == "size":
        told = f"{(value(base, 'size') or 0) / (value(run, 'size') or 1):.2f} times smaller"
    else:
        speed = find(run.measurements, "speed_up")
        ends = "" if speed is None or "low" not in speed.statistics else " ({low:.2f} to {high:.2f})"
        told = f"{value(run, 'speed_up') or 0:.2f}x{ends.format(**speed.statistics if speed else {})} as fast"
    lost = _told_difference(value(run, "uar_difference") or 0.0, _interval(run))
    return f"{name(run)}: {told}, UAR {lost}"


def _told_difference(difference: float, interval: tuple[float, float] | None) -> str:
    low, high = interval or (float("nan"), float("nan"))
    return f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"


def write(one: Experiment, output: Path, *, time_again: bool = False) -> None:
    """Do one experiment, or time its files again, and write down its table, with its figures first."""
    report = one.time_again() if time_again else one.do()
    flags = f"--set {one.data} --backbone {one.backbone}{' --time-again' if time_again else ''}"
    command = f"python benchmarks/compression.py {flags}"
    results = Results(one.name, f"Compression: {one.title}", command)
    results.add_figures(figures_of(one, report.runs))
    results.add(markdown(view([("report.json", report)])).rpartition("\n```sh\n")[0].rstrip())
    results.add(one.shown())
    if time_again:
        made_by = document.read(one.folder / "report.json").commit
        results.add(
            f"Latencies are of the same files timed again; models and scores are of dslite at commit {made_by}."
        )
    results.write(output / NAME)


def write_overview(output: Path) -> None:
    """Write the figures of all experiments that were written down, now or earlier, and where their tables are."""
    parts = ["# Compression of trained models", "`python benchmarks/compression.py`; a table an experiment, linked."]
    for data, backbone in SETTINGS:
        one = Experiment(data, backbone, Path())
        record = output / NAME / f"{one.name}.json"
        if record.is_file():
            kept = json.loads(record.read_text(encoding="utf-8"))
            title = f"## [{one.title}]({NAME}/{one.name}.md)"
            parts += [title, table([Figure(**figure) for figure in kept["figures"]])]
    (output / f"{NAME}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    """Run the experiments, and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--backbone", nargs="+", choices=BACKBONES, default=list(BACKBONES))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument(
        "--time-again", action="store_true", help="the files of complete experiments alone, as after a busy day"
    )
    options = parser.parse_args()
    if "DSLITE_TEST_DATA" not in os.environ:
        sys.exit("DSLITE_TEST_DATA is not set: it names the folder with real audio and weights")
    for data in options.set:
        for backbone in options.backbone:
            one = Experiment(data, backbone, options.runs.resolve())
            write(one, options.output, time_again=options.time_again)
            write_overview(options.output)


if __name__ == "__main__":
    main()
