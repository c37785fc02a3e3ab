"""Read audio files and cut them into chunks. No TensorFlow here: `dslite predict` starts fast."""

import math
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dslite.audio.containers import check_whole
from dslite.errors import AudioError
from dslite.native import native_output_hidden
from dslite.recipe import ChunkSpec

if TYPE_CHECKING:
    import soundfile

Samples = npt.NDArray[np.float32]

SUFFIXES = frozenset({".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav"})
"""File names that `audio_files` takes for audio; `load` reads whatever libsndfile does, by content."""

LOUDEST_SAMPLE = 1e30
"""Samples beyond are no audio, infinite and NaN ones among them."""
_BLOCK_FRAMES = 1 << 18
_MPEG_SLACK = 4 * 1152
"""An MP3 without an exact frame count announces a few frames (of 1152 samples) more than it holds."""
_AGAIN = "copy or download it again"
_NO_SAMPLE = "expected audio, got a file without a single sample"


def load(path: Path | str, sample_rate_hz: int) -> Samples:
    """Read a file, average its channels, resample it.

    Read block by block, so that a long recording with many channels needs the memory of one channel. Resampled
    by soxr in its high quality, as ``librosa.load`` does.

    Args:
        path: WAV, FLAC, Ogg, MP3, or whatever else libsndfile reads.
        sample_rate_hz: of the result.

    Returns:
        float32 ``(n,)``, n >= 1, finite; full scale is [-1, 1].

    Raises:
        AudioError: where the file is missing, no audio, truncated, empty, or holds NaN or infinite samples.
    """
    path = Path(path)
    samples, rate = _read_mono(path)
    usable = np.abs(samples) < LOUDEST_SAMPLE
    if not usable.all():
        at = int(np.flatnonzero(~usable)[0])
        raise AudioError(
            f"{path}: expected finite samples, got {samples[at]} at sample {at} ({at / rate:.3f} s): repair the file"
        )
    return _resample(samples, rate, sample_rate_hz)


def faults(paths: Sequence[Path]) -> list[AudioError | None]:
    """Tell whether files are audio and whole without decoding them: by header, size, and last samples.

    Gives for each file its fault, or None. What `load` refuses is a fault here too, but for samples that are NaN or
    infinite and for damage in the middle of a compressed file.
    """

    def fault(path: Path) -> AudioError | None:
        try:
            with _opened(path) as file:
                last = _announced_frames(file) - 1
                if file.frames < 1:
                    return AudioError(f"{path}: {_NO_SAMPLE}")
                if last > 0 and file.seekable() and (file.seek(last) != last or not len(file.read(1))):
                    return AudioError(f"{path}: truncated: its header announces more samples than it holds: {_AGAIN}")
        except AudioError as error:
            return error
        return None

    import soundfile  # noqa: F401 - here, not first in many threads at once

    with native_output_hidden(), ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(fault, paths))


def _read_mono(path: Path) -> tuple[Samples, int]:
    with native_output_hidden(), _opened(path) as file:
        blocks = []
        # Not file.blocks(): that does not notice a short read and gives what stood in memory for what is missing.
        while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
            with np.errstate(all="ignore"):  # what is not finite is told by `load`
                blocks.append(block.mean(axis=1, dtype=np.float64).astype(np.float32))
        announced, rate = _announced_frames(file), int(file.samplerate)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if announced > len(samples):
        raise AudioError(
            f"{path}: truncated: its header announces {announced} samples a channel, it holds {len(samples)}: {_AGAIN}"
        )
    if not len(samples):
        raise AudioError(f"{path}: {_NO_SAMPLE}")
    return samples, rate


@contextmanager
def _opened(path: Path) -> Iterator["soundfile.SoundFile"]:
    """Open a file whose container is whole; what libsndfile raises in the block becomes an `AudioError`."""
    import soundfile

    _check_readable(path)
    check_whole(path)
    headerless = AudioError(f"{path}: expected audio with a header, got none: convert it to WAV")
    if path.suffix.lower() == ".raw":  # libsndfile would ask for rate and channels
        raise headerless
    try:
        with soundfile.SoundFile(path) as file:
            if file.format == "RAW":  # by the name .au, .snd, .gsm or .vox alone, whatever is within
                raise headerless
            yield file
    except soundfile.LibsndfileError as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise AudioError(
            f"{path}: expected audio that libsndfile reads (WAV, FLAC, Ogg, MP3), "
            f"got something else, or a broken file ({reason})"
        ) from None


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(
                f"{path}: expected an audio file, got a folder: name its files, such as {shlex.quote(str(path))}/*.wav"
            )
        if path.exists() and not path.is_file():
            raise AudioError(f"{path}: expected an audio file, got a pipe or a device: write it to a file first")
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioError(f"{path}: expected audio, got an empty file")
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file") from None
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from None


