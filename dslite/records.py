"""The records that plugins return and reports are made of. Standard library only.

Frozen, SI units throughout (seconds, bytes, hertz, counts). Records of data go to JSON and back with
`dslite.codec`; records of plugins hold functions and only describe themselves (`describe`).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from dslite.codec import plain

NOT_IN_NAMES = ":,*?=[]/\\<>|'\""
"""Names are typed with options after them, stand in lists and patterns, and become names of files; no blanks either."""

OptionValue: TypeAlias = bool | int | float | str
Options: TypeAlias = Mapping[str, OptionValue]
Progress: TypeAlias = Callable[[str, float], None]
"""Called with what is being done and the fraction done, 0 to 1."""

Part = Literal["whole", "frontend", "cnn"]
"""What of the system a file holds: audio to probabilities, audio to picture, or picture to probabilities."""

Scaling = Literal["torch", "tf", "caffe", "none"]
"""How a backbone wants its pictures, by the names of ``keras.applications``; see `dslite.model.layers`."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a plugin, given after its name: ``mobilenet_v2:alpha=0.35``.

    Attributes:
        name: what the user types.
        default: its value where the user says nothing; its type is the option's type.
        help: one sentence.
    """

    name: str
    default: OptionValue
    help: str


class Finetune(Protocol):
    """The training loop of dslite, as a compressor is given it: data and recipe are those of the model's training."""

    def __call__(self, model: Any, *, epochs: int = 1, rate: float = 1.0, training: bool = False) -> None:
        """Train a model in place; every call draws order, augmentation and dropout anew, the same calls the same.

        Args:
            model: the image model, or one with wrappers around its layers; it keeps the layers ``scaling``,
                ``pooling``, ``hidden``, ``arelu``, ``dropout`` and ``output``, of which a wrapper's name ends with the
                name of what it wraps.
            epochs: times that all training chunks are seen.
            rate: learning rate, as a share of that of the training's second phase.
            training: call the backbone and the hidden layer in training mode, as wrappers want it that observe ranges
                or prune; batch normalisation must be folded then (`dslite.model.surgery.folded`).

        Raises:
            RunError: where the model diverges.
        """

    def n_steps(self, epochs: int) -> int:
        """Give the number of steps, each a batch, of so many epochs."""

    def pictures(self, n: int) -> Any:
        """Give so many of the training pictures, or all where there are fewer: float32 ``(n, h, w, 3)``, [0, 255]."""


# -- metrics -----------------------------------------------------------------------------------------


