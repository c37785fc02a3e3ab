"""Settings of the published DeepSpectrumLite (``hp_config.json``, ``class_config.json``) as a recipe.

Keys, units and defaults are those of its README and of its program, version of 2022
(https://github.com/DeepSpectrum/DeepSpectrumLite). Where the two contradict each other, the recipe does what the
program did with the file. What cannot be carried over, or is changed on the way, is a `Difference`.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from dslite.codec import typed
from dslite.errors import SpecError
from dslite.recipe import (
    REFERENCE,
    AugmentSpec,
    ChunkSpec,
    ColourMap,
    FrontendSpec,
    HeadSpec,
    Optimizer,
    Resize,
    TrainingRecipe,
    TrainSpec,
)

T = TypeVar("T")

# With the input layer and without the classifier: what a share of layers is taken of. Counted on the models of
# tf-keras 2.21 and dslite's own SqueezeNet, which has its activations within its convolutions.
_N_LAYERS = {
    "densenet121": 427,
    "densenet169": 595,
    "densenet201": 707,
    "inception_resnet_v2": 780,
    "inception_v3": 311,
    "mobilenet": 86,
    "mobilenet_v2": 154,
    "nasnet_large": 1012,
    "nasnet_mobile": 742,
    "resnet50": 175,
    "squeezenet_v1": 37,
    "vgg16": 19,
    "vgg19": 22,
    "xception": 132,
}
_REQUIRED = (
    *("basemodel_name", "num_units", "dropout", "optimizer", "learning_rate", "pre_epochs", "epochs"),
    *("finetune_layer", "batch_size", "sample_rate", "chunk_size", "chunk_hop_size", "stft_window_size"),
    *("stft_hop_size", "stft_fft_length", "num_mel_bins", "image_width", "image_height"),
)
_PAPER_CUTMIX_PX, _PAPER_SPECAUGMENT_PX = 56, 67
"""Section 3.2 of the paper; the defaults of dslite's augmenters."""
_LARGEST = 1e9  # no setting comes near; sums and products of such numbers are finite
_MOST_MASKS = 100
_CROSS_ENTROPY = "categorical_crossentropy"


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not in the recipe as it was in the file.

    Attributes:
        setting: key of the file; or ``the file``, or ``the program`` for what that does whatever the file says.
        given: its value there, as JSON; empty where the file has none.
        became: what the recipe has instead, and why.
    """

    setting: str
    given: str
    became: str


@dataclass(frozen=True, slots=True)
class Imported:
    """A recipe made of published settings.

    Attributes:
        recipe: as near to them as dslite has it.
        classes: of the class file, as (label in the data, name shown), in the order of the model's outputs.
        differences: what is not as it was.
    """

    recipe: TrainingRecipe
    classes: tuple[tuple[str, str], ...]
    differences: tuple[Difference, ...]


def import_settings(settings: Path, classes: Path | None = None) -> Imported:
    """Make a recipe of a settings file, and of a class file where there is one.

    Of a list of several values, a grid, the first one is taken.

    Raises:
        SpecError: where a file is not of this kind, or a setting has a value that dslite refuses; the message names
            file and key.
    """
    given = _Settings(_json_object(settings))
    try:
        recipe = _recipe(given)
    except SpecError as error:
        raise SpecError(f"{settings}: {error}") from None
    named = _classes(classes) if classes else ()
    if classes:
        _tell_of_classes(given, named, recipe.head)
    return Imported(recipe, named, tuple(given.differences))


def _recipe(given: "_Settings") -> TrainingRecipe:
    """Make the recipe; the errors it raises name no file."""
    given.take_first_of_grid()
    frontend = _frontend(given)
    head = _head(given)
    backbone, weights = _backbone(given)
    recipe = TrainingRecipe(
        backbone, weights, _chunk(given), frontend, head, _training(given, backbone, weights), _augmentation(given)
    )
    _data(given)
    given.tell_what_is_left()
    if not any(key in given.values for key in _REQUIRED):
        expected = "expected the settings of the published program (hp_config.json)"
        raise SpecError(f"{expected}, got none of {', '.join(_REQUIRED)}")
    _ = recipe.system.chunk_samples  # raises where a chunk is shorter than a window
    return recipe


class _Settings:
    """The settings of a file, each of which is taken once, and what has to be told of them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self.taken: set[str] = set()
        self.differences: list[Difference] = []

    def take_first_of_grid(self) -> None:
        n_combinations = 1
        for key, value in self.values.items():
            if not isinstance(value, list):
                continue  # the program wants lists, but what one value means is plain
            if not value:
                raise SpecError(f"{key}: expected a list with a value in it, got an empty one")
            n_combinations *= len(value)
            if len(value) > 1:
                self.note(key, value, f"the first is taken: {json.dumps(value[0])}")
            self.values[key] = value[0]
        if n_combinations > 1:
            said = f"a grid of {n_combinations} combinations; a recipe is one: the first of each list is taken"
            self.differences.insert(0, Difference("the file", "", said))

    def take(self, key: str, default: T) -> T:
        """Give a setting, or the default, whose type it must be of."""
        kind = type(default)
        self.taken.add(key)
        if key not in self.values:
            return default
        value = self.values[key]
        if kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        value = typed(kind, value, key)
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise SpecError(f"{key}: expected a number of no more than {_LARGEST:g}, got {value}")
        return cast(T, float(value) if kind is float else value)

    def expect(self, key: str, expected: object, otherwise: str) -> None:
        """Take a setting that dslite has but one value of, and tell of any other."""
        if self.take(key, expected) != expected:
            self.tell(key, otherwise)

    def tell(self, key: str, became: str) -> None:
        if key in self.values:
            self.note(key, self.values[key], became)
        else:
            self.differences.append(Difference(key, "", became))

    def note(self, setting: str, value: Any, became: str) -> None:
        self.differences.append(Difference(setting, json.dumps(value, ensure_ascii=False), became))

    def tell_what_is_left(self) -> None:
        for key in self.values:
            if key not in self.taken:
                near = difflib.get_close_matches(key, self.taken - set(self.values), n=1)
                hint = f": did you mean {near[0]!r}?" if near else ""
                self.tell(key, f"left out: the published program knows no such setting{hint}")
        missing = [key for key in _REQUIRED if key not in self.values]
        if missing:
            self.tell("the file", f"it lacks {', '.join(missing)}: dslite's defaults stand")


