"""Dividing files into train, devel and test."""

import itertools
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dslite.errors import DataError
from dslite.learn.splits import SPLITS, divide, split_named, splits_in_names

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def tables(draw: st.DrawFn, most_groups: int, most_files: int) -> tuple[list[str], list[str]]:
    """Give classes and groups of files."""
    classes = st.sampled_from("abcd"[: draw(st.integers(1, 4))])
    groups = st.sampled_from([f"speaker {i}" for i in range(draw(st.integers(1, most_groups)))])
    files = draw(st.lists(st.tuples(classes, groups), min_size=1, max_size=most_files))
    return [name for name, _ in files], [group for _, group in files]


def can_be_covered(classes: list[str], groups: list[str]) -> bool:
    """Try every way to give groups to splits."""
    held = defaultdict(set)
    for name, group in zip(classes, groups, strict=True):
        held[group].add(name)
    ways = itertools.product(range(3), repeat=len(held))
    return any(
        all(
            set().union(*(h for h, part in zip(held.values(), way, strict=True) if part == i)) == set(classes)
            for i in range(3)
        )
        for way in ways
    )


@settings(max_examples=300)
@given(tables(7, 30), SEEDS)
def test_every_class_is_in_every_split_wherever_that_can_be(table: tuple[list[str], list[str]], seed: int) -> None:
    classes, groups = table
    if not can_be_covered(classes, groups):
        with pytest.raises(DataError, match="cannot be divided"):
            divide(classes, groups, seed)
        return
    splits = divide(classes, groups, seed)
    for split in SPLITS:
        assert {name for name, part in zip(classes, splits, strict=True) if part == split} == set(classes)


@given(tables(30, 100), SEEDS)
def test_a_group_is_in_one_split(table: tuple[list[str], list[str]], seed: int) -> None:
    classes, groups = table
    assume(len(set(groups)) > 2)
    splits = divide(classes, groups, seed, covered=False)
    assert set(splits) == set(SPLITS)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))


@given(st.lists(st.integers(3, 60), min_size=1, max_size=8), SEEDS)
def test_files_alone_are_divided_60_20_20_class_by_class(sizes: list[int], seed: int) -> None:
    classes = [f"class {i}" for i, n in enumerate(sizes) for _ in range(n)]
    splits = divide(classes, [f"file {i}" for i in range(len(classes))], seed)
    count = Counter(zip(classes, splits, strict=True))
    for i, n in enumerate(sizes):
        for split, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
            assert abs(count[f"class {i}", split] - share * n) < 1
            assert count[f"class {i}", split]


def test_speakers_of_many_sizes_come_near_their_shares() -> None:
    groups = [f"{i:02d}" for i in range(24) for _ in range(10 + 3 * i)]
    classes = ["abc"[(i * i) % 3] for i in range(len(groups))]
    count = Counter(divide(classes, groups, 0))
    assert count["train"] / len(groups) == pytest.approx(0.6, abs=0.05)
    assert count["devel"] / len(groups) == pytest.approx(0.2, abs=0.05)


@given(tables(30, 100), SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(table: tuple[list[str], list[str]], seed: int, random: Any) -> None:
    classes, groups = table
    assume(len(set(groups)) > 2)
    order = list(range(len(groups)))
    random.shuffle(order)
    shuffled = divide([classes[i] for i in order], [groups[i] for i in order], seed, covered=False)
    ours = divide(classes, groups, seed, covered=False)
    assert dict(zip(groups, ours, strict=True)) == dict(zip([groups[i] for i in order], shuffled, strict=True))


def test_another_seed_divides_otherwise() -> None:
    classes, groups = list("ab" * 50), [str(i) for i in range(100)]
    assert len({tuple(divide(classes, groups, seed)) for seed in range(5)}) == 5


def test_the_rarer_class_decides_where_dealing_out_alone_would_miss_it() -> None:
    # Dealt out by size, 0 and 1 would take the only speakers of b into one split or leave one without it.
    groups = [*"0" * 40, *"1" * 39, *"2" * 38, *"3" * 5, *"4" * 4, *"5" * 3]
    classes = ["a"] * 117 + list("aaaab") + list("aaab") + list("aab")
    splits = divide(classes, groups, 0)
    assert {part for name, part in zip(classes, splits, strict=True) if name == "b"} == set(SPLITS)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        *((name, "train") for name in ("train", "Training", " TRAIN ")),
        *((name, "devel") for name in ("devel", "dev", "Development", "val", "valid", "VALIDATION")),
        *((name, "test") for name in ("test", "testing", "eval")),
        *((name, None) for name in ("", "tset", "trains", "all", "1")),
    ],
)
def test_names_of_splits(text: str, split: str | None) -> None:
    assert split_named(text) == split


def test_splits_in_names_of_files() -> None:
    names = ["train_001.wav", "wav/Devel_1.wav", "wav\\test_1.wav", "train1.wav", "test/a_1.wav", "dev_1.wav", ""]
    assert splits_in_names(names) == ["train", "devel", "test", None, None, None, None]
