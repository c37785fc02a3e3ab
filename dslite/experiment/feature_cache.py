"""What `train`, `evaluate`, `features` and `baseline` do alike: pictures and features of a data set, through the cache.

Keys are hashes, as those of exported files are (`dslite.experiment.keys`): audio by path, size and times, the rest by
settings, source and versions, the backbone by its plugin and weights.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dslite import cache, files
from dslite.codec import to_json
from dslite.experiment import building, keys
from dslite.experiment.reporter import Reporter
from dslite.learn.dataset import DataSet, Example
from dslite.measure.environment import versions
from dslite.recipe import Recipe
from dslite.records import Progress

if TYPE_CHECKING:
    from dslite.learn.network import Network
    from dslite.learn.pictures import Pictures

_AUDIO_LIBRARIES = ("tensorflow", "numpy", "librosa", "matplotlib", "soundfile", "soxr")


def pooled_features(system: building.System, examples: Sequence[Example], reporter: Reporter) -> "tuple[Pictures, Any]":
    """Give pictures and features, float32 ``(chunks, d)``, of audio files; TensorFlow only where they are not there."""
    with reporter.progress([1.0, 5.0]) as steps:
        of = pictures(examples, system.recipe, steps.start("reading audio"))
        report = steps.start(f"features of {system.name}")
        return of, features(system, of, lambda: network(system, report), report)


def note_dropped(of: "Pictures", reporter: Reporter) -> None:
    """Say how many files are shorter than a chunk and left out, if any."""
    n_dropped = int((of.n_chunks == 0).sum())
    if n_dropped:
        are = "file is" if n_dropped == 1 else "files are"
        reporter.note(f"{n_dropped} {are} shorter than a chunk, and left out (--short pad keeps them)")


def network(system: building.System, report: Progress) -> "Network":
    """Build a system's image model and take it apart; TensorFlow is imported here."""
    from dslite.learn.network import take_apart

    return take_apart(building.build(system, lambda text: report(text, 0.0)), system.recipe.frontend)


def pictures(examples: Sequence[Example], recipe: Recipe, report: Progress) -> "Pictures":
    """Make the pictures of audio files, or take them from the cache."""
    from dslite.learn.pictures import prepare

    folder = _pictures_folder(examples, recipe)
    made = prepare(examples, recipe, folder, report)
    cache.mark_used(folder)
    return made


def pictures_of_part(
    examples: Sequence[Example], chosen: npt.NDArray[np.bool_], recipe: Recipe, report: Progress
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
    # Whoever unpacks another version of a data set may keep sizes and times of files, but not when they were changed.
    found = [(example.path.resolve(), example.path.stat()) for example in examples]
    audio = [[str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns] for path, state in found]
    described = [to_json(recipe.chunk), to_json(recipe.frontend)]
    key = keys.key([audio, described, versions(_AUDIO_LIBRARIES), keys.source("dslite")])
    return cache.entry_folder("pictures", key)


def features(system: building.System, of: "Pictures", build: Callable[[], "Network"], report: Progress) -> Any:
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
