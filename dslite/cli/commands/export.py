"""``dslite export``."""

from pathlib import Path
from typing import get_args

import click

from dslite.cli.console import TERMINAL, json_option, print_json, progress
from dslite.cli.data import calibration_option
from dslite.cli.options import (
    MODEL_FLAGS,
    PATH,
    RECIPE_FLAGS,
    OutputPath,
    PluginName,
    model_options,
    recipe_options,
    refuse_options,
)
from dslite.codec import to_json
from dslite.deploy import manifest
from dslite.errors import SpecError
from dslite.experiment import building
from dslite.experiment.building import ModelRequest
from dslite.experiment.data import calibration_files
from dslite.native import native_output_hidden
from dslite.recipe import Recipe
from dslite.records import Part
from dslite.registry import get_with_options


@click.command(
    epilog="Example: dslite export --backbone densenet121 --exporter tflite-float32 --labels yes,no -o yesno.tflite"
)
@click.argument("run", type=PATH, required=False)
@click.option("--backbone", type=PluginName("backbones"), help="Instead of RUN; `dslite list backbones` names them.")
@click.option("--exporter", type=PluginName("exporters"), required=True, help="`dslite list exporters` names them.")
@click.option(
    "-o", "--output", type=OutputPath(folder=True), required=True, help="File to write, with the exporter's suffix."
)
@click.option(
    "--part",
    type=click.Choice(get_args(Part)),
    default="whole",
    show_default=True,
    help="whole: audio to probabilities; frontend: audio to picture; cnn: picture to probabilities.",
)
@calibration_option
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@model_options
@recipe_options
@json_option
def command(
    run: Path | None,
    backbone: str | None,
    exporter: str,
    output: Path,
    part: Part,
    calibration: tuple[Path, ...],
    force: bool,
    model: ModelRequest,
    recipe: Recipe,
    as_json: bool,
) -> None:
    """Export a model as a file, with its manifest.

    The model is that of a RUN of `dslite train`, or one of a --backbone.

    The manifest is OUTPUT.json; the pair is all that `dslite predict` and `dslite bench` need. ImageNet scaling and,
    in a whole file, the spectrogram front end are inside: audio in [-1, 1] goes in as float32 (1, samples).
    """
    wanted = _system(run, backbone, model, recipe)
    building.check(wanted)
    _check_output(output, get_with_options("exporters", exporter)[0].suffix, force=force)
    sounds = calibration_files(calibration, building.split_seed(wanted), TERMINAL)
    building.check_exporter(exporter, sounds)
    if sounds and not get_with_options("exporters", exporter)[0].needs_calibration:
        raise SpecError(f"--calibration: {exporter} has nothing to calibrate: leave it away")
    with native_output_hidden(), progress(3) as steps:
        cnn = None
        if part != "frontend":
            report = steps.start(f"building {wanted.name}")
            cnn = building.build(wanted, lambda text: report(text, 0.0))
        steps.start(f"exporting {output.name}")
        artifact = building.export_part(wanted, cnn, part, exporter, output, sounds)
    if as_json:
        print_json(to_json(artifact))
        return
    macs = "unknown" if artifact.macs is None else f"{artifact.macs:,}"
    click.echo(f"{output}  {artifact.size_bytes:,} bytes, {artifact.params:,} parameters, {macs} MACs")
    click.echo(
        f"input {artifact.input.kind} {artifact.input.shape}, output {artifact.output.kind} {artifact.output.shape}"
    )
    if artifact.n_calibration is not None:
        click.echo(f"calibrated with {artifact.n_calibration} chunks")
    if artifact.weights == "none":
        click.echo("weights are random: good for measuring, not for predicting")


def _system(run: Path | None, backbone: str | None, model: ModelRequest, recipe: Recipe) -> building.System:
    if run is None:
        if backbone is None:
            raise SpecError("nothing to export: name the folder of a run of `dslite train`, or a --backbone")
        return building.system(backbone, model, recipe)
    refuse_options({"backbone": "--backbone", **MODEL_FLAGS, **RECIPE_FLAGS}, "is settled by the run: leave it away")
    return building.trained(run)


def _check_output(output: Path, suffix: str, *, force: bool) -> None:
    if output.suffix != suffix:
        raise SpecError(f"--output: expected a name that ends in {suffix}, got {output.name!r}")
    if output.is_dir() and not manifest.belongs_to(output):
        raise SpecError(f"{output} is a folder, and no earlier export: take another name")
    if output.exists() and not force:
        raise SpecError(f"{output} exists: take another name, or --force to replace it")
