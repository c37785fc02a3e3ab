"""What a file is fed while it is measured: the user's audio, or the synthetic chunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dslite.audio.load import load_chunks, synthetic_chunk
from dslite.codec import from_json
from dslite.deploy.runtime import Array
from dslite.errors import AudioError, ModelFileError
from dslite.recipe import ChunkSpec, FrontendSpec
from dslite.records import Artifact

MAX_CHUNKS = 32
_QUANTISED_BYTES = 2


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one file is fed.

    Attributes:
        arrays: ``(k, *shape of the input)`` of the file's dtype.
        source: in words, where they come from.
    """

    arrays: Array
    source: str


def check(artifact: Artifact, audio: Sequence[Path]) -> None:
    """Raise what `prepare` would raise, without making pictures, for which it imports TensorFlow."""
    if artifact.input.kind in ("audio", "image"):
        if audio:
            _chunks(artifact, audio)
        return
    if audio:
        raise ModelFileError(
            f"{artifact.path}: how audio becomes its input is not known without a manifest: leave --audio away"
        )
    try:
        np.dtype(artifact.input.dtype)
    except TypeError:
        raise ModelFileError(f"{artifact.path}: cannot make inputs of type {artifact.input.dtype}") from None


def prepare(artifact: Artifact, audio: Sequence[Path]) -> Inputs:
    """Make the inputs of one file.

    Args:
        artifact: what goes in, and how audio becomes it.
        audio: files to cut into chunks, at most `MAX_CHUNKS` are used; empty for the synthetic chunk.

    Raises:
        AudioError: where the audio cannot be used.
        ModelFileError: where audio cannot be turned into this file's input.
    """
    check(artifact, audio)
    if artifact.input.kind not in ("audio", "image"):
        return Inputs(
            _random(artifact),
            "random numbers, seed 0: floats in [-1, 1), 8 and 16 bit integers over their range, others in [0, 99]",
        )
    frontend = from_json(FrontendSpec, artifact.frontend, "frontend")
    if audio:
        pieces = _chunks(artifact, audio)
        first = "the first " if len(pieces) == MAX_CHUNKS else ""
        source = f"{first}{len(pieces)} chunk{'s' if len(pieces) > 1 else ''} of the given audio, in turn"
    else:
        rate = frontend.sample_rate_hz
        chunk = from_json(ChunkSpec, artifact.chunk, "chunk")
        pieces = synthetic_chunk(chunk.n_samples(rate), rate)[np.newaxis]
        source = "the synthetic chunk: a gliding tone with harmonics, in noise"
    if artifact.input.kind == "audio":
        return Inputs(pieces[:, np.newaxis], source)
    return Inputs(_pictures(pieces, frontend), f"pictures of {source}")


def _chunks(artifact: Artifact, audio: Sequence[Path]) -> Array:
    rate = from_json(FrontendSpec, artifact.frontend, "frontend").sample_rate_hz
    pieces = load_chunks(audio, from_json(ChunkSpec, artifact.chunk, "chunk"), rate, MAX_CHUNKS)
    if not len(pieces):
        raise AudioError("expected audio of at least one chunk, got only files that the chunk settings drop")
    return pieces


def _pictures(pieces: Array, frontend: FrontendSpec) -> Array:
    import tensorflow as tf

    from dslite.audio.frontend import picture

    return np.asarray(picture(tf.constant(pieces), frontend).numpy())[:, np.newaxis]


def _random(artifact: Artifact) -> Array:
    shape = (1, *artifact.input.shape)
    generator = np.random.default_rng(0)
    dtype: np.dtype[Any] = np.dtype(artifact.input.dtype)
    if np.issubdtype(dtype, np.floating):
        return generator.uniform(-1, 1, shape).astype(dtype)
    if np.issubdtype(dtype, np.integer) and dtype.itemsize > _QUANTISED_BYTES:
        return generator.integers(0, 99, shape, dtype=dtype, endpoint=True)  # tokens or positions, as a rule
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return np.zeros(shape, dtype)
