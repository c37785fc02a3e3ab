import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import SpecError
from dslite.recipe import REFERENCE, ChunkSpec, FrontendSpec, HeadSpec, Recipe

Spec = type[ChunkSpec] | type[FrontendSpec] | type[HeadSpec]


# Amiriparian et al. 2022 (doi 10.3389/frai.2022.856232), section 2.1; the 3 s are the mode of its Table 2.
@pytest.mark.parametrize(
    ("value", "published"),
    [
        (REFERENCE.frontend.sample_rate_hz, 16_000),
        (REFERENCE.frontend.window_s, 0.032),
        (REFERENCE.frontend.hop_s / REFERENCE.frontend.window_s, 0.5),
        (REFERENCE.frontend.n_mels, 128),
        (REFERENCE.frontend.colour_map, "viridis"),
        (REFERENCE.frontend.size_px, 224),
        (REFERENCE.chunk.length_s, 3.0),
        (REFERENCE.head.n_hidden, 512),
        (REFERENCE.head.output, "softmax"),
    ],
)
def test_the_reference_is_what_the_paper_says(value: object, published: object) -> None:
    assert value == published


def test_what_the_paper_leaves_open_is_as_decided() -> None:
    frontend = REFERENCE.frontend
    assert (frontend.mel_scale, frontend.mel_norm, frontend.power_floor, frontend.top_db) == ("slaney", True, 1e-10, 80)
    assert (frontend.f_min_hz, frontend.top_hz, frontend.fft_length, frontend.resize) == (0, 8000, 512, "bilinear")
    assert (REFERENCE.chunk.short, REFERENCE.chunk.tail, REFERENCE.chunk.hop_samples(16_000)) == ("pad", "pad", 24_000)


def test_the_reference_counts_in_samples() -> None:
    assert (REFERENCE.frontend.window_samples, REFERENCE.frontend.hop_samples) == (512, 256)
    assert REFERENCE.chunk_samples == 48_000
    assert REFERENCE.frontend.n_frames(48_000) == 186  # (48000 - 512) / 256 = 185.5: 186 windows begin and end within


def test_the_reference_cannot_be_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        REFERENCE.frontend.n_mels = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("spec", "given_", "name"),
    [
        (ChunkSpec, {"length_s": 0}, "chunk length"),
        (ChunkSpec, {"length_s": -1.0}, "chunk length"),
        (ChunkSpec, {"length_s": 3600.1}, "chunk length"),
        (ChunkSpec, {"hop_s": 0}, "chunk hop"),
        (ChunkSpec, {"hop_s": -0.5}, "chunk hop"),
        (ChunkSpec, {"short": "repeat"}, "short"),
        (ChunkSpec, {"tail": ""}, "tail"),
        (FrontendSpec, {"sample_rate_hz": 999}, "sample rate"),
        (FrontendSpec, {"sample_rate_hz": 384_001}, "sample rate"),
        (FrontendSpec, {"window_s": 0}, "window"),
        (FrontendSpec, {"window_s": -0.032}, "window"),
        (FrontendSpec, {"window_s": 0.00009}, "window"),
        (FrontendSpec, {"hop_s": 0}, "STFT hop"),
        (FrontendSpec, {"hop_s": -0.016}, "STFT hop"),
        (FrontendSpec, {"hop_s": 0.00003}, "STFT hop"),
        (FrontendSpec, {"n_fft": 511}, "n_fft"),
        (FrontendSpec, {"n_fft": 0}, "n_fft"),
        (FrontendSpec, {"n_mels": 0}, "Mel bins"),
        (FrontendSpec, {"n_mels": 1025}, "Mel bins"),
        (FrontendSpec, {"f_min_hz": -1}, "frequencies"),
        (FrontendSpec, {"f_min_hz": 8000}, "frequencies"),
        (FrontendSpec, {"f_max_hz": 0}, "frequencies"),
        (FrontendSpec, {"f_max_hz": 8001}, "frequencies"),
        (FrontendSpec, {"power_floor": 0}, "power floor"),
        (FrontendSpec, {"power_floor": 1}, "power floor"),
        (FrontendSpec, {"top_db": 0}, "top_db"),
        (FrontendSpec, {"top_db": 201}, "top_db"),
        (FrontendSpec, {"size_px": 7}, "picture size"),
        (FrontendSpec, {"size_px": 4097}, "picture size"),
        (FrontendSpec, {"mel_scale": "mel"}, "mel_scale"),
        (FrontendSpec, {"colour_map": "jet"}, "colour_map"),
        (FrontendSpec, {"resize": "bicubic"}, "resize"),
        (HeadSpec, {"n_hidden": 0}, "hidden units"),
        (HeadSpec, {"n_hidden": 65_537}, "hidden units"),
        (HeadSpec, {"dropout": -0.1}, "dropout"),
        (HeadSpec, {"dropout": 1}, "dropout"),
        (HeadSpec, {"output": "sigmoid"}, "output"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name_with_what_was_expected_and_got(
    spec: Spec, given_: dict[str, Any], name: str
) -> None:
    with pytest.raises(SpecError) as caught:
        spec(**given_)
    message = str(caught.value)
    (value,) = given_.values()
    assert message.startswith(f"{name}: expected ")
    assert str(value) in message.partition("got")[2]
    assert "\n" not in message


@pytest.mark.parametrize(
    ("spec", "given_"),
    [
        (ChunkSpec, {"length_s": 3600}),
        (ChunkSpec, {"hop_s": 1e-6}),
        (ChunkSpec, {"short": "drop", "tail": "drop"}),
        (FrontendSpec, {"sample_rate_hz": 1000}),
        (FrontendSpec, {"sample_rate_hz": 384_000}),
        (FrontendSpec, {"window_s": 2 / 16_000}),
        (FrontendSpec, {"hop_s": 1 / 16_000}),
        (FrontendSpec, {"n_fft": 512}),
        (FrontendSpec, {"n_mels": 1}),
        (FrontendSpec, {"n_mels": 1024}),
        (FrontendSpec, {"f_min_hz": 7999, "f_max_hz": 8000}),
        (FrontendSpec, {"top_db": 200}),
        (FrontendSpec, {"size_px": 8}),
        (FrontendSpec, {"size_px": 4096}),
        (FrontendSpec, {"mel_scale": "htk", "colour_map": "none", "resize": "nearest", "mel_norm": False}),
        (HeadSpec, {"n_hidden": 1, "dropout": 0}),
        (HeadSpec, {"n_hidden": 65_536, "dropout": 0.999}),
        (HeadSpec, {"output": "linear"}),
    ],
)
def test_the_ends_of_a_range_belong_to_it(spec: Spec, given_: dict[str, Any]) -> None:
    made = spec(**given_)
    assert {name: getattr(made, name) for name in given_} == given_


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (ChunkSpec, "length_s"),
        (ChunkSpec, "hop_s"),
        (FrontendSpec, "window_s"),
        (FrontendSpec, "hop_s"),
        (FrontendSpec, "f_min_hz"),
        (FrontendSpec, "f_max_hz"),
        (FrontendSpec, "power_floor"),
        (FrontendSpec, "top_db"),
        (HeadSpec, "dropout"),
    ],
)
def test_nan_and_infinity_are_no_setting(spec: Spec, field: str, value: float) -> None:
    with pytest.raises(SpecError, match="expected"):
        spec(**{field: value})


