"""Tables of audio and labels: what is read, and that all that is wrong is told at once."""

import csv
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from conftest import csv_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from dslite.cli.data import data_options
from dslite.errors import DataError, SpecError
from dslite.experiment.data import DataRequest
from dslite.learn.dataset import DataSet
from dslite.learn.splits import SPLITS
from dslite.learn.table import read, sorted_labels

N_FILES = 30
VOICE_NOTE = "no speaker is known: the same voice may be in train and test: figures may be too good"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files 0.wav to 29.wav and `a b/ü,1.wav`, no two alike, and four that are not usable."""
    place = tmp_path_factory.mktemp("audio")
    (place / "a b").mkdir()
    for i, name in enumerate([*(f"{i}.wav" for i in range(N_FILES)), "a b/ü,1.wav"]):
        soundfile.write(place / name, np.full(50, i / 100), 8000)
    whole = (place / "0.wav").read_bytes()
    (place / "cut.wav").write_bytes(whole[:-20])
    (place / "text.wav").write_text("no sound\n")
    (place / "empty.wav").touch()
    (place / "folder.wav").mkdir()
    return place


@pytest.fixture
def table(folder: Path) -> Iterator[Callable[..., Path]]:
    """Write a table beside the audio."""
    path = folder / "table.csv"

    def write(*rows: str, encoding: str = "utf-8", end: str = "\n") -> Path:
        path.write_bytes(end.join([*rows, ""]).encode(encoding))
        return path

    yield write
    path.unlink(missing_ok=True)


Table = Callable[..., Path]
GOOD = [f"{i}.wav,{'ab'[i % 2]},s{i // 2},{SPLITS[i // 4 % 3]}" for i in range(24)]
HEADER = "file,label,speaker,split"


def problems(path: Path, **how: object) -> list[tuple[str, str]]:
    with pytest.raises(DataError) as caught:
        read(path, **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return list(caught.value.problems)


# What is read


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "n_files", "n_classes", "sizes"),
    [("emodb", 408, 7, [214, 98, 96]), ("fsdd", 2000, 10, [1000, 500, 500]), ("esc10", 320, 10, [160, 80, 80])],
)
def test_real_tables_have_no_problem(data_dir: Path, name: str, n_files: int, n_classes: int, sizes: list[int]) -> None:
    data = read(data_dir / "audio" / name / "manifest.csv", task="classification")
    assert len(data.examples) == n_files
    assert len(data.labels) == n_classes
    assert [len(data.part(split)) for split in SPLITS] == sizes
    assert data.notes == ()
    assert all(example.path.is_file() and example.speaker for example in data.examples)


@pytest.mark.data
def test_real_table_without_splits_is_divided_by_speakers(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "audio" / "emodb"
    rows = csv_rows(folder / "manifest.csv")
    path = tmp_path / "table.csv"
    path.write_text("file,label,speaker\n" + "".join(f"{r['file']},{r['label']},{r['speaker']}\n" for r in rows))
    data = read(path, folder)
    assert len(data.examples) == 408
    assert len({(e.speaker, e.split) for e in data.examples}) == len({e.speaker for e in data.examples}) == 8
    for split in SPLITS:
        assert {e.label for e in data.part(split)} == set(data.labels)
    (note,) = data.notes
    assert note.startswith("no column split: divided 60/20/20 with seed 0: ")


PLAIN = ["0.wav,x,train", "1.wav,y,train", "2.wav,x,devel", "a b/ü,1.wav,y,devel", "4.wav,x,test", "5.wav,y,test"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    "header", [["file", "label", "split"], ["Filename", "LABEL", " Split "], ["file_name", "label", "split"]]
)
def test_every_dialect_reads_alike(
    folder: Path, table: Table, delimiter: str, end: str, encoding: str, header: list[str]
) -> None:
    cells = [header, *(row.rsplit(",", 2) for row in PLAIN)]
    rows = [
        delimiter.join(f'" {c} " ' if "," in c or i % 3 == 1 else f"  {c} " for c in row) for i, row in enumerate(cells)
    ]
    data = read(table(*rows[:3], "", delimiter * 2, *rows[3:], encoding=encoding, end=end))
    assert [(e.name, e.label, e.split) for e in data.examples] == [tuple(row) for row in cells[1:]]
    assert data.examples[3].path == folder / "a b" / "ü,1.wav"
    assert data.notes == (VOICE_NOTE,)


CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(str.strip).filter(bool)


@settings(max_examples=60)
@given(
    labels=st.lists(CELL, min_size=2, max_size=4, unique_by=str.casefold),
    speakers=st.lists(CELL, min_size=6, max_size=6, unique=True),
    order=st.permutations(["file", "label", "speaker", "split", "remark"]),
    delimiter=st.sampled_from(",;\t"),
    remarks=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9), min_size=24, max_size=24
    ),
)
def test_any_text_comes_through(
    folder: Path, labels: list[str], speakers: list[str], order: list[str], delimiter: str, remarks: list[str]
) -> None:
    labels = [label.replace("?", "¿") for label in labels]
    rows = []
    for i, (split, label, half) in enumerate(itertools.product(SPLITS, labels, range(2))):
        speaker = speakers[2 * SPLITS.index(split) + half]
        rows.append({"file": f"{i}.wav", "label": label, "speaker": speaker, "split": split, "remark": remarks[i]})
    path = folder / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, order, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    data = read(path, task="classification")
    found = [(e.name, e.label, e.speaker, e.split) for e in data.examples]
    assert found == [(r["file"], r["label"], r["speaker"], r["split"]) for r in rows]
    assert data.labels == sorted_labels(labels)


def test_labels_sort_by_number_where_all_are_numbers() -> None:
    assert sorted_labels(["10", "9", "-1", "1.5", "9"]) == ("-1", "1.5", "9", "10")


@settings(max_examples=40)
@given(st.permutations(range(N_FILES)), st.integers(0, 99), st.booleans(), st.booleans())
def test_dividing_does_not_depend_on_the_order_of_rows(
    folder: Path, order: list[int], seed: int, with_speakers: bool, of_numbers: bool
) -> None:
    path = folder / "order.csv"
    speakers = [f"s{i % 9}" if with_speakers else "" for i in range(N_FILES)]
    labels = [str(i) if of_numbers else "abc"[i % 3] for i in range(N_FILES)]

    def split_of(rows: list[int]) -> dict[str, str]:
        path.write_text("file,label,speaker\n" + "".join(f"{i}.wav,{labels[i]},{speakers[i]}\n" for i in rows))
        return {example.name: example.split for example in read(path, split_seed=seed).examples}

    assert split_of(order) == split_of(list(range(N_FILES)))


def test_names_may_be_absolute_elsewhere_or_written_by_windows(folder: Path, table: Table, tmp_path: Path) -> None:
    rows = [f"{folder / '0.wav'},x,train", "1.wav,y,train", '"a b\\ü,1.wav",x,devel', "2.wav,y,devel"]
    path = table("file,label,split", *rows)
    assert [e.path for e in read(path).examples] == [folder / n for n in ("0.wav", "1.wav", "a b/ü,1.wav", "2.wav")]
    elsewhere = tmp_path / "moved.csv"
    elsewhere.write_bytes(path.read_bytes())
    assert [e.path for e in read(elsewhere, folder).examples] == [e.path for e in read(path).examples]


def test_names_of_splits_are_normalised_and_told(table: Table) -> None:
    rows = [f"{i}.wav,{'xy'[i % 2]},{i},{s}" for i, s in enumerate(["Train", "TRAINING", "dev", "Val", "eval", "test"])]
    data = read(table(HEADER, *rows))
    assert [e.split for e in data.examples] == ["train", "train", "devel", "devel", "test", "test"]
    assert data.notes == ("split: read dev as devel, eval as test, training as train, val as devel",)


# What is concluded


def test_numbers_are_a_regression_unless_the_user_says_otherwise(table: Table) -> None:
    path = table("file,label,speaker,split", *(f"{i}.wav,{i % 2 * 10 + 2},{i},{SPLITS[i // 2]}" for i in range(6)))
    data = read(path)
    assert (data.task, data.labels) == ("regression", ())
    assert data.notes == ("labels are numbers: a regression; --task classification takes them as names of classes",)
    data = read(path, task="classification")
    assert (data.task, data.labels, data.notes) == ("classification", ("2", "12"), ())
    labels = ["1", "2", "x"] * 3
    data = read(table(HEADER, *(f"{i}.wav,{label},{i},{SPLITS[i // 3]}" for i, label in enumerate(labels))))
    assert data.labels == ("1", "2", "x")
    assert [note.startswith("labels: 6 of 9 are numbers, but 'x' is none") for note in data.notes] == [True]


def test_a_regression_is_divided_over_its_range(table: Table) -> None:
    data = read(table("file,label", *(f"{i}.wav,{i * i}" for i in range(N_FILES))))
    assert data.task == "regression"
    for split in SPLITS:
        values = [float(example.label) for example in data.part(split)]
        assert min(values) < 200
        assert max(values) > 500
    assert data.notes[1].startswith("no column split: divided 60/20/20 with seed 0: ")
    assert data.notes[2] == VOICE_NOTE


def test_unknown_voices_are_told_with_the_columns_that_might_name_them(table: Table) -> None:
    data = read(table("file,label,who,seconds", *(f"{i}.wav,{'xy'[i % 2]},{i},1.0" for i in range(10))))
    assert data.notes[-1].startswith("no speaker is known (columns not used: who, seconds): ")
    data = read(table("file,label,speaker", *(f"{i}.wav,{'xy'[i % 2]},{i if i > 2 else ''}" for i in range(10))))
    assert data.notes[-1].startswith("3 of 10 files have no speaker: ")
    path = table("file,label", *(f"{i}.wav,{'xy'[i % 2]}" for i in range(10)))
    assert VOICE_NOTE in read(path, for_training=False).notes
    assert read(path, for_training=False, divide=False).notes == ()  # no splits, nothing to tell of them


def test_what_a_table_lacks_but_may_lack_is_told(table: Table) -> None:
    data = read(table(HEADER, "0.wav,x,1,train", "1.wav,X,2,train"))
    assert [note.partition(":")[0] for note in data.notes] == [
        "no devel split",
        "no test split",
        "classes X and x differ in case alone",
    ]


def test_the_same_audio_in_two_splits_is_told(folder: Path, table: Table) -> None:
    (folder / "copy.wav").write_bytes((folder / "0.wav").read_bytes())
    data = read(table(HEADER, "0.wav,x,1,train", "1.wav,y,2,train", "copy.wav,x,3,test", "2.wav,y,4,test"))
    assert data.notes[-1] == (
        "the same audio is in several splits: 0.wav (train) and copy.wav (test): figures may be too good"
    )
    assert not any("same audio" in note for note in read(table(HEADER, "0.wav,x,1,train", "copy.wav,y,2,train")).notes)


# The layouts of ComParE


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Make a package as that of ComParE 2021: wav and lab in dist, the labels of test secret."""
    dist = tmp_path / "dist"
    (dist / "wav").mkdir(parents=True)
    (dist / "lab").mkdir()
    for i, split in enumerate(SPLITS):
        lines = ["filename,label"]
        for j in range(4):
            name = f"{split}_{j:03d}.wav"
            soundfile.write(dist / "wav" / name, np.full(20, (4 * i + j) / 100), 8000)
            lines.append(f"{name},{'?' if split == 'test' else ('negative', 'positive')[j % 2]}")
        (dist / "lab" / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("place", ["", "dist", "dist/lab", "dist/wav"])
def test_a_challenge_package_is_read_and_its_secret_test_left_out(package: Path, place: str) -> None:
    data = read(package / place)
    assert [(e.name, e.split) for e in data.examples] == [(f"{s}_00{j}.wav", s) for s in SPLITS[:2] for j in range(4)]
    assert data.labels == ("negative", "positive")
    assert data.notes[0].startswith("test is left out: the labels of its 4 files are secret ('?'); ")


def test_a_challenge_package_with_labels_for_test_has_three_splits(package: Path) -> None:
    path = package / "dist" / "lab" / "test.csv"
    path.write_text(path.read_text().replace("?", "negative", 2).replace("?", "positive"))
    data = read(package)
    assert [len(data.part(split)) for split in SPLITS] == [4, 4, 4]
    assert data.notes == (VOICE_NOTE,)


@pytest.mark.parametrize("where", ["lab", "."])
def test_a_package_with_all_labels_in_one_file_is_split_by_names(package: Path, where: str) -> None:
    dist = package / "dist"
    rows = [line for split in SPLITS for line in (dist / "lab" / f"{split}.csv").read_text().splitlines()[1:]]
    for split in SPLITS:
        (dist / "lab" / f"{split}.csv").unlink()
    (dist / where / "labels.csv").write_text(
        "\n".join(["filename;label;duration_frames", *(f"{r};8".replace(",", ";") for r in rows)])
    )
    data = read(dist)
    assert [len(data.part(split)) for split in SPLITS] == [4, 4, 0]
    assert data.notes[0] == "no column split: taken from the names of files, which begin with train_, devel_ or test_"


def test_problems_of_a_package_name_the_table(package: Path) -> None:
    lab = package / "dist" / "lab"
    (lab / "devel.csv").write_text("filename,label\ndevel_000.wav,?\nnowhere.wav,negative\n,positive\n")
    (lab / "test.csv").write_text("filename,label\ntest_000.wav,?\ntest_001.wav,positive\n")
    told = "label '?' stands for a secret one: name it, or leave the row out"
    assert {
        ("devel.csv row 2: devel_000.wav", told),
        ("test.csv row 2: test_000.wav", told),
        ("devel.csv row 3: nowhere.wav", f"no such file: {package / 'dist' / 'wav' / 'nowhere.wav'}"),
        ("devel.csv row 4", "no name of a file"),
    } <= set(problems(package))


def test_names_that_only_partly_begin_with_splits_are_not_taken_for_them(package: Path) -> None:
    wav = package / "dist" / "wav"
    path = package / "t.csv"
    names = [p.name for p in sorted(wav.iterdir())]
    (wav / "train_000.wav").rename(wav / "other.wav")
    path.write_text(
        "file,label\n" + "".join(f"{n},{'yx'[i % 2]}\n".replace("train_000", "other") for i, n in enumerate(names))
    )
    data = read(path, wav)
    assert data.notes[0].startswith("11 of 12 names begin with train_, devel_ or test_: not all")
    assert {len(data.part(split)) for split in SPLITS} != {4}


def test_names_that_all_begin_with_train_are_divided(package: Path) -> None:
    wav = package / "dist" / "wav"
    for i, path in enumerate(sorted(wav.iterdir())):
        path.rename(wav / f"train_{i}.wav.new")
    rows = [f"{p.name},{'xy'[i % 2]}\n" for i, p in enumerate(sorted(wav.iterdir()))]
    (package / "t.csv").write_text("file,label\n" + "".join(rows))
    assert {e.split for e in read(package / "t.csv", wav).examples} == set(SPLITS)


def test_another_folder_is_refused_and_its_tables_named(tmp_path: Path) -> None:
    for name in (None, "a.csv", "b.csv"):
        if name:
            (tmp_path / name).touch()
        with pytest.raises(DataError, match=r"expected a CSV file, or a folder with wav/ and lab/train\.csv") as caught:
            read(tmp_path)
        assert name is None or name in str(caught.value)


# Tables that are none


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"\n \n", "got an empty file"),
        (b"\xef\xbb\xbf", "got an empty file"),
        (b"file,label\n", "expected rows below the names of the columns"),
        (b"file,label\n,\n", "expected rows below the names of the columns"),
        (b"name,class\n0.wav,x\n", "got 'name', 'class': name file and label there"),
        (b"file;class\n0.wav;x\n", "got 'file', 'class': name label there"),
        (b"0.wav,x\n1.wav,y\n", "got '0.wav', 'x': name file and label there"),
        (b"file,filename,label\n0.wav,0.wav,x\n", "expected one column file, got 'file' and 'filename'"),
        (b"file,label\n0.wav,x\n\xfcber.wav,y\n", "got the byte 0xfc in line 3"),
        ("file,label\n0.wav,x\n".encode("utf-16"), "got UTF-16"),
        (b"RIFF\0\0\0\0WAVE", "a file that is no text"),
        (b"\0" * 100, "a file that is no text"),
    ],
)
def test_what_is_no_table_is_refused_in_a_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 2


