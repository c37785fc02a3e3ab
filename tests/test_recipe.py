import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import SpecError
from dslite.recipe import REFERENCE, ChunkSpec, FrontendSpec, HeadSpec, Recipe

Spec = type[ChunkSpec] | type[FrontendSpec] | type[HeadSpec]


def test_the_reference_is_what_the_paper_says_and_where_it_leaves_something_open_as_decided() -> None:
    # Amiriparian et al. 2022 (doi 10.3389/frai.2022.856232), section 2.1; the 3 s are the mode of its Table 2. Left
    # open: the Mel scale with its norm, the floor, the range, the ends of files, resizing.
    frontend = FrontendSpec(
        16_000, 0.032, 0.016, None, 128, 0.0, None, "slaney", True, 1e-10, 80.0, "viridis", 224, "bilinear"
    )
    assert Recipe(ChunkSpec(3.0, None, "pad", "pad"), frontend, HeadSpec(512, 0.25, "softmax")) == REFERENCE


def test_the_reference_counts_in_samples() -> None:
    assert (REFERENCE.frontend.window_samples, REFERENCE.frontend.hop_samples) == (512, 256)
    assert REFERENCE.chunk_samples == 48_000
    assert REFERENCE.frontend.n_frames(48_000) == 186  # (48000 - 512) / 256 = 185.5: 186 windows begin and end within


def test_the_reference_cannot_be_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        REFERENCE.frontend.n_mels = 64  # type: ignore[misc]


NAN, INF = math.nan, math.inf
# What messages call each field, values at the ends of its range, and values outside of it.
RANGES: list[tuple[Spec, str, str, list[Any], list[Any]]] = [
    (ChunkSpec, "length_s", "chunk length", [3600], [0, -1.0, 3600.1, NAN, INF, -INF]),
    (ChunkSpec, "hop_s", "chunk hop", [1e-6], [0, -0.5, NAN, INF, -INF]),
    (ChunkSpec, "short", "short", ["drop"], ["repeat"]),
    (ChunkSpec, "tail", "tail", ["drop"], [""]),
    (FrontendSpec, "sample_rate_hz", "sample rate", [1000, 384_000], [999, 384_001]),
    (FrontendSpec, "window_s", "window", [2 / 16_000], [0, -0.032, 0.00009, NAN, INF, -INF]),
    (FrontendSpec, "hop_s", "STFT hop", [1 / 16_000], [0, -0.016, 0.00003, NAN, INF, -INF]),
    (FrontendSpec, "n_fft", "n_fft", [512], [511, 0]),
    (FrontendSpec, "n_mels", "Mel bins", [1, 1024], [0, 1025]),
    (FrontendSpec, "f_min_hz", "frequencies", [0, 7999], [-1, 8000, NAN, INF, -INF]),
    (FrontendSpec, "f_max_hz", "frequencies", [1, 8000], [0, 8001, NAN, INF, -INF]),
    (FrontendSpec, "power_floor", "power floor", [1e-300], [0, 1, NAN, INF, -INF]),
    (FrontendSpec, "top_db", "top_db", [200], [0, 201, NAN, INF, -INF]),
    (FrontendSpec, "size_px", "picture size", [8, 4096], [7, 4097]),
    (FrontendSpec, "mel_scale", "mel_scale", ["htk"], ["mel"]),
    (FrontendSpec, "colour_map", "colour_map", ["none"], ["jet"]),
    (FrontendSpec, "resize", "resize", ["nearest"], ["bicubic"]),
    (HeadSpec, "n_hidden", "hidden units", [1, 65_536], [0, 65_537]),
    (HeadSpec, "dropout", "dropout", [0, 0.999], [-0.1, 1, NAN, INF, -INF]),
    (HeadSpec, "output", "output", ["linear"], ["sigmoid"]),
]


@pytest.mark.parametrize(("spec", "field", "name", "inside", "outside"), RANGES, ids=[row[1] for row in RANGES])
def test_a_setting_outside_its_range_is_refused_by_name_with_what_was_expected_and_got(
    spec: Spec, field: str, name: str, inside: list[Any], outside: list[Any]
) -> None:
    for value in inside:
        assert getattr(spec(**{field: value}), field) == value
    for value in outside:
        with pytest.raises(SpecError) as caught:
            spec(**{field: value})
        message = str(caught.value)
        assert message.startswith(f"{name}: expected ")
        assert str(value) in message.partition("got")[2]
        assert "\n" not in message


def test_the_range_of_frequencies_follows_the_sample_rate() -> None:
    assert FrontendSpec(sample_rate_hz=44_100).top_hz == 22_050
    with pytest.raises(SpecError, match=r"f_max <= 4000 Hz, half the sample rate, got 0 to 8000"):
        FrontendSpec(sample_rate_hz=8000, f_max_hz=8000)


def test_the_hop_of_chunks_is_never_nothing() -> None:
    assert ChunkSpec(hop_s=1e-9).hop_samples(16_000) == 1


def test_a_chunk_shorter_than_a_window_is_refused() -> None:
    assert FrontendSpec().n_frames(512) == 1
    with pytest.raises(SpecError, match=r"chunk: expected at least one window of 0\.032 s, got 511 samples"):
        FrontendSpec().n_frames(511)
    with pytest.raises(SpecError, match=r"got 160 samples"):
        _ = Recipe(chunk=ChunkSpec(length_s=0.01)).chunk_samples


_FRONTENDS = st.builds(
    FrontendSpec, sample_rate_hz=st.integers(1000, 96_000), window_s=st.floats(0.004, 0.2), hop_s=st.floats(0.002, 0.2)
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