def test_the_range_of_frequencies_follows_the_sample_rate() -> None:
    assert FrontendSpec(sample_rate_hz=44_100).top_hz == 22_050
    with pytest.raises(SpecError, match=r"f_max <= 4000 Hz, half the sample rate, got 0 to 8000"):
        FrontendSpec(sample_rate_hz=8000, f_max_hz=8000)


def test_the_hop_of_chunks_is_half_a_chunk_unless_said_and_never_nothing() -> None:
    assert ChunkSpec(length_s=2.0).hop_samples(16_000) == 16_000
    assert ChunkSpec(length_s=2.0, hop_s=0.5).hop_samples(16_000) == 8000
    assert ChunkSpec(hop_s=1e-9).hop_samples(16_000) == 1


def test_a_chunk_shorter_than_a_window_is_refused() -> None:
    assert FrontendSpec().n_frames(512) == 1
    with pytest.raises(SpecError, match=r"chunk: expected at least one window of 0\.032 s, got 511 samples"):
        FrontendSpec().n_frames(511)
    with pytest.raises(SpecError, match=r"got 160 samples"):
        _ = Recipe(chunk=ChunkSpec(length_s=0.01)).chunk_samples


_FRONTENDS = st.builds(
    FrontendSpec,
    sample_rate_hz=st.integers(1000, 96_000),
    window_s=st.floats(0.004, 0.2),
    hop_s=st.floats(0.002, 0.2),
)


@given(_FRONTENDS, st.integers(0, 200_000))
def test_the_last_frame_ends_within_the_chunk_and_one_more_would_not(spec: FrontendSpec, extra: int) -> None:
    n_samples = spec.window_samples + extra
    n_frames = spec.n_frames(n_samples)
    assert (n_frames - 1) * spec.hop_samples + spec.window_samples <= n_samples
    assert n_frames * spec.hop_samples + spec.window_samples > n_samples


@given(st.floats(0.001, 3600), st.integers(1000, 384_000))
def test_a_chunk_is_within_half_a_sample_of_its_length(length_s: float, rate_hz: int) -> None:
    assert ChunkSpec(length_s).n_samples(rate_hz) / rate_hz == pytest.approx(length_s, abs=0.5001 / rate_hz)
