"""Reading audio files: what is read is what was recorded, and what cannot be used is said in one line."""

import math
import os
import tracemalloc
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dslite.audio.load import SUFFIXES, Samples, faults, load
from dslite.errors import AudioError

RATE = 16_000

# librosa.load imports audioread, and that Python's own aifc, whose days are counted.
librosa_loads = pytest.mark.filterwarnings("ignore:.*(aifc|audioop|sunau).*:DeprecationWarning")

STEPS = {"PCM_16": 1 / 32_768, "PCM_24": 1 / 8_388_608, "FLOAT": 0, "DOUBLE": 0}
LOSSLESS = [
    *(("WAV", subtype) for subtype in STEPS),
    *((kind, "PCM_16") for kind in ("WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC")),
    ("FLAC", "PCM_24"),
]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
EVERY_CONTAINER = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("AIFF", "PCM_16"), ("FLAC", "PCM_16"), *LOSSY]
TRUNCATED = [*LOSSLESS, ("WAV", "ULAW"), ("WAV", "MS_ADPCM"), *LOSSY]


def tone(hz: float, seconds: float, rate: int = RATE, amplitude: float = 0.5) -> Samples:
    t = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def noise(n: int, amplitude: float = 0.2) -> Samples:
    return (amplitude * np.random.default_rng(7).uniform(-1, 1, n)).astype(np.float32)


def amplitude_at(samples: Samples, hz: float, rate: int = RATE) -> float:
    """Measure one tone's amplitude; the window keeps the edges, where a resampler rings, out of it."""
    window = np.hanning(len(samples))
    turning = np.exp(-2j * np.pi * hz * np.arange(len(samples)) / rate)
    return float(2 * abs(np.sum(window * samples * turning)) / window.sum())