def test_a_table_that_is_missing_or_closed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file$"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        read(tmp_path / ("long" * 100))
    if os.geteuid():
        closed = tmp_path / "closed.csv"
        closed.touch(0)
        with pytest.raises(DataError, match="Permission denied"):
            read(closed)


# Rows, files and labels with faults


BAD_ROWS = [
    ("missing.wav,a,s0,train", "row 26: missing.wav", "no such file: "),
    ("folder.wav,a,s0,train", "row 26: folder.wav", "expected an audio file, got a folder"),
    ("cut.wav,a,s0,train", "row 26: cut.wav", "truncated: its header announces 144 bytes, it has 124"),
    ("text.wav,a,s0,train", "row 26: text.wav", "expected audio that libsndfile reads"),
    ("empty.wav,a,s0,train", "row 26: empty.wav", "expected audio, got an empty file"),
    ("0.wav,a,s0,train", "row 26: 0.wav", "listed already: in row 2"),
    ("./0.wav,b,s0,train", "row 26: ./0.wav", "listed already: in row 2, with label 'a', here 'b'"),
    ("0.wav,a,,test", "row 26: 0.wav", "listed already: in row 2, in train, here in test"),
    ("28.wav,,s0,train", "row 26: 28.wav", "no label"),
    ("28.wav", "row 26: 28.wav", "no label"),
    ("28.wav,?,s0,train", "row 26: 28.wav", "label '?' stands for a secret one"),
    (",a,s0,train", "row 26", "no name of a file"),
    ("28.wav,a,s0,", "row 26: 28.wav", "no split"),
    ("28.wav,a,s0,tset", "row 26: 28.wav", "split is none of train, devel, test: got 'tset'"),
    ("28.wav,a,s0,test", "speaker s0", "in more than one split: 2 in train, 1 in test"),
    ("28.wav,a,s0,train,more", "row 26", "more cells than columns: expected 4, got 5"),
    ('28.wav,"a,s0,train', "row 26", "a quote is not closed"),
    ('28.wav,"a,\nb",s0,train', "row 26", "a line break or control character in a cell"),
    (
        "28.wav,c,s0,train",
        "class c",
        "no file in devel and test, and its recall, and with it UAR, is undefined there: 1 in train",
    ),
    ("28.wav,c,s2,devel", "class c", "no file in train and test, and it cannot be learnt: 1 in devel"),
]


