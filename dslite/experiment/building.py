"""From names and options to a Keras model and a file: what `export` and `bench` do alike."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslite import files
from dslite.codec import to_json
from dslite.errors import DsliteError, ExportError, PluginError, SpecError, UserError, in_words
from dslite.experiment import keys
from dslite.learn import run
from dslite.loading import Kind
from dslite.recipe import HeadSpec, Recipe, TrainingRecipe
from dslite.records import Artifact, Backbone, Part, PluginRecord
from dslite.registry import get_with_options, registry

_WEIGHTS_BEGIN = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")
"""HDF5, and the zip a .keras file is."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """All of a model but its backbone and its front end.

    Attributes:
        head: units, dropout, kind of output.
        labels: of the classes; empty for a regression.
        weights: of the backbone: none, imagenet, or the path of a file.
        seed: of random weights.
        run: folder of the training run that gives all weights in their place; empty: none.
    """

    head: HeadSpec
    labels: tuple[str, ...]
    weights: str = "none"
    seed: int = 0
    run: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """A backbone, by its name with options, and everything around it, as data."""

    name: str
    model: ModelRequest
    recipe: Recipe


def system(name: str, model: ModelRequest, recipe: Recipe) -> System:
    """Put a system together."""
    return System(name, model, Recipe(recipe.chunk, recipe.frontend, model.head))


def trained(folder: Path) -> System:
    """Give the system of a training run, with its weights.

    Raises:
        ModelFileError: where the folder is no run, or its training was stopped.
    """
    info = run.read_complete(folder)
    recipe = info.recipe
    model = ModelRequest(recipe.head, info.labels, "none", recipe.training.seed, str(folder))
    return System(recipe.backbone, model, recipe.system)


def split_seed(wanted: System) -> int | None:
    """Give the seed by which the run of a system divides tables without splits; None where there is no run."""
    return run.read(Path(wanted.model.run)).split_seed if wanted.model.run else None


def check(wanted: System) -> None:
    """Raise `SpecError` where the pictures are too small for the backbone."""
    backbone, _ = get_with_options("backbones", wanted.name)
    size_px = wanted.recipe.frontend.size_px
    if size_px < backbone.min_size_px:
        raise SpecError(f"--size: {backbone.name} needs pictures of at least {backbone.min_size_px} px, got {size_px}")


def checked_weights(text: str, where: str = "--weights") -> str:
    """Give what names weights back where it can be them.

    Raises:
        SpecError: where it is neither ``none`` nor ``imagenet`` nor a weight file; the message begins with `where`.
    """
    if text in ("none", "imagenet"):
        return text
    if not Path(text).is_file():
        raise SpecError(f"{where}: expected none, imagenet or a weight file, got {text!r}, which is no file")
    try:
        with Path(text).open("rb") as file:
            start = file.read(max(map(len, _WEIGHTS_BEGIN)))
    except OSError as error:
        raise SpecError(f"{where}: {text!r} cannot be read: {error.strerror}") from None
    if not start.startswith(_WEIGHTS_BEGIN):
        raise SpecError(f"{where}: expected a weight file that Keras wrote (.h5, .keras), got {text!r}")
    return text


def plugin_problems(recipe: TrainingRecipe) -> list[str]:
    """Find what a recipe names that is not installed, has no such options, or does not fit; one line a fault."""
    problems: list[str] = []
    if recipe.backbone:
        try:
            backbone, _ = get_with_options("backbones", recipe.backbone)
        except UserError as error:
            problems.append(f"backbone: {error}")
        else:
            if recipe.frontend.size_px < backbone.min_size_px:
                problems.append(
                    f"[frontend] size_px: expected at least {backbone.min_size_px} px, the smallest picture "
                    f"{backbone.name} takes, got {recipe.frontend.size_px}"
                )
    try:
        checked_weights(recipe.weights, "weights")
    except UserError as error:
        problems.append(str(error))
    for name in recipe.augmentation.augmenters:
        try:
            get_with_options("augmenters", name)
        except UserError as error:
            problems.append(f"[augmentation] augmenters: {error}")
    return problems


def build(wanted: System, tell: Callable[[str], None]) -> Any:
    """Build the image model, and tell how far a download of weights is; TensorFlow is imported here.

    Raises:
        UserError: where the request does not fit the backbone, in the backbone's own words.
        DsliteError: where the backbone's plugin fails, whatever it raises; the message names backbone and plugin.
    """
    from dslite.model.assembly import build_cnn
    from dslite.model.keras import keras
    from dslite.model.weights import downloads_told_to

    backbone, options = get_with_options("backbones", wanted.name)
    keras.utils.set_random_seed(wanted.model.seed)
    weights = None if wanted.model.weights == "none" else wanted.model.weights
    try:
        with contextlib.redirect_stdout(sys.stderr), downloads_told_to(tell):  # JSON may be ours
            cnn = build_cnn(
                backbone,
                options,
                wanted.recipe.frontend.size_px,
                wanted.recipe.head,
                len(wanted.model.labels) or 1,
                weights,
            )
        if wanted.model.run:
            run.load_weights(cnn, Path(wanted.model.run) / run.WEIGHTS)
    except UserError:
        raise
    except SystemExit as error:
        failed = f"backbone {backbone.name}: its build called sys.exit({error.code!r}): it must raise an error"
        raise PluginError(f"{failed} ({_provider(backbone, wanted.model.weights)})") from error
    except DsliteError as error:
        kind = PluginError if isinstance(error, PluginError) else ExportError
        raise kind(f"{error} ({_provider(backbone, wanted.model.weights)})") from error
    except Exception as error:
        failed = f"backbone {backbone.name}: its model cannot be used: {in_words(error)}"
        raise PluginError(f"{failed} ({_provider(backbone, wanted.model.weights)})") from error
    return cnn


def _provider(backbone: Backbone, weights: str) -> str:
    # Where there are weights, a download or a file of the user's may be what failed.
    return provider(backbone, blame=weights == "none")


def provider(record: PluginRecord, *, blame: bool = True) -> str:
    """Say whose a record is and what to do where it fails."""
    plugin = registry().provider(record)
    cure = "mend it, or tell its authors what DSLITE_DEBUG=1 shows" if blame else "DSLITE_DEBUG=1 shows where"
    return f"plugin {plugin.name} of {plugin.distribution}: {cure}"


def export_part(
    wanted: System,
    cnn: Any | None,
    part: Part,
    exporter: str,
    path: Path,
    sounds: Sequence[Path] = (),
    compressors: tuple[str, ...] = (),
) -> Artifact:
    """Export one part of a system.

    Args:
        wanted: the system.
        cnn: its image model, from `build`; not needed for the front end alone.
        part: of the system.
        exporter: name and options.
        path: of the file to write.
        sounds: audio files to calibrate with, for exporters that need them.
        compressors: what `cnn` has gone through: names and options.
    """
    from dslite.deploy import calibration
    from dslite.deploy.export import Provenance, export
    from dslite.model.assembly import build_part

    record, options = get_with_options("exporters", exporter)
    alone = part == "frontend"
    provenance = Provenance(
        backbone=None if alone else wanted.name,
        weights=None if alone else _weights_name(wanted.model),
        part=part,
        recipe=wanted.recipe,
        labels=wanted.model.labels,
        exporter=exporter,
        compressors=compressors,
        split_seed=split_seed(wanted),
    )
    try:
        samples = calibration.samples(sounds, wanted.recipe, part) if sounds else None
        return export(build_part(part, wanted.recipe, cnn), record, options, path, provenance, samples)
    except PluginError as error:
        raise PluginError(f"{error} ({provider(record)})") from error


def export_key(wanted: System, part: Part, exporter: str, sounds: Sequence[Path] = ()) -> str:
    """Give the key under which an exported file is kept in the cache; arguments are those of `export_part`.

    The front end alone has no backbone, and its file serves all of them.
    """
    model = wanted.model
    made_of = None
    if part != "frontend":
        weights = keys.weights(str(Path(model.run) / run.WEIGHTS) if model.run else model.weights)
        made_of = [keys.plugin("backbones", wanted.name), weights, model.seed, list(model.labels)]
    calibrated = get_with_options("exporters", exporter)[0].needs_calibration
    return keys.key(
        {
            "part": part,
            "exporter": keys.plugin("exporters", exporter),
            "calibration": [files.sha256(path) for path in sounds] if calibrated else [],
            "recipe": to_json(wanted.recipe),
            "model": made_of,
            **keys.surroundings(),
        }
    )


def check_options(kind: Kind, name: str) -> None:
    """Raise `SpecError` where the options behind a name cannot be, as the plugin sees it."""
    record, options = get_with_options(kind, name)
    try:
        record.check(options)
    except SpecError as error:
        raise SpecError(f"{kind[:-1]} {name}: {error}") from None
    except (Exception, SystemExit) as error:
        raise SpecError(f"{kind[:-1]} {name}: its check failed: {in_words(error)} ({provider(record)})") from error


def check_exporter(exporter: str, sounds: Sequence[Path]) -> None:
    """Raise `SpecError` where an exporter's options cannot be, or it needs audio to calibrate with and has none."""
    check_options("exporters", exporter)
    if get_with_options("exporters", exporter)[0].needs_calibration and not sounds:
        raise SpecError(
            f"exporter {exporter} needs audio of the kind the model is for, to calibrate with: name it with "
            "--calibration"
        )


def _weights_name(model: ModelRequest) -> str:
    if model.run:
        return f"run {Path(model.run).resolve().name}"
    return model.weights if model.weights in ("none", "imagenet") else Path(model.weights).name
