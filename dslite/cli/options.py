"""Options that several commands share, and what they stand for."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from dslite.errors import SpecError
from dslite.experiment.building import ModelRequest, System, check, checked_weights
from dslite.loading import Kind
from dslite.recipe import ChunkSpec, FrontendSpec, HeadSpec, Recipe, TrainingRecipe
from dslite.registry import registry

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


class Seconds(click.FloatRange):
    """A number of seconds: finite, at least a minimum, at most a week."""

    name = "seconds"

    def __init__(self, minimum: float) -> None:
        super().__init__(minimum, 7 * 24 * 3600)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the number, or fail; no comparison holds for NaN, so none refuses it."""
        number = super().convert(value, param, ctx)
        if number != number:  # noqa: PLR0124 - NaN
            self.fail(f"expected seconds, got {value}", param, ctx)
        return number


class OutputPath(click.Path):
    """What will be written: whether it can be is told before anything long starts.

    Attributes:
        folder: whether it may be a folder.
        parents: whether the folders it is in are made where they are not there.
    """

    def __init__(self, *, folder: bool = False, parents: bool = False) -> None:
        super().__init__(path_type=Path)
        self.folder = folder
        self.parents = parents

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the path, or fail."""
        path = Path(str(super().convert(value, param, ctx)))
        parent = path.parent
        while self.parents and not parent.exists():
            parent = parent.parent
        if not parent.is_dir():
            self.fail(f"the folder {parent} does not exist: make it first", param, ctx)
        if path.is_dir() and not self.folder:
            self.fail(f"expected a file name, got the folder {path}", param, ctx)
        if (path.is_dir() or not path.exists()) and not os.access(parent, os.W_OK):
            self.fail(f"the folder {parent} may not be written to", param, ctx)
        return path


OUTPUT = OutputPath()


def share_of(text: str) -> float:
    """Read a share, such as ``25%`` or ``0.25``.

    Raises:
        ValueError: where it is none; a bare number is below 1.
    """
    number = text.strip()
    with contextlib.suppress(ValueError):
        is_percent = number.endswith("%")
        share = float(number.removesuffix("%")) * (0.01 if is_percent else 1.0)
        if 0 <= share < (10 if is_percent else 1):  # a bare 5 was meant to be 5 %
            return share
    raise ValueError(f"expected a share such as 25% or 0.25, got {number!r}")


class PluginName(click.types.StringParamType):
    """The name of a plugin, maybe with options, or a list of such where several are taken; the shell completes it.

    Attributes:
        kind: of plugins.
        words: what may stand instead of names, where several are taken.
        joint: what may stand between names that are one item of the list; empty where nothing may.
    """

    name = "name"

    def __init__(self, kind: Kind, words: Sequence[str] = ("all",), joint: str = "") -> None:
        self.kind = kind
        self.words = tuple(words)
        self.joint = joint

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer what is installed; behind a comma, what goes on with the list."""
        del ctx
        several = isinstance(param, click.Option) and param.multiple
        cut = max((incomplete.rfind(mark) for mark in (",", *self.joint)), default=-1) + 1 if several else 0
        names = [*registry().names(self.kind), *(self.words if several and not cut else [])]
        return [CompletionItem(incomplete[:cut] + name) for name in names if name.startswith(incomplete[cut:])]


Row: TypeAlias = tuple[str, str, Any, Any, str]
"""An option: its flag, the name the command knows it by, its type, its default, and its help."""