Table = Literal["bench", "experiment", "document"]
"""What shows figures: the terminal of ``dslite bench``, that of ``dslite compress``; HTML and Markdown."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a table shows of a metric: its value, or a statistic of it.

    Attributes:
        title: heading, by which rows are sorted and limits are set; its unit, if it has one, on a second line.
        statistic: ``value``, one of those of a measurement, such as ``p90``, or ``half_interval``, half the interval of
            a median, as a share of it.
        meaning: what it is, in words; empty: that of the metric.
        form: how it is written, a name of `dslite.metrics.forms.FORMS`; empty: by the unit.
        of: metric that it is a part of, which then stands behind a slash; empty: of none.
        brackets: what stands behind it in brackets, from ``low`` to ``high``; empty: nothing.
        rank: a narrow table leaves out the lowest first, and a page has the highest on the left.
        tables: that have it: those of the terminal, and documents, which have every column with a figure.
        optional: whether a table has it only where a row has a figure.
        paper: field of `dslite.report.paper.PaperFigures` that stands beside it; empty: none.
    """

    title: str
    statistic: str = "value"
    meaning: str = ""
    form: str = ""
    of: str = ""
    brackets: str = ""
    rank: int = 50
    tables: tuple[Table, ...] = ("bench", "experiment", "document")
    optional: bool = True
    paper: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A kind of figure, and all that reports, comparisons, limits and plots know of it.

    One that nobody describes has what follows from its name and unit; see `dslite.metrics.metric`.

    Attributes:
        name: in snake case, such as ``first_latency``.
        unit: of its values: ``s``, ``bytes``, ``count``, ``ratio``, or any other, such as ``J``.
        meaning: what it is, in words.
        better: which of two values is the better one.
        interval: how sure a change of it is. ``exact``: it counts as it is. ``median``: by the interval of the ratio of
            two medians. ``run_to_run``: where it is beyond what two measurements of one file differ by.
        run_to_run: that difference, as a share; 0: the one that `dslite compare --run-to-run` allows for times.
        follows: metric that it is computed from; empty: it is measured, or counted.
        no_limit: why `dslite compare --fail-if` takes no limit on it; empty: it does.
        is_compared: whether a comparison shows how it changes.
        is_objective: whether it has a part in which rows of a bench are Pareto-optimal.
        is_spoiled: whether a run that is not valid says too much or too little of it.
        columns: of tables; empty: one of its value.
        in_csv: what a CSV has of it: ``value``, or statistics.
        axis: title beside a plot; empty: it is not drawn.
        best: what a page calls the best value of all rows; empty: it does not show that.
    """

    name: str
    unit: str
    meaning: str = ""
    better: Literal["lower", "higher", "neither"] = "neither"
    interval: Literal["exact", "median", "run_to_run"] = "exact"
    run_to_run: float = 0.0
    follows: str = ""
    no_limit: str = ""
    is_compared: bool = True
    is_objective: bool = False
    is_spoiled: bool = False
    columns: tuple[Column, ...] = ()
    in_csv: tuple[str, ...] = ("value",)
    axis: str = ""
    best: str = ""


# -- what plugins return: one record type a hook ------------------------------------------------------


def any_options(options: Options) -> None:
    """Find nothing wrong with options, as `check` of a plugin that says nothing of them."""
    del options


def no_files(options: Options) -> tuple[Path, ...]:
    """Give no files, as `uses` of a target that needs none."""
    del options
    return ()


def apart(
    jobs: Sequence[tuple["Artifact", "Plan"]], device: "Device", options: Options, progress: Progress
) -> Sequence["Outcome"]:
    """Time nothing, as `together` of a target that times each file by itself."""
    del jobs, device, options, progress
    return ()


@dataclass(frozen=True, slots=True)
class Backbone:
    """An image CNN without its classifier.

    Attributes:
        name: unique among backbones, in snake case.
        build: ``build(input_shape, weights, options) -> tf_keras.Model``. ``input_shape`` is
            ``(height, width, 3)``; ``weights`` is ``None`` (random), ``"imagenet"`` or the path of a weight
            file; the model maps pictures float32 ``(n, height, width, 3)``, scaled as `scaling` says, to
            feature maps float32 ``(n, h, w, n_features)``.
        scaling: how pictures of range [0, 255] are scaled before the backbone; dslite does the scaling.
        n_features: channels of the feature map, with default options.
        min_size_px: smallest height and width `build` accepts.
        licence: of the code and, where it ships any, the weights.
        source: the publication, or an address.
        options: what may follow the name.
    """

    name: str
    build: Callable[[tuple[int, int, int], str | None, Options], Any]
    scaling: Scaling
    n_features: int
    min_size_px: int
    licence: str
    source: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Augmenter:
    """Changes a whole batch of pictures and labels with TensorFlow operations.

    Attributes:
        name: unique among augmenters.
        apply: ``apply(images, labels, strength, seed, options) -> (images, labels)``. ``images`` float32
            ``(n, height, width, 3)`` in [0, 255]; ``labels`` float32 ``(n, classes)``, or ``(n, 1)`` numbers of a
            regression; ``strength`` float32 ``(n,)`` in [0, 1], where 0 leaves the sample as it is; ``seed`` int32
            ``(2,)``, for TensorFlow's stateless random operations.
        source: the publication, or an address.
        options: what may follow the name.
    """

    name: str
    apply: Callable[[Any, Any, Any, Any, Options], tuple[Any, Any]]
    source: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Compressor:
    """Makes a Keras model smaller or faster.

    Attributes:
        name: unique among compressors.
        compress: ``compress(model, finetune, options) -> tf_keras.Model``; ``model`` is the trained image model, of
            which a changed one comes back; ``finetune`` is a `Finetune`.
        source: the publication, or an address.
        options: what may follow the name.
        check: ``check(options) -> None`` raises `SpecError` where they cannot be, so that the user hears of it before
            the models before this one are trained; what it returns is ignored.
    """

    name: str
    compress: Callable[[Any, Finetune, Options], Any]
    source: str
    options: tuple[Option, ...] = ()
    check: Callable[[Options], object] = any_options


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes a Keras model as a file.

    Attributes:
        name: unique among exporters.
        suffix: of the file or folder it writes, with its dot; targets choose what they can run by it.
        export: ``export(model, path, calibration, options) -> None`` writes `model` (one input, one output)
            to `path`, which does not exist yet. ``calibration`` yields input arrays float32 of the model's
            input shape with batch 1, or is ``None``.
        needs_calibration: whether ``calibration`` must be given.
        source: what the format is, or an address.
        options: what may follow the name.
        check: ``check(options) -> None`` raises `SpecError` where they cannot be; what it returns is ignored.
    """

    name: str
    suffix: str
    export: Callable[[Any, str, Iterable[Any] | None, Options], None]
    needs_calibration: bool
    source: str
    options: tuple[Option, ...] = ()
    check: Callable[[Options], object] = any_options


