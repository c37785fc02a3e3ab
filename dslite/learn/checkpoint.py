"""A training between two epochs as an HDF5 file: numbers and JSON, nothing that is executed when it is read."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dslite import files
from dslite.codec import from_json, to_json
from dslite.errors import ModelFileError, SpecError
from dslite.learn.history import Epoch
from dslite.learn.training import State

_LISTS = ("weights", "kept", "optimizer")


@contextmanager
def hdf5_written(path: Path) -> Iterator[Any]:
    """Give an HDF5 file in memory; when the block ends well, it is written, whole or not at all.

    In memory, as the HDF5 library takes the process down with it where it finds the disk full.
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with files.written_whole(path) as place:
        place.write_bytes(image)


def save(path: Path, state: State, initial: Sequence[Any]) -> None:
    """Write a state, whole or not at all; weights that are still as the `initial` ones of the model are left out."""
    with hdf5_written(path) as file:
        file.attrs["history"] = json.dumps([to_json(epoch) for epoch in state.history])
        file["losses"] = state.losses
        for name in _LISTS:
            if name == "kept" and state.kept is state.weights:
                file["kept"] = file["weights"]  # a link, which takes no room
                continue
            group = file.create_group(name)
            for i, value in enumerate(getattr(state, name)):
                if name == "optimizer" or not np.array_equal(value, initial[i]):
                    group[str(i)] = value


def load(path: Path, initial: Sequence[Any]) -> State:
    """Read what `save` wrote.

    Raises:
        ModelFileError: where the file is damaged, or not of this model.
    """
    try:
        with h5py.File(path, "r") as file:
            history = tuple(from_json(Epoch, data) for data in json.loads(file.attrs["history"]))
            read = {name: {int(key): group[()] for key, group in file[name].items()} for name in _LISTS}
            losses = file["losses"][()]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, SpecError) as error:
        raise ModelFileError(f"{path}: expected a checkpoint of `dslite train`: {error}; --force begins anew") from None
    weights, kept = (_filled(read[name], initial, path) for name in ("weights", "kept"))
    return State(history, weights, tuple(read["optimizer"][i] for i in sorted(read["optimizer"])), kept, losses)


def _filled(read: dict[int, Any], initial: Sequence[Any], path: Path) -> tuple[Any, ...]:
    if any(i >= len(initial) or value.shape != initial[i].shape for i, value in read.items()):
        raise ModelFileError(f"{path}: its weights do not fit the model: the backbone has changed; --force begins anew")
    return tuple(read.get(i, value) for i, value in enumerate(initial))
