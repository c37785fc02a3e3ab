"""Something that predicts, opened: an exported file, or the run of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dslite.errors import AudioError
from dslite.learn.dataset import Example
from dslite.records import Progress

if TYPE_CHECKING:
    from dslite.deploy.runtime import Session
    from dslite.recipe import ChunkSpec


@dataclass(frozen=True, slots=True)
class Predictor:
    """What takes chunks of audio and gives probabilities or values.

    Attributes:
        session: audio float32 ``(1, samples)`` to float32 ``(1, k)``.
        chunk: how audio is cut.
        sample_rate_hz: of the audio.
        labels: of the classes; empty for a regression.
        n_outputs: k.
        random: whether its weights are random, and its outputs mean nothing.
    """

    session: "Session"
    chunk: "ChunkSpec"
    sample_rate_hz: int
    labels: tuple[str, ...]
    n_outputs: int
    random: bool

    @property
    def names(self) -> Sequence[str]:
        """Name the outputs."""
        return self.labels or [f"value_{i}" for i in range(self.n_outputs)]


def score(
    model: Predictor, examples: Sequence[Example], report: Progress
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Let a model predict every chunk of audio files.

    Returns:
        Outputs of all chunks, float32 ``(chunks, k)``, and of each the position of its file; files shorter than a chunk
        have none where the model's settings drop such.

    Raises:
        DataError: where files cannot be decoded; it lists all of them.
    """
    from dslite.audio.load import chunks, load
    from dslite.learn.pictures import undecodable

    outputs = [np.zeros((0, model.n_outputs), np.float32)]
    n_chunks: list[int] = []
    problems: list[tuple[str, str]] = []
    for i, example in enumerate(examples):
        report(example.name, i / len(examples))
        try:
            pieces = chunks(load(example.path, model.sample_rate_hz), model.chunk, model.sample_rate_hz)
        except AudioError as error:
            problems.append((example.name, str(error)))
            continue
        outputs += [model.session.run(piece[np.newaxis]) for piece in pieces]
        n_chunks.append(len(pieces))
    if problems:
        raise undecodable(problems, len(examples))
    return np.concatenate(outputs), np.repeat(np.arange(len(n_chunks)), n_chunks)


def opened(path: Path, threads: int, report: Progress) -> Predictor:
    """Open an exported file in its runtime, or the model of a run, its folder, in TensorFlow.

    Raises:
        ModelFileError: where it cannot be opened, or does not go from audio to probabilities or values.
    """
    from dslite.deploy import manifest, predict
    from dslite.deploy.runtime import TENSORFLOW_SUFFIXES, open_model, open_session, set_tensorflow_threads
    from dslite.learn.run import is_run

    if is_run(path):
        from dslite.experiment import building

        system = building.trained(path)
        set_tensorflow_threads(threads)
        from dslite.model.assembly import build_part

        model = build_part("whole", system.recipe, building.build(system, lambda text: report(text, 0.0)))
        rate, labels = system.recipe.frontend.sample_rate_hz, system.model.labels
        return Predictor(open_model(model), system.recipe.chunk, rate, labels, model.output_shape[-1], random=False)
    artifact = manifest.read(path)
    predict.check_predicts(artifact)
    if path.suffix in TENSORFLOW_SUFFIXES:
        set_tensorflow_threads(threads)
    chunk, rate = predict.chunk_spec(artifact)
    session = open_session(path, threads)
    return Predictor(session, chunk, rate, artifact.labels, artifact.output.shape[-1], artifact.weights == "none")
