"""The spectrogram front end against librosa, matplotlib's published colours, and what pictures must look like."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import librosa
import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dslite.audio.frontend import colour_table, mel_picture, mel_power, normalise, picture
from dslite.audio.load import Samples, chunks, load, synthetic_chunk
from dslite.recipe import REFERENCE, ColourMap, FrontendSpec, Resize

Array = npt.NDArray[Any]

SPEC = REFERENCE.frontend
RATE = SPEC.sample_rate_hz
N_SAMPLES = REFERENCE.chunk_samples
SQUARE = 512 + 127 * 256
"""Samples of which the reference front end makes 128 frames: as many as Mel bins."""
BARE = replace(SPEC, size_px=128)
"""With `SQUARE` samples, the picture has a pixel for each bin and frame, and resizing changes nothing."""


def tone(hz: float, n: int = N_SAMPLES, rate: int = RATE, amplitude: float = 0.5) -> Samples:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / rate)).astype(np.float32)


def noise(n: int = N_SAMPLES, amplitude: float = 0.3, seed: int = 1) -> Samples:
    return (amplitude * np.random.default_rng(seed).uniform(-1, 1, n)).astype(np.float32)


def glide(n: int = N_SAMPLES, rate: int = RATE) -> Samples:
    t = np.arange(n) / rate
    return (0.5 * np.sin(2 * np.pi * (100 * t + (0.45 * rate - 100) * t**2 / (2 * t[-1])))).astype(np.float32)


def clicks(n: int = N_SAMPLES) -> Samples:
    sound = noise(n, 1e-3)
    sound[::1777] = 0.9
    return sound


def one_second_then_padding(n: int = N_SAMPLES) -> Samples:
    return np.pad(synthetic_chunk(n // 3, RATE), (0, n - n // 3))


SOUNDS: dict[str, Callable[[], Samples]] = {
    "noise": noise,
    "tone": lambda: tone(440),
    "glide": glide,
    "speech-like": lambda: synthetic_chunk(N_SAMPLES, RATE),
    "clicks": clicks,
    "padded": one_second_then_padding,
    "quiet": lambda: synthetic_chunk(N_SAMPLES, RATE) * np.float32(1e-4),
}
every_sound = pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS)

SPECS = {
    "reference": SPEC,
    "n_fft-1024": replace(SPEC, n_fft=1024),
    "n_fft-not-a-power-of-2": replace(SPEC, n_fft=1000),
    "25-ms-window": replace(SPEC, window_s=0.025, hop_s=0.01, n_fft=512, n_mels=80),
    "25-ms-window-as-it-is": replace(SPEC, window_s=0.025, hop_s=0.01, n_mels=64),
    "odd-window": replace(SPEC, sample_rate_hz=22_050, window_s=0.025, hop_s=0.01, n_mels=64),
    "odd-window-within-n_fft": replace(SPEC, sample_rate_hz=22_050, window_s=0.025, hop_s=0.01, n_fft=1024),
    "hop-longer-than-window": replace(SPEC, hop_s=0.05),
    "htk": replace(SPEC, mel_scale="htk", n_fft=2048),
    "no-norm": replace(SPEC, mel_norm=False),
    "htk-no-norm": replace(SPEC, mel_scale="htk", mel_norm=False, n_mels=40),
    "telephone-band": replace(SPEC, f_min_hz=300, f_max_hz=3400, n_mels=32),
    "44-khz": replace(SPEC, sample_rate_hz=44_100, window_s=2048 / 44_100, hop_s=512 / 44_100),
    "8-khz": replace(SPEC, sample_rate_hz=8000, n_mels=40),
    "one-bin": replace(SPEC, n_mels=1),
}
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def librosa_power(chunk: Samples, spec: FrontendSpec) -> Array:
    """Give librosa's Mel power of the chunk scaled to a peak of 1, float32 ``(n_mels, frames)``."""
    scaled = chunk / np.abs(chunk).max()
    # librosa centres a window in n_fft samples; ours begins with the chunk. A spectrum's power does not see the shift.
    before = (spec.fft_length - spec.window_samples) // 2
    after = spec.fft_length - spec.window_samples - before
    power: Array = librosa.feature.melspectrogram(
        y=np.pad(scaled, (before, after)),
        sr=spec.sample_rate_hz,
        n_fft=spec.fft_length,
        hop_length=spec.hop_samples,
        win_length=spec.window_samples,
        window="hann",
        center=False,
        power=2,
        n_mels=spec.n_mels,
        fmin=spec.f_min_hz,
        fmax=spec.top_hz,
        htk=spec.mel_scale == "htk",
        norm="slaney" if spec.mel_norm else None,
    )
    return power


