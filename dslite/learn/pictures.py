"""The pictures of a data set: audio decoded once, kept as spectrogram levels.

Levels are what the front end makes before it colours and resizes: whole numbers of one byte, so nothing is lost, and
a chunk of 3 s takes 24 kB where its picture takes 600.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslite import files
from dslite.audio.load import Samples, chunks, load
from dslite.errors import AudioError, DataError
from dslite.learn.dataset import DataSet, Example, Split
from dslite.recipe import Recipe

_CHUNKS_AT_ONCE = 64
_LEVELS, _INDEX = "levels.u8", "index.json"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Chunks of audio files, as spectrogram levels.

    Attributes:
        levels: uint8 ``(chunks, n_mels, frames)``, file after file; may be mapped from the cache.
        n_samples: of each file at the front end's rate, int64 ``(files,)``.
        n_chunks: of each file, int64 ``(files,)``; 0 where the recipe drops a file.
        key: of the cache: equal keys, equal pictures.
    """

    levels: npt.NDArray[np.uint8]
    n_samples: npt.NDArray[np.int64]
    n_chunks: npt.NDArray[np.int64]
    key: str = ""

    @property
    def file(self) -> npt.NDArray[np.int64]:
        """Give for each chunk the index of its file, int64 ``(chunks,)``."""
        return np.repeat(np.arange(len(self.n_chunks)), self.n_chunks)

    def of(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Give the indices of the chunks of chosen files, bool ``(files,)``."""
        return np.flatnonzero(chosen[self.file])

    def positions(self, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Give for each chunk of chosen files, bool ``(files,)``, the position of its file among the chosen."""
        position: npt.NDArray[np.int64] = (np.cumsum(chosen) - 1)[self.file[self.of(chosen)]]
        return position


def undecodable(problems: Sequence[tuple[str, str]], n_files: int) -> DataError:
    """Give the error that lists, by name, the files of so many that cannot be decoded."""
    first = "" if len(problems) == 1 else "the first: "
    return DataError(f"{len(problems)} of {n_files} files cannot be decoded: {first}{problems[0][1]}", problems)


def check_parts(data: DataSet, pictures: Pictures, learned: Sequence[Split], scored: Split) -> None:
    """See to it that what is learned and what is scored has chunks.

    Args:
        data: the data set.
        pictures: of all its files.
        learned: the splits to learn from; there every class must have a chunk.
        scored: the split to score; one chunk is enough.

    Raises:
        DataError: where it has not, as the recipe drops short files.
    """
    has = [(example.label, example.split) for example, n in zip(data.examples, pictures.n_chunks, strict=True) if n]
    in_learned = {label for label, split in has if split in learned}
    without = [f"class {label} in {' and '.join(learned)}" for label in data.labels if label not in in_learned]
    if not in_learned and not data.labels:
        without = [" and ".join(learned)]
    if scored not in {split for _, split in has}:
        without.append(scored)
    if without:
        raise DataError(
            f"expected files as long as a chunk, {', '.join(without)} has none, as shorter ones are dropped: "
            "--short pad keeps them, a shorter --chunk too"
        )


def is_prepared(folder: Path) -> bool:
    """Tell whether a folder of the cache holds pictures."""
    return (folder / _INDEX).is_file()


def prepare(examples: Sequence[Example], recipe: Recipe, folder: Path, tell: Callable[[str, float], None]) -> Pictures:
    """Give the pictures of audio files; what is in the cache already is not made again.

    Args:
        examples: the files, in order.
        recipe: chunks and front end.
        folder: of the cache, for exactly these files and this recipe; made where it is not there.
        tell: told what is done and the fraction done.

    Raises:
        DataError: where files cannot be decoded; it lists all of them.
        WriteError: where the cache cannot be written.
    """
    if not is_prepared(folder):
        with files.written_once(folder) as place:
            place.mkdir()
            _write(examples, recipe, place, tell)
    index: Any = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    lengths = np.array(index["files"], np.int64).reshape(-1, 2)
    shape = (int(lengths[:, 1].sum()), *index["shape"])
    stored = np.memmap(folder / _LEVELS, np.uint8, "r", shape=shape) if shape[0] else np.zeros(shape, np.uint8)
    return Pictures(stored, lengths[:, 0], lengths[:, 1], folder.name)


def _write(examples: Sequence[Example], recipe: Recipe, place: Path, tell: Callable[[str, float], None]) -> None:
    from dslite.audio.frontend import levels

    lengths: list[tuple[int, int]] = []
    with (place / _LEVELS).open("wb") as file:
        for n_samples, pieces in _decoded(examples, recipe, tell):
            lengths.append((n_samples, len(pieces)))
            for start in range(0, len(pieces), _CHUNKS_AT_ONCE):
                made = levels(pieces[start : start + _CHUNKS_AT_ONCE], recipe.frontend)
                file.write(made.numpy().astype(np.uint8).tobytes())
    shape = (recipe.frontend.n_mels, recipe.frontend.n_frames(recipe.chunk_samples))
    (place / _INDEX).write_text(json.dumps({"shape": shape, "files": lengths}), encoding="utf-8")


def _decoded(
    examples: Sequence[Example], recipe: Recipe, tell: Callable[[str, float], None]
) -> Iterator[tuple[int, Samples]]:
    """Give of each file its samples' number and its chunks, float32 ``(chunks, samples)``; a few are read ahead."""
    rate = recipe.frontend.sample_rate_hz

    def decode(example: Example) -> tuple[int, Samples] | AudioError:
        try:
            samples = load(example.path, rate)
        except AudioError as error:
            return error
        return len(samples), chunks(samples, recipe.chunk, rate)

    problems: list[tuple[str, str]] = []
    n_threads = os.cpu_count() or 1
    coming: deque[Future[tuple[int, Samples] | AudioError]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for i, example in enumerate(examples):
            while len(coming) < 2 * n_threads and i + len(coming) < len(examples):
                coming.append(pool.submit(decode, examples[i + len(coming)]))
            tell(f"{i} of {len(examples)} files", i / len(examples))
            found = coming.popleft().result()
            if isinstance(found, AudioError):
                problems.append((example.name, str(found)))
            elif not problems:
                yield found
    if problems:
        raise undecodable(problems, len(examples))
