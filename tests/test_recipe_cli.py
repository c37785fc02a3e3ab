import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from conftest import assert_refused, invoke, said, told_json

from dslite import recipes
from dslite.cli.recipes import TRAINING_SETTINGS, SectionedCommand, training_options
from dslite.codec import to_json
from dslite.errors import SpecError, UserError
from dslite.recipe import AugmentSpec, ChunkSpec, FrontendSpec, HeadSpec, TrainingRecipe, TrainSpec

# -- dslite recipe ------------------------------------------------------------------------------------


def test_show_without_a_name_lists_the_published_recipes() -> None:
    header, *rows = said(invoke("recipe", "show")).splitlines()
    assert header.split() == ["RECIPE", "DATA", "SET"]
    assert [row.split()[0] for row in rows] == recipes.names()
    listed = told_json("recipe", "show")
    assert [f"{entry['name']} {entry['title']}" for entry in listed] == [" ".join(row.split()) for row in rows]


def test_what_show_prints_is_a_file_to_edit(tmp_path: Path) -> None:
    shown = said(invoke("recipe", "show", "ccs"))
    mine = tmp_path / "my.toml"
    mine.write_text(shown)
    assert shown.startswith("# COVID-19 cough")
    assert recipes.read(mine) == recipes.read("ccs")
    assert said(invoke("recipe", "show", mine)) == shown
    mine.write_text(shown.replace("n_hidden = 512", "n_hidden = 99"))
    assert recipes.read(mine) == replace(recipes.read("ccs"), head=HeadSpec(99))
    assert told_json("recipe", "show", "ccs") == to_json(recipes.read("ccs"))


def test_show_completes_a_file_that_says_little(tmp_path: Path) -> None:
    mine = tmp_path / "my.toml"
    mine.write_text("# Dogs and cats.\n\n[training]\nbatch_size = 5\n")
    shown = said(invoke("recipe", "show", mine))
    assert shown.startswith("# Dogs and cats.\n")
    assert set(tomllib.loads(shown)) == {name for name, _ in to_json(TrainingRecipe()).items()}
    assert tomllib.loads(shown)["training"] == to_json(TrainSpec(batch_size=5))


def test_check_sums_a_sound_recipe_up_in_a_line(tmp_path: Path) -> None:
    mine = tmp_path / "my.toml"
    mine.write_text('backbone = "mobilenet:alpha=0.5"\nweights = "none"\n[chunk]\nlength_s = 2.5\n')
    assert said(invoke("recipe", "check", mine)) == (
        f"{mine}: OK: mobilenet:alpha=0.5, weights none, chunks of 2.5 s, 224 px, adam 0.001, 40 + 20 epochs, "
        "no augmentation\n"
    )
    assert told_json("recipe", "check", mine) == {"recipe": str(mine), "problems": []}


def test_check_tells_all_that_is_not_installed_or_does_not_fit(tmp_path: Path) -> None:
    mine = tmp_path / "my.toml"
    mine.write_text(
        'backbone = "mobilenet:alpha=0.5"\nweights = "no.h5"\n'
        '[frontend]\nsize_px = 16\n[augmentation]\naugmenters = ["cutmicks:x=1"]\n'
    )
    done = invoke("recipe", "check", mine)
    assert (done.returncode, done.stdout) == (2, "")
    *problems, end = done.stderr.splitlines()
    assert [line.startswith(f"{mine}: ") for line in problems] == [True] * 3
    assert "[frontend] size_px: expected at least 32 px, the smallest picture mobilenet takes, got 16" in problems[0]
    assert "weights: expected none, imagenet or a weight file, got 'no.h5'" in problems[1]
    assert "[augmentation] augmenters: no augmenter is named 'cutmicks'" in problems[2]
    assert end == f"error: {mine}: 3 problems, listed above"
    done = invoke("recipe", "check", mine, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["problems"] == problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('backbone = "densenet12"', "backbone: no backbone is named 'densenet12': did you mean 'densenet121'?"),
        ('backbone = "vgg16:depth=2"', "backbone: vgg16 has no option 'depth'"),
        ("[training", "expected TOML: "),
    ],
)
def test_check_tells_one_fault_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    mine = tmp_path / "my.toml"
    mine.write_text(text)
    assert_refused(invoke("recipe", "check", mine), f"error: {mine}: {message}")