def librosa_picture(chunk: Samples, spec: FrontendSpec) -> Array:
    """Give librosa's decibels, scaled from 0 for the faintest to 255 for the loudest, low frequencies below."""
    decibel = librosa.power_to_db(librosa_power(chunk, spec), ref=1.0, amin=spec.power_floor, top_db=spec.top_db)
    decibel = decibel.astype(np.float64)
    scaled: Array = (decibel - decibel.min()) / (decibel.max() - decibel.min()) * 255
    return scaled[::-1]


def our_power(chunk: Samples, spec: FrontendSpec) -> Array:
    power: Array = mel_power(normalise(tf.constant(chunk[None])), spec)[0].numpy()
    return power.T


def levels(chunk: Samples, spec: FrontendSpec = SPEC) -> Array:
    image: Array = mel_picture(tf.constant(chunk[None]), spec)[0].numpy()
    return image


def coloured(chunk: Samples, spec: FrontendSpec = SPEC) -> Array:
    image: Array = picture(tf.constant(chunk[None]), spec)[0].numpy()
    return image


def assert_same_power(ours: Array, theirs: Array) -> None:
    assert ours.shape == theirs.shape
    floor = theirs.max() * 1e-8  # 80 dB below the loudest: what lies below is cut from a picture
    heard = theirs > floor
    assert (np.abs(ours - theirs)[heard] / theirs[heard]).max() < 1e-3
    assert (ours[~heard] < 1.01 * floor).all()


def assert_same_levels(ours: Array, theirs: Array) -> None:
    assert ours.shape == theirs.shape
    assert (np.abs(ours - theirs) <= 1).mean() >= 0.999


@pytest.fixture(scope="module")
def real_chunks(real_audio: list[Path]) -> list[Samples]:
    """Cut the files; one holds seconds of digital silence, which has no peak to be scaled to."""
    pieces = [chunk for path in real_audio for chunk in chunks(load(path, RATE), REFERENCE.chunk, RATE)]
    return [chunk for chunk in pieces if chunk.any()]


# Power and picture are librosa's


def assert_is_librosas(chunk: Samples, spec: FrontendSpec) -> None:
    assert_same_power(our_power(chunk, spec), librosa_power(chunk, spec))
    assert_same_levels(levels(chunk, spec), librosa_picture(chunk, spec))


@every_sound
def test_mel_power_and_picture_are_librosas(sound: Callable[[], Samples]) -> None:
    assert_is_librosas(sound(), SPEC)


@every_spec
def test_mel_power_and_picture_are_librosas_whatever_the_spec(spec: FrontendSpec) -> None:
    for chunk in (noise(spec.sample_rate_hz), glide(spec.sample_rate_hz, spec.sample_rate_hz)):
        assert_is_librosas(chunk, spec)


@pytest.mark.parametrize(("top_db", "power_floor"), [(40.0, 1e-10), (120.0, 1e-10), (80.0, 1e-3), (200.0, 1e-5)])
def test_mel_picture_is_cut_where_librosa_cuts(top_db: float, power_floor: float) -> None:
    spec = replace(SPEC, top_db=top_db, power_floor=power_floor)
    assert_same_levels(levels(one_second_then_padding(), spec), librosa_picture(one_second_then_padding(), spec))


@pytest.mark.data
@pytest.mark.parametrize("name", ["reference", "n_fft-1024", "25-ms-window", "htk", "no-norm", "telephone-band"])
def test_mel_power_and_picture_of_real_audio_are_librosas(real_chunks: list[Samples], name: str) -> None:
    assert len(real_chunks) >= 12
    for chunk in real_chunks[:: 1 if name == "reference" else 3]:
        assert_is_librosas(chunk, SPECS[name])


@pytest.mark.data
def test_finished_picture_of_real_audio_is_one_made_without_tensorflow(real_chunks: list[Samples]) -> None:
    colours = mpl.colormaps["viridis"]
    for chunk in real_chunks[::3]:
        expected = resized(colours(librosa_picture(chunk, SPEC).round().astype(int))[..., :3] * 255, 224, "bilinear")
        # A level of 255 more or less moves a channel of viridis by up to 3.
        assert (np.abs(coloured(chunk) - expected) <= 3).mean() >= 0.999


# Orientation


