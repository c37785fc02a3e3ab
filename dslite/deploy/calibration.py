"""Audio as exporters want it for calibration: chunks, or pictures of them, from as many files as there are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslite.audio.load import chunks, load
from dslite.errors import AudioError
from dslite.recipe import Recipe
from dslite.records import Part

_MOST_KEPT_BYTES = 500_000_000
"""Of audio that is not decoded again for its next chunk: two hours of it, at 16 kHz."""


def samples(sounds: Sequence[Path], recipe: Recipe, part: Part, seed: int = 0) -> Iterator[npt.NDArray[Any]]:
    """Give calibration samples: one chunk of each file, then another of each, until there are no more.

    Files, and chunks of a file, come in an order drawn from the seed, so that a few samples are of all kinds. Silent
    chunks are left out: they say nothing of the range of an activation.

    Args:
        sounds: audio files.
        recipe: how audio becomes chunks, and pictures.
        part: what of the system is exported.
        seed: of the order.

    Yields:
        What the part takes, float32: audio ``(1, samples)``, or for ``cnn`` a picture ``(1, size, size, 3)``.

    Raises:
        AudioError: where a file cannot be read, or all there is, is silence.
    """
    from dslite.audio.frontend import picture

    for chunk in _chunks(sounds, recipe, seed):
        yield picture(chunk[np.newaxis], recipe.frontend).numpy() if part == "cnn" else chunk[np.newaxis]


def _chunks(sounds: Sequence[Path], recipe: Recipe, seed: int) -> Iterator[npt.NDArray[np.float32]]:
    order = np.random.default_rng(seed).permutation(len(sounds))
    left = [int(i) for i in order]
    kept: dict[int, npt.NDArray[np.float32]] = {}
    n_given = n_silent = turn = 0
    while left:
        longer = []
        for i in left:
            sounding = kept.get(i)
            if sounding is None:
                rate = recipe.frontend.sample_rate_hz
                pieces = chunks(load(sounds[i], rate), recipe.chunk, rate)
                sounding = pieces[np.ptp(pieces, axis=1) > 0]
                n_silent += (len(pieces) - len(sounding)) * (turn == 0)
            if turn < len(sounding):
                n_given += 1
                yield sounding[np.random.default_rng((seed, i)).permutation(len(sounding))[turn]]
            if turn + 1 < len(sounding):
                longer.append(i)
                if sum(held.nbytes for held in kept.values()) + sounding.nbytes <= _MOST_KEPT_BYTES:
                    kept[i] = sounding
        left, turn = longer, turn + 1
    if not n_given:
        silent = f"{n_silent} silent chunks" if n_silent else "no chunk"
        raise AudioError(f"calibration: expected audio with sound in it, got {silent} from {len(sounds)} files")
