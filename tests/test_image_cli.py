"""``dslite image`` as a user runs it."""

import json
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import tensorflow as tf
from conftest import assert_refused, invoke, run_dslite, said

from dslite.audio.frontend import picture
from dslite.audio.load import Samples, chunks, load, synthetic_chunk
from dslite.recipe import REFERENCE, ChunkSpec, FrontendSpec

RATE = REFERENCE.frontend.sample_rate_hz


def image(*words: object) -> CompletedProcess[str]:
    return invoke("image", *words)


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


def test_short_file_gives_one_picture_of_that_name(tmp_path: Path) -> None:
    audio, out = recording(tmp_path / "two words.wav", 1.0), tmp_path / "out.png"
    run = run_dslite("image", audio, "-o", out)  # a process of its own: TensorFlow starts without a word
    assert said(run) == f"{out}  0.00 s to 1.00 s\n"  # where the audio ends, not its padding
    assert names(tmp_path) == ["out.png", "two words.wav"]
    assert pixels(out).shape == (224, 224, 3)
    (chunk,) = chunks(load(audio, RATE), REFERENCE.chunk, RATE)
    np.testing.assert_array_equal(pixels(out), expected(chunk, REFERENCE.frontend))


def test_long_file_gives_a_numbered_picture_a_chunk_by_the_options_given(tmp_path: Path) -> None:
    audio, out = recording(tmp_path / "long.flac", 5.2, 44_100), tmp_path / "out.png"
    options = ("--chunk", 2, "--chunk-hop", 1.5, "--colour-map", "magma", "--size", 128, "--resize", "nearest")
    run = image(audio, "-o", out, "--json", *options)
    paths = [tmp_path / f"out-{i:03d}.png" for i in range(4)]
    assert json.loads(said(run)) == [
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
    run = image(*files, "-o", tmp_path / "out.png", "--size", 64)
    spans = ((files[0], 0, 3), (files[0], 1.5, 4), (files[1], 0, 1))
    assert said(run).splitlines() == [
        f"{tmp_path / f'out-{i:03d}.png'}  {path}  {start:.2f} s to {end:.2f} s"
        for i, (path, start, end) in enumerate(spans)
    ]
    assert names(tmp_path) == ["a.wav", "b.wav", "out-000.png", "out-001.png", "out-002.png"]


def test_cutmix_mixes_the_chunks_of_all_files_and_tells_what_becomes_of_labels(tmp_path: Path) -> None:
    files = [recording(tmp_path / "a.wav", 1.0), recording(tmp_path / "b.wav", 4.0)]
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    said(image(*files, "-o", before))
    rows = json.loads(said(image(*files, "-o", after, "--augment", "cutmix:size=100", "--seed", 5, "--json")))
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
    assert said(run, None).startswith(f"{out}  0.00 s to 3.00 s  label: ")
    assert "% the synthetic sound" in run.stdout
    assert run.stderr.startswith("note: ")
    assert "synthetic sound" in run.stderr
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
        assert said(image(audio, "-o", out, "--size", 64, *options)) == f"{out}  0.00 s to 3.00 s\n"
        found[name] = pixels(out)
    np.testing.assert_array_equal(found["plain"], found["none"])
    np.testing.assert_array_equal(found["first"], found["again"])
    assert (found["first"] != found["plain"]).any()
    assert (found["first"] != found["other"]).any()


def test_place_that_takes_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("needs /proc, a folder where nobody, not even root, can make a file")
    run = image(recording(tmp_path / "a.wav", 1.0), "-o", "/proc/out.png")
    assert_refused(run, "cannot write /proc/out.png: ", code=1)


def test_audio_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text, garbage, missing = (tmp_path / name for name in ("text.wav", "garbage.mp3", "missing.wav"))
    text.write_text("This is no sound.\n" * 100, encoding="utf-8")
    garbage.write_bytes(np.random.default_rng(0).bytes(20_000))  # which libmpg123 complains about
    for audio, fact in ((text, "expected audio"), (garbage, "expected audio"), (missing, "no such file")):
        assert_refused(image(audio, "-o", tmp_path / "out.png", "--json"), f"{audio}: ", fact)
    assert capfd.readouterr() == ("", "")
    assert names(tmp_path) == ["garbage.mp3", "text.wav"]


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (("--short", "drop"), ("a.wav", "--short drop")),
        (("-o", "missing/out.png"), ("missing", "does not exist")),
        (("--colour-map", "jet"), ("viridis",)),
        (("--size", "4"), ("8 to 4096",)),
        (("--chunk", "0.01"), ("at least one window",)),
        (("--window", "0"), ("window",)),
        (("--augment", "cutmx"), ("cutmx", "did you mean 'cutmix'")),
        (("--augment", "cutmix:side=3"), ("no option 'side'", "it has size")),
        (("--augment", "cutmix:size=ten"), ("cutmix:size expects a whole number, such as ", "'ten'")),
        (("--augment", "cutmix:size=0"), ("cutmix:size: expected 1 to 4096, got 0",)),
        (("--augment", "cutmix", "--strength", "1.5"), ("--strength", "0 to 1", "1.5")),
        (("--augment", "cutmix", "--strength", "nan"), ("--strength", "0 to 1", "nan")),
        (("--strength", "0.5"), ("--augment",)),
        (("--seed", "0"), ("--augment",)),
        (("--augment", "cutmix", "--size", "4096", "--chunk", "0.1", "--chunk-hop", "0.1"), ("at most 5 chunks", "10")),
    ],
)
def test_request_that_cannot_be_met_is_told_in_one_line_and_nothing_is_written(
    tmp_path: Path, options: tuple[str, ...], facts: tuple[str, ...]
) -> None:
    audio = recording(tmp_path / "a.wav", 1.0)
    assert_refused(invoke("image", audio, "-o", "out.png", *options, cwd=tmp_path), *facts)
    assert names(tmp_path) == ["a.wav"]