@dataclass(frozen=True, slots=True)
class Target:
    """A place where files are run and measured.

    Attributes:
        name: unique among targets.
        suffixes: the file formats it runs, such as ``(".tflite",)``.
        devices: ``devices() -> [Device]``, quickly and without starting anything. Where there may be several, the
            option ``device`` (`AUTO` where there is one) takes an id; one that cannot be used has a `problem`.
        run: ``run(artifact, device, plan, options, progress) -> [Measurement]``, or an `Outcome` where there is more to
            tell; in a process of its own: a model that crashes its runtime raises `MeasurementError` here.
        source: what runs the file.
        options: what may follow the name.
        by_default: whether files are measured there where the user names no target.
        check: ``check(options) -> None`` raises a `UserError` where options cannot be, or what they need is not there,
            so that the user hears of it before models are built; what it returns is ignored.
        uses: ``uses(options) -> [Path]``: the files that it measures with, such as a runner; where one has changed, a
            bench that goes on where it was measures anew.
        together: ``together(jobs, device, options, progress) -> [Outcome]``: times several files in one process, each
            a few runs at a time and in turn, so that what disturbs one disturbs the others; no memory. Jobs are pairs
            of artifact and plan. Where a target has none, files that are compared follow each other, a process each.
        metrics: descriptions of the metrics of its own that it measures; reports keep those that a run has figures of.
            Metrics of dslite's own stay in their units: a figure in another one is an error of the run.
    """

    name: str
    suffixes: tuple[str, ...]
    devices: Callable[[], Sequence["Device"]]
    run: Callable[["Artifact", "Device", "Plan", Options, Progress], "Sequence[Measurement] | Outcome"]
    source: str
    options: tuple[Option, ...] = ()
    by_default: bool = True
    check: Callable[[Options], object] = any_options
    uses: Callable[[Options], Sequence[Path]] = no_files
    together: Callable[[Sequence[tuple["Artifact", "Plan"]], "Device", Options, Progress], Sequence["Outcome"]] = apart
    metrics: tuple[Metric, ...] = ()


PluginRecord: TypeAlias = Backbone | Augmenter | Compressor | Exporter | Target