def test_low_tone_lights_the_bottom_and_high_tone_the_top() -> None:
    for spec in (SPEC, replace(SPEC, colour_map="none")):
        low, high = (coloured(tone(hz), spec).sum(axis=(1, 2)) for hz in (150, 7500))
        assert low.argmax() > 224 * 0.9
        assert high.argmax() < 224 * 0.1


# Colours

# The first and the last row of each map in matplotlib/_cm_listed.py, rounded to 8 bits.
PUBLISHED = {
    "viridis": ("#440154", "#fde725"),
    "cividis": ("#00224e", "#fee838"),
    "inferno": ("#000004", "#fcffa4"),
    "magma": ("#000004", "#fcfdbf"),
    "plasma": ("#0d0887", "#f0f921"),
    "none": ("#000000", "#ffffff"),
}


def rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


@pytest.mark.parametrize("name", get_args(ColourMap))
def test_faintest_pixel_has_the_first_colour_and_loudest_the_last(name: ColourMap) -> None:
    sound = one_second_then_padding(SQUARE)
    scaled, image = levels(sound, BARE), coloured(sound, replace(BARE, colour_map=name))
    first, last = PUBLISHED[name]
    assert image[scaled == 0].round().astype(int).tolist()[0] == rgb(first)
    np.testing.assert_array_equal(image[scaled == 0], np.tile(image[scaled == 0][0], ((scaled == 0).sum(), 1)))
    loudest = np.unravel_index(scaled.argmax(), scaled.shape)
    assert image[loudest].round().astype(int).tolist() == rgb(last)


@pytest.mark.parametrize("name", get_args(ColourMap))
def test_each_level_gets_its_colour_of_256_different_ones(name: ColourMap) -> None:
    table = colour_table(name)
    assert (table.shape, table.dtype) == ((256, 3), np.float32)
    assert table.min() >= 0
    assert table.max() <= 255
    assert len(np.unique(table, axis=0)) == 256
    colours = mpl.colormaps["gray" if name == "none" else name]
    expected = colours(levels(glide(SQUARE), BARE).round().astype(int))[..., :3] * 255
    np.testing.assert_allclose(coloured(glide(SQUARE), replace(BARE, colour_map=name)), expected, rtol=0, atol=1e-3)


# Size


def resized(image: Array, size: int, method: Resize) -> Array:
    """Resize ``(height, width, channels)`` with numpy; a pixel's value is that of its centre."""
    for axis in (0, 1):
        n = image.shape[axis]
        centres = (np.arange(size) + 0.5) * n / size
        if method == "nearest":
            image = image.take(np.floor(centres).astype(int), axis)
            continue
        below = np.floor(centres - 0.5)
        share = (centres - 0.5 - below).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first, second = (np.clip(below + k, 0, n - 1).astype(int) for k in (0, 1))
        image = image.take(first, axis) * (1 - share) + image.take(second, axis) * share
    return image


@pytest.mark.parametrize("method", get_args(Resize))
@pytest.mark.parametrize("size", [8, 96, 224, 299])
def test_picture_is_resized_by_the_method_asked_for(method: Resize, size: int) -> None:
    image = coloured(glide(SQUARE), replace(BARE, size_px=size, resize=method))
    assert image.shape == (size, size, 3)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, resized(coloured(glide(SQUARE), BARE), size, method), rtol=0, atol=0.01)


@pytest.mark.parametrize("n_samples", [512, 513, 767, 768, 48_000])
def test_picture_has_the_frames_the_spec_counts(n_samples: int) -> None:
    assert levels(noise(n_samples)).shape == (128, SPEC.n_frames(n_samples))
    assert SPEC.n_frames(n_samples) == 1 + (n_samples - 512) // 256
    assert coloured(noise(n_samples)).shape == (224, 224, 3)


# Sounds nobody would record


def bent(value: float) -> Samples:
    sound = noise()
    sound[[0, 100, 20_000, -1]] = value
    return sound


