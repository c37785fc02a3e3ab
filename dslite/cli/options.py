"""Options that several commands share, and what they stand for."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from dslite.errors import SpecError
from dslite.loading import Kind
from dslite.recipe import (
    REFERENCE,
    ChunkSpec,
    ColourMap,
    FrontendSpec,
    HeadSpec,
    MelScale,
    Recipe,
    Resize,
    Short,
)
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
    """What will be written: whether it can be is told before anything long starts."""

    def __init__(self, *, folder: bool = False) -> None:
        super().__init__(path_type=Path)
        self.folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give the path, or fail."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"the folder {path.parent} does not exist: make it first", param, ctx)
        if path.is_dir() and not self.folder:
            self.fail(f"expected a file name, got the folder {path}", param, ctx)
        if not path.exists() and not os.access(path.parent, os.W_OK):
            self.fail(f"the folder {path.parent} may not be written to", param, ctx)
        return path


OUTPUT = OutputPath()


class PluginName(click.types.StringParamType):
    """The name of a plugin, maybe with options, or a list of such where several are taken; the shell completes it."""

    name = "name"

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer what is installed; behind a comma, what goes on with the list."""
        del ctx
        several = isinstance(param, click.Option) and param.multiple
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        names = [*registry().names(self.kind), *(["all"] if several and not comma else [])]
        return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]


_CHUNK, _FRONTEND, _HEAD = REFERENCE.chunk, REFERENCE.frontend, REFERENCE.head


def _choice(annotation: Any) -> click.Choice[str]:
    return click.Choice(get_args(annotation))


# Each option, and the field of the spec it fills; milliseconds on the command line are seconds in the spec.
_RECIPE_OPTIONS: tuple[tuple[str, str, Any, Any, str], ...] = (
    ("--chunk", "length_s", float, _CHUNK.length_s, "Seconds of a chunk."),
    (
        "--chunk-hop",
        "chunk_hop_s",
        float,
        None,
        "Seconds from one chunk's start to the next.  [default: half a chunk]",
    ),
    ("--short", "short", _choice(Short), _CHUNK.short, "Files shorter than a chunk."),
    ("--tail", "tail", _choice(Short), _CHUNK.tail, "What is left behind the last whole chunk."),
    ("--sample-rate", "sample_rate_hz", int, _FRONTEND.sample_rate_hz, "Hertz audio is resampled to."),
    ("--window", "window_ms", float, _FRONTEND.window_s * 1e3, "Milliseconds of the Hann window."),
    ("--stft-hop", "stft_hop_ms", float, _FRONTEND.hop_s * 1e3, "Milliseconds from one window to the next."),
    ("--n-fft", "n_fft", int, None, "Points of the Fourier transform.  [default: the window's samples]"),
    ("--mels", "n_mels", int, _FRONTEND.n_mels, "Mel bins."),
    ("--fmin", "f_min_hz", float, _FRONTEND.f_min_hz, "Lowest frequency, hertz."),
    ("--fmax", "f_max_hz", float, None, "Highest frequency, hertz.  [default: half the sample rate]"),
    ("--mel-scale", "mel_scale", _choice(MelScale), _FRONTEND.mel_scale, "Mel scale."),
    ("--mel-norm/--no-mel-norm", "mel_norm", None, _FRONTEND.mel_norm, "Give each Mel filter area 1."),
    ("--top-db", "top_db", float, _FRONTEND.top_db, "Decibels below the maximum at which a picture is cut."),
    ("--colour-map", "colour_map", _choice(ColourMap), _FRONTEND.colour_map, "Colours of the picture."),
    ("--size", "size_px", int, _FRONTEND.size_px, "Height and width of the picture, pixels."),
    ("--resize", "resize", _choice(Resize), _FRONTEND.resize, "Interpolation of the picture."),
)


RECIPE_FLAGS = {field: flag.partition("/")[0] for flag, field, *_ in _RECIPE_OPTIONS}


