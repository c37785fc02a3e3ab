import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite import recipes
from dslite.errors import SpecError, UnknownNameError
from dslite.recipe import (
    REFERENCE,
    AugmentSpec,
    ChunkSpec,
    ClassWeights,
    ColourMap,
    FrontendSpec,
    HeadSpec,
    Keep,
    Losses,
    MelScale,
    Optimizer,
    Precision,
    Resize,
    Schedule,
    Short,
    TrainingRecipe,
    TrainSpec,
)
from dslite.recipes import published
from dslite.recipes.published import import_settings
from dslite.recipes.writing import attributes

BOTH = ("cutmix", "specaugment")
# Amiriparian et al. 2022 (doi 10.3389/frai.2022.856232), Table 2, column by column: units, dropout, learning rate,
# epochs of both phases, fine-tuned layers, seconds of a chunk. "-" is 0 epochs, and for css the 3.0 s dslite chose.
# Then the augmentation in bold in Tables 3 and 4, and its UAR on devel and test.
TABLE_2: dict[str, tuple[tuple[float, ...], tuple[str, ...], tuple[str, str, str]]] = {
    "ccs": ((512, 0.25, 0.001, 40, 200, 298, 3.0), BOTH, ("59.0", "74.4", "66.3-82.4")),
    "css": ((700, 0.4, 0.01, 20, 0, 0, 3.0), BOTH, ("60.7", "63.9", "55.1-66.8")),
    "demos": ((512, 0.25, 0.001, 40, 120, 128, 3.0), BOTH, ("73.8", "72.5", "70.1-75.0")),
    "ess": ((512, 0.25, 0.001, 40, 200, 298, 3.0), BOTH, ("47.2", "61.7", "55.8-67.3")),
    "iemocap": ((512, 0.25, 0.001, 40, 200, 128, 4.0), ("cutmix",), ("55.5", "59.7", "55.6-64.0")),
    "mpssc": ((512, 0.25, 0.001, 40, 120, 85, 1.0), BOTH, ("39.2", "54.2", "49.4-58.4")),
    "ravdess": ((128, 0.5, 0.001, 40, 80, 42, 4.0), ("specaugment",), ("77.4", "81.3", "74.6-87.1")),
    "sleep": ((512, 0.25, 0.001, 40, 80, 128, 4.0), ("cutmix",), ("71.7", "69.1", "66.5-71.6")),
}


def test_the_papers_eight_data_sets_have_a_recipe_each() -> None:
    assert recipes.names() == sorted(TABLE_2)


@pytest.mark.parametrize("name", TABLE_2)
def test_a_published_recipe_is_what_the_paper_says_and_can_be_written_again(name: str) -> None:
    recipe, (table_2, augmenters, figures) = recipes.read(name), TABLE_2[name]
    training, augmentation = recipe.training, recipe.augmentation
    assert table_2 == (
        recipe.head.n_hidden,
        recipe.head.dropout,
        training.learning_rate,
        training.head_epochs,
        training.finetune_epochs,
        training.finetune_layers,
        recipe.chunk.length_s,
    )
    assert (recipe.backbone, recipe.weights, recipe.frontend) == ("densenet121", "imagenet", REFERENCE.frontend)
    # Section 3.2.
    assert (training.optimizer, training.batch_size, training.finetune_rate) == ("adadelta", 32, 0.1)
    assert (training.schedule, training.label_smoothing, training.patience) == ("constant", 0, 0)
    assert augmentation == AugmentSpec(augmenters, 0.5, 10, 0.10, 0.25)
    assert recipe.head.output == "softmax"
    (line,) = [line for line in recipes.title(name).splitlines() if line.endswith("<- this recipe")]
    assert line.split()[-6:-3] == list(figures)  # the UAR to expect
    assert line.lower().split()[: 2 * len(augmenters) - 1] == " + ".join(augmenters).split()
    assert _reread(recipes.to_toml(recipe, recipes.title(name))) == (recipe, recipes.title(name))


