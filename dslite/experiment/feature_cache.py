"""What `train`, `evaluate`, `features` and `baseline` do alike: pictures and features of a data set, through the cache.

Keys are hashes, as those of exported files are (`dslite.experiment.keys`): audio by path, size and times, the rest by
settings, source and versions, the backbone by its plugin and weights.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import numpy as np
import numpy.typing as npt

from dslite import cache, files
from dslite.cli.console import progress
from dslite.cli.data import print_problems
from dslite.cli.options import SEED, WEIGHTS_HELP, ModelRequest, PluginName, checked_weights, recipe_options
from dslite.codec import to_json
from dslite.errors import DataError
from dslite.experiment import building, keys
from dslite.learn.dataset import DataSet, Example
from dslite.recipe import Recipe
from dslite.records import Progress as Report

if TYPE_CHECKING:
    from dslite.learn.network import Network
    from dslite.learn.pictures import Pictures

F = TypeVar("F", bound=Callable[..., Any])

_AUDIO_LIBRARIES = ("tensorflow", "numpy", "librosa", "matplotlib", "soundfile", "soxr")


def extractor_options(function: F) -> F:
    """Add the options of a backbone whose features are wanted; the command gets one argument, ``system``."""

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        recipe: Recipe = values.pop("recipe")
        weights = checked_weights(values.pop("weights"))
        head = dataclasses.replace(recipe.head, output="linear")  # there must be one; nobody looks at it
        model = ModelRequest(head, (), weights, values.pop("seed"))
        system = building.System(values.pop("backbone"), model, dataclasses.replace(recipe, head=head))
        building.check(system)
        return function(system=system, **values)

    result = recipe_options(wrapper)
    result = click.option("--seed", type=SEED, default=0, show_default=True, help="Of random weights.")(result)
    result = click.option("--weights", default="imagenet", show_default=True, help=WEIGHTS_HELP)(result)
    text = "`dslite list backbones` names them."
    return cast(F, click.option("--backbone", type=PluginName("backbones"), required=True, help=text)(result))


def pooled_features(system: building.System, examples: Sequence[Example]) -> "tuple[Pictures, Any]":
    """Give pictures and features, float32 ``(chunks, d)``, of audio files; TensorFlow only where they are not there."""
    with progress([1.0, 5.0]) as steps:
        of = pictures(examples, system.recipe, steps.start("reading audio"))
        report = steps.start(f"features of {system.name}")
        return of, features(system, of, lambda: network(system, report), report)


def note_dropped(of: "Pictures") -> None:
    """Say how many files are shorter than a chunk and left out, if any."""
    n_dropped = int((of.n_chunks == 0).sum())
    if n_dropped:
        are = "file is" if n_dropped == 1 else "files are"
        click.echo(f"note: {n_dropped} {are} shorter than a chunk, and left out (--short pad keeps them)", err=True)


def network(system: building.System, report: Report) -> "Network":
    """Build a system's image model and take it apart; TensorFlow is imported here."""
    from dslite.learn.network import take_apart

    return take_apart(building.build(system, lambda text: report(text, 0.0)), system.recipe.frontend)


def pictures(examples: Sequence[Example], recipe: Recipe, report: Report) -> "Pictures":
    """Give the pictures of audio files; files that cannot be decoded are listed on standard error."""
    from dslite.learn.pictures import prepare

    folder = _pictures_folder(examples, recipe)
    try:
        made = prepare(examples, recipe, folder, report)
    except DataError as error:
        print_problems(error)
        raise
    cache.mark_used(folder)
    return made


def pictures_of_part(
    examples: Sequence[Example], chosen: npt.NDArray[np.bool_], recipe: Recipe, report: Report
) -> "tuple[Pictures, npt.NDArray[np.bool_]]":
    """Give pictures that hold those of chosen files, bool ``(files,)``, and which of their files these are.

    They are of all files where a training has left these, else of the chosen ones alone.
    """
    from dslite.learn.pictures import is_prepared

    if is_prepared(_pictures_folder(examples, recipe)):
        return pictures(examples, recipe, report), chosen
    alone = [example for example, is_chosen in zip(examples, chosen, strict=True) if is_chosen]
    return pictures(alone, recipe, report), np.ones(len(alone), bool)


def _pictures_folder(examples: Sequence[Example], recipe: Recipe) -> Path:
    return cache.entry_folder("pictures", _pictures_key(examples, recipe))


def features(system: building.System, of: "Pictures", build: Callable[[], "Network"], report: Report) -> Any:
    """Give the features of all chunks, float32 ``(chunks, d)``; `build` is called where they are not there yet."""
    from dslite.learn.features import extract

    frontend = system.recipe.frontend
    facts = {
        "pictures": of.key,
        "picture": [frontend.size_px, frontend.colour_map, frontend.resize],
        "backbone": keys.plugin("backbones", system.name),
        "weights": keys.weights(system.model.weights),
        "seed": system.model.seed if system.model.weights == "none" else None,
        **keys.surroundings(),
    }
    folder = cache.entry_folder("features", keys.key(facts))
    made = extract(build, of, folder, report)
    cache.mark_used(folder)
    return made


def data_key(data: DataSet) -> str:
    """Hash a data set: names, labels, splits and contents of its files, wherever they are, whenever written."""
    hashes = files.sha256_of_each([example.path for example in data.examples])
    return keys.key([[e.name, e.label, e.split, found] for e, found in zip(data.examples, hashes, strict=True)])


def _pictures_key(examples: Sequence[Example], recipe: Recipe) -> str:
    described = [to_json(recipe.chunk), to_json(recipe.frontend)]
    return keys.key([_files(examples), described, keys.versions(_AUDIO_LIBRARIES), keys.source("dslite")])


def _files(examples: Sequence[Example]) -> list[list[Any]]:
    # Whoever unpacks another version of a data set may keep sizes and times of files, but not when they were changed.
    found = [(example.path.resolve(), example.path.stat()) for example in examples]
    return [[str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns] for path, state in found]