def test_every_published_recipe_can_be_trained_with_what_dslite_brings() -> None:
    for name in recipes.names():
        assert said(invoke("recipe", "check", name)).startswith(f"{name}: OK: densenet121, weights imagenet, ")


def test_import_writes_a_recipe_and_tells_what_differs(tmp_path: Path) -> None:
    settings, classes, mine = tmp_path / "hp_config.json", tmp_path / "class_config.json", tmp_path / "my.toml"
    settings.write_text('{"basemodel_name": ["vgg16"], "num_units": [64], "stft_window_size": [0.128], "xyz": [1, 2]}')
    classes.write_text('{"wet": "Wet\\ncough", "dry": "dry"}')
    done = invoke("recipe", "import", settings, "--classes", classes, "-o", mine)
    assert said(done, None) == ""
    told = done.stderr.splitlines()
    for fact in ("2 combinations", "stft_window_size = 0.128: carried over", "xyz = 1: left out", f"wrote {mine}"):
        assert [line for line in told if fact in line] != [], fact
    assert recipes.title(mine).startswith("Imported from hp_config.json of DeepSpectrumLite.\n")
    assert recipes.title(mine).endswith(": wet (Wet cough), dry.")  # in the order of its model's outputs
    recipe = recipes.read(mine)
    assert (recipe.backbone, recipe.head.n_hidden, recipe.frontend.window_s) == ("vgg16", 64, 0.128)
    printed = invoke("recipe", "import", settings, "--classes", classes)
    assert said(printed, None) == mine.read_text()
    assert printed.stderr.splitlines() == told[:-1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show cc", "no recipe is named 'cc': did you mean 'ccs'?"),
        ("show missing.toml", "missing.toml: cannot read the recipe: No such file or directory"),
        ("check", "Missing argument 'RECIPE'"),
        ("import", "Missing argument 'SETTINGS'"),
        ("import missing.json", "missing.json: cannot be read: No such file or directory"),
        ("import missing.json -o no-such-folder/my.toml", "the folder no-such-folder does not exist"),
        ("shw", "No such command 'shw'"),
    ],
)
def test_a_wrong_request_ends_with_2_and_one_line(line: str, message: str) -> None:
    assert_refused(invoke("recipe", *line.split()), message)


# -- the options of training --------------------------------------------------------------------------


@click.command(cls=SectionedCommand)
@click.argument("data")
@click.option("--final", is_flag=True, help="Of the command itself.")
@training_options
def _train(data: str, final: bool, recipe: TrainingRecipe) -> None:
    del final
    _train.seen = (data, recipe)  # type: ignore[attr-defined]


def _recipe(words: Sequence[object]) -> TrainingRecipe:
    _train.main(["data.csv", *map(str, words)], standalone_mode=False)
    data, recipe = _train.seen  # type: ignore[attr-defined]
    assert data == "data.csv"
    assert isinstance(recipe, TrainingRecipe)
    return recipe


# Each field says something else than the defaults.
OTHERWISE = TrainingRecipe(
    "mobilenet:alpha=0.5",
    "none",
    ChunkSpec(2.0, 0.5, "drop", "drop"),
    FrontendSpec(22050, 0.064, 0.01, 2048, 64, 50.0, 4000.0, "htk", False, 1e-10, 60.0, "magma", 96, "nearest"),
    HeadSpec(64, 0.5),
    TrainSpec("lion", 0.01, 8, 3, 4, 5, 0.5, "cosine", 0.2, "bfloat16", "none", 6, "last", 7),
    AugmentSpec(("noise:deviation=9", "mixup", "cutmix"), 0.4, 12.0, 0.2, 0.3, "last-visit"),
)


def _words(setting: Any, value: Any) -> list[object]:
    """Give the words that set an option."""
    flag, _, no = setting.flag.partition("/")
    if isinstance(value, bool):
        return [flag if value else no]
    if isinstance(value, tuple):
        return [word for one in value for word in (flag, one)]
    return [flag, value * 1000 if setting.parameter.endswith("_ms") else value]