@pytest.mark.parametrize(("row", "where", "what"), BAD_ROWS, ids=[f"{row}" for row, *_ in BAD_ROWS])
def test_each_fault_is_found_and_placed(table: Table, row: str, where: str, what: str) -> None:
    found = problems(table(HEADER, *GOOD, row))
    assert any(place == where and text.startswith(what) for place, text in found), found
    assert {place for place, _ in found} == {where}


def test_all_faults_appear_at_once(table: Table) -> None:
    # A cell that is too much or a quote that is open hides what else is in its row: no other fault is asked of those.
    rows = [row for row, *_ in BAD_ROWS if '"' not in row]
    found = problems(table(HEADER, *GOOD, *rows))
    for row, where, what in BAD_ROWS:
        if row in rows and not where.startswith(("class", "speaker")):
            number = f"row {26 + rows.index(row)}"
            assert any(place.startswith(number) and text.startswith(what) for place, text in found), (row, found)
    assert {place for place, _ in found if not place.startswith("row")} == {"class c", "speaker s0"}
    kinds = [what.partition(":")[0] for _, what in found]
    assert [kind for kind, _ in itertools.groupby(kinds)] == list(dict.fromkeys(kinds))
    with pytest.raises(DataError, match=rf"{len(found)} problems, the first: row \d+") as caught:
        read(table(HEADER, *GOOD, *rows))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("label", ["nan", "inf", "-Infinity", "1e999", "1,5", "1_000"])