def _json_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        _ = json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair, which no file takes
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON
        raise SpecError(f"{path}: expected JSON: {error}") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: expected a JSON object, {{...}}, got a {type(data).__name__}")
    return data


# -- how audio becomes pictures -----------------------------------------------------------------------


def _chunk(given: _Settings) -> ChunkSpec:
    length_s = given.take("chunk_size", ChunkSpec().length_s)
    hop_s = given.take("chunk_hop_size", length_s / 2)
    if length_s <= 0:
        length_s = ChunkSpec().length_s
        hop_s = length_s / 2
        given.tell("chunk_size", f"whole files there; a model of dslite takes chunks of one length: {length_s:g} s")
    given.tell(
        "the program",
        "short = pad: the program leaves files shorter than a chunk out; tail = drop: what is left behind a file's "
        "last whole chunk is not used, as there",
    )
    return ChunkSpec(length_s=length_s, hop_s=hop_s, short="pad", tail="drop")


def _frontend(given: _Settings) -> FrontendSpec:
    paper = REFERENCE.frontend
    rate_hz = given.take("sample_rate", paper.sample_rate_hz)
    window_s = given.take("stft_window_size", paper.window_s)
    hop_s = given.take("stft_hop_size", paper.hop_s)
    carried = (("stft_window_size", window_s, paper.window_s), ("stft_hop_size", hop_s, paper.hop_s))
    for key, value_s, paper_s in carried:
        if value_s != paper_s:
            given.tell(key, f"carried over; the paper has {paper_s:g} s")
    f_max_hz = given.take("upper_edge_hertz", rate_hz / 2)
    given.tell(
        "the program",
        "mel_scale = htk, mel_norm = false, power_floor = 1e-16, top_db = 200 (the most there is; the program cuts "
        "nothing): not in the file, but so in the program",
    )
    _tell_of_other_pictures(given)
    return FrontendSpec(
        sample_rate_hz=rate_hz,
        window_s=window_s,
        hop_s=hop_s,
        n_fft=_n_fft(given, rate_hz, window_s),
        n_mels=given.take("num_mel_bins", paper.n_mels),
        f_min_hz=given.take("lower_edge_hertz", paper.f_min_hz),
        f_max_hz=None if f_max_hz == rate_hz / 2 else f_max_hz,
        mel_scale="htk",
        mel_norm=False,
        power_floor=1e-16,
        top_db=200.0,
        colour_map=_colour_map(given),
        size_px=_size_px(given),
        resize=_resize(given),
    )


