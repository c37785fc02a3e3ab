"""``dslite image``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from dslite.cli.console import TERMINAL, json_option, print_json, progress
from dslite.cli.options import OUTPUT, PATH, PluginName, recipe_options
from dslite.errors import AudioError, SpecError
from dslite.experiment.selection import select
from dslite.native import native_output_hidden
from dslite.recipe import Recipe
from dslite.records import Augmenter, Options
from dslite.registry import get_with_options

_LARGEST_BATCH_BYTES = 1 << 30
"""Of pictures that are augmented together: all of them, with copies, are in memory at once."""
_SYNTHETIC = "the synthetic sound"
_SMALLEST_SHARE = 0.0005
"""Of a label, that is told."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A chunk, float32 ``(samples,)``, where it comes from, and where its picture goes."""

    audio: Path
    samples: Any
    start_s: float
    end_s: float
    path: Path


@click.command(
    epilog="Example: dslite image cough.wav speech.wav -o seen.png --augment cutmix:size=80 --colour-map magma"
)
@click.argument("audio", type=PATH, nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    required=True,
    help="PNG; of several chunks: NAME-000.png, NAME-001.png, ...; replaced if they exist.",
)
@click.option(
    "--augment",
    "augmenters",
    type=PluginName("augmenters"),
    multiple=True,
    help="Show what an augmenter makes of the pictures, such as cutmix:size=80; several are applied in their order.",
)
@click.option("--strength", type=float, help="Of --augment, 0 to 1.  [default: 1]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of --augment: another one draws anew.  [default: 0]")
@recipe_options
@json_option
def command(
    audio: tuple[Path, ...],
    output: Path,
    augmenters: tuple[str, ...],
    strength: float | None,
    seed: int | None,
    recipe: Recipe,
    as_json: bool,
) -> None:
    """Write the pictures a backbone sees of AUDIO.

    One spectrogram picture for each chunk. With --augment, as training changes them: all chunks of all files are one
    batch, and what mixes samples mixes these; then it is told what becomes of the labels.
    """
    if output.suffix.lower() != ".png":
        raise SpecError(f"--output: expected a name that ends in .png, got {output.name!r}")
    if not augmenters and (strength is not None or seed is not None):
        raise SpecError("--strength and --seed say how --augment works: give --augment too, or leave them away")
    if strength is not None and not 0 <= strength <= 1:
        raise SpecError(f"--strength: expected 0 to 1, got {strength:g}")
    chosen = [get_with_options("augmenters", name) for name in select("augmenters", augmenters)]
    pieces = _pieces(audio, output, recipe)
    shares: list[dict[str, float]] = []
    if chosen:
        _check_memory(pieces, recipe)
        shares = _write_augmented(pieces, recipe, chosen, 1.0 if strength is None else strength, seed or 0)
    else:
        _write(pieces, recipe)
    if as_json:
        print_json(_as_json(pieces, shares, several=len(audio) > 1))
        return
    for i, piece in enumerate(pieces):
        from_file = f"{piece.audio}  " if len(audio) > 1 else ""
        mixed = f"  label: {_in_words(shares[i])}" if shares and len(shares[i]) > 1 else ""
        click.echo(f"{piece.path}  {from_file}{piece.start_s:.2f} s to {piece.end_s:.2f} s{mixed}")


def _pieces(audio: Sequence[Path], output: Path, recipe: Recipe) -> list[_Piece]:
    from dslite.audio.load import chunks, load, spans_s

    rate = recipe.frontend.sample_rate_hz
    found: list[tuple[Path, Any, tuple[float, float]]] = []
    for path in audio:
        samples = load(path, rate)
        cut = chunks(samples, recipe.chunk, rate)
        if not len(cut):
            raise AudioError(
                f"{path}: shorter than a chunk of {recipe.chunk.length_s:g} s, and --short drop leaves it out"
            )
        spans = spans_s(len(samples), len(cut), recipe.chunk, rate)
        found += [(path, piece, span) for piece, span in zip(cut, spans, strict=True)]
    pieces = []
    for i, (path, piece, (start_s, end_s)) in enumerate(found):
        place = output if len(found) == 1 else output.with_name(f"{output.stem}-{i:03d}{output.suffix}")
        pieces.append(_Piece(path, piece, start_s, end_s, place))
    return pieces


def _check_memory(pieces: Sequence[_Piece], recipe: Recipe) -> None:
    at_most = max(2, _LARGEST_BATCH_BYTES // (recipe.frontend.size_px**2 * 3 * 4))
    if len(pieces) > at_most:
        raise SpecError(
            f"--augment: expected at most {at_most} chunks, which are one batch, got {len(pieces)}: give fewer files, "
            "or a longer --chunk-hop"
        )


def _write(pieces: Sequence[_Piece], recipe: Recipe) -> None:
    with native_output_hidden(), progress(len(pieces) + 1) as steps:
        steps.start("starting TensorFlow")
        from dslite.audio.png import write_picture

        for i, piece in enumerate(pieces):
            steps.start(f"chunk {i + 1} of {len(pieces)}")
            write_picture(piece.samples, recipe.frontend, piece.path)


def _write_augmented(
    pieces: Sequence[_Piece], recipe: Recipe, chosen: Sequence[tuple[Augmenter, Options]], strength: float, seed: int
) -> list[dict[str, float]]:
    """Write the pictures augmented, and give whose labels each has, and how much of them."""
    names = [str(piece.path) for piece in pieces]
    audio = [piece.samples for piece in pieces]
    if len(pieces) == 1:
        from dslite.audio.load import synthetic_chunk

        names.append(_SYNTHETIC)
        audio.append(synthetic_chunk(recipe.chunk_samples, recipe.frontend.sample_rate_hz))
    with native_output_hidden(), progress(len(audio) + len(chosen) + len(pieces) + 1) as steps:
        steps.start("starting TensorFlow")
        import tensorflow as tf

        from dslite.audio.frontend import picture
        from dslite.audio.png import write_pixels
        from dslite.learn.policy import apply

        pictures = []
        for i, samples in enumerate(audio):
            steps.start(f"chunk {i + 1} of {len(audio)}")
            pictures.append(picture(tf.constant(samples[None]), recipe.frontend)[0])
        # Each picture its own class: the labels then tell of whom it is made.
        images, labels = tf.stack(pictures), tf.eye(len(audio))
        for i, augmenter in enumerate(chosen):
            steps.start(augmenter[0].name)
            images, labels = apply(augmenter, images, labels, tf.fill(len(audio), strength), tf.constant((seed, i)))
        for i, piece in enumerate(pieces):
            steps.start(piece.path.name)
            write_pixels(images[i], piece.path)
        rows = labels.numpy()[: len(pieces)].tolist()
    shares = [{name: share for name, share in zip(names, row, strict=True) if share >= _SMALLEST_SHARE} for row in rows]
    if any(_SYNTHETIC in share for share in shares):
        TERMINAL.note("a single picture has none to be mixed with: a synthetic sound is its partner")
    return shares


def _as_json(pieces: Sequence[_Piece], shares: Sequence[dict[str, float]], *, several: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i, piece in enumerate(pieces):
        row = {"path": str(piece.path), "start_s": piece.start_s, "end_s": piece.end_s}
        rows.append(row | ({"audio": str(piece.audio)} if several else {}) | ({"labels": shares[i]} if shares else {}))
    return rows


def _in_words(shares: dict[str, float]) -> str:
    return ", ".join(f"{share:.1%} {name}" for name, share in sorted(shares.items(), key=lambda item: -item[1]))
