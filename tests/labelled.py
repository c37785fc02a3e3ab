"""Labelled sounds of three classes that are easily told apart, and a backbone of two layers: a training in seconds."""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import distributions
import numpy as np
import soundfile

from dslite.learn.dataset import Split

RATE = 16_000
LABELS = ("hiss", "hum", "tone")


def install_backbone(folder: Path) -> dict[str, str]:
    """Give an environment with the backbone `lab` as a plugin."""
    body = "x = keras.layers.BatchNormalization()(features); x = keras.layers.Conv2D(8, 3, activation='relu')(x)"
    source = distributions.backbone("lab", f"{body}; return keras.Model(image, x)")
    distributions.install(folder, "lab", source)
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def write_sounds(folder: Path) -> Path:
    """Write 24 files of 0.5 s and one of 0.2 s, which is test's; tables of them are made by `table`."""
    rng = np.random.default_rng(0)
    for i in range(25):
        samples = _sound(LABELS[i % 3], rng, 0.5 if i < 24 else 0.2)
        soundfile.write(folder / f"{i}.wav", samples.astype(np.float32), RATE)
    return folder


def _sound(label: str, rng: np.random.Generator, seconds: float) -> Any:
    t = np.arange(round(seconds * RATE)) / RATE
    if label == "hiss":
        return 0.3 * rng.standard_normal(len(t))
    f = {"hum": 120, "tone": 900}[label] * rng.uniform(0.9, 1.1)
    return 0.5 * np.sign(np.sin(2 * np.pi * f * t)) if label == "hum" else 0.5 * np.sin(2 * np.pi * f * t)


def table(folder: Path, name: str, change: Callable[[dict[str, str]], dict[str, str] | None] = dict) -> Path:
    """Write a table of the files, 12 of train, 6 of devel, 7 of test; rows that `change` makes None are left out."""
    splits: Sequence[Split] = ["train"] * 12 + ["devel"] * 6 + ["test"] * 7
    rows = [
        {"file": f"{i}.wav", "label": LABELS[i % 3], "speaker": f"s{i}", "split": split}
        for i, split in enumerate(splits)
    ]
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["file", "label", "speaker", "split"])
        writer.writeheader()
        writer.writerows(row for row in map(change, rows) if row)
    return path