NAN, INF = float("nan"), float("inf")
ODD_SOUNDS: dict[str, Callable[[], Samples]] = {
    "silence": lambda: np.zeros(N_SAMPLES, np.float32),
    "negative-zero": lambda: np.full(N_SAMPLES, -0.0, np.float32),
    "dc": lambda: np.ones(N_SAMPLES, np.float32),
    "negative-dc": lambda: np.full(N_SAMPLES, -0.3, np.float32),
    "impulse": lambda: np.eye(1, N_SAMPLES, 24_000, dtype=np.float32)[0],
    "impulse-at-the-edge": lambda: np.eye(1, N_SAMPLES, 0, dtype=np.float32)[0],
    "square-wave": lambda: np.sign(tone(440)),
    "alternating": lambda: np.resize(np.array([1, -1], np.float32), N_SAMPLES),
    "1e-30": lambda: noise(amplitude=1e-30),
    "1e-13": lambda: noise(amplitude=1e-13),
    "denormal": lambda: noise(amplitude=1e-42),
    "1e+29": lambda: noise(amplitude=1e29),
    "3e+38": lambda: noise(amplitude=3e38),
    "one-nan": lambda: bent(NAN),
    "one-inf": lambda: bent(INF),
    "one-negative-inf": lambda: bent(-INF),
    "all-nan": lambda: np.full(N_SAMPLES, NAN, np.float32),
    "all-inf": lambda: np.full(N_SAMPLES, INF, np.float32),
    "inf-of-both-signs": lambda: np.resize(np.array([INF, -INF, NAN], np.float32), N_SAMPLES),
}


def assert_is_a_picture(sound: Samples, spec: FrontendSpec = SPEC) -> None:
    scaled = levels(sound, spec)
    assert np.isfinite(scaled).all()
    assert scaled.min() >= 0
    assert scaled.max() <= np.nextafter(np.float32(255), np.float32(256))  # one rounding of a float32
    image = coloured(sound, spec)
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image.max() <= 255


@pytest.mark.parametrize("sound", ODD_SOUNDS.values(), ids=ODD_SOUNDS.keys())
def test_odd_sound_gives_a_picture(sound: Callable[[], Samples]) -> None:
    assert_is_a_picture(sound())
    assert_is_a_picture(sound(), replace(SPEC, colour_map="none", resize="nearest"))


@pytest.mark.parametrize("name", ["silence", "negative-zero", "1e-30", "denormal", "all-nan", "all-inf"])
def test_sound_without_anything_to_hear_is_one_dark_colour(name: str) -> None:
    sound = ODD_SOUNDS[name]()
    assert not levels(sound).any()
    image = coloured(sound)
    np.testing.assert_array_equal(image, np.broadcast_to(image[0, 0], image.shape))
    assert image[0, 0].round().astype(int).tolist() == rgb("#440154")


@pytest.mark.parametrize("value", [NAN, INF, -INF, 3e38])
def test_samples_that_are_none_count_as_silence(value: float) -> None:
    np.testing.assert_array_equal(coloured(bent(value)), coloured(bent(0)))


@given(
    sound=arrays(
        np.float32,
        (1024,),
        elements=st.floats(width=32) | st.floats(-1, 1, width=32),
        fill=st.sampled_from([0.0, 0.1, NAN]).map(np.float32),
    )
)
@settings(max_examples=60)
def test_any_samples_give_a_picture(sound: Samples) -> None:
    assert_is_a_picture(sound, replace(SPEC, size_px=16))


@given(seed=st.integers(0, 1000), kind=st.sampled_from(["noise", "tone", "both"]), exponent=st.integers(-30, 30))
@example(seed=0, kind="both", exponent=-30)
@example(seed=0, kind="both", exponent=30)
@settings(max_examples=30)
def test_gain_does_not_change_the_picture(seed: int, kind: str, exponent: int) -> None:
    sound = np.zeros(8000, np.float32)
    if kind != "tone":
        sound += noise(8000, seed=seed)
    if kind != "noise":
        sound += tone(100 + 7 * seed, 8000)
    np.testing.assert_array_equal(coloured(np.ldexp(sound, exponent)), coloured(sound))


# Batches


def test_batch_gives_what_each_chunk_gives_alone() -> None:
    sounds = [sound() for sound in SOUNDS.values()]
    together = mel_picture(tf.constant(np.stack(sounds)), SPEC).numpy()
    images = picture(tf.constant(np.stack(sounds)), SPEC).numpy()
    assert images.shape == (len(sounds), 224, 224, 3)
    for i, sound in enumerate(sounds):
        # Multiplying larger matrices may round otherwise, and a level on the edge then takes the next colour.
        np.testing.assert_allclose(together[i], levels(sound), rtol=0, atol=0.01)
        assert (np.abs(images[i] - coloured(sound)) <= 3).all()
        assert (images[i] == coloured(sound)).mean() > 0.999


def test_broken_chunk_leaves_its_neighbours_alone() -> None:
    broken = np.full(N_SAMPLES, NAN, np.float32)
    images = picture(tf.constant(np.stack([broken, glide(), broken])), SPEC).numpy()
    assert (np.abs(images[1] - coloured(glide())) <= 3).all()
    np.testing.assert_array_equal(images[0], images[2])
