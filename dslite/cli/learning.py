"""What `train`, `evaluate`, `features` and `baseline` do alike: pictures and features of a data set, through the cache.

Keys are hashes of content, as those of exported files are (`dslite.cli.identity`): audio files by path, size and time,
the front end by its settings and source, the backbone by its plugin and weights.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dslite import cache
from dslite.cli import building, identity
from dslite.cli.data import print_problems
from dslite.codec import to_json
from dslite.errors import DataError
from dslite.learn.dataset import DataSet, Example
from dslite.recipe import Recipe
from dslite.records import Progress as Report

if TYPE_CHECKING:
    from dslite.learn.network import Network
    from dslite.learn.pictures import Pictures

_AUDIO_LIBRARIES = ("tensorflow", "numpy", "librosa", "soundfile", "soxr")


def network(system: building.System, report: Report) -> "Network":
    """Build a system's image model and take it apart; TensorFlow is imported here."""
    from dslite.learn.network import take_apart

    return take_apart(building.build(system, lambda text: report(text, 0.0)), system.recipe.frontend)


def pictures(examples: Sequence[Example], recipe: Recipe, report: Report) -> "Pictures":
    """Give the pictures of audio files; files that cannot be decoded are listed on standard error."""
    from dslite.learn.pictures import prepare

    folder = cache.entry_folder("pictures", _pictures_key(examples, recipe))
    try:
        made = prepare(examples, recipe, folder, report)
    except DataError as error:
        print_problems(error)
        raise
    cache.mark_used(folder)
    return made


def features(
    system: building.System,
    examples: Sequence[Example],
    of: "Pictures",
    build: Callable[[], "Network"],
    report: Report,
) -> Any:
    """Give the features of all chunks, float32 ``(chunks, d)``; `build` is called where they are not there yet."""
    from dslite.learn.features import extract

    facts = {
        "pictures": _pictures_key(examples, system.recipe),
        "size": [system.recipe.frontend.size_px, system.recipe.frontend.colour_map, system.recipe.frontend.resize],
        "backbone": identity.plugin("backbones", system.name),
        "weights": identity.weights(system.model.weights),
        "seed": system.model.seed if system.model.weights == "none" else None,
        "source": identity.source("dslite.model"),
        "versions": identity.versions(),
    }
    folder = cache.entry_folder("features", identity.key(facts))
    made = extract(build, of, folder, report)
    cache.mark_used(folder)
    return made


def data_key(data: DataSet) -> str:
    """Hash files, labels and splits of a data set."""
    rows = [[example.label, example.split] for example in data.examples]
    return identity.key([_files(data.examples), rows])


def _pictures_key(examples: Sequence[Example], recipe: Recipe) -> str:
    return identity.key(
        {
            "files": _files(examples),
            "chunk": to_json(recipe.chunk),
            "frontend": to_json(recipe.frontend),
            "source": identity.source("dslite.audio"),
            "versions": identity.versions(_AUDIO_LIBRARIES),
        }
    )


def _files(examples: Sequence[Example]) -> list[list[Any]]:
    found = [(example.path.resolve(), example.path.stat()) for example in examples]
    return [[str(path), state.st_size, state.st_mtime_ns] for path, state in found]
