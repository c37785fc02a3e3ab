"""Which file is for training, for choosing (devel), and for the last word (test)."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import PurePath
from typing import get_args

import numpy as np
import numpy.typing as npt

from dslite.errors import DataError
from dslite.learn.dataset import Split

SPLITS: tuple[Split, ...] = get_args(Split)
SHARES = (3, 1, 1)
"""Of train, devel and test where dslite divides: 60, 20 and 20 %."""

_NAMES: dict[str, Split] = {name: name for name in SPLITS}
_NAMES |= dict.fromkeys(("training",), "train")
_NAMES |= dict.fromkeys(("dev", "development", "val", "valid", "validation"), "devel")
_NAMES |= dict.fromkeys(("testing", "eval"), "test")
_MOST_STEPS = 20_000

Counts = npt.NDArray[np.int64]


def split_named(text: str) -> Split | None:
    """Give the split a cell names, in upper or lower case and with its usual other names; None for anything else."""
    return _NAMES.get(text.strip().lower())


def splits_in_names(files: Sequence[str]) -> list[Split | None]:
    """Give the split each file's name begins with, as ComParE's do: ``train_``, ``devel_`` or ``test_``; else None."""
    known: dict[str, Split] = {f"{split}_": split for split in SPLITS}
    names = [PurePath(file.replace("\\", "/")).name.lower() for file in files]
    return [known.get(name[: name.find("_") + 1]) for name in names]


def divide(classes: Sequence[Hashable], groups: Sequence[str], seed: int, *, covered: bool = True) -> list[Split]:
    """Divide files into train, devel and test, about 60, 20 and 20 % of each class.

    All files of a group come into one split. Groups are dealt out one after the other, those of many files first, each
    to the split that is furthest from its share of the classes in the group: of groups of one file this is the method
    of Sainte-Laguë for each class. Where that leaves a class out of a split, groups are first chosen so that none is.
    What comes out depends on the seed, not on the order of the files.

    Args:
        classes: of each file; those of a regression are ranges of its values.
        groups: of each file: its speaker, or where that is not known a name of its own.
        seed: decides between groups that are alike.
        covered: whether every class must be in every split; else it is enough that none is empty.

    Returns:
        a split for each file.

    Raises:
        DataError: where that cannot be done.
    """
    counts, names, index = _counted(classes, groups)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    assigned = _dealt(counts, order, {})
    needed = counts if covered else counts.sum(axis=1, keepdims=True)
    if not np.all([needed[np.asarray(assigned) == split].sum(axis=0) for split in range(len(SHARES))]):
        chosen = _covering(needed, order)
        if chosen is None:
            raise DataError("cannot be divided so that every class is in train, devel and test, each speaker in one")
        assigned = _dealt(counts, order, chosen)
    return [SPLITS[assigned[i]] for i in index]


def _counted(classes: Sequence[Hashable], groups: Sequence[str]) -> tuple[Counts, list[str], list[int]]:
    """Count the files of each group (row) and class (column); give the groups' names and each file's group."""
    names = sorted(set(groups))
    of_group = {name: i for i, name in enumerate(names)}
    of_class = {name: i for i, name in enumerate(sorted(set(classes), key=str))}
    counts = np.zeros((len(names), len(of_class)), np.int64)
    index = [of_group[group] for group in groups]
    np.add.at(counts, (index, [of_class[name] for name in classes]), 1)
    return counts, names, index


def _dealt(counts: Counts, order: npt.NDArray[np.int64], chosen: dict[int, int]) -> list[int]:
    """Give each group its split: the `chosen` ones theirs, the others in their order to where most is lacking."""
    held = np.zeros((len(SHARES), counts.shape[1]), np.int64)
    assigned = [-1] * len(counts)
    for group, split in chosen.items():
        assigned[group] = split
        held[split] += counts[group]
    wanted = np.outer(SHARES, counts.sum(axis=0))
    for group in order:
        if group in chosen:
            continue
        # How much the sum of (held - wanted)^2 / wanted grows, but for what is the same for all splits.
        growth = ((2 * held + counts[group]) * counts[group] / wanted).sum(axis=1)
        # Of equal ones the last: the small ones are filled first.
        split = len(SHARES) - 1 - int(np.argmin(growth[::-1]))
        assigned[group] = split
        held[split] += counts[group]
    return assigned


def _covering(counts: Counts, order: npt.NDArray[np.int64]) -> dict[int, int] | None:
    """Choose groups so that every class is in every split, by search with backtracking; None where none was found."""
    # The (split, class) that the fewest groups are left for is served first. The search is complete for what fits into
    # its number of steps, which is ample for tens of speakers.
    has = counts > 0
    chosen: dict[int, int] = {}

    def candidates() -> Iterator[tuple[int, int]] | None:
        """Give what may be chosen next; None where nothing is missing."""
        free = np.ones(len(has), bool)
        free[list(chosen)] = False
        missing = np.ones((len(SHARES), has.shape[1]), bool)
        for group, split in chosen.items():
            missing[split] &= ~has[group]
        if not missing.any():
            return None
        left = has[free].sum(axis=0)
        slack = left - missing.sum(axis=0)
        if (slack[missing.any(axis=0)] < 0).any():
            return iter(())
        column = int(np.argmin(np.where(missing.any(axis=0), slack, np.iinfo(np.int64).max)))
        split = int(np.argmax(missing[:, column]))
        able = [int(group) for group in order if free[group] and has[group, column]]
        able.sort(key=lambda group: (-int((has[group] & missing[split]).sum()), int(counts[group].sum())))
        return ((group, split) for group in able)

    first = candidates()
    stack: list[tuple[Iterator[tuple[int, int]], int | None]] = [] if first is None else [(first, None)]
    for _ in range(_MOST_STEPS):
        if not stack:
            return None
        options, taken = stack[-1]
        if taken is not None:
            del chosen[taken]
        option = next(options, None)
        if option is None:
            stack.pop()
            continue
        group, split = option
        chosen[group] = split
        stack[-1] = (options, group)
        following = candidates()
        if following is None:
            return chosen
        stack.append((following, None))
    return None
