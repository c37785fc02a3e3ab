"""Read a table of audio files and labels, and check all of it before anything long starts."""

import difflib
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from dslite.audio.load import faults
from dslite.errors import DataError, SpecError
from dslite.files import sha256_of_each
from dslite.learn.dataset import DataSet, Example, Split, Task
from dslite.learn.rows import UNKNOWN_LABEL, Problem, Row, is_folder, read_rows
from dslite.learn.splits import SHARES, SPLITS, divide, split_named, splits_in_names

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NEARLY_A_NUMBER = re.compile(r"[+-]?(\d+,\d+|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_MOST_HASHED_BYTES = 1 << 29
_FEWEST_GROUPS = len(SPLITS)
_BINS = 10
_MISSING = "no such file"
_TOO_GOOD = "figures may be too good"

Given = list[Split | None]


def read(
    path: Path | str,
    audio_dir: Path | str | None = None,
    task: Literal["auto"] | Task = "auto",
    split_seed: int = 0,
    *,
    for_training: bool = True,
    divide: bool = True,
) -> DataSet:
    """Read a table and find all that is wrong with it and with the audio it names.

    Audio is opened, not decoded. Splits come from the column ``split``; without one from the tables of a folder or the
    names of files in the layout of ComParE; without those dslite divides (`dslite.learn.splits.divide`).

    Args:
        path: a CSV file, or a folder in the layout of ComParE; see `dslite.learn.rows.read_rows`.
        audio_dir: what names of audio are relative to; None is the table's folder, or ComParE's ``wav``.
        task: ``auto`` takes labels that are all numbers for a regression.
        split_seed: for dividing.
        for_training: whether there must be a train split, two classes at least, and every class in each split that
            there is; else it is enough that rows and files are sound.
        divide: whether a table without splits is divided; else all of it is test.

    Returns:
        The data set; its notes say what was concluded, and what makes figures too good.

    Raises:
        DataError: where there is any fault; `problems` lists them all, kind by kind, and those of a kind by rows.
        SpecError: where `task` is unknown.
    """
    path = Path(path)
    if task not in ("auto", *get_args(Task)):
        raise SpecError(f"task: expected auto, {' or '.join(get_args(Task))}, got {task!r}")
    if audio_dir is not None and not is_folder(Path(audio_dir)):
        raise DataError(f"{audio_dir}: expected the folder of the audio, got none: make it, or name another")
    table = read_rows(path)
    folder = Path(audio_dir) if audio_dir is not None else table.folder
    notes: list[str] = []
    problems = list(table.problems)
    rows, given = _without_secret_part(table.rows, _given_splits(table.rows, notes), notes)
    divided = given is None
    found = _task([row.label for row in rows], notes) if task == "auto" else task
    problems += _cell_problems(rows, given, found)
    usable = [_label_is_usable(row.label, found) for row in rows]
    if given is None and divide:
        given = _divided(rows, usable, found, split_seed, problems, notes)
    elif given is None:
        given = ["test"] * len(rows)
    paths = [_resolved(folder, row.file) for row in rows]
    problems += [*_file_problems(rows, paths), *_duplicates(rows, given, paths), *_speakers(rows, given)]
    labelled = [(row.label, split) for row, split, use in zip(rows, given, usable, strict=True) if use and split]
    if for_training and not (divided and not labelled):
        if all(split != "train" for _, split in labelled):
            problems.append(("splits", "no file with a label in train"))
        problems += _label_problems(labelled, found)
    if problems:
        raise _error(path, folder, problems, len(rows))
    examples = tuple(
        Example(audio, row.file, row.label, row.speaker or None, split)
        for row, audio, split in zip(rows, paths, given, strict=True)
        if split
    )
    if divide or not divided:  # else there are no splits that anything could be said of
        notes += _notes_on_voices(examples, table.ignored) + _notes_on_parts(examples) + _same_content(examples)
    labels = sorted_labels(row.label for row in rows) if found == "classification" else ()
    notes += _notes_on_labels(labels)
    return DataSet(examples, found, labels, tuple(notes))


def kind_of(problem: Problem) -> str:
    """Give what all problems of a kind have in common: what stands before the first colon."""
    return problem[1].partition(":")[0]


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Give the different names of classes: by number where all are numbers, else by name."""
    names = set(labels)
    if all(_is_number(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names))


# -- labels -------------------------------------------------------------------------------------------


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def _looks_numeric(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text) or _NEARLY_A_NUMBER.fullmatch(text))


def _label_is_usable(label: str, task: Task) -> bool:
    return bool(label) and label != UNKNOWN_LABEL and (task == "classification" or _is_number(label))


_MOSTLY = 0.9
"""Share of labels that are numbers above which the others are slips."""


def _task(labels: Sequence[str], notes: list[str]) -> Task:
    """Conclude the task from the labels; NaN or a decimal comma among numbers is a fault of theirs, no class."""
    known = [label for label in labels if label and label != UNKNOWN_LABEL]
    numeric = [label for label in known if _looks_numeric(label)]
    if not any(_is_number(label) for label in numeric):
        return "classification"
    if len(numeric) >= _MOSTLY * len(known):
        notes.append("labels are numbers: a regression; --task classification takes them as names of classes")
        return "regression"
    other = next(label for label in known if not _looks_numeric(label))
    notes.append(
        f"labels: {len(numeric)} of {len(known)} are numbers, but {other!r} is none: taken as names of classes; "
        "--task regression tells where it stands"
    )
    return "classification"


def _cell_problems(rows: Sequence[Row], given: Given | None, task: Task) -> Iterator[Problem]:
    for i, row in enumerate(rows):
        if not row.file:
            yield row.where, "no name of a file"
        if not row.label:
            yield row.where, "no label"
        elif row.label == UNKNOWN_LABEL:
            yield row.where, f"label {UNKNOWN_LABEL!r} stands for a secret one: name it, or leave the row out"
        elif task == "regression" and not _is_number(row.label):
            cure = "write a decimal point" if "," in row.label else "--task classification takes labels as names"
            yield row.where, f"label is no finite number: got {row.label!r}: {cure}"
        if given is not None and given[i] is None:
            yield row.where, f"split is none of train, devel, test: got {row.split!r}" if row.split else "no split"


def _label_problems(labelled: Sequence[tuple[str, Split]], task: Task) -> Iterator[Problem]:
    """Find what makes labels useless: one alone, or a class that is not in every split (its recall is undefined)."""
    if task == "regression":
        values = {float(label) for label, split in labelled if split == "train"}
        if len(values) == 1:
            yield "labels", f"all the same number in train: {values.pop():g}"
        return
    labels = sorted_labels(label for label, _ in labelled)
    if len(labels) == 1:
        yield "labels", f"expected two classes or more, got one: {labels[0]!r}"
        return
    count = Counter(labelled)
    here = [split for split in SPLITS if any(part == split for _, part in labelled)]
    for label in labels:
        lacking = [split for split in here if not count[label, split]]
        if not lacking:
            continue
        why = "it cannot be learnt" if "train" in lacking else "its recall, and with it UAR, is undefined there"
        held = ", ".join(f"{count[label, split]} in {split}" for split in here if count[label, split])
        near = difflib.get_close_matches(label, [other for other in labels if other != label], n=1)
        hint = f"; is it {near[0]!r}?" if near else ""
        yield f"class {label}", f"no file in {' and '.join(lacking)}, and {why}: {held}{hint}"


# -- splits -------------------------------------------------------------------------------------------


def _given_splits(rows: Sequence[Row], notes: list[str]) -> Given | None:
    """Give the splits that the table tells, None for what names none; or None where it tells nothing of splits."""
    written = [row.split for row in rows if row.split is not None]
    if written:
        given = [split_named(row.split or "") for row in rows]
        read_as = {text.lower(): split for text, split in zip(written, given, strict=True) if split}
        others = [f"{text} as {split}" for text, split in sorted(read_as.items()) if text != split]
        if others:
            notes.append(f"split: read {', '.join(others)}")
        return given
    named = splits_in_names([row.file for row in rows])
    n_named = sum(split is not None for split in named)
    if "train" not in named or not {"devel", "test"} & set(named):
        return None
    if n_named == len(named):
        notes.append("no column split: taken from the names of files, which begin with train_, devel_ or test_")
        return named
    notes.append(
        f"{n_named} of {len(named)} names begin with train_, devel_ or test_: not all, so they are not taken for splits"
    )
    return None


def _without_secret_part(rows: Sequence[Row], given: Given | None, notes: list[str]) -> tuple[list[Row], Given | None]:
    """Leave out the test split of a challenge, whose labels are all secret."""
    if given is None:
        return list(rows), None
    if {row.label for row, split in zip(rows, given, strict=True) if split == "test"} != {UNKNOWN_LABEL}:
        return list(rows), given
    kept = [i for i, split in enumerate(given) if split != "test"]
    notes.append(
        f"test is left out: the labels of its {len(rows) - len(kept)} files are secret ({UNKNOWN_LABEL!r}); "
        "write the true ones into the table to be told figures on test"
    )
    return [rows[i] for i in kept], [given[i] for i in kept]


def _divided(
    rows: Sequence[Row], usable: Sequence[bool], task: Task, seed: int, problems: list[Problem], notes: list[str]
) -> Given:
    """Divide the rows whose labels can be used; where that cannot be done, tell why and give none a split."""
    given: Given = [None] * len(rows)
    chosen = [i for i, use in enumerate(usable) if use]
    if not chosen:
        return given
    labels = [rows[i].label for i in chosen]
    classes: Sequence[Hashable] = labels if task == "classification" else _bins([float(label) for label in labels])
    # A blank cannot end a speaker's name nor begin a file's: no file is taken for a speaker.
    groups = [rows[i].speaker or f" {rows[i].file}" for i in chosen]
    named = labels if task == "classification" else [""] * len(labels)
    too_few = _too_few(named, groups, "speakers" if any(rows[i].speaker for i in chosen) else "files")
    problems += too_few
    if too_few:
        return given
    try:
        splits = divide(classes, groups, seed, covered=task == "classification")
    except DataError as error:
        problems.append(("splits", f"{error}: add a column split"))
        return given
    for i, split in zip(chosen, splits, strict=True):
        given[i] = split
    shares = "/".join(f"{100 * share // sum(SHARES)}" for share in SHARES)
    sizes = ", ".join(f"{splits.count(split)} files in {split}" for split in SPLITS)
    notes.append(f"no column split: divided {shares} with seed {seed}: {sizes}")
    return given


def _bins(values: Sequence[float]) -> list[Hashable]:
    """Give the tenth of all values each is in."""
    edges = np.quantile(values, np.arange(1, _BINS) / _BINS)
    return [int(i) for i in np.searchsorted(edges, values, side="right")]


def _too_few(classes: Sequence[str], groups: Sequence[str], what: str) -> list[Problem]:
    """Find classes (of a regression: all files) of fewer groups, which are files or speakers, than there are splits."""
    n_groups, wanted = len(set(groups)), f"expected {_FEWEST_GROUPS} or more"
    if n_groups < _FEWEST_GROUPS:
        return [(what, f"too few to divide into train, devel and test: {n_groups}, {wanted}: add a column split")]
    n_of_class = Counter(name for name, _ in set(zip(classes, groups, strict=True)))
    return [
        (f"class {name}", f"too few {what} to have it in train, devel and test: {n}, {wanted}")
        for name, n in sorted(n_of_class.items())
        if n < _FEWEST_GROUPS
    ]


def _speakers(rows: Sequence[Row], given: Given) -> Iterator[Problem]:
    held: dict[str, Counter[Split]] = defaultdict(Counter)
    for row, split in zip(rows, given, strict=True):
        if row.speaker and split:
            held[row.speaker][split] += 1
    cure = "keep each voice in one, or leave the column speaker out"
    for speaker, count in sorted(held.items()):
        if len(count) > 1:
            parts = ", ".join(f"{count[split]} in {split}" for split in SPLITS if count[split])
            yield f"speaker {speaker}", f"in more than one split: {parts}: {cure}"


# -- files --------------------------------------------------------------------------------------------


def _resolved(folder: Path, name: str) -> Path:
    """Give the file of a name; where there is none, that of a name which Windows has written."""
    path = folder / name
    if "\\" in name and not os.path.lexists(path):
        return folder / name.replace("\\", "/")
    return path


def _file_problems(rows: Sequence[Row], paths: Sequence[Path]) -> Iterator[Problem]:
    different = list(dict.fromkeys(path for row, path in zip(rows, paths, strict=True) if row.file))
    fault_of = dict(zip(different, faults(different), strict=True))
    for row, path in zip(rows, paths, strict=True):
        fault = fault_of.get(path)
        if row.file and fault is not None:
            what = str(fault).removeprefix(f"{path}: ")
            yield row.where, f"{what}: {path}" if what == _MISSING else what


def _duplicates(rows: Sequence[Row], given: Given, paths: Sequence[Path]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for i, row in enumerate(rows):
        j = first.setdefault(os.path.realpath(paths[i]), i) if row.file else i
        if j == i:
            continue
        what = f"listed already: in {rows[j].where.partition(':')[0]}"
        if row.label != rows[j].label:
            what += f", with label {rows[j].label!r}, here {row.label!r}"
        if given[i] and given[j] and given[i] != given[j]:
            what += f", in {given[j]}, here in {given[i]}"
        yield row.where, what


def _same_content(examples: Sequence[Example]) -> list[str]:
    """Note files of equal bytes in different splits; where there is too much to read for a quick look, that."""
    size = {example.path: example.path.stat().st_size for example in examples}
    suspects = list(chain(*_in_several_splits(examples, [size[example.path] for example in examples])))
    n_bytes = sum(size[example.path] for example in suspects)
    if n_bytes > _MOST_HASHED_BYTES:
        return [
            f"not looked for: the same audio under two names in several splits, as that means reading {n_bytes:,} bytes"
        ]
    shared = _in_several_splits(suspects, sha256_of_each([example.path for example in suspects]))
    if not shared:
        return []
    names = " and ".join(f"{example.name} ({example.split})" for example in shared[0])
    more = f", and {len(shared) - 1} more such" if len(shared) > 1 else ""
    return [f"the same audio is in several splits: {names}{more}: {_TOO_GOOD}"]


def _in_several_splits(examples: Sequence[Example], keys: Sequence[Hashable]) -> list[list[Example]]:
    """Group examples by their keys, and give the groups that are in more than one split."""
    groups: dict[Hashable, list[Example]] = defaultdict(list)
    for example, key in zip(examples, keys, strict=True):
        groups[key].append(example)
    return [group for group in groups.values() if len({example.split for example in group}) > 1]


# -- what is told -------------------------------------------------------------------------------------


def _notes_on_voices(examples: Sequence[Example], ignored: Sequence[str]) -> list[str]:
    n_unknown = sum(example.speaker is None for example in examples)
    if not n_unknown:
        return []
    if n_unknown < len(examples):
        return [f"{n_unknown} of {len(examples)} files have no speaker: a voice may be in train and test: {_TOO_GOOD}"]
    unused = f" (columns not used: {', '.join(ignored)})" if ignored else ""
    return [f"no speaker is known{unused}: the same voice may be in train and test: {_TOO_GOOD}"]


def _notes_on_parts(examples: Sequence[Example]) -> list[str]:
    held = {example.split for example in examples}
    notes = []
    if "devel" not in held:
        notes.append("no devel split: nothing is measured while training, and nothing can be chosen on it")
    if "test" not in held:
        notes.append("no test split: figures on devel are all there will be")
    return notes


def _notes_on_labels(labels: Sequence[str]) -> list[str]:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[label.casefold()].append(label)
    return [f"classes {' and '.join(names)} differ in case alone" for names in alike.values() if len(names) > 1]


def _error(path: Path, folder: Path, problems: Sequence[Problem], n_rows: int) -> DataError:
    """Tell what was found, sorted by kind."""
    kinds = list(dict.fromkeys(kind_of(problem) for problem in problems))
    problems = sorted(problems, key=lambda problem: kinds.index(kind_of(problem)))
    where, what = problems[0]
    text = f"{path}: {where}: {what}"
    if len(problems) > 1:
        text = f"{path}: {len(problems)} problems, the first: {where}: {what}"
    n_missing = sum(kind_of(problem) == _MISSING for problem in problems)
    if n_missing == n_rows > 1:
        text = f"{path}: none of its {n_rows} files is in {folder}: name their folder with --audio-dir"
    return DataError(text, problems)