def test_a_label_that_is_no_finite_number_is_placed(table: Table, label: str) -> None:
    rows = [f"{i}.wav;{i}.5;s{i};{SPLITS[i % 3]}" for i in range(6)]
    path = table(HEADER.replace(",", ";"), *rows, f"6.wav;{label};s6;train")
    (problem,) = problems(path, task="regression")
    assert problem[0] == "row 8: 6.wav"
    assert problem[1].startswith(f"label is no finite number: got '{label}'")
    if label != "1_000":  # a name, as far as anybody can tell
        assert problems(path) == [problem]


def test_names_in_a_regression_are_each_placed_and_one_among_numbers_is_a_slip(table: Table) -> None:
    found = problems(table(HEADER, *GOOD), task="regression")
    told = "label is no finite number: got {!r}: --task classification takes labels as names"
    assert found[0] == ("row 2: 0.wav", told.format("a"))
    assert len([what for _, what in found if what.startswith("label")]) == 24
    rows = [f"{i}.wav,{i / 2},{i},{SPLITS[i % 3]}" for i in range(11)]
    assert problems(table(HEADER, *rows, "11.wav,loud,11,train")) == [("row 13: 11.wav", told.format("loud"))]


def test_a_misspelt_class_is_recognised(table: Table) -> None:
    rows = [f"{i}.wav,{('rain', 'wind')[i % 2]},{i},{SPLITS[i // 4]}" for i in range(12)]
    (found,) = problems(table(HEADER, *rows, "12.wav,rian,12,train"))
    assert found[0] == "class rian"
    assert found[1].endswith(": 1 in train; is it 'rain'?")


