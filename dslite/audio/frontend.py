"""The spectrogram front end: audio to picture, in TensorFlow operations that all have a TFLite builtin.

One implementation serves training and export. Source: DeepSpectrumLite (2022), section 2.1; conventions the
paper leaves open follow librosa, see `dslite.recipe.FrontendSpec`.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dslite.audio.load import LOUDEST_SAMPLE
from dslite.recipe import ColourMap, FrontendSpec

_QUIETEST_PEAK = 1e-12
"""Peaks below are silence: dividing by them would blow rounding errors up to a picture."""
_FLATTEST_DB = 1e-3
"""A picture whose loudest and faintest point are closer than this is of one colour: the darkest."""


def normalise(audio: Any) -> Any:
    """Scale chunks, float32 ``(n, samples)``, to a peak of 1; silence stays, samples that are not finite become 0."""
    audio = tf.where(tf.abs(audio) < LOUDEST_SAMPLE, audio, tf.zeros_like(audio))
    peak = tf.reduce_max(tf.abs(audio), axis=-1, keepdims=True)
    return audio / tf.maximum(peak, _QUIETEST_PEAK)


def mel_power(audio: Any, spec: FrontendSpec) -> Any:
    """Compute the Mel power spectrogram, windows not padded at the chunk's edges.

    Equals ``librosa.feature.melspectrogram(..., center=False, power=2)`` within float32 rounding.

    Args:
        audio: float32 ``(n, samples)``.
        spec: window, hop, transform and Mel filters.

    Returns:
        float32 ``(n, frames, n_mels)``, >= 0.
    """
    spectrum = tf.signal.stft(
        audio,
        spec.window_samples,
        spec.hop_samples,
        fft_length=spec.fft_length,
        window_fn=lambda _, dtype: tf.constant(hann_window(spec.window_samples), dtype),
    )
    return tf.matmul(tf.square(tf.abs(spectrum)), tf.constant(mel_filters(spec)))


def hann_window(n: int) -> npt.NDArray[np.float64]:
    """Give the periodic Hann window, as librosa does; TensorFlow's own is symmetric where n is odd."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


@cache
def mel_filters(spec: FrontendSpec) -> npt.NDArray[np.float32]:
    """Give librosa's Mel filter bank, float32 ``(fft_length / 2 + 1, n_mels)``."""
    from librosa.filters import mel

    bank: npt.NDArray[np.float32] = mel(
        sr=spec.sample_rate_hz,
        n_fft=spec.fft_length,
        n_mels=spec.n_mels,
        fmin=spec.f_min_hz,
        fmax=spec.top_hz,
        htk=spec.mel_scale == "htk",
        norm="slaney" if spec.mel_norm else None,
        dtype=np.float32,
    )
    return np.ascontiguousarray(bank.T)


def mel_picture(audio: Any, spec: FrontendSpec) -> Any:
    """Give the picture before it is coloured and resized: decibels, min-max scaled, low frequencies at the bottom.

    Args:
        audio: float32 ``(n, samples)``.
        spec: of the front end.

    Returns:
        float32 ``(n, n_mels, frames)`` in [0, 255] (255.00002 by rounding); all 0 where there is nothing but
        silence.
    """
    power = mel_power(normalise(audio), spec)
    decibel = (10.0 / np.log(10.0)) * tf.math.log(tf.maximum(power, spec.power_floor))
    loudest = tf.reduce_max(decibel, axis=[1, 2], keepdims=True)
    decibel = tf.maximum(decibel, loudest - spec.top_db)
    faintest = tf.reduce_min(decibel, axis=[1, 2], keepdims=True)
    scaled = (decibel - faintest) * (255.0 / tf.maximum(loudest - faintest, _FLATTEST_DB))
    return tf.reverse(tf.transpose(scaled, [0, 2, 1]), axis=[1])


@cache
def colour_table(name: ColourMap) -> npt.NDArray[np.float32]:
    """Give the 256 colours of a map, float32 ``(256, 3)``, RGB in [0, 255]; ``none`` gives greys."""
    levels = np.arange(256)
    if name == "none":
        return np.repeat(levels[:, None], 3, axis=1).astype(np.float32)
    import matplotlib as mpl

    return (mpl.colormaps[name](levels)[:, :3] * 255).astype(np.float32)


def levels(audio: Any, spec: FrontendSpec) -> Any:
    """Give what `picture` colours and resizes, of the same audio: int32 ``(n, n_mels, frames)``, 0 to 255."""
    return tf.cast(tf.round(mel_picture(audio, spec)), tf.int32)


def coloured(levels: Any, spec: FrontendSpec) -> Any:
    """Colour and resize what `levels` gives, integers of any type: the pictures of `picture`."""
    colours = tf.gather(tf.constant(colour_table(spec.colour_map)), tf.cast(levels, tf.int32))
    return tf.image.resize(colours, (spec.size_px, spec.size_px), method=spec.resize)


def picture(audio: Any, spec: FrontendSpec) -> Any:
    """Turn chunks into the pictures a backbone sees.

    Args:
        audio: float32 ``(n, samples)``, samples at least one window.
        spec: of the front end.

    Returns:
        float32 ``(n, size_px, size_px, 3)``, RGB in [0, 255], never NaN.
    """
    return coloured(levels(audio, spec), spec)