def _n_fft(given: _Settings, rate_hz: int, window_s: float) -> int | None:
    length_s = given.take("stft_fft_length", window_s)
    n_fft, window = round(length_s * rate_hz), round(window_s * rate_hz)
    if n_fft < window:
        given.tell("stft_fft_length", f"the window's {window} samples: a transform must be as long as its window")
    return n_fft if n_fft > window else None


def _colour_map(given: _Settings) -> ColourMap:
    name = given.take("color_map", REFERENCE.frontend.colour_map)
    if name not in get_args(ColourMap) or name == "none":
        given.tell("color_map", "viridis, as in the program, which takes it for names it does not know")
        return "viridis"
    return cast(ColourMap, name)


def _size_px(given: _Settings) -> int:
    height = given.take("image_height", REFERENCE.frontend.size_px)
    width = given.take("image_width", height)
    if width != height:
        given.tell("image_width", f"{height} px, as the height: dslite's pictures are square")
    return height


def _resize(given: _Settings) -> Resize:
    method = given.take("resize_method", "bilinear")
    smooth = given.take("anti_alias", True)
    if smooth and method != "nearest":
        given.tell("anti_alias", "left out: dslite resizes without it, also where the file says nothing of it")
    if method not in get_args(Resize):
        given.tell("resize_method", f"bilinear, the paper's; dslite has {', '.join(get_args(Resize))}")
        return "bilinear"
    if method != "bilinear":
        given.tell("resize_method", "carried over; the paper has bilinear")
    return cast(Resize, method)


def _tell_of_other_pictures(given: _Settings) -> None:
    given.expect("mel_scale", True, "left out: dslite has Mel spectrograms; so has the program, whatever this says")
    given.expect("db_scale", True, "left out: dslite's spectrograms are in decibels")
    given.expect("use_plot_images", True, "left out: dslite's models see coloured pictures (colour_map = none: grey)")
    n_mfccs, lifter = given.take("num_mfccs", 0), given.take("cep_lifter", 0.0)
    if n_mfccs:
        given.tell("num_mfccs", "left out: dslite has no MFCCs, it takes the Mel spectrogram")
    if n_mfccs and lifter:
        given.tell("cep_lifter", "left out: it goes with MFCCs")
    if not given.take("normalize_audio", False):
        given.tell(
            "normalize_audio",
            "dslite brings each chunk's peak to 1; pictures go from their own minimum to their maximum, so that "
            "loudness is not seen in them either way",
        )


# -- the model and its training -----------------------------------------------------------------------