@pytest.mark.parametrize("setting", TRAINING_SETTINGS, ids=lambda setting: str(setting.parameter))
def test_an_option_overrides_its_field_and_no_other(setting: Any) -> None:
    value = getattr(getattr(OTHERWISE, setting.table) if setting.table else OTHERWISE, setting.field)
    for base, start in (
        (recipes.read("ccs"), ["--recipe", "ccs"]),
        (TrainingRecipe(backbone="vgg16"), ["--backbone", "vgg16"]),
    ):
        part = getattr(base, setting.table) if setting.table else base
        assert start[0] == "--recipe" or getattr(part, setting.field) != value
        changed = replace(part, **{setting.field: value})
        expected = replace(base, **{setting.table: changed}) if setting.table else changed
        assert _recipe([*start, *_words(setting, value)]) == expected


def test_there_is_an_option_for_each_field_but_two() -> None:
    covered = {(setting.table, setting.field) for setting in TRAINING_SETTINGS}
    tables = {table: fields for table, fields in to_json(TrainingRecipe()).items() if isinstance(fields, dict)}
    fields = {("", "backbone"), ("", "weights"), *((table, name) for table in tables for name in tables[table])}
    # The floor of powers concerns nobody; the output is the data's.
    assert fields - covered == {("frontend", "power_floor"), ("head", "output")}


def test_an_option_counts_also_where_it_says_the_default_and_options_are_taken_together(tmp_path: Path) -> None:
    recipe = _recipe(["--recipe", "css", "--dropout", 0.25, "--optimizer", "adam", "--augment", "none"])
    assert (recipe.head, recipe.training.optimizer) == (HeadSpec(700, 0.25), "adam")
    assert recipe.augmentation.augmenters == ()
    assert _recipe(["--recipe", "ccs", "--sample-rate", 44100, "--fmax", 20000]).frontend.top_hz == 20000
    (tmp_path / "my.toml").write_text('backbone = "vgg16"\n[head]\ndropout = 0.5\n')
    assert _recipe(["--recipe", tmp_path / "my.toml", "--hidden", 9]).head == HeadSpec(9, 0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"^no backbone: give a --backbone \(`dslite list backbones`\)"),
        (["--recipe", "cc"], "did you mean 'ccs'"),
        (["--recipe", "ccs", "--size", 3], "^picture size: expected 8 to 4096 px, got 3"),
        (["--recipe", "ccs", "--chunk", 0.01], "at least one window"),
        (["--recipe", "ccs", "--weights", "no.h5"], "^--weights: expected none, imagenet or a weight file"),
        (
            ["--recipe", "ccs", "--augment", "none,cutmix"],
            "^--augment: expected none alone, or names, got none, cutmix",
        ),
        (["--recipe", "ccs", "--probability-min", 0.5], "probabilities of augmentation: expected 0 <= min <= max"),
    ],
)
def test_what_cannot_be_trained_is_told_before(words: list[object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _recipe(words)


def test_a_recipe_whose_weights_are_nowhere_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('backbone = "vgg16"\nweights = "no.h5"\n')
    with pytest.raises(SpecError, match=r"my\.toml: weights: expected none, imagenet or a weight file, got 'no.h5'"):
        _recipe(["--recipe", path])
    path.write_text("")
    with pytest.raises(SpecError, match=r"^no backbone: .*my\.toml names none$"):
        _recipe(["--recipe", path])


def test_help_has_sections_and_the_defaults_of_the_records() -> None:
    text = CliRunner().invoke(_train, ["--help"], terminal_width=100).output
    heads = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == ["Options:", "Recipe:", "Chunks and pictures:", "Head:", "Training:", "Augmentation:"]
    words = " ".join(text.split())
    for setting in TRAINING_SETTINGS:
        assert setting.flag.partition("/")[0] in words
    assert "Seconds of a chunk. [default: 3.0]" in words
    assert "By its name in Keras. [default: adam]" in words
    assert "[default: imagenet]" in words


def test_the_shell_completes_recipes_and_augmenters() -> None:
    options = {param.name: param for param in _train.params}
    context = click.Context(_train)
    named = options["recipe_name"].shell_complete(context, "c")
    assert [item.value for item in named] == ["ccs", "css"]
    assert [item.type for item in options["recipe_name"].shell_complete(context, "./my")] == ["file"]
    assert [item.value for item in options["augmenters"].shell_complete(context, "non")] == ["none"]