# -- written and read again ---------------------------------------------------------------------------


def _within(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


def _one_of(annotation: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(annotation))


_TEXT = st.text(st.characters(codec="utf-8"))
_RECIPES = st.builds(
    TrainingRecipe,
    _TEXT,
    _TEXT,
    st.builds(ChunkSpec, _within(0.5, 3600), st.none() | _within(1e-6, 3600), _one_of(Short), _one_of(Short)),
    st.builds(
        FrontendSpec,
        sample_rate_hz=st.integers(8000, 384_000),
        window_s=_within(0.001, 0.4),
        hop_s=_within(0.001, 60),
        n_fft=st.none() | st.integers(200_000, 300_000),
        n_mels=st.integers(1, 1024),
        f_min_hz=_within(0, 1000),
        f_max_hz=st.none() | _within(2000, 4000),
        mel_scale=_one_of(MelScale),
        mel_norm=st.booleans(),
        power_floor=_within(1e-300, 0.5),
        top_db=_within(0.1, 200),
        colour_map=_one_of(ColourMap),
        size_px=st.integers(8, 4096),
        resize=_one_of(Resize),
    ),
    st.builds(HeadSpec, st.integers(1, 65_536), _within(0, 0.999), st.sampled_from(["softmax", "linear"])),
    st.builds(
        TrainSpec,
        _one_of(Optimizer),
        _within(1e-300, 100),
        st.integers(1, 65_536),
        st.integers(1, 1_000_000),
        st.integers(0, 1_000_000),
        st.integers(0, 10**12),
        _within(1e-9, 1),
        _one_of(Schedule),
        _within(0, 0.999),
        _one_of(Precision),
        _one_of(ClassWeights),
        st.integers(0, 10**6),
        _one_of(Keep),
        st.integers(0, 2**31 - 1),
    ),
    st.builds(
        AugmentSpec,
        st.lists(_TEXT).map(tuple),
        _within(0.001, 0.999),
        _within(0.001, 1000),
        _within(0, 0.5),
        _within(0.5, 1),
        _one_of(Losses),
    ),
)


def _reread(text: str) -> tuple[TrainingRecipe, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.toml"
        path.write_bytes(text.encode())
        return recipes.read(path), recipes.title(path)


@given(_RECIPES, _TEXT)
def test_what_is_written_is_read_back_exactly_and_written_the_same_again(recipe: TrainingRecipe, title: str) -> None:
    text = recipes.to_toml(recipe, title)
    again, title_again = _reread(text)
    assert again == recipe
    assert recipes.to_toml(again, title_again) == text


def test_every_field_is_written_with_its_documentation_and_none_as_left_out() -> None:
    text = recipes.to_toml(TrainingRecipe(backbone="densenet121"))
    words = " ".join(" ".join(line.removeprefix("#") for line in text.splitlines()).split())
    recipe = TrainingRecipe()
    parts = [getattr(recipe, field.name) for field in dataclasses.fields(recipe)]
    for record in (recipe, *(part for part in parts if dataclasses.is_dataclass(part))):
        documented = attributes(type(record))
        for field in dataclasses.fields(record):
            said = documented[field.name].replace("``", "")
            assert f"{field.name}: {' '.join(said.split())}" in words
            if getattr(record, field.name) is None:
                assert f"\n# {field.name} is None here: the line is left out\n" in text
            elif not dataclasses.is_dataclass(getattr(record, field.name)):
                assert f"\n{field.name} = " in text
    assert "One of adadelta, adafactor," in words
    assert max(map(len, text.splitlines())) <= 110


def test_a_file_may_leave_out_what_it_does_not_change(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_bytes(b'\xef\xbb\xbfbackbone = "vgg16"\r\n[training]\r\nlearning_rate = 1\r\n')  # as Windows writes it
    assert recipes.read(path) == TrainingRecipe(backbone="vgg16", training=TrainSpec(learning_rate=1))
    path.write_text("")
    assert recipes.read(path) == TrainingRecipe()
    assert recipes.title(path) == ""


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nbatch_sice = 3", "[training]: unknown field 'batch_sice': did you mean 'batch_size'?"),
        ("[training]\nxyzzy = 3", "[training]: unknown field 'xyzzy': known are 'optimizer', 'learning_rate',"),
        ("[training]\ndropout = 0.1", "[training]: unknown field 'dropout': it belongs in [head]"),
        ("[head]\nbackbone = 'vgg16'", "[head]: unknown field 'backbone': it belongs at the top, above all tables"),
        ("seed = 1", "unknown field 'seed': it belongs in [training]"),
        ("[trainig]", "unknown table [trainig]: did you mean [training]?"),
        ("[x]", "unknown table [x]: known are [chunk], [frontend], [head], [training], [augmentation]"),
        ("[head.more]", "[head]: unknown table [more]: known are none here"),
        ("head = 3", "[head]: expected a table, got 3"),
        ("backbone = 3", "backbone: expected str, got 3"),
        ("[training]\nbatch_size = 32.0", "[training] batch_size: expected int, got 32.0"),
        ("[training]\nbatch_size = true", "[training] batch_size: expected int, got True"),
        ("[training]\nlearning_rate = '1e-3'", "[training] learning_rate: expected float, got '1e-3'"),
        ("[training]\noptimizer = 'adm'", "[training] optimizer: expected one of adadelta, adafactor,"),
        ("[training]\nlearning_rate = nan", "[training] learning_rate: learning rate: expected above 0 to 100, got"),
        ("[augmentation]\naugmenters = 'cutmix'", "[augmentation] augmenters: expected a list, got 'cutmix'"),
        ("[augmentation]\naugmenters = ['cutmix', 3]", "[augmentation] augmenters[1]: expected str, got 3"),
        ("[frontend]\nsize_px = 7", "[frontend] size_px: picture size: expected 8 to 4096 px, got 7"),
        ("[frontend]\nf_max_hz = 9000", "[frontend] f_max_hz: frequencies: expected 0 <= f_min < f_max <= 8000 Hz,"),
        ("[chunk]\nlength_s = 0.01", "expected at least one window of 0.032 s, got 160 samples"),
        ("[training]\nhead_epochs = 0\nfinetune_epochs = 0", "epochs: expected one or more, got none in both phases"),
        ("[training]\nbatch_size = 32\nbatch_size = 33", "expected TOML: Cannot overwrite a value (at "),
        ("a = 1\nb = x", "expected TOML: Invalid value (at line 2, column 5)"),
        ("a = " + "[" * 5000, "expected TOML: "),
        ("a = " + "1" * 5000, "expected TOML: "),
    ],
)
def test_a_fault_is_told_in_one_line_with_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        recipes.read(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    assert message in told
    assert "\n" not in told


def test_all_faults_are_found_at_once_and_nothing_that_is_right_is_among_them(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(
        "[frontend]\nsample_rate_hz = 44100\nf_max_hz = 20000\nn_mels = 0\nsize_px = 3\n"
        "[training]\nlearning_rate = -1\nbatch_size = 'x'\nbach = 1\n"
    )
    recipe, problems = recipes.examine(path)
    assert recipe is None
    named = [problem.removeprefix(f"{path}: ").partition(": ")[0] for problem in problems]
    assert sorted(named) == [
        "[frontend] n_mels",
        "[frontend] size_px",
        "[training]",
        "[training] batch_size",
        "[training] learning_rate",
    ]
    with pytest.raises(SpecError, match=r"\(and 4 more: `dslite recipe check` lists them\)$"):
        recipes.read(path)


def test_a_name_nobody_knows_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"^no recipe is named 'CC': did you mean 'ccs'\?$"):
        recipes.read("CC")
    with pytest.raises(UnknownNameError, match=r"^no recipe is named 'xyzzy': there are ccs, css, .* and files"):
        recipes.read("xyzzy")
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(SpecError, match="cannot read the recipe: "):
            recipes.read(path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(SpecError, match="expected a recipe, TOML in UTF-8, got something else"):
        recipes.read(str(tmp_path / "picture.png"))


def test_a_path_is_a_file_even_where_a_recipe_is_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ccs").write_text('backbone = "vgg16"')
    assert recipes.read(Path("ccs")).backbone == "vgg16"
    assert recipes.read("ccs").backbone == "densenet121"


# -- settings of the published program ----------------------------------------------------------------

# In the form of the files in DeepSpectrum/DeepSpectrumLite, config/ and README.md: every value is a list.
PUBLISHED: dict[str, list[Any]] = json.loads((Path(__file__).parent / "recipes" / "hp_config.json").read_text())


def _import(folder: Path, classes: Any = None, **changes: Any) -> published.Imported:
    """Import the settings above with changes; what is changed to `...` is left out."""
    values = {**PUBLISHED, **{key: v if isinstance(v, list) or v is ... else [v] for key, v in changes.items()}}
    settings, class_file = folder / "hp_config.json", folder / "class_config.json"
    settings.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))
    class_file.write_text(json.dumps(classes))
    return import_settings(settings, class_file if classes is not None else None)


def _told(imported: published.Imported) -> dict[str, str]:
    return {d.setting: d.became for d in imported.differences if d.setting != "the program"}


def test_settings_of_the_published_program_are_carried_over(tmp_path: Path) -> None:
    imported = _import(tmp_path)
    assert imported.recipe == TrainingRecipe(
        "densenet121",
        "imagenet",
        ChunkSpec(2.5, 0.5, "pad", "drop"),
        FrontendSpec(8000, 0.032, 0.016, 512, 64, 50, 3500, "htk", False, 1e-16, 200, "magma"),
        HeadSpec(300, 0.3),
        # The program freezes the first int(0.2 * 427) = 85 layers and trains 342.
        TrainSpec("sgd", 0.02, 16, 7, 9, 342, 0.2, class_weights="balanced", keep="last"),
        AugmentSpec(BOTH, 0.4, 12, 0.1, 0.25),  # 56 and 67 px, the defaults of dslite's augmenters
    )
    assert set(_told(imported)) == {"label_parser", "tb_experiment", "tb_run_id", "finetune_layer", "da_prob_max"}
    assert [d.became.split(" = ")[0] for d in imported.differences if d.setting == "the program"] == [
        "mel_scale",
        "short",
        "class_weights",
    ]


@pytest.mark.parametrize(
    ("key", "value", "field", "becomes", "said"),
    [
        ("stft_window_size", 0.064, "frontend.window_s", 0.064, "carried over; the paper has 0.032 s"),
        ("stft_fft_length", 0.016, "frontend.n_fft", None, "the window's 256 samples"),
        ("resize_method", "nearest", "frontend.resize", "nearest", "the paper has bilinear"),
        ("resize_method", "lanczos3", "frontend.resize", "bilinear", "dslite has bilinear, nearest"),
        ("anti_alias", True, "frontend.resize", "bilinear", "left out"),
        ("image_width", 200, "frontend.size_px", 224, "square"),
        ("color_map", "jet", "frontend.colour_map", "viridis", "viridis, as in the program"),
        ("mel_scale", False, "frontend.mel_scale", "htk", "left out: dslite has Mel spectrograms"),
        ("num_mfccs", 20, "frontend.n_mels", 64, "no MFCCs"),
        ("db_scale", False, "frontend.top_db", 200, "decibels"),
        ("use_plot_images", False, "frontend.colour_map", "magma", "coloured pictures"),
        ("normalize_audio", False, "frontend.top_db", 200, "brings each chunk's peak to 1"),
        ("chunk_size", -1, "chunk", ChunkSpec(3.0, 1.5, "pad", "drop"), "whole files there"),
        ("activation", "relu", "head.n_hidden", 300, "arelu: dslite's head has no other"),
        ("output_activation", "sigmoid", "head.output", "softmax", "softmax"),
        ("prediction_type", "ordinal", "head.output", "softmax", "categorical"),
        ("loss", "mae", "head.output", "softmax", "the loss goes with the task"),
        ("model_name", "Own", "backbone", "densenet121", "left out"),
        ("basemodel_name", "densenet12", "backbone", "densenet12", "did you mean 'densenet121'?"),
        ("weights", "", "weights", "none", "random weights"),
        ("weights", "", "training.head_epochs", 0, "all layers learn from the first epoch on"),
        ("weights", "", "training.finetune_epochs", 16, "with one learning rate"),
        ("finetune_layer", 0, "training.finetune_epochs", 0, "has no second phase"),
        ("finetune_layer", 0.7, "training.finetune_layers", 129, "298 of 427"),
        ("optimizer", "rmspropp", "training.optimizer", "adadelta", "dslite has adadelta,"),
        ("fine_learning_rate", 0.0, "training.finetune_rate", 0.1, "expected above 0"),
        ("fine_learning_rate", 0.5, "training.finetune_rate", 1.0, "at most learning_rate, 0.02"),
        ("cutmix_max", 0.5, "augmentation.augmenters", ("cutmix:size=112", "specaugment"), None),
        ("cutmix_min", 0.1, "augmentation.augmenters", BOTH, "0 px, as in the paper"),
        ("specaug_time_max", 0.2, "augmentation.augmenters", BOTH, "67 px, as the other"),
        ("augment_specaug", False, "augmentation.augmenters", ("cutmix",), None),
        ("da_prob_max", 0.95, "augmentation.probability_max", 1.0, "probability_max = 1"),
        ("speed_perturbation", True, "backbone", "densenet121", "left out: the published program knows no such"),
    ],
)
def test_what_cannot_be_carried_over_as_it_is_is_told(
    tmp_path: Path, key: str, value: Any, field: str, becomes: Any, said: str | None
) -> None:
    imported = _import(tmp_path, **{key: value})
    found: Any = imported.recipe
    for name in field.split("."):
        found = getattr(found, name)
    assert found == becomes
    differences = [d for d in imported.differences if d.setting == key]
    assert bool(differences) == bool(said)
    for difference in differences:
        assert json.loads(difference.given) == value
        assert str(said) in difference.became


def test_what_is_told_of_grids_masks_and_settings_that_are_missing_or_misspelt(tmp_path: Path) -> None:
    imported = _import(tmp_path, specaug_freq_mask_num=4, specaug_time_mask_num=4)  # these share the width of all
    assert imported.recipe.augmentation.augmenters[1] == "specaugment:size=17,time_masks=4,frequency_masks=4"
    imported = _import(tmp_path, dropout=[0.5, 0.3, 0.1], batch_size=[8, 16])
    assert (imported.recipe.head.dropout, imported.recipe.training.batch_size) == (0.5, 8)
    assert "6 combinations" in _told(imported)["the file"]
    assert _told(imported)["dropout"] == "the first is taken: 0.5"
    imported = _import(tmp_path, num_units=..., num_unit=64)  # the README has it so
    assert imported.recipe.head == HeadSpec(512, 0.3)
    assert "lacks num_units" in _told(imported)["the file"]
    assert "did you mean 'num_units'?" in _told(imported)["num_unit"]


def test_a_file_of_one_setting_still_gives_a_recipe(tmp_path: Path) -> None:
    (tmp_path / "short.json").write_text('{"dropout": [0.25]}')
    recipe = import_settings(tmp_path / "short.json").recipe
    assert recipe.training == TrainSpec("adadelta", class_weights="balanced", keep="last")
    assert recipe.augmentation == AugmentSpec()


def test_a_regression_is_carried_over(tmp_path: Path) -> None:
    imported = _import(tmp_path, {"r": "r"}, prediction_type="regression", loss="mae", output_activation="sigmoid")
    assert imported.recipe.head.output == "linear"
    assert {"loss", "output_activation"} < set(_told(imported))
    assert "classes" not in _told(imported)
    assert "of one number" in _told(_import(tmp_path, {"a": "A", "v": "V"}, prediction_type="regression"))["classes"]


def test_classes_keep_their_order_and_what_becomes_of_it_is_told(tmp_path: Path) -> None:
    imported = _import(tmp_path, {"seagull": "Seagull", "dog": "dog"})
    assert imported.classes == (("seagull", "Seagull"), ("dog", "dog"))
    assert "in the order dog, seagull" in _told(imported)["classes"]
    assert "names of classes" in _told(imported)
    assert set(_told(_import(tmp_path, {"a": "a", "b": "b"}))) - set(_told(_import(tmp_path))) == {"classes"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_units": "many"}, "num_units: expected int, got 'many'"),
        ({"dropout": True}, "dropout: expected float, got True"),
        ({"dropout": [[0.1]]}, r"dropout: expected float, got \[0.1\]"),
        ({"dropout": []}, "dropout: expected a list with a value in it"),
        ({"dropout": 2}, "dropout: expected 0 to below 1, got 2"),
        ({"sample_rate": 10**400}, "sample_rate: expected a number of no more than"),
        ({"stft_window_size": float("inf")}, "stft_window_size: expected a number of no more than"),
        ({"stft_window_size": float("nan")}, "stft_window_size: expected a number of no more than"),
        ({"finetune_layer": 70}, "finetune_layer: expected a share, 0 to 1, got 70"),
        ({"cutmix_max": 56}, "cutmix_max: expected a share of the picture"),
        ({"specaug_time_mask_num": 0}, "specaug_time_mask_num: expected 1 to 100, got 0"),
        ({"chunk_hop_size": 0}, "chunk hop: expected above 0"),
        ({"upper_edge_hertz": 8000}, "frequencies: expected"),
    ],
)
def test_a_setting_nobody_can_use_is_told_with_its_key(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        _import(tmp_path, **changes)
    assert str(caught.value).startswith(f"{tmp_path / 'hp_config.json'}: ")


OF_A_RUN = '{"schema": 1, "labels": ["a"], "recipe": {"backbone": "lab"}}'


@pytest.mark.parametrize("text", ["", "[1]", '{"a": [1}', "\xff", '{"\\ud800": [1]}', "[" * 100_000, "{}", OF_A_RUN])
def test_a_file_that_is_no_settings_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hp_config.json"
    path.write_bytes(text.encode("latin-1"))
    is_json = text in ("{}", OF_A_RUN)
    expected = "the settings of the published program" if is_json else "(a )?JSON"
    with pytest.raises(SpecError, match=rf"hp_config\.json: expected {expected}") as caught:
        import_settings(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match="cannot be read"):
        import_settings(tmp_path / "missing.json")


@given(
    st.dictionaries(
        st.sampled_from([*PUBLISHED, "other"]),
        st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), max_size=2),
    )
)
def test_whatever_stands_in_a_file_gives_a_recipe_or_a_line(values: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hp_config.json"
        path.write_text(json.dumps({**PUBLISHED, **values}))
        try:
            recipe = import_settings(path).recipe
        except SpecError:
            return
        assert _reread(recipes.to_toml(recipe))[0] == recipe


@pytest.mark.parametrize("name", ["squeezenet_v1", "mobilenet", "vgg16"])
def test_layers_are_counted_as_the_backbones_have_them(name: str) -> None:
    from dslite.registry import get_with_options

    backbone, options = get_with_options("backbones", name)
    assert len(backbone.build((64, 64, 3), None, options).layers) == published._N_LAYERS[name]
