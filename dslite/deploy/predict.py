"""Predict with an exported file and its manifest alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslite.audio.load import chunks, load
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
        starts_s: where each chunk begins, ``(k,)``.
        length_s: of a chunk.
        chunks: output for each chunk, float32 ``(k, n)``.
        mean: of the chunks, float32 ``(n,)``: the output for the file.
    """

    path: Path
    starts_s: tuple[float, ...]
    length_s: float
    chunks: npt.NDArray[np.float32]
    mean: npt.NDArray[np.float32]


def check_predicts(artifact: Artifact) -> None:
    """Raise `ModelFileError` where a file is not one that goes from audio to probabilities or values."""
    if artifact.input.kind != "audio" or artifact.output.kind not in ("probabilities", "values"):
        raise ModelFileError(
            f"{artifact.path}: expected a file that takes audio and gives probabilities, "
            f"this one goes from {artifact.input.kind} to {artifact.output.kind}: export with --part whole"
        )


def predict(session: Session, artifact: Artifact, path: Path) -> Prediction:
    """Cut one audio file into chunks as the manifest says and run each.

    Args:
        session: the open file.
        artifact: its manifest; see `check_predicts`.
        path: of the audio.

    Raises:
        AudioError: where the audio cannot be used, or the manifest drops files as short as this.
    """
    spec = from_json(ChunkSpec, artifact.chunk, "chunk")
    rate = from_json(FrontendSpec, artifact.frontend, "frontend").sample_rate_hz
    pieces = chunks(load(path, rate), spec, rate)
    if not len(pieces):
        raise AudioError(f"{path}: shorter than a chunk of {spec.length_s:g} s, and the model's manifest drops those")
    outputs = np.concatenate([session.run(piece[np.newaxis]) for piece in pieces])
    hop_s = spec.hop_samples(rate) / rate
    return Prediction(path, tuple(i * hop_s for i in range(len(pieces))), spec.length_s, outputs, outputs.mean(axis=0))