def _backbone(given: _Settings) -> tuple[str, str]:
    name = given.take("basemodel_name", "")
    if name not in _N_LAYERS and name:
        near = difflib.get_close_matches(name, _N_LAYERS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        given.tell("basemodel_name", f"carried over, though it is none of the program's{hint}")
    told = "left out: dslite has the program's TransferBaseModel, backbone and small head"
    given.expect("model_name", "TransferBaseModel", told)
    given.taken.add("weights")
    weights = given.values.get("weights", "imagenet")
    return name, "none" if weights in ("", None) else typed(str, weights, "weights")


def _head(given: _Settings) -> HeadSpec:
    kind = given.take("prediction_type", "categorical")
    if kind not in ("categorical", "regression"):
        given.tell("prediction_type", "categorical: it is neither that nor regression")
    regression = kind == "regression"
    given.expect("activation", "arelu", "arelu: dslite's head has no other")
    output: Literal["softmax", "linear"] = "linear" if regression else "softmax"
    if given.take("output_activation", output) != output:
        given.tell("output_activation", f"{output}: what dslite has for {'numbers' if regression else 'classes'}")
    elif regression and "output_activation" not in given.values:
        given.tell("output_activation", "linear; the program, told nothing, would take softmax")
    loss = given.take("loss", _CROSS_ENTROPY)
    if regression or loss != _CROSS_ENTROPY:
        given.tell("loss", "left out: in dslite the loss goes with the task, cross-entropy for classes")
    default = HeadSpec()
    return HeadSpec(
        n_hidden=given.take("num_units", default.n_hidden),
        dropout=given.take("dropout", default.dropout),
        output=output,
    )


def _training(given: _Settings, backbone: str, weights: str) -> TrainSpec:
    default = TrainSpec()
    head_epochs = given.take("pre_epochs", default.head_epochs)
    finetune_epochs = given.take("epochs", default.finetune_epochs)
    rate = given.take("learning_rate", default.learning_rate)
    if weights == "none":
        given.taken |= {"finetune_layer", "fine_learning_rate"}
        given.tell(
            "weights",
            "random weights: as in the program, all layers learn from the first epoch on, with one learning rate; "
            "unlike there, batch norm stays in inference mode",
        )
        head_epochs, finetune_epochs = 0, head_epochs + finetune_epochs
        layers, share = max(default.finetune_layers, _N_LAYERS.get(backbone, 0)), 1.0
    else:
        layers, share = _finetuning(given, backbone, rate)
        if not layers:
            finetune_epochs = 0
    given.tell(
        "the program",
        "class_weights = balanced: the program repeats chunks of the smaller classes until all are equal; "
        "keep = last: it ends with the last epoch's weights",
    )
    return TrainSpec(
        optimizer=_optimizer(given),
        learning_rate=rate,
        batch_size=given.take("batch_size", default.batch_size),
        head_epochs=head_epochs,
        finetune_epochs=finetune_epochs,
        finetune_layers=layers,
        finetune_rate=share,
        class_weights="balanced",
        keep="last",
    )


def _optimizer(given: _Settings) -> Optimizer:
    name = given.take("optimizer", "adadelta").lower()
    if name not in get_args(Optimizer):
        given.tell("optimizer", f"adadelta, the paper's; dslite has {', '.join(get_args(Optimizer))}")
        return "adadelta"
    return cast(Optimizer, name)


def _finetuning(given: _Settings, backbone: str, rate: float) -> tuple[int, float]:
    """Give the layers that learn in the second phase, and its learning rate as a share of the first's."""
    default = TrainSpec()
    frozen = given.take("finetune_layer", 0.0)
    if not 0 <= frozen <= 1:
        raise SpecError(f"finetune_layer: expected a share, 0 to 1, got {frozen:g}")
    n_layers = _N_LAYERS.get(backbone, default.finetune_layers)
    layers = n_layers - int(n_layers * frozen) if frozen else 0
    if "finetune_layer" in given.values:
        said = f"freezes that share, {n_layers - layers} of {n_layers}, and trains the rest"
        if not frozen:
            said = "has no second phase then"
        elif backbone not in _N_LAYERS:
            said = "freezes that share and trains the rest; how many layers this backbone has is not known here"
        given.tell(
            "finetune_layer",
            f"finetune_layers = {layers}: the README calls it the share that learns, but the program {said}",
        )
    else:
        layers = default.finetune_layers
    fine = given.take("fine_learning_rate", rate * default.finetune_rate)
    if 0 < fine <= rate:
        # 0.0001 / 0.001 is 0.1 again, not 0.10000000000000002.
        return layers, float(f"{fine / rate:.12g}")
    share = 1.0 if fine > rate else default.finetune_rate
    given.tell("fine_learning_rate", f"finetune_rate = {share:g}: expected above 0 and at most learning_rate, {rate:g}")
    return layers, share


# -- augmentation -------------------------------------------------------------------------------------


def _augmentation(given: _Settings) -> AugmentSpec:
    default = AugmentSpec()
    cutmix = given.take("augment_cutmix", False)
    specaugment = given.take("augment_specaug", False)
    names = (_cutmix(given, told=cutmix), _specaugment(given, told=specaugment))
    low = given.take("da_prob_min", default.probability_min)
    high = given.take("da_prob_max", default.probability_max)
    if "da_prob_max" in given.values:
        named, high = high, float(f"{min(1.0, low + high):.12g}")
        if (cutmix or specaugment) and high != named:
            given.tell(
                "da_prob_max",
                f"probability_max = {high:g}: the program adds da_prob_min to it (the paper has 0.25 at most)",
            )
    return AugmentSpec(
        augmenters=tuple(name for name, wanted in zip(names, (cutmix, specaugment), strict=True) if wanted),
        a=given.take("sap_aug_a", default.a),
        s=given.take("sap_aug_s", default.s),
        probability_min=low,
        probability_max=high,
    )


def _width_px(given: _Settings, key: str, paper_px: int) -> int:
    """Turn a share of the picture into pixels."""
    size_px = given.take("image_height", REFERENCE.frontend.size_px)
    width_px = round(given.take(key, paper_px / REFERENCE.frontend.size_px) * size_px)
    if not 1 <= width_px <= size_px:
        raise SpecError(f"{key}: expected a share of the picture, above 0 to 1, got {given.values[key]}")
    return width_px


def _cutmix(given: _Settings, *, told: bool) -> str:
    smallest = given.take("cutmix_min", 0.0)
    if not told:
        given.taken.add("cutmix_max")
        return ""
    width_px = _width_px(given, "cutmix_max", _PAPER_CUTMIX_PX)
    if smallest:
        given.tell("cutmix_min", f"0 px, as in the paper: dslite's patches grow from nothing to {width_px} px")
    return "cutmix" if width_px == _PAPER_CUTMIX_PX else f"cutmix:size={width_px}"


def _specaugment(given: _Settings, *, told: bool) -> str:
    keys = ("specaug_freq_min", "specaug_time_min")
    smallest = [given.take(key, 0.0) for key in keys]
    n_bands, n_stretches = (given.take(key, 1) for key in ("specaug_freq_mask_num", "specaug_time_mask_num"))
    for key, n_masks in (("specaug_freq_mask_num", n_bands), ("specaug_time_mask_num", n_stretches)):
        if not 1 <= n_masks <= _MOST_MASKS:
            raise SpecError(f"{key}: expected 1 to {_MOST_MASKS}, got {n_masks}")
    if not told:
        given.taken |= {"specaug_freq_max", "specaug_time_max"}
        return ""
    band = _width_px(given, "specaug_freq_max", _PAPER_SPECAUGMENT_PX) / n_bands
    stretch = _width_px(given, "specaug_time_max", _PAPER_SPECAUGMENT_PX) / n_stretches
    width_px = max(1, round(max(band, stretch)))
    for key, value in zip(keys, smallest, strict=True):
        if value:
            given.tell(key, f"0 px, as in the paper: dslite's masks grow from nothing to {width_px} px")
    if round(band) != round(stretch):
        narrower = "specaug_freq_max" if band < stretch else "specaug_time_max"
        given.tell(narrower, f"{width_px} px, as the other: dslite's masks have one width, that of each mask")
    options = {"size": width_px, "time_masks": n_stretches, "frequency_masks": n_bands}
    plain = {"size": _PAPER_SPECAUGMENT_PX, "time_masks": 1, "frequency_masks": 1}
    said = ",".join(f"{name}={value}" for name, value in options.items() if value != plain[name])
    return f"specaugment:{said}" if said else "specaugment"


# -- data and classes ---------------------------------------------------------------------------------


def _data(given: _Settings) -> None:
    parser = (
        "left out: labels come from the data table, a CSV with file and label; names that begin with train, devel "
        "and test are the splits of ComParE, as with the program's own parser"
    )
    name = "left out: a run has its name when it is trained"
    for key, told in {"label_parser": parser, "tb_experiment": name, "tb_run_id": name}.items():
        given.taken.add(key)
        if key in given.values:
            given.tell(key, told)


def _classes(path: Path) -> tuple[tuple[str, str], ...]:
    return tuple(
        (label, typed(str, shown, f"{path}: {label}") if shown is not None else label)
        for label, shown in _json_object(path).items()
    )


def _tell_of_classes(given: _Settings, classes: tuple[tuple[str, str], ...], head: HeadSpec) -> None:
    labels = [label for label, _ in classes]
    if head.output == "linear":
        if len(labels) != 1:
            given.note("classes", labels, "dslite's regression is of one number")
        return
    if len(labels) < 2:  # noqa: PLR2004 - two classes
        given.note("classes", labels, "expected two or more for a classification")
    said = "a comment of the recipe: labels come from the data table, where these must stand"
    if labels != sorted(labels):
        said += f"; dslite sorts them, so the outputs are in the order {', '.join(sorted(labels))}"
    given.note("classes", labels, said)
    renamed = {label: shown for label, shown in classes if label != shown}
    if renamed:
        said = "left out: dslite shows labels as they stand in the table; write them there as you want them"
        given.note("names of classes", renamed, said)