# -- what files, devices and reports are described by -------------------------------------------------


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The input or output of a file.

    Attributes:
        kind: ``audio`` samples in [-1, 1], ``image`` in [0, 255], ``probabilities``, ``values`` of a
            regression, or ``unknown`` for a foreign file.
        shape: with batch 1 first.
        dtype: by its numpy name.
    """

    kind: Literal["audio", "image", "probabilities", "values", "unknown"]
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """An exported file and what is known of it; its manifest holds exactly this.

    Attributes:
        path: of the file or folder; in a manifest, its bare name.
        sha256: of the file's bytes; of a folder, see `dslite.files.sha256`.
        size_bytes: of the file, or of all files in the folder.
        backbone: name and options it was built from, or None for a foreign file.
        weights: ``none`` (random), ``imagenet``, or the name of the weight file.
        compressors: names and options, in the order they were applied.
        exporter: name and options.
        part: what of the system the file holds.
        input: what goes in.
        output: what comes out.
        labels: of the classes, in the order of the output; empty for a regression or a picture.
        chunk: the fields of `dslite.recipe.ChunkSpec`, or None for a foreign file.
        frontend: the fields of `dslite.recipe.FrontendSpec`, or None for a foreign file.
        params: parameters of the Keras model (a foreign file: of the file's weight tensors).
        macs: multiply-accumulates of one inference, batch 1.
        split_seed: by which the training divided a table without splits; None where `dslite train` did not make it.
        n_calibration: samples the exporter calibrated with; None where it did not.
    """

    path: str
    sha256: str
    size_bytes: int
    backbone: str | None
    weights: str | None
    compressors: tuple[str, ...]
    exporter: str | None
    part: Part
    input: TensorSpec
    output: TensorSpec
    labels: tuple[str, ...]
    chunk: dict[str, Any] | None
    frontend: dict[str, Any] | None
    params: int | None
    macs: int | None
    split_seed: int | None = None
    n_calibration: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A machine that measures: this host, or a phone.

    Attributes:
        id: by which it is told from others: `HOST`, or the serial number of a phone.
        model: of the machine, or of its processor.
        os: with its version.
        abi: application binary interface, such as ``arm64-v8a``.
        cpus: cores.
        memory_bytes: RAM.
        soc: system on chip; empty where that is not known.
        core_max_hz: highest frequency of each core; empty where that is not known.
        state: how it is just now, such as ``battery_percent`` and ``thermal_status``; as far as it tells.
        problem: why it cannot be used, and the cure; empty where it can.
    """

    id: str
    model: str
    os: str
    abi: str
    cpus: int
    memory_bytes: int
    soc: str = ""
    core_max_hz: tuple[int, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


AUTO = "auto"
"""As an option's value: dslite finds it."""
HOST = "host"
"""Id of the device that is this machine."""
DEFAULT_THREADS = 4
"""As in the paper (section 3.4)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file is measured.

    Attributes:
        threads: for the runtime; 0: `DEFAULT_THREADS`, or as many as the device has cores if these are fewer.
        warmup_runs: untimed runs after the first, at least.
        warmup_s: seconds of untimed runs, at least.
        runs: timed runs, at least.
        min_s: seconds of timed runs, at least.
        max_s: stop timing after so many seconds, whatever `runs` says.
        timeout_s: give a process up after so many seconds.
        memory: whether to measure memory, in a process of its own.
        input_path: a ``.npy`` file ``(k, *shape of the input)``: the inputs, used in turn; empty in a report.
        input: in words, where these inputs come from.
    """

    threads: int
    warmup_runs: int = 1
    warmup_s: float = 0.5
    runs: int = 50
    min_s: float = 1.0
    max_s: float = 150.0
    timeout_s: float = 600.0
    memory: bool = True
    input_path: str = ""
    input: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure and how it was got.

    Attributes:
        metric: its name: one of `dslite.metrics.METRICS`, or of a target's own.
        value: of a series, its median.
        unit: that of its metric.
        method: one sentence a reader can repeat the measurement from.
        samples: every sample taken, in order; empty for what is counted, not sampled.
        statistics: of the samples, see `dslite.measure.figures.with_statistics`; of a score: n, chance, and low and
            high, the ends of its confidence interval, where there is one; of a difference also n_changed, the files
            that are taken for another class; of ratios: n, low and high, the least and the greatest.
    """

    metric: str
    value: float
    unit: str
    method: str
    samples: tuple[float, ...] = ()
    statistics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """Something a reader of a figure must know.

    Attributes:
        code: what it is about, the same in every language and version, such as ``drift``; those of
            `dslite.measure.validity.RULES` say that the figures are not valid.
        message: a sentence without a full stop.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a target found, where that is more than measurements.

    Attributes:
        measurements: each with its method.
        flags: what a reader of the figures must know, such as that the device grew too hot.
        conditions: under which they were taken, JSON-ready, so that another person can repeat them. The table reads
            ``runner`` (what measured, where that was not dslite), ``cores``, ``fixed_performance``, and ``input`` (in
            words, where it was not the plan's); ``stopped``, ``throttled``, says why runs are fewer than planned.
    """

    measurements: tuple[Measurement, ...] = ()
    flags: tuple[Flag, ...] = ()
    conditions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One file measured on one device; a run that failed has an `error` and keeps what it had measured.

    Attributes:
        artifact: the file.
        target: name and options, without folders of the user's.
        device: None where none was reached.
        plan: how.
        measurements: with their methods.
        flags: what a reader of the figures must know.
        error: why it failed, or None.
        conditions: that the target recorded.
        metrics: what its target says of metrics that only it measures.
    """

    artifact: Artifact
    target: str
    device: Device | None
    plan: Plan
    measurements: tuple[Measurement, ...] = ()
    flags: tuple[Flag, ...] = ()
    error: str | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What ``dslite bench -o`` and ``dslite compress`` write.

    Attributes:
        schema: version of this form; it counts up with every change old readers would stumble over.
        created: when, UTC, ISO 8601.
        dslite: version that made it.
        commit: of its source, ``+changes`` where that was changed; None: unknown, or not from a repository.
        command: that made it, as it was typed.
        environment: of the machine that measured, or drove the phones that did, before the first run.
        runs: in the order of the table.
        partial: what was not done yet of what the command asked for; empty: all of it was.
    """

    schema: int
    created: str
    dslite: str
    commit: str | None
    command: str
    environment: dict[str, Any]
    runs: tuple[Run, ...]
    partial: str = ""


def as_typed(value: OptionValue) -> str:
    """Write the value of an option as a user types it: ``true``, ``300``, ``big``."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def describe(record: PluginRecord) -> dict[str, Any]:
    """Give what a plugin record says of itself, without its functions, JSON-ready."""
    return {
        f.name: plain(getattr(record, f.name))
        for f in dataclasses.fields(record)
        if not callable(getattr(record, f.name))
    }
