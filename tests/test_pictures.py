"""Audio of a data set, decoded once and kept as spectrogram levels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dslite.audio.frontend import coloured, picture
from dslite.audio.load import chunks, load
from dslite.errors import DataError, WriteError
from dslite.learn.dataset import DataSet, Example
from dslite.learn.pictures import Pictures, check_parts, prepare
from dslite.recipe import ChunkSpec, ColourMap, FrontendSpec, Recipe, Short

RATE = 16_000
RECIPE = Recipe(ChunkSpec(length_s=0.3, hop_s=0.2), FrontendSpec(n_mels=32, size_px=24))
SECONDS = (0.1, 0.3, 0.55, 1.0)


def _tell(*_: object) -> None:
    pass


def _recipe(short: Short = "pad", colour_map: ColourMap = "viridis") -> Recipe:
    return Recipe(ChunkSpec(0.3, 0.2, short), FrontendSpec(n_mels=32, size_px=24, colour_map=colour_map))


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    rng = np.random.default_rng(1)
    found = []
    for i, seconds in enumerate(SECONDS):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32), RATE)
        found.append(Example(path, path.name, "ab"[i % 2], None, "train" if i < 2 else "devel"))
    return found


@pytest.mark.parametrize("colour_map", ["viridis", "none"])
def test_coloured_levels_are_the_pictures_exactly(
    tmp_path: Path, examples: list[Example], colour_map: ColourMap
) -> None:
    recipe = _recipe(colour_map=colour_map)
    made = prepare(examples, recipe, tmp_path / "cache", _tell)
    pieces = [chunks(load(example.path, RATE), recipe.chunk, RATE) for example in examples]
    expected = np.asarray(picture(np.concatenate(pieces), recipe.frontend))
    assert np.array_equal(np.asarray(coloured(made.levels, recipe.frontend)), expected)
    assert made.levels.dtype == np.uint8
    assert made.n_samples.tolist() == [round(seconds * RATE) for seconds in SECONDS]
    assert made.n_chunks.tolist() == [len(of_file) for of_file in pieces] == [1, 1, 3, 5]
    assert made.file.tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 3, 3]
    assert made.of(np.array([False, True, False, True])).tolist() == [1, 5, 6, 7, 8, 9]


def test_more_files_than_are_decoded_at_once_stay_in_order(tmp_path: Path, examples: list[Example]) -> None:
    many = [examples[i % 4] for i in range(150)]
    told: list[tuple[str, float]] = []
    one = prepare(examples, RECIPE, tmp_path / "one", _tell)
    all_of_them = prepare(many, RECIPE, tmp_path / "all", lambda *now: told.append(now))
    assert told == [(f"{i} of 150 files", i / 150) for i in range(150)]
    assert all_of_them.n_chunks.tolist() == [one.n_chunks[i % 4] for i in range(150)]
    for i in (0, 63, 64, 149):
        ours, theirs = all_of_them.of(np.arange(150) == i), one.of(np.arange(4) == i % 4)
        assert np.array_equal(all_of_them.levels[ours], one.levels[theirs])


def test_what_was_made_once_is_not_decoded_again(tmp_path: Path, examples: list[Example]) -> None:
    first = prepare(examples, RECIPE, tmp_path / "cache", _tell)
    for example in examples:
        example.path.unlink()
    again = prepare(examples, RECIPE, tmp_path / "cache", _tell)
    assert np.array_equal(first.levels, again.levels)
    assert np.array_equal(first.n_chunks, again.n_chunks)
    with pytest.raises(DataError):
        prepare(examples, RECIPE, tmp_path / "another", _tell)
    with pytest.raises(WriteError, match="cannot write"):
        prepare([], RECIPE, tmp_path / "no folder" / "cache", _tell)


def test_all_files_that_cannot_be_decoded_are_listed_and_none_kept(tmp_path: Path, examples: list[Example]) -> None:
    (tmp_path / "kept").mkdir()
    soundfile.write(examples[1].path, np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    examples[3].path.write_text("no audio")
    with pytest.raises(
        DataError, match=r"^2 of 4 files cannot be decoded: the first: .*1\.wav: expected finite"
    ) as two:
        prepare(examples, RECIPE, tmp_path / "kept" / "cache", _tell)
    assert [name for name, _ in two.value.problems] == ["1.wav", "3.wav"]
    assert list((tmp_path / "kept").iterdir()) == []
    shutil.copy(examples[0].path, examples[1].path)
    with pytest.raises(DataError, match=r"^1 of 4 files cannot be decoded: .*3\.wav: expected audio"):
        prepare(examples, RECIPE, tmp_path / "kept" / "cache", _tell)


def test_short_files_that_are_dropped_have_no_chunk(tmp_path: Path, examples: list[Example]) -> None:
    made = prepare(examples, _recipe("drop"), tmp_path / "cache", _tell)
    assert made.n_chunks.tolist() == [0, 1, 3, 5]
    assert made.file[0] == 1
    nothing = prepare(examples[:1], _recipe("drop"), tmp_path / "nothing", _tell)
    assert nothing.levels.shape == (0, 32, RECIPE.frontend.n_frames(RECIPE.chunk_samples))
    assert nothing.n_chunks.tolist() == [0]
    empty = prepare([], RECIPE, tmp_path / "empty", _tell)
    assert (len(empty.levels), len(empty.n_chunks)) == (0, 0)


@pytest.mark.parametrize(
    ("n_chunks", "missing"),
    [
        ([1, 1, 1, 1], None),
        ([1, 1, 0, 1], None),
        ([1, 0, 1, 1], "class b in train has none"),
        ([0, 0, 1, 1], "class a in train, class b in train has none"),
        ([1, 1, 0, 0], "devel has none"),
    ],
)
def test_parts_without_chunks_are_refused(examples: list[Example], n_chunks: list[int], missing: str | None) -> None:
    data = DataSet(tuple(examples), "classification", ("a", "b"))
    pictures = Pictures(np.zeros((sum(n_chunks), 1, 1), np.uint8), np.ones(4, np.int64), np.array(n_chunks))
    if missing is None:
        check_parts(data, pictures, ["train"], "devel")
    else:
        with pytest.raises(DataError, match=f"{missing}, as shorter ones are dropped: --short pad"):
            check_parts(data, pictures, ["train"], "devel")
    regression = DataSet(tuple(examples), "regression", ())
    if any(n_chunks[:2]) and any(n_chunks[2:]):
        check_parts(regression, pictures, ["train"], "devel")