def loudest_hz(samples: Samples, rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def refusal(path: Path, rate: int = RATE) -> str:
    """Give the message `load` refuses a file with: one line that names the file."""
    with pytest.raises(AudioError) as caught:
        load(path, rate)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 250
    return message.removeprefix(f"{path}: ")


def written(path: Path, samples: Any, rate: int = RATE, subtype: str | None = None, kind: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, format=kind)
    return path


def riff(data: bytes, *, sizes: tuple[int, int] | None = None, before: bytes = b"", after: bytes = b"") -> bytes:
    """Build a mono PCM16 WAV at 16 kHz by hand.

    `sizes` are those its header tells of the file and of the data; `before` and `after` are chunks around the data.
    """
    fmt = b"fmt " + b"".join(n.to_bytes(w, "little") for n, w in ((16, 4), (1, 2), (1, 2), (RATE, 4), (2 * RATE, 4)))
    fmt += (2).to_bytes(2, "little") + (16).to_bytes(2, "little")
    n_other = len(b"WAVE" + fmt + before + b"data    " + after)
    whole_size, data_size = sizes or (n_other + len(data), len(data))
    lead = b"RIFF" + whole_size.to_bytes(4, "little") + b"WAVE" + fmt + before
    return lead + b"data" + data_size.to_bytes(4, "little") + data + after


def pcm16(samples: Samples) -> bytes:
    return (samples * 32_768).round().astype("<i2").tobytes()


# What is read


@pytest.mark.parametrize(("kind", "subtype"), LOSSLESS)
def test_lossless_file_gives_back_its_samples(tmp_path: Path, kind: str, subtype: str) -> None:
    sound = tone(440, 1.0) + noise(RATE)
    samples = load(written(tmp_path / "sound.bin", sound, RATE, subtype, kind), RATE)
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    np.testing.assert_allclose(samples, sound, rtol=0, atol=STEPS[subtype])


@pytest.mark.parametrize(("kind", "subtype"), LOSSY)
def test_lossy_file_keeps_length_tone_and_amplitude(tmp_path: Path, kind: str, subtype: str) -> None:
    samples = load(written(tmp_path / "sound.bin", tone(440, 2.0), RATE, subtype, kind), RATE)
    assert samples.dtype == np.float32
    assert samples.shape == (2 * RATE,)
    assert loudest_hz(samples) == 440
    assert amplitude_at(samples, 440) == pytest.approx(0.5, rel=0.02)
    rest = samples - tone(440, 2.0)
    assert np.abs(rest[RATE // 2 : -RATE // 2]).max() < 0.1  # in time with what was recorded, too


def test_telephone_wav_that_cannot_seek_is_read_whole(tmp_path: Path) -> None:
    samples = load(written(tmp_path / "gsm.wav", tone(440, 2.0, 8000), 8000, "GSM610"), 8000)
    assert samples.shape == (16_000,)
    assert amplitude_at(samples, 440, 8000) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(("kind", "subtype"), EVERY_CONTAINER)
def test_long_file_is_read_without_seams(tmp_path: Path, kind: str, subtype: str) -> None:
    path = written(tmp_path / "long.bin", noise(700_000), 48_000, subtype, kind)  # several blocks of reading
    whole, rate = soundfile.read(path, dtype="float32")
    samples = load(path, rate)
    assert len(samples) == len(whole) == 700_000
    np.testing.assert_allclose(samples, whole, rtol=0, atol=1e-6)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(440, 1.0, amplitude=0.4), tone(1000, 1.0, amplitude=0.2)
    for other in (right, -left):
        samples = load(written(tmp_path / "stereo.wav", np.stack([left, other], axis=1), RATE, "FLOAT"), RATE)
        np.testing.assert_allclose(samples, (left + other) / 2, rtol=0, atol=1e-7)


def test_tone_in_eight_channels_of_192_khz_stays_that_tone_or_goes(tmp_path: Path) -> None:
    gains = np.arange(1, 9) / 10  # mean 0.45
    low, high = (tone(hz, 1.0, 192_000, 1.0)[:, None] * gains for hz in (1000, 21_000))  # 21 kHz would fold to 5
    samples = load(written(tmp_path / "low.wav", low, 192_000, "FLOAT"), RATE)
    assert samples.shape == (RATE,)
    assert loudest_hz(samples) == 1000
    assert amplitude_at(samples, 1000) == pytest.approx(0.45, rel=1e-3)
    assert np.abs(load(written(tmp_path / "high.wav", high, 192_000, "FLOAT"), RATE)[1000:-1000]).max() < 1e-4


def test_reading_many_channels_needs_the_memory_of_one(tmp_path: Path) -> None:
    seconds, rate, n_channels = 20, 192_000, 8
    path = tmp_path / "eight.wav"
    with soundfile.SoundFile(path, "w", rate, n_channels, "PCM_16") as file:
        second = np.zeros((rate, n_channels), np.int16)
        second[::100] = 1000
        for _ in range(seconds):
            file.write(second)
    load(path, RATE)  # imports and buffers that stay are not part of the measurement
    tracemalloc.start()
    samples = load(path, RATE)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples.shape == (seconds * RATE,)
    assert peak_bytes < seconds * rate * n_channels * 4 / 2


@librosa_loads
@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampled_as_librosa_does(tmp_path: Path, rate: int) -> None:
    stereo = np.stack([tone(440, 1.37, rate), noise(round(1.37 * rate))], axis=1)
    path = written(tmp_path / "stereo.wav", stereo, rate, "FLOAT")
    reference, _ = librosa.load(path, sr=RATE)
    samples = load(path, RATE)
    assert samples.shape == reference.shape
    np.testing.assert_allclose(samples, reference, rtol=0, atol=1e-5)


@librosa_loads
@pytest.mark.data
def test_real_files_are_what_librosa_loads(real_audio: list[Path]) -> None:
    assert len(real_audio) >= 12
    assert faults(real_audio) == [None] * len(real_audio)
    for path in real_audio:
        reference, _ = librosa.load(path, sr=RATE)
        samples = load(path, RATE)
        assert samples.dtype == np.float32
        assert samples.shape == reference.shape, path
        np.testing.assert_allclose(samples, reference, rtol=0, atol=1e-5, err_msg=str(path))


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 100, 4411])
def test_length_is_the_duration_rounded_up(tmp_path: Path, rate: int, n: int) -> None:
    samples = load(written(tmp_path / "short.wav", noise(n), rate, "FLOAT"), RATE)
    assert samples.shape == (math.ceil(n * RATE / rate),)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()


def test_path_may_be_text_with_blanks_and_letters_of_any_script(tmp_path: Path) -> None:
    path = written(tmp_path / "zwölf Boxkämpfer 鳥 [1] %d.wav", noise(100), RATE, "FLOAT")
    np.testing.assert_array_equal(load(str(path), RATE), noise(100))


# Headers that are unusual, but sound


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param((0xFFFFFFFF, 0xFFFFFFFF), id="ffmpeg"),
        pytest.param((0x7FFFFFFF, 0x7FFFFFFF), id="signed-maximum"),
        pytest.param((0x7FFFF024, 0x7FFFF000), id="sox"),  # seen in https://github.com/kaldi-asr/kaldi/issues/1567
        pytest.param((8, 0), id="libsndfile-that-was-killed"),
    ],
)
def test_wav_streamed_into_a_pipe_is_read_whole(tmp_path: Path, sizes: tuple[int, int]) -> None:
    path = tmp_path / "streamed.wav"
    path.write_bytes(riff(pcm16(noise(5000)), sizes=sizes))
    np.testing.assert_allclose(load(path, RATE), noise(5000), rtol=0, atol=1 / 32_768)


