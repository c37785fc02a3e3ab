"""Predict with an exported file and its manifest alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslite.audio.load import chunks, load, spans_s
from dslite.codec import from_json
from dslite.deploy.runtime import Session
from dslite.errors import AudioError, ModelFileError
from dslite.recipe import ChunkSpec, FrontendSpec
from dslite.records import Artifact


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one audio file.

    Attributes:
        path: of the audio.
        spans_s: where each chunk begins and ends, ``(k,)`` pairs; padding behind the audio is not counted.
        chunks: output for each chunk, float32 ``(k, n)``.
        mean: of the chunks, float32 ``(n,)``: the output for the file.
    """

    path: Path
    spans_s: tuple[tuple[float, float], ...]
    chunks: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]


def check_predicts(artifact: Artifact) -> None:
    """Raise `ModelFileError` where a file is not one that goes from audio to probabilities or values."""
    if artifact.input.kind != "audio" or artifact.output.kind not in ("probabilities", "values"):
        raise ModelFileError(
            f"{artifact.path}: expected a file that takes audio and gives probabilities, "
            f"this one goes from {artifact.input.kind} to {artifact.output.kind}: export with --part whole"
        )


def chunk_spec(artifact: Artifact) -> tuple[ChunkSpec, int]:
    """Give how audio is cut for a file, and its sample rate in hertz."""
    frontend = from_json(FrontendSpec, artifact.frontend, "frontend")
    return from_json(ChunkSpec, artifact.chunk, "chunk"), frontend.sample_rate_hz


def predict(session: Session, spec: ChunkSpec, rate: int, path: Path) -> Prediction:
    """Cut one audio file into chunks and run each.

    Args:
        session: the open file, or model.
        spec: how its audio is cut; see `chunk_spec`.
        rate: of its audio, hertz.
        path: of the audio.

    Raises:
        AudioError: where the audio cannot be used, or files as short as this are dropped.
    """
    samples = load(path, rate)
    pieces = chunks(samples, spec, rate)
    if not len(pieces):
        raise AudioError(f"{path}: shorter than a chunk of {spec.length_s:g} s, and the model's settings drop those")
    outputs = np.concatenate([session.run(piece[np.newaxis]) for piece in pieces])
    return Prediction(path, tuple(spans_s(len(samples), len(pieces), spec, rate)), outputs, outputs.mean(axis=0))