@dataclass(frozen=True, slots=True)
class Setting:
    """An option that fills a field of `TrainingRecipe` or of one of its records; type and default are the field's.

    Attributes:
        table: the record, such as ``frontend``; empty for the recipe itself.
        field: of that record.
        help: one sentence.
        named: what the user types; empty: the field's name.
        argument: of the command; empty: the field's name.
        plugins: completes names, where the field has such.
        factor: the option's units in one of the field's: milliseconds on the command line are seconds in the record.
    """

    table: str
    field: str
    help: str
    named: str = ""
    argument: str = ""
    plugins: PluginName | None = None
    factor: float | None = None

    @property
    def flag(self) -> str:
        """Name the option; of a switch, with its negative."""
        name = self.named or self.field.replace("_", "-")
        return f"--{name}/--no-{name}" if self._annotation is bool else f"--{name}"

    @property
    def parameter(self) -> str:
        """Name the argument of the command."""
        return self.argument or self.field

    @property
    def kind(self) -> Any:
        """Give the option's type; None is a switch."""
        if self.plugins:
            return self.plugins
        if get_origin(self._annotation) is Literal:
            return click.Choice(get_args(self._annotation))
        return None if self._annotation is bool else self._annotation

    @property
    def default(self) -> Any:
        """Give the field's default in the option's units; None where there is nothing to show."""
        value = getattr(self._record, self.field)
        if value in ("", ()):
            return None
        return value * self.factor if self.factor else value

    @property
    def row(self) -> Row:
        """Give the option."""
        return self.flag, self.parameter, self.kind, self.default, self.help

    def value(self, given: Any) -> Any:
        """Turn what the option got into what the field takes."""
        return given / self.factor if self.factor else given

    @property
    def _record(self) -> Any:
        return getattr(TrainingRecipe(), self.table) if self.table else TrainingRecipe()

    @property
    def _annotation(self) -> Any:
        """Give the field's type, without the None of one that may be left out."""
        annotation = get_type_hints(type(self._record))[self.field]
        arguments = get_args(annotation)
        return arguments[0] if type(None) in arguments else annotation


_MS = 1e3  # in a second

PICTURE_SETTINGS: tuple[Setting, ...] = (
    Setting("chunk", "length_s", "Seconds of a chunk.", "chunk"),
    Setting(
        "chunk",
        "hop_s",
        "Seconds from one chunk's start to the next.  [default: half a chunk]",
        "chunk-hop",
        "chunk_hop_s",
    ),
    Setting("chunk", "short", "Files shorter than a chunk."),
    Setting("chunk", "tail", "What is left behind the last whole chunk."),
    Setting("frontend", "sample_rate_hz", "Hertz audio is resampled to.", "sample-rate"),
    Setting("frontend", "window_s", "Milliseconds of the Hann window.", "window", "window_ms", factor=_MS),
    Setting("frontend", "hop_s", "Milliseconds from one window to the next.", "stft-hop", "stft_hop_ms", factor=_MS),
    Setting("frontend", "n_fft", "Points of the Fourier transform.  [default: the window's samples]"),
    Setting("frontend", "n_mels", "Mel bins.", "mels"),
    Setting("frontend", "f_min_hz", "Lowest frequency, hertz.", "fmin"),
    Setting("frontend", "f_max_hz", "Highest frequency, hertz.  [default: half the sample rate]", "fmax"),
    Setting("frontend", "mel_scale", "Mel scale."),
    Setting("frontend", "mel_norm", "Give each Mel filter area 1."),
    Setting("frontend", "top_db", "Decibels below the maximum at which a picture is cut."),
    Setting("frontend", "colour_map", "Colours of the picture."),
    Setting("frontend", "size_px", "Height and width of the picture, pixels.", "size"),
    Setting("frontend", "resize", "Interpolation of the picture."),
)
"""How audio is cut and becomes pictures: what `recipe_options` add, and training too."""

HEAD_SETTINGS: tuple[Setting, ...] = (
    Setting("head", "n_hidden", "Units of the hidden layer.", "hidden"),
    Setting("head", "dropout", "Rate behind the hidden layer."),
)

RECIPE_FLAGS = {setting.parameter: setting.flag.partition("/")[0] for setting in PICTURE_SETTINGS}