def test_one_number_or_one_class_alone_is_nothing_to_learn(table: Table) -> None:
    path = table(HEADER, *(f"{i}.wav,3,{i},{SPLITS[i // 2]}" for i in range(6)))
    assert problems(path, task="regression") == [("labels", "all the same number in train: 3")]
    assert problems(path, task="classification") == [("labels", "expected two classes or more, got one: '3'")]


def test_train_must_be_there(table: Table) -> None:
    path = table(HEADER, "0.wav,x,1,devel", "1.wav,y,2,test")
    assert ("splits", "no file with a label in train") in problems(path)
    assert read(path, for_training=False).labels == ("x", "y")


@pytest.mark.parametrize(
    ("rows", "where", "what"),
    [
        (["0.wav,x,1", "1.wav,y,2", "2.wav,x,1"], "speakers", "too few to divide into train, devel and test: 2"),
        (["0.wav,x,", "1.wav,y,"], "files", "too few to divide into train, devel and test: 2"),
        (
            ["0.wav,x,1", "1.wav,x,2", "2.wav,x,3", "3.wav,y,1", "4.wav,y,2"],
            "class y",
            "too few speakers to have it in train, devel and test: 2, expected 3 or more",
        ),
        (
            ["0.wav,x,", "1.wav,x,", "2.wav,x,", "3.wav,y,", "4.wav,y,"],
            "class y",
            "too few files to have it in train, devel and test: 2, expected 3 or more",
        ),
        (
            # Three speakers of each class, but four speakers cannot serve all of it: 1 2 3, 1 2 4, 1 3 4, 2 3 4.
            [f"{i}.wav,{c},{s}" for i, (c, s) in enumerate(zip("xxxyyyzzzwww", "123124134234", strict=True))],
            "splits",
            "cannot be divided so that every class is in train, devel and test, each speaker in one",
        ),
    ],
)
def test_too_few_to_divide_is_told(table: Table, rows: list[str], where: str, what: str) -> None:
    (problem,) = problems(table("file,label,speaker", *rows))
    assert problem[0] == where
    assert problem[1].startswith(what)


