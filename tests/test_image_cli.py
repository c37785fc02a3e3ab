"""``dslite image`` as a user runs it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import tensorflow as tf

from dslite.audio.frontend import picture
from dslite.audio.load import Samples, chunks, load, synthetic_chunk
from dslite.recipe import REFERENCE, ChunkSpec, FrontendSpec

RATE = REFERENCE.frontend.sample_rate_hz


def image(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "dslite", "image", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("DSLITE_")}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)


def recording(path: Path, seconds: float, rate: int = RATE) -> Path:
    soundfile.write(path, synthetic_chunk(round(seconds * rate), rate), rate, subtype="PCM_16")
    return path


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    decoded: npt.NDArray[np.uint8] = tf.io.decode_png(path.read_bytes()).numpy()
    return decoded


def expected(chunk: Samples, spec: FrontendSpec) -> npt.NDArray[Any]:
    return np.round(picture(tf.constant(chunk[None]), spec)[0].numpy()).astype(np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_refused(run: "subprocess.CompletedProcess[str]", exit_code: int, *words: str) -> None:
    assert run.returncode == exit_code, run.stderr
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert run.stderr.endswith("\n")
    for word in words:
        assert word in run.stderr


def test_short_file_gives_one_picture_of_that_name(tmp_path: Path) -> None:
    audio, out = recording(tmp_path / "two words.wav", 1.0), tmp_path / "out.png"
    run = image(audio, "-o", out)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout == f"{out}  0.00 s to 1.00 s\n"  # where the audio ends, not its padding
    assert names(tmp_path) == ["out.png", "two words.wav"]
    assert pixels(out).shape == (224, 224, 3)
    (chunk,) = chunks(load(audio, RATE), REFERENCE.chunk, RATE)
    np.testing.assert_array_equal(pixels(out), expected(chunk, REFERENCE.frontend))


def test_long_file_gives_a_numbered_picture_a_chunk_by_the_options_given(tmp_path: Path) -> None:
    audio, out = recording(tmp_path / "long.flac", 5.2, 44_100), tmp_path / "out.png"
    options = ("--chunk", 2, "--chunk-hop", 1.5, "--colour-map", "magma", "--size", 128, "--resize", "nearest")
    run = image(audio, "-o", out, "--json", *options)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    paths = [tmp_path / f"out-{i:03d}.png" for i in range(4)]
    assert json.loads(run.stdout) == [
        {"path": str(path), "start_s": start_s, "end_s": min(start_s + 2, 5.2)}  # where the audio ends
        for path, start_s in zip(paths, (0.0, 1.5, 3.0, 4.5), strict=True)
    ]
    assert names(tmp_path) == ["long.flac", *(path.name for path in paths)]
    spec = replace(REFERENCE.frontend, colour_map="magma", size_px=128, resize="nearest")
    pieces = chunks(load(audio, RATE), ChunkSpec(2.0, 1.5), RATE)
    for path, piece in zip(paths, pieces, strict=True):
        assert pixels(path).shape == (128, 128, 3)
        np.testing.assert_array_equal(pixels(path), expected(piece, spec))


def test_place_that_takes_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs /proc, a folder where nobody, not even root, can make a file")
    run = image(recording(tmp_path / "a.wav", 1.0), "-o", "/proc/out.png")
    assert_refused(run, 1, "cannot write /proc/out.png: ")


# From here on nothing is asked of TensorFlow: a refusal comes before it is started.


def test_missing_output_folder_is_told_in_one_line(tmp_path: Path) -> None:
    run = image(recording(tmp_path / "a.wav", 1.0), "-o", tmp_path / "missing" / "out.png")
    assert_refused(run, 2, str(tmp_path / "missing"), "does not exist")
    assert names(tmp_path) == ["a.wav"]


def test_text_instead_of_audio_is_told_in_one_line(tmp_path: Path) -> None:
    audio = tmp_path / "text.wav"
    audio.write_text("This is no sound.\n" * 100, encoding="utf-8")
    assert_refused(image(audio, "-o", tmp_path / "out.png", "--json"), 2, str(audio), "expected audio")
    assert names(tmp_path) == ["text.wav"]


def test_garbage_that_libmpg123_complains_about_is_told_in_one_line(tmp_path: Path) -> None:
    audio = tmp_path / "garbage.mp3"
    audio.write_bytes(np.random.default_rng(0).bytes(20_000))
    assert_refused(image(audio, "-o", tmp_path / "out.png"), 2, str(audio), "expected audio")
    assert names(tmp_path) == ["garbage.mp3"]


def test_missing_audio_is_told_in_one_line(tmp_path: Path) -> None:
    audio = tmp_path / "missing.wav"
    assert_refused(image(audio, "-o", tmp_path / "out.png"), 2, f"{audio}: no such file")
    assert names(tmp_path) == []


def test_short_file_that_is_to_be_dropped_is_told_in_one_line(tmp_path: Path) -> None:
    audio = recording(tmp_path / "a.wav", 1.0)
    assert_refused(image(audio, "-o", tmp_path / "out.png", "--short", "drop"), 2, str(audio), "--short drop")
    assert names(tmp_path) == ["a.wav"]


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--colour-map", "jet", "viridis"),
        ("--size", "4", "8 to 4096"),
        ("--chunk", "0.01", "at least one window"),
        ("--window", "0", "window"),
    ],
)
def test_option_out_of_its_range_is_told_in_one_line(tmp_path: Path, option: str, value: str, word: str) -> None:
    audio = recording(tmp_path / "a.wav", 1.0)
    assert_refused(image(audio, "-o", tmp_path / "out.png", option, value), 2, word)
    assert names(tmp_path) == ["a.wav"]
