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
from click.testing import CliRunner, Result

from dslite.audio.frontend import picture
from dslite.audio.load import Samples, chunks, load, synthetic_chunk
from dslite.cli.commands.image import command
from dslite.errors import SpecError
from dslite.recipe import REFERENCE, ChunkSpec, FrontendSpec

RATE = REFERENCE.frontend.sample_rate_hz


def image(*arguments: object) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "dslite", "image", *map(str, arguments)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("DSLITE_")}
    return subprocess.run(words, capture_output=True, text=True, env=env, timeout=120, check=False)


def image_here(*arguments: object) -> Result:
    """Run the command in this process, where TensorFlow has started already."""
    return CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)


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


def test_several_files_are_numbered_through_and_named(tmp_path: Path) -> None:
    files = [recording(tmp_path / "a.wav", 4.0), recording(tmp_path / "b.wav", 1.0)]
    run = image_here(*files, "-o", tmp_path / "out.png", "--size", 64)
    assert run.exit_code == 0, run.output
    spans = ((files[0], 0, 3), (files[0], 1.5, 4), (files[1], 0, 1))
    assert run.stdout.splitlines() == [
        f"{tmp_path / f'out-{i:03d}.png'}  {path}  {start:.2f} s to {end:.2f} s"
        for i, (path, start, end) in enumerate(spans)
    ]
    assert names(tmp_path) == ["a.wav", "b.wav", "out-000.png", "out-001.png", "out-002.png"]


def test_cutmix_mixes_the_chunks_of_all_files_and_tells_what_becomes_of_labels(tmp_path: Path) -> None:
    files = [recording(tmp_path / "a.wav", 1.0), recording(tmp_path / "b.wav", 4.0)]
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    assert image_here(*files, "-o", before).exit_code == 0
    run = image_here(*files, "-o", after, "--augment", "cutmix:size=100", "--seed", 5, "--json")
    assert run.exit_code == 0, run.output
    assert run.stderr == ""
    rows = json.loads(run.stdout)
    assert [row["audio"] for row in rows] == [str(files[0]), str(files[1]), str(files[1])]
    plain = [pixels(tmp_path / f"before-{i:03d}.png") for i in range(3)]
    for i, row in enumerate(rows):
        (other,) = (j for j in range(3) if j != i and rows[j]["path"] in row["labels"])
        share = row["labels"][rows[other]["path"]]
        assert 0 < share <= 100 * 100 / 224**2 + 1e-6
        assert row["labels"][row["path"]] == pytest.approx(1 - share)
        mixed = pixels(Path(row["path"]))
        differs = (mixed != plain[i]).any(axis=-1)
        assert 0 < differs.sum() <= round(share * 224**2)
        np.testing.assert_array_equal(mixed[differs], plain[other][differs])


def test_a_single_picture_is_mixed_with_a_synthetic_sound_and_that_is_said(tmp_path: Path) -> None:
    audio, out = tmp_path / "noise.wav", tmp_path / "out.png"
    soundfile.write(audio, np.random.default_rng(1).normal(0, 0.1, RATE * 3), RATE)
    run = image(audio, "-o", out, "--augment", "mixup:alpha=50")
    assert run.returncode == 0, run.stderr
    assert run.stderr == "note: a single picture has none to be mixed with: a synthetic sound is its partner\n"
    assert run.stdout.startswith(f"{out}  0.00 s to 3.00 s  label: ")
    assert "% the synthetic sound" in run.stdout
    assert names(tmp_path) == ["noise.wav", "out.png"]


def test_what_does_not_mix_needs_no_partner_and_seed_and_strength_decide(tmp_path: Path) -> None:
    audio = recording(tmp_path / "a.wav", 3.0)
    found = {}
    for name, options in {
        "plain": (),
        "none": ("--augment", "specaugment", "--strength", 0),
        "first": ("--augment", "specaugment,noise:deviation=5"),
        "again": ("--augment", "specaugment", "--augment", "noise:deviation=5", "--seed", 0, "--strength", 1),
        "other": ("--augment", "specaugment,noise:deviation=5", "--seed", 1),
    }.items():
        out = tmp_path / f"{name}.png"
        run = image_here(audio, "-o", out, "--size", 64, *options)
        assert run.exit_code == 0, run.output
        assert run.stderr == ""
        assert run.stdout == f"{out}  0.00 s to 3.00 s\n"
        found[name] = pixels(out)
    np.testing.assert_array_equal(found["plain"], found["none"])
    np.testing.assert_array_equal(found["first"], found["again"])
    assert (found["first"] != found["plain"]).any()
    assert (found["first"] != found["other"]).any()


def test_option_of_an_augmenter_out_of_its_range_is_told_before_anything_is_written(tmp_path: Path) -> None:
    audio = recording(tmp_path / "a.wav", 1.0)
    with pytest.raises(SpecError, match="cutmix:size: expected 1 to 4096, got 0"):
        image_here(audio, "-o", tmp_path / "out.png", "--augment", "cutmix:size=0")
    assert names(tmp_path) == ["a.wav"]


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--augment", "cutmx"), ("cutmx", "did you mean 'cutmix'")),
        (("--augment", "cutmix:side=3"), ("no option 'side'", "it has size")),
        (("--augment", "cutmix:size=ten"), ("cutmix:size expects a whole number, such as ", "'ten'")),
        (("--augment", "cutmix", "--strength", "1.5"), ("--strength", "0 to 1", "1.5")),
        (("--augment", "cutmix", "--strength", "nan"), ("--strength", "0 to 1", "nan")),
        (("--strength", "0.5"), ("--augment",)),
        (("--seed", "0"), ("--augment",)),
        (("--augment", "cutmix", "--size", "4096", "--chunk", "0.1", "--chunk-hop", "0.1"), ("at most 5 chunks", "10")),
    ],
)
def test_request_to_augment_that_cannot_be_met_is_told_in_one_line(
    tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    audio = recording(tmp_path / "a.wav", 1.0)
    assert_refused(image(audio, "-o", tmp_path / "out.png", *options), 2, *words)
    assert names(tmp_path) == ["a.wav"]