def _announced_frames(file: "soundfile.SoundFile") -> int:
    """Give how many samples a channel libsndfile says there are at least."""
    return int(file.frames) - (_MPEG_SLACK if file.format in ("MP3", "MPEG") else 0)


def _resample(samples: Samples, rate_hz: int, wanted_hz: int) -> Samples:
    if rate_hz == wanted_hz:
        return samples
    import soxr

    resampled: Samples = soxr.resample(samples, rate_hz, wanted_hz, quality="HQ")
    n = math.ceil(len(samples) * wanted_hz / rate_hz)
    return np.pad(resampled[:n], (0, max(0, n - len(resampled)))).astype(np.float32, copy=False)


def chunks(samples: Samples, spec: ChunkSpec, sample_rate_hz: int) -> Samples:
    """Cut samples into chunks of one length.

    Whole chunks start every hop. What is left behind the last of them becomes one more chunk, starting on the
    next hop and padded with zeros, unless ``spec.tail`` is ``drop``; samples shorter than a chunk become one
    padded chunk, unless ``spec.short`` is ``drop``.

    Args:
        samples: float32 ``(n,)``.
        spec: length, hop, and what is padded.
        sample_rate_hz: of the samples.

    Returns:
        float32 ``(n_chunks, n_samples)``; n_chunks is 0 only where the spec drops.
    """
    length, hop = spec.n_samples(sample_rate_hz), spec.hop_samples(sample_rate_hz)
    n = len(samples)
    if n < length:
        n_chunks = 1 if spec.short == "pad" and n else 0
    else:
        n_chunks = 1 + (n - length) // hop
        covered = (n_chunks - 1) * hop + length
        if spec.tail == "pad" and covered < n and n_chunks * hop < n:
            n_chunks += 1
    if not n_chunks:
        return np.zeros((0, length), np.float32)
    needed = (n_chunks - 1) * hop + length
    padded = np.pad(samples, (0, max(0, needed - n)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop][:n_chunks]
    return np.ascontiguousarray(windows, dtype=np.float32)


def spans_s(n_samples: int, n_chunks: int, spec: ChunkSpec, sample_rate_hz: int) -> list[tuple[float, float]]:
    """Give where each chunk of `chunks` begins and ends, seconds; padding behind the audio is not counted."""
    length, hop = spec.n_samples(sample_rate_hz), spec.hop_samples(sample_rate_hz)
    starts = [i * hop for i in range(n_chunks)]
    return [(start / sample_rate_hz, min(start + length, n_samples) / sample_rate_hz) for start in starts]


def audio_files(path: Path) -> list[Path]:
    """Give a file as it is, or the audio files of a folder and its folders, sorted.

    Raises:
        AudioError: where there is none, or the file cannot be opened.
    """
    if not path.is_dir():
        _check_readable(path)
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise AudioError(f"{path}: expected a folder with audio files ({', '.join(sorted(SUFFIXES))}), got none")
    return found


def load_chunks(paths: Iterable[Path], spec: ChunkSpec, sample_rate_hz: int, at_most: int) -> Samples:
    """Cut files into chunks, one file after the other, until there are `at_most`."""
    pieces = (piece for path in paths for piece in chunks(load(path, sample_rate_hz), spec, sample_rate_hz))
    taken = list(islice(pieces, at_most))
    return np.stack(taken) if taken else np.zeros((0, spec.n_samples(sample_rate_hz)), np.float32)


def synthetic_chunk(n_samples: int, sample_rate_hz: int) -> Samples:
    """Make the sound that is measured where the user brings none: a gliding tone with harmonics, in noise.

    The same on every machine: float32 ``(n_samples,)`` within [-1, 1], generator seeded with 0.
    """
    t = np.arange(n_samples) / sample_rate_hz
    pitch_hz = 120 + 60 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / sample_rate_hz
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    noise = np.random.default_rng(0).standard_normal(n_samples)
    sound = tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t)) + 0.05 * noise
    peak = np.abs(sound).max()
    return np.asarray(0.9 * sound / peak, np.float32)
