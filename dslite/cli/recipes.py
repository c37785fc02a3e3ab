"""Recipes on the command line: options that override single fields, and whether what a recipe names is installed."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from dslite import recipes
from dslite.cli.options import HEAD_SETTINGS, PICTURE_SETTINGS, WEIGHTS_HELP, PluginName, Setting, with_options
from dslite.errors import SpecError
from dslite.experiment.building import checked_weights
from dslite.experiment.selection import split
from dslite.recipe import TrainingRecipe

F = TypeVar("F", bound=Callable[..., Any])

NO_AUGMENTATION = "none"


class RecipeName(click.types.StringParamType):
    """The name of a published recipe, or a file; the shell completes both."""

    name = "name|file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the published recipes that begin so; else, files."""
        del ctx, param
        found = [CompletionItem(name) for name in recipes.names() if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


_AUGMENTERS = Setting(
    "augmentation",
    "augmenters",
    "Change the pictures in training with this: a name, a,b, or none; may be repeated.  [default: none]",
    "augment",
    plugins=PluginName("augmenters", [NO_AUGMENTATION]),
)

TRAINING_SETTINGS: tuple[Setting, ...] = (
    Setting("", "backbone", "Name, with options after a colon.", plugins=PluginName("backbones")),
    Setting("", "weights", WEIGHTS_HELP),
    *PICTURE_SETTINGS,
    *HEAD_SETTINGS,
    *(
        Setting("training", field, text)
        for field, text in (
            ("optimizer", "By its name in Keras."),
            ("learning_rate", "Of the first phase."),
            ("batch_size", "Chunks a step."),
            ("head_epochs", "Epochs with the backbone frozen."),
            ("finetune_epochs", "Epochs of the second phase."),
            ("finetune_layers", "How many of the backbone's last layers learn in the second phase."),
            ("finetune_rate", "The second phase's learning rate, as a share of the first's."),
            ("schedule", "Of the learning rate in a phase."),
            ("label_smoothing", "Share of each label that is spread over all classes."),
            ("precision", "Of products while training; bfloat16 is faster where the processor has it."),
            ("class_weights", "Weigh classes by the inverse of their frequency, or not."),
            ("patience", "Epochs without a better devel score after which a phase ends; 0: it never ends early."),
            ("keep", "Weights of the best epoch on devel, or of the last."),
            ("seed", "Of head, order, dropout and augmentation."),
        )
    ),
    _AUGMENTERS,
    Setting("augmentation", "a", "Where among the ranks the strength falls.", "sap-a", "sap_a"),
    Setting("augmentation", "s", "How steeply it falls.", "sap-s", "sap_s"),
    Setting("augmentation", "probability_min", "Of a change to the sample with the highest loss."),
    Setting("augmentation", "probability_max", "Of a change to the sample with the lowest loss."),
    Setting("augmentation", "losses", "Each sample's loss: from an extra pass over the batch, or from its last visit."),
)
"""The options of training; each overrides a field of the recipe."""

_SECTIONS = {
    "": "Recipe",
    "chunk": "Chunks and pictures",
    "frontend": "Chunks and pictures",
    "head": "Head",
    "training": "Training",
    "augmentation": "Augmentation",
}


class SectionedCommand(click.Command):
    """A command with `training_options`, whose help has them in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then those of recipes by what they are about."""
        places = {setting.parameter: _SECTIONS[setting.table] for setting in TRAINING_SETTINGS}
        places["recipe_name"] = _SECTIONS[""]
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Options", *_SECTIONS.values())}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and not isinstance(param, click.Argument):
                sections[places.get(param.name or "", "Options")].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def training_options(function: F) -> F:
    """Add ``--recipe`` and an option for each field; the command gets one `TrainingRecipe`, ``recipe``.

    What an option says goes before what the recipe says, and that before the defaults of the records. Use it with
    ``@click.command(cls=SectionedCommand)``. Whether plugins of the names are installed is not looked at.
    """

    @functools.wraps(function)
    def wrapper(**values: Any) -> Any:
        context = click.get_current_context()
        name = values.pop("recipe_name")
        given = {setting: values.pop(setting.parameter) for setting in TRAINING_SETTINGS}
        base = recipes.read(name) if name else TrainingRecipe()
        changes = {
            setting: _augmenters(value) if setting is _AUGMENTERS else setting.value(value)
            for setting, value in given.items()
            if context.get_parameter_source(setting.parameter) is not ParameterSource.DEFAULT
        }
        recipe = _changed(base, changes)
        if not recipe.backbone:
            instead = f": {name} names none" if name else ", or a --recipe that names one"
            raise SpecError(f"no backbone: give a --backbone (`dslite list backbones`){instead}")
        own = any(setting.parameter == "weights" for setting in changes) or not name
        checked_weights(recipe.weights, "--weights" if own else f"{name}: weights")
        if Path(recipe.weights).is_file():  # so that the run's recipe can be taken from any folder
            recipe = replace(recipe, weights=str(Path(recipe.weights).absolute()))
        _ = recipe.system.chunk_samples  # raises where a chunk is shorter than a window
        return function(recipe=recipe, **values)

    result = with_options(wrapper, [setting.row for setting in TRAINING_SETTINGS], [_AUGMENTERS.parameter])
    text = "Begin with this recipe (`dslite recipe show` lists the published ones); the options below override it."
    return cast(F, click.option("--recipe", "recipe_name", type=RecipeName(), help=text)(result))


def _changed(recipe: TrainingRecipe, changes: dict[Setting, Any]) -> TrainingRecipe:
    """Change several fields of a record at once: one alone may not fit the others as they were."""
    tables: dict[str, dict[str, Any]] = {}
    for setting, value in changes.items():
        tables.setdefault(setting.table, {})[setting.field] = value
    top = tables.pop("", {})
    return replace(recipe, **top, **{name: replace(getattr(recipe, name), **new) for name, new in tables.items()})


def _augmenters(texts: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name for text in texts for name in split(text))
    if NO_AUGMENTATION not in names:
        return names
    if len(set(names)) > 1:
        raise SpecError(f"--augment: expected {NO_AUGMENTATION} alone, or names, got {', '.join(names)}")
    return ()