def recipe_options(function: F) -> F:
    """Add the options of chunks and front end; the command gets them as one argument, ``recipe``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        given = {field: values.pop(field) for _, field, *_ in _RECIPE_OPTIONS}
        chunk = ChunkSpec(given.pop("length_s"), given.pop("chunk_hop_s"), given.pop("short"), given.pop("tail"))
        window_s, hop_s = given.pop("window_ms") / 1e3, given.pop("stft_hop_ms") / 1e3
        recipe = Recipe(chunk, FrontendSpec(window_s=window_s, hop_s=hop_s, **given))
        _ = recipe.chunk_samples  # raises where a chunk is shorter than a window
        return function(recipe=recipe, **values)

    return cast(F, _with_options(wrapper, _RECIPE_OPTIONS))


def _with_options(function: Any, options: tuple[tuple[str, str, Any, Any, str], ...]) -> Any:
    for flag, field, kind, default, text in reversed(options):
        show = default is not None
        function = click.option(flag, field, type=kind, default=default, show_default=show, help=text)(function)
    return function


def refuse_options(flags: Mapping[str, str], why: str) -> None:
    """Refuse options where they have no meaning.

    Args:
        flags: names of the command's arguments, and the option that gives each.
        why: what the message says after the option.

    Raises:
        SpecError: where one of them was given.
    """
    context = click.get_current_context()
    for field, flag in flags.items():
        if context.get_parameter_source(field) is ParameterSource.COMMANDLINE:
            raise SpecError(f"{flag} {why}")


_MODEL_OPTIONS: tuple[tuple[str, str, Any, Any, str], ...] = (
    (
        "--weights",
        "weights",
        str,
        "none",
        "Of the backbone: none (random), imagenet (downloaded), or a file (.h5, .keras).",
    ),
    ("--labels", "labels", str, None, "Names of the classes, comma-separated."),
    ("--classes", "n_classes", click.IntRange(2), None, "Number of classes, where they have no names.  [default: 4]"),
    ("--hidden", "n_hidden", int, _HEAD.n_hidden, "Units of the hidden layer."),
    ("--dropout", "dropout", float, _HEAD.dropout, "Rate behind the hidden layer."),
    ("--seed", "seed", click.IntRange(0, 2**32 - 1), 0, "Of random weights."),
)
MODEL_FLAGS = {"regression": "--regression", **{field: flag for flag, field, *_ in _MODEL_OPTIONS}}
_DEFAULT_CLASSES = 4
_WEIGHTS_BEGIN = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")
"""HDF5, and the zip a .keras file is."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What `model_options` say: all of a model but its backbone and its front end.

    Attributes:
        head: units, dropout, kind of output.
        labels: of the classes; empty for a regression.
        weights: of the backbone: none, imagenet, or the path of a file.
        seed: of random weights.
        run: folder of the training run that gives all weights in their place; empty: none.
    """

    head: HeadSpec
    labels: tuple[str, ...]
    weights: str
    seed: int
    run: str = ""


def model_options(function: F) -> F:
    """Add the options of a model; the command gets one argument, ``model``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        given = {field: values.pop(field) for _, field, *_ in _MODEL_OPTIONS}
        regression = values.pop("regression")
        head = HeadSpec(given["n_hidden"], given["dropout"], "linear" if regression else "softmax")
        labels = _labels(given["labels"], given["n_classes"], regression=regression)
        model = ModelRequest(head, labels, _weights(given["weights"]), given["seed"])
        return function(model=model, **values)

    regression = click.option("--regression", is_flag=True, help="One linear output instead of classes.")
    return cast(F, regression(_with_options(wrapper, _MODEL_OPTIONS)))


def _weights(text: str) -> str:
    if text in ("none", "imagenet"):
        return text
    if not Path(text).is_file():
        raise SpecError(f"--weights: expected none, imagenet or a weight file, got {text!r}, which is no file")
    try:
        with Path(text).open("rb") as file:
            start = file.read(max(map(len, _WEIGHTS_BEGIN)))
    except OSError as error:
        raise SpecError(f"--weights: {text!r} cannot be read: {error.strerror}") from None
    if not start.startswith(_WEIGHTS_BEGIN):
        raise SpecError(f"--weights: expected a weight file that Keras wrote (.h5, .keras), got {text!r}")
    return text


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