ODD_LIST = b"LIST" + (17).to_bytes(4, "little") + b"INFOISFT" + (5).to_bytes(4, "little") + b"Lavf\0" + b"\0"
"""The 17 bytes of a chunk that names its writer, and the one that makes their number even."""


def test_wav_with_chunks_of_odd_size_around_its_data_is_read_whole_and_refused_where_it_is_cut(tmp_path: Path) -> None:
    unknown = b"abcd" + (3).to_bytes(4, "little") + b"xyz\0"
    path = tmp_path / "chunks.wav"
    path.write_bytes(riff(pcm16(noise(5000)), before=ODD_LIST + b"junk\0\0\0\0" + unknown, after=ODD_LIST))
    np.testing.assert_allclose(load(path, RATE), noise(5000), rtol=0, atol=1 / 32_768)
    path.write_bytes(riff(pcm16(noise(5000)), before=ODD_LIST)[:-200])
    assert "truncated: its header announces 10070 bytes, it has 9870" in refusal(path)


def test_tagged_mp3_is_read_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "tagged.mp3", tone(440, 2.0))
    plain = path.read_bytes()
    for tagged in (plain + b"TAG" + bytes(125), b"ID3\4\0\0\0\0\2\0" + bytes(256) + plain):
        path.write_bytes(tagged)
        samples = load(path, RATE)
        assert samples.shape == (2 * RATE,)
        assert amplitude_at(samples, 440) == pytest.approx(0.5, rel=0.02)


def test_mp3_that_does_not_tell_its_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "constant.mp3"
    with soundfile.SoundFile(path, "w", RATE, 1, bitrate_mode="CONSTANT", compression_level=0.5) as file:
        file.write(tone(440, 5.0))
    as_encoded = amplitude_at(load(path, RATE), 440)  # LAME takes 5 % off
    encoded = path.read_bytes()
    path.write_bytes(encoded[encoded.index(encoded[:2], 2) :])  # the first frame held the count
    samples = load(path, RATE)
    assert 5 * RATE <= len(samples) <= 5 * RATE + 4 * 1152
    assert amplitude_at(samples, 440) == pytest.approx(as_encoded, rel=1e-3)
    assert np.abs(samples).max() < 0.6


# What is refused


def test_what_is_no_file_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert "no such file" in refusal(tmp_path / "missing.wav")
    assert "folder" in refusal(tmp_path)
    assert "empty" in refusal(tmp_path / "empty.wav")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "secret.wav", noise(100))
    path.chmod(0)
    assert "Permission denied" in refusal(path)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES | {".gsm", ".raw", ".snd", ".txt", ".vox", ""}))
def test_text_and_random_bytes_are_refused_whatever_their_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("This is no sound.\n" * 100, encoding="utf-8")
    assert "expected audio" in refusal(path)
    if suffix in SUFFIXES:
        path.write_bytes(np.random.default_rng(0).bytes(20_000))
        assert "expected audio" in refusal(path)


@pytest.mark.parametrize(("kind", "subtype"), EVERY_CONTAINER)
@pytest.mark.parametrize("n_bytes", [4, 12, 44])
def test_header_alone_is_refused(tmp_path: Path, kind: str, subtype: str, n_bytes: int) -> None:
    path = written(tmp_path / "header.bin", noise(RATE), RATE, subtype, kind)
    path.write_bytes(path.read_bytes()[:n_bytes])
    refusal(path)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.95])
