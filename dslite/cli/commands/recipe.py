"""``dslite recipe show``, ``check`` and ``import``."""

from pathlib import Path

import click

from dslite import recipes
from dslite.cli.console import json_option, print_json, print_table
from dslite.cli.options import OUTPUT, PATH
from dslite.cli.recipes import RecipeName
from dslite.codec import to_json
from dslite.errors import SpecError
from dslite.experiment.building import plugin_problems
from dslite.files import write_text
from dslite.recipe import TrainingRecipe


@click.group(invoke_without_command=True, epilog="Example: dslite recipe show ccs > my.toml")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show, check and import recipes.

    A recipe says how a model is trained: its backbone, how audio becomes pictures, both phases, augmentation.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command(epilog="Example: dslite recipe show ccs > my.toml")
@click.argument("recipe", type=RecipeName(), required=False)
@json_option
def show(recipe: str | None, as_json: bool) -> None:
    """Print a recipe with all its fields; without RECIPE, list the published ones.

    RECIPE is the name of a published one, or a file. What is printed is TOML to edit, each field with what it means.
    """
    if recipe is None:
        listed = [(name, recipes.title(name).partition("\n")[0].removesuffix(".")) for name in recipes.names()]
        if as_json:
            print_json([{"name": name, "title": title} for name, title in listed])
        else:
            print_table(("RECIPE", "DATA SET"), listed)
        return
    found = recipes.read(recipe)
    if as_json:
        print_json(to_json(found))
    else:
        click.echo(recipes.to_toml(found, recipes.title(recipe)), nl=False)


@command.command(epilog="Example: dslite recipe check my.toml")
@click.argument("recipe", type=RecipeName())
@json_option
def check(recipe: str, as_json: bool) -> None:
    """Check a recipe.

    Its fields, types and ranges, and whether the backbone and the augmenters it names are installed, have such
    options, and fit its pictures. All that is wrong is told at once; the exit code is 2 then.
    """
    found, problems = recipes.examine(recipe)
    if found is not None:
        problems = [f"{recipe}: {problem}" for problem in plugin_problems(found)]
    if as_json:
        print_json({"recipe": recipe, "problems": problems})
    elif found is not None and not problems:
        click.echo(f"{recipe}: OK: {_summary(found)}")
    if len(problems) == 1:
        raise SpecError(problems[0])
    if problems:
        for problem in problems:
            click.echo(problem, err=True)
        raise SpecError(f"{recipe}: {len(problems)} problems, listed above")


def _summary(recipe: TrainingRecipe) -> str:
    training = recipe.training
    return ", ".join(
        (
            recipe.backbone or "a backbone to be named with --backbone",
            f"weights {recipe.weights}",
            f"chunks of {recipe.chunk.length_s:g} s",
            f"{recipe.frontend.size_px} px",
            f"{training.optimizer} {training.learning_rate:g}",
            f"{training.head_epochs} + {training.finetune_epochs} epochs",
            " + ".join(recipe.augmentation.augmenters) or "no augmentation",
        )
    )


@command.command("import", epilog="Example: dslite recipe import hp_config.json -o my.toml")
@click.argument("settings", type=PATH)
@click.option("--classes", type=PATH, help="The class_config.json that goes with it.")
@click.option("-o", "--output", type=OUTPUT, help="TOML; replaced if it exists.  [default: standard output]")
def import_(settings: Path, classes: Path | None, output: Path | None) -> None:
    """Make a recipe of the settings of the published DeepSpectrumLite.

    SETTINGS is its hp_config.json. What cannot be carried over, or was changed, is told on standard error.
    """
    from dslite.recipes.published import import_settings

    imported = import_settings(settings, classes)
    title = [f"Imported from {settings.name} of DeepSpectrumLite."]
    if imported.classes:
        shown = (f"{label} ({name})" if name != label else label for label, name in imported.classes)
        title.append(f"Classes, in the order of its model's outputs: {', '.join(shown)}.")
    text = recipes.to_toml(imported.recipe, "\n".join(" ".join(line.split()) for line in title))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
    for difference in imported.differences:
        setting = " = ".join(filter(None, (difference.setting, difference.given)))
        click.echo(f"{setting}: {difference.became}", err=True)
    if output is not None:
        click.echo(f"wrote {output}; what differs from {settings.name} stands above", err=True)