def test_arguments_out_of_range_are_refused(tmp_path: Path, table: Table) -> None:
    with pytest.raises(SpecError, match="expected auto, classification or regression, got 'guess'"):
        read(table(HEADER, *GOOD), task="guess")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="expected the folder of the audio, got none"):
        read(table(HEADER, *GOOD), tmp_path / "nowhere")


def test_where_no_file_is_there_the_folder_is_to_blame(table: Table, tmp_path: Path) -> None:
    path = table(HEADER, *GOOD)
    with pytest.raises(DataError, match=f"none of its 24 files is in {tmp_path}: name their folder with --audio-dir"):
        read(path, tmp_path)


# On the command line


@click.command(epilog="Example")
@data_options
def show(data: DataRequest) -> None:
    found: DataSet = data.read()
    click.echo(f"{found.task} {len(found.examples)} {','.join(found.labels)}")


def shown(*words: object) -> Result:
    return CliRunner().invoke(show, [str(word) for word in words])


def test_a_command_gets_the_data_and_the_user_the_notes(folder: Path, table: Table) -> None:
    path = table("file,label,split", *(f"{i}.wav,{i % 2},{SPLITS[i // 2]}" for i in range(6)))
    done = shown(path, "--audio-dir", folder, "--task", "classification")
    assert (done.exit_code, done.stdout) == (0, "classification 6 0,1\n")
    assert done.stderr == f"note: {VOICE_NOTE}\n"
    assert shown(path).stderr.startswith("note: labels are numbers: a regression; --task classification takes ")


def test_problems_come_as_a_table_on_standard_error_of_fifty_of_a_kind(table: Table) -> None:
    missing = [f"no{i}.wav,a,s0,train" for i in range(119)]
    done = shown(table(HEADER, *GOOD, "[b]missing.wav,a,s0,train", *missing, "28.wav,,s0,train"))
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].split() == ["WHERE", "PROBLEM"]
    assert any(line.startswith("row 26: [b]missing.wav  no such file: ") for line in lines)
    assert len([line for line in lines if line.startswith("row") and "no such file" in line]) == 50
    assert [line.split() for line in lines if line.startswith("and ")] == [["and", "70", "more", "no", "such", "file"]]
    (labelless,) = [line for line in lines if line.startswith("row 146: 28.wav ")]
    assert labelless.rstrip().endswith(" no label")
    assert isinstance(done.exception, DataError)
    assert done.exception.exit_code == 2
    assert "121 problems, the first: row 146: 28.wav: no label" in str(done.exception)


def test_one_problem_is_told_once(table: Table) -> None:
    done = shown(table(HEADER, *GOOD, "28.wav,,s0,train"))
    assert done.stderr == ""
    assert str(done.exception).endswith("table.csv: row 26: 28.wav: no label")