@pytest.mark.parametrize(("kind", "subtype"), TRUNCATED)
def test_truncated_file_is_refused(tmp_path: Path, kind: str, subtype: str, kept: float) -> None:
    path = written(tmp_path / "cut.bin", noise(10 * RATE), RATE, subtype, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    message = refusal(path)
    assert "truncated" in message or "broken file" in message


def test_wav_that_lacks_one_sample_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(riff(pcm16(noise(5000)))[:-2])
    assert "announces 10044 bytes, it has 10042" in refusal(path)  # a header of 44 bytes, 2 a sample


@pytest.mark.parametrize(("kind", "subtype"), EVERY_CONTAINER)
def test_file_of_zero_samples_is_refused(tmp_path: Path, kind: str, subtype: str) -> None:
    refusal(written(tmp_path / "zero.bin", np.zeros(0, np.float32), RATE, subtype, kind))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_sample_that_is_not_finite_is_named(tmp_path: Path, value: float, rate: int, n_channels: int) -> None:
    channels = np.repeat(noise(5000)[:, None], n_channels, axis=1)
    channels[1234, -1] = channels[3000, 0] = value
    message = refusal(written(tmp_path / "nan.wav", channels, rate, "FLOAT"))
    assert "sample 1234" in message
    assert f"{1234 / rate:.3f} s" in message
    assert str(value) in message


def test_infinities_that_cancel_are_refused_and_named(tmp_path: Path) -> None:
    channels = np.repeat(noise(5000)[:, None], 2, axis=1)
    channels[1234] = np.inf, -np.inf
    assert "sample 1234" in refusal(written(tmp_path / "inf.wav", channels, RATE, "FLOAT"))


@pytest.mark.parametrize(("rate", "n_channels"), [(RATE, 1), (RATE, 2), (8000, 1), (44_100, 2)])
def test_huge_samples_never_become_anything_but_finite_ones(tmp_path: Path, rate: int, n_channels: int) -> None:
    channels = np.full((1000, n_channels), 3.3e38, np.float32)
    channels[::7] *= -1
    path = written(tmp_path / "huge.wav", channels, rate, "FLOAT")
    try:
        samples = load(path, RATE)
    except AudioError as error:
        assert "\n" not in str(error)  # noqa: PT017 - to refuse them is as good as to read them
    else:
        assert np.isfinite(samples).all()


def test_native_libraries_stay_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cut = written(tmp_path / "cut.mp3", noise(10 * RATE))
    cut.write_bytes(cut.read_bytes()[:20_000])
    garbage = tmp_path / "garbage.mp3"
    garbage.write_bytes(np.random.default_rng(0).bytes(20_000))
    soundfile.read(cut)
    assert "Xing" in capfd.readouterr().err  # mpg123 does complain where nobody hinders it
    refusal(garbage)
    try:
        load(cut, RATE)
    except AudioError:
        pass
    finally:
        assert capfd.readouterr() == ("", "")


# What is told without decoding


@pytest.mark.parametrize(("kind", "subtype"), [*LOSSLESS, *LOSSY])
def test_sound_file_passes_the_check(tmp_path: Path, kind: str, subtype: str) -> None:
    lengths = (1, 1000, 3 * RATE)
    paths = [written(tmp_path / f"{n}.bin", noise(n), RATE, subtype, kind) for n in lengths]
    assert faults(paths) == [None, None, None]


@settings(max_examples=60)
@given(container=st.sampled_from(TRUNCATED), kept=st.floats(0, 1), exactly=st.booleans())
def test_the_check_refuses_what_loading_refuses(
    container: tuple[str, str], kept: float, exactly: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind, subtype = container
    path = written(tmp_path_factory.mktemp("cut") / "cut.bin", noise(2 * RATE), RATE, subtype, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 1 if exactly else int(kept * len(whole))])
    (fault,) = faults([path])
    try:
        load(path, RATE)
    except AudioError:
        assert str(fault).startswith(f"{path}: ")
    else:
        assert fault is None


def test_many_files_are_checked_at_once_each_for_itself(tmp_path: Path) -> None:
    sound = written(tmp_path / "sound.wav", noise(100))
    paths = [tmp_path, sound, tmp_path / "missing.wav", sound, tmp_path / ("long" * 100)]
    first, second, third, fourth, last = faults(paths)
    assert second is fourth is None
    assert "folder" in str(first)
    assert str(third) == f"{paths[2]}: no such file"
    assert "cannot be read: File name too long" in str(last)
    assert faults([]) == []
