"""``dslite image``."""

from pathlib import Path

import click

from dslite.cli.console import json_option, print_json, progress
from dslite.cli.options import OUTPUT, PATH, recipe_options
from dslite.errors import AudioError, SpecError
from dslite.native import native_output_hidden
from dslite.recipe import Recipe


@click.command(epilog="Example: dslite image speech.wav -o speech.png --colour-map magma")
@click.argument("audio", type=PATH)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    required=True,
    help="PNG; of several chunks: NAME-000.png, NAME-001.png, ...; replaced if they exist.",
)
@recipe_options
@json_option
def command(audio: Path, output: Path, recipe: Recipe, as_json: bool) -> None:
    """Write the pictures a backbone sees of AUDIO.

    One spectrogram picture for each chunk.
    """
    from dslite.audio.load import chunks, load, spans_s

    rate = recipe.frontend.sample_rate_hz
    if output.suffix.lower() != ".png":
        raise SpecError(f"--output: expected a name that ends in .png, got {output.name!r}")
    samples = load(audio, rate)
    pieces = chunks(samples, recipe.chunk, rate)
    if not len(pieces):
        raise AudioError(
            f"{audio}: shorter than a chunk of {recipe.chunk.length_s:g} s, and --short drop leaves it out"
        )
    spans = spans_s(len(samples), len(pieces), recipe.chunk, rate)
    written: list[tuple[Path, float, float]] = []
    with native_output_hidden(), progress(len(pieces) + 1) as steps:
        steps.start("starting TensorFlow")
        from dslite.audio.png import write_picture

        for i, (piece, (start_s, end_s)) in enumerate(zip(pieces, spans, strict=True)):
            steps.start(f"chunk {i + 1} of {len(pieces)}")
            place = output if len(pieces) == 1 else output.with_name(f"{output.stem}-{i:03d}{output.suffix}")
            write_picture(piece, recipe.frontend, place)
            written.append((place, start_s, end_s))
    if as_json:
        print_json([{"path": str(path), "start_s": start_s, "end_s": end_s} for path, start_s, end_s in written])
        return
    for path, start_s, end_s in written:
        click.echo(f"{path}  {start_s:.2f} s to {end_s:.2f} s")