def recipe_options(function: F) -> F:
    """Add the options of chunks and front end; the command gets them as one argument, ``recipe``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        given: dict[str, dict[str, Any]] = {"chunk": {}, "frontend": {}}
        for setting in PICTURE_SETTINGS:
            given[setting.table][setting.field] = setting.value(values.pop(setting.parameter))
        recipe = Recipe(ChunkSpec(**given["chunk"]), FrontendSpec(**given["frontend"]))
        _ = recipe.chunk_samples  # raises where a chunk is shorter than a window
        return function(recipe=recipe, **values)

    return cast(F, with_options(wrapper, [setting.row for setting in PICTURE_SETTINGS]))


def with_options(function: Any, rows: Sequence[Row], repeated: Sequence[str] = ()) -> Any:
    """Add options to a command; those whose names are in `repeated` may be given several times."""
    for flag, field, kind, default, text in reversed(rows):
        show, several = default is not None, field in repeated
        add = click.option(flag, field, type=kind, default=default, show_default=show, multiple=several, help=text)
        function = add(function)
    return function


def plugins_option(kind: Kind, text: str) -> Callable[[F], F]:
    """Add an option that names plugins of a kind, and may be repeated: ``--exporter`` for ``exporters``."""
    return click.option(f"--{kind[:-1]}", kind, type=PluginName(kind), multiple=True, help=text)


def given(parameter: str) -> bool:
    """Tell whether the user gave an option of the command that runs."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def refuse_options(flags: Mapping[str, str], why: str) -> None:
    """Refuse options where they have no meaning: by the command's argument, the option that gives it.

    Raises:
        SpecError: where one of them was given; it says why after the option.
    """
    for field, flag in flags.items():
        if given(field):
            raise SpecError(f"{flag} {why}")


SEED = click.IntRange(0, 2**31 - 1)
WEIGHTS_HELP = "Of the backbone: none (random), imagenet (downloaded), or a file (.h5, .keras)."

_MODEL_OPTIONS: tuple[Row, ...] = (
    ("--weights", "weights", str, "none", WEIGHTS_HELP),
    ("--labels", "labels", str, None, "Names of the classes, comma-separated."),
    ("--classes", "n_classes", click.IntRange(2), None, "Number of classes, where they have no names.  [default: 4]"),
    *(setting.row for setting in HEAD_SETTINGS),
    ("--seed", "seed", click.IntRange(0, 2**32 - 1), 0, "Of random weights."),
)
MODEL_FLAGS = {"regression": "--regression", **{field: flag for flag, field, *_ in _MODEL_OPTIONS}}
_DEFAULT_CLASSES = 4


def model_options(function: F) -> F:
    """Add the options of a model; the command gets one argument, ``model``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        given = {field: values.pop(field) for _, field, *_ in _MODEL_OPTIONS}
        regression = values.pop("regression")
        head = HeadSpec(given["n_hidden"], given["dropout"], "linear" if regression else "softmax")
        labels = _labels(given["labels"], given["n_classes"], regression=regression)
        model = ModelRequest(head, labels, checked_weights(given["weights"]), given["seed"])
        return function(model=model, **values)

    regression = click.option("--regression", is_flag=True, help="One linear output instead of classes.")
    return cast(F, regression(with_options(wrapper, _MODEL_OPTIONS)))


def _labels(names: str | None, n_classes: int | None, *, regression: bool) -> tuple[str, ...]:
    if regression:
        if names is not None or n_classes is not None:
            raise SpecError("--regression has one output and no classes: leave --labels and --classes away")
        return ()
    if names is None:
        return tuple(f"class_{i}" for i in range(_DEFAULT_CLASSES if n_classes is None else n_classes))
    labels = tuple(name.strip() for name in names.split(","))
    if len(set(labels)) != len(labels) or "" in labels or len(labels) < 2:  # noqa: PLR2004 - two classes
        raise SpecError(f"--labels: expected two or more different names, none empty, got {names!r}")
    if n_classes not in (None, len(labels)):
        raise SpecError(f"--classes {n_classes} does not fit the {len(labels)} names of --labels: leave it away")
    return labels


def extractor_options(function: F) -> F:
    """Add the options of a backbone whose features are wanted; the command gets one argument, ``system``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        recipe: Recipe = values.pop("recipe")
        weights = checked_weights(values.pop("weights"))
        head = dataclasses.replace(recipe.head, output="linear")  # there must be one; nobody looks at it
        model = ModelRequest(head, (), weights, values.pop("seed"))
        system = System(values.pop("backbone"), model, dataclasses.replace(recipe, head=head))
        check(system)
        return function(system=system, **values)

    result = recipe_options(wrapper)
    result = click.option("--seed", type=SEED, default=0, show_default=True, help="Of random weights.")(result)
    result = click.option("--weights", default="imagenet", show_default=True, help=WEIGHTS_HELP)(result)
    text = "`dslite list backbones` names them."
    return cast(F, click.option("--backbone", type=PluginName("backbones"), required=True, help=text)(result))
