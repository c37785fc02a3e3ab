"""The exporters of files with fewer bits."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile
from ai_edge_litert.interpreter import Interpreter
from conftest import assert_refused, invoke, run_dslite, said, small_backbone
from labelled import table

from dslite.audio.load import load, synthetic_chunk
from dslite.deploy import calibration, manifest, tflite_file
from dslite.deploy.contents import contents
from dslite.deploy.export import Provenance, export
from dslite.deploy.runtime import litert_coverage, open_session
from dslite.errors import AudioError, DataError, ModelFileError, SpecError
from dslite.experiment.data import calibration_files
from dslite.model.assembly import build_cnn, build_part
from dslite.model.keras import keras
from dslite.recipe import ChunkSpec, HeadSpec, Recipe
from dslite.registry import registry

EXPORTERS = ["tflite-float16", "tflite-dynamic", "tflite-int8", "tflite-int16x8"]
N_SAMPLES = 16
PICTURE = "frontend/resize/ResizeBilinear"


def sounds(n: int) -> Iterator[np.ndarray[Any, Any]]:
    """Chunks of one second that differ."""
    rng = np.random.default_rng(0)
    for i in range(n):
        tone = np.roll(synthetic_chunk(16_000, 16_000), 977 * i) * rng.uniform(0.1, 1)
        yield (tone + rng.uniform(0, 0.2) * rng.standard_normal(16_000)).astype(np.float32)[None]


@pytest.fixture(scope="module")
def made(small_system: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small system as a file of each kind."""
    folder = tmp_path_factory.mktemp("quantised")
    model = build_part("whole", small_system.recipe, small_system.cnn)
    paths = {"tflite-float32": small_system.path("whole", "tflite-float32")}
    for name in EXPORTERS:
        paths[name] = folder / f"{name}.tflite"
        options = {"samples": N_SAMPLES}
        provenance = Provenance("small", "none", "whole", small_system.recipe, ("a", "b", "c"), name)
        export(model, registry().get("exporters", name), options, paths[name], provenance, sounds(N_SAMPLES))
    return paths


def tensors(path: Path) -> dict[str, Any]:
    interpreter = Interpreter(model_path=str(path))
    return {detail["name"]: detail for detail in interpreter.get_tensor_details()}


def inner_picture(path: Path, audio: Any) -> Any:
    """The front end's picture inside a whole file, as the file computes it."""
    interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], audio)
    interpreter.invoke()
    (at,) = [d["index"] for d in interpreter.get_tensor_details() if d["name"].endswith(PICTURE)]
    return interpreter.get_tensor(at)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_audio_goes_in_and_probabilities_come_out_as_float32(made: dict[str, Path], exporter: str) -> None:
    facts, of_float = tflite_file.read(made[exporter]), tflite_file.read(made["tflite-float32"])
    assert (facts.inputs, facts.outputs) == (of_float.inputs, of_float.outputs)
    assert facts.custom == ()
    assert facts.signatures == ("serving_default",)
    assert facts.macs == of_float.macs
    for audio in sounds(4):
        got = open_session(made[exporter], 1).run(audio)
        assert got.dtype == np.float32
        assert got.sum() == pytest.approx(1, abs=1e-5)
        expected = open_session(made["tflite-float32"], 1).run(audio)
        assert np.abs(got - expected).max() <= 0.05


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`")
def test_the_front_end_stays_as_it_is(made: dict[str, Path], exporter: str) -> None:
    for audio in sounds(4):
        expected = inner_picture(made["tflite-float32"], audio)
        assert np.ptp(expected) > 100  # a picture, not a plain
        assert np.abs(inner_picture(made[exporter], audio) - expected).max() <= 1


def test_weights_and_activations_have_the_bits_that_the_name_says(made: dict[str, Path]) -> None:
    def types(exporter: str, part: str) -> set[str]:
        found = tensors(made[exporter])
        return {np.dtype(d["dtype"]).name for name, d in found.items() if part in name and len(d["shape"]) == 4}

    assert "float16" in types("tflite-float16", "cnn/")
    assert "int8" in types("tflite-dynamic", "cnn/")
    assert "int16" not in types("tflite-int8", "cnn/")
    assert {"int8", "int16"} <= types("tflite-int16x8", "cnn/")
    for exporter in EXPORTERS:
        assert not types(exporter, "frontend/") & {"float16", "int8", "int16"}


def test_int8_weights_have_a_scale_for_every_channel(made: dict[str, Path]) -> None:
    kernels = [d for d in tensors(made["tflite-int8"]).values() if d["dtype"] == np.int8 and len(d["shape"]) == 4]
    scales = [len(d["quantization_parameters"]["scales"]) for d in kernels]
    assert scales.count(8) == 2  # eight channels of the convolution, and of the depthwise one


@pytest.mark.parametrize("part", ["whole", "cnn"])
def test_layers_of_a_backbone_are_quantised_whatever_their_names(
    small_system: Any, tmp_path: Path, part: Literal["whole", "cnn"]
) -> None:
    names = "output", "scaling", "frontend"

    def build(input_shape: Any, weights: Any, options: Any) -> Any:
        del weights, options
        image = x = keras.Input(input_shape)
        for name in names:
            x = keras.layers.Conv2D(8, 3, activation="relu", name=name)(x)
        return keras.Model(image, x, name="named")

    cnn = build_cnn(replace(small_backbone(), build=build), {}, 64, HeadSpec(8, 0.0), 3, None)
    samples = list(sounds(N_SAMPLES))
    if part == "cnn":
        picture = build_part("frontend", small_system.recipe, None)
        samples = [np.asarray(picture(audio)) for audio in samples]
    model = build_part(part, small_system.recipe, cnn)
    path = tmp_path / "x.tflite"
    registry().get("exporters", "tflite-int8").export(model, str(path), samples, {"samples": N_SAMPLES})
    found = {name: np.dtype(d["dtype"]).name for name, d in tensors(path).items()}
    computed = [found[name] for name in found if any(f"named/{each}/" in name and "Relu" in name for each in names)]
    assert computed == ["int8"] * 3
    assert {kind for name, kind in found.items() if "cnn/output/MatMul" in name} == {"float32"}
    scaled = {kind for name, kind in found.items() if "cnn/scaling/" in name and not name.endswith("_quantized")}
    assert scaled == {"float32"}


def test_a_regression_is_not_rounded_to_256_numbers(small_system: Any, tmp_path: Path) -> None:
    cnn = build_cnn(small_backbone(), {}, 64, HeadSpec(8, 0.0, "linear"), 1, None)
    model = build_part("whole", small_system.recipe, cnn)
    exporter = registry().get("exporters", "tflite-int8")
    exporter.export(model, str(tmp_path / "x.tflite"), sounds(N_SAMPLES), {"samples": N_SAMPLES})
    session = open_session(tmp_path / "x.tflite", 1)
    found = {float(session.run(audio)[0, 0]) for audio in sounds(400)}
    assert len(found) > 256


def test_the_order_of_calibration_samples_decides_nothing(small_system: Any, tmp_path: Path) -> None:
    model = build_part("whole", small_system.recipe, small_system.cnn)
    exporter = registry().get("exporters", "tflite-int8")
    samples = list(sounds(N_SAMPLES))
    for name, given in (("a.tflite", samples), ("b.tflite", samples[::-1])):
        exporter.export(model, str(tmp_path / name), given, {"samples": N_SAMPLES})
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


@pytest.mark.parametrize(
    ("n_given", "n_wanted", "error", "message"),
    [
        (5, 64, AudioError, "expected at least 8 chunks with sound in them, got 5: give more audio"),
        (0, 8, AudioError, "expected at least 8 chunks with sound in them, got 0: give more audio"),
        (20, 7, SpecError, "samples: expected at least 8 calibration chunks, got 7"),
    ],
)
def test_too_few_samples_are_refused(
    small_system: Any, tmp_path: Path, n_given: int, n_wanted: int, error: type[Exception], message: str
) -> None:
    exporter = registry().get("exporters", "tflite-int8")
    with pytest.raises(error, match=message):
        exporter.export(small_system.cnn, str(tmp_path / "x.tflite"), sounds(n_given), {"samples": n_wanted})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("exporter", ["tflite-int8", "tflite-int16x8"])
def test_channels_without_weights_give_their_bias(small_system: Any, tmp_path: Path, exporter: str) -> None:
    """As pruning leaves them: the scale of such a channel is next to nothing, and a bias in its units does not fit."""
    from dslite.model.surgery import backbone_of

    cnn = keras.models.clone_model(small_system.cnn)
    cnn.set_weights(small_system.cnn.get_weights())
    convolution, normalisation, depthwise = (layer for layer in backbone_of(cnn).layers if layer.weights)
    for kernel, empty in ((convolution.kernel, np.s_[..., :4]), (depthwise.depthwise_kernel, np.s_[:, :, 2:6])):
        values = kernel.numpy()
        values[empty] = 0
        kernel.assign(values)
    normalisation.beta.assign(np.linspace(-3, 3, 8))
    depthwise.bias.assign(np.linspace(3, -3, 8))
    model = build_part("whole", small_system.recipe, cnn)
    for name in ("tflite-float32", exporter):
        samples = sounds(N_SAMPLES) if name == exporter else None
        registry().get("exporters", name).export(model, str(tmp_path / name), samples, {"samples": N_SAMPLES})
    (tmp_path / exporter).rename(tmp_path / "x.tflite")
    (tmp_path / "tflite-float32").rename(tmp_path / "float.tflite")
    for audio in sounds(4):
        got, expected = (open_session(tmp_path / name, 1).run(audio) for name in ("x.tflite", "float.tflite"))
        assert np.abs(got - expected).max() <= 0.05


# -- what is in the files -----------------------------------------------------------------------------


def test_zeros_are_counted_whatever_the_bits(small_system: Any, tmp_path: Path) -> None:
    """Half of the kernels' weights are set to zero, so half of each file's are."""
    from dslite.model.surgery import backbone_of

    cnn = keras.models.clone_model(small_system.cnn)
    layers = [x for x in (*backbone_of(cnn).layers, *cnn.layers) if getattr(x, "get_weights", list)() and x.weights]
    n_zeros = n_weights = 0
    for layer in layers:
        for weight in layer.weights:
            if "kernel" in weight.name and not isinstance(layer, keras.Model):
                values = np.random.default_rng(len(layer.name)).choice([-1.0, 1.0], weight.shape)
                values[..., ::2] = 0
                weight.assign(values)
                n_zeros, n_weights = n_zeros + int((values == 0).sum()), n_weights + values.size
    model = build_part("whole", small_system.recipe, cnn)
    for name in ("tflite-float32", "tflite-float16", "tflite-dynamic", "tflite-int8"):
        path = tmp_path / f"{name}.tflite"
        exporter = registry().get("exporters", name)
        samples = sounds(N_SAMPLES) if exporter.needs_calibration else None
        exporter.export(model, str(path), samples, {"samples": N_SAMPLES})
        metrics = {m.metric: m.value for m in contents(path)}
        assert metrics["sparsity"] == pytest.approx(n_zeros / n_weights), name
        assert metrics["gzip_size"] == pytest.approx(len(gzip.compress(path.read_bytes(), 9)), abs=32)


def test_zeros_of_a_backbone_count_whatever_its_layers_are_called(small_system: Any, tmp_path: Path) -> None:
    def build(input_shape: Any, weights: Any, options: Any) -> Any:
        del weights, options
        image = keras.Input(input_shape)
        return keras.Model(image, keras.layers.Conv2D(8, 3, kernel_initializer="zeros", name="frontend")(image))

    cnn = build_cnn(replace(small_backbone(), build=build), {}, 64, HeadSpec(8, 0.0), 3, None)
    path = tmp_path / "x.tflite"
    model = build_part("whole", small_system.recipe, cnn)
    registry().get("exporters", "tflite-dynamic").export(model, str(path), None, {"samples": N_SAMPLES})
    n_zeros = 3 * 3 * 3 * 8
    assert tflite_file.read(path).sparsity == pytest.approx(n_zeros / (n_zeros + 8 * 8 + 8 * 3), abs=0.01)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_weights_behind_the_flatbuffer_are_counted_and_missed(
    made: dict[str, Path], exporter: str, tmp_path: Path
) -> None:
    content = made[exporter].read_bytes()
    more = (tflite_file.read(made[exporter]).params or 0) - (tflite_file.read(made["tflite-float32"]).params or 0)
    assert more in (0, 8)  # two biases of eight zeros are one tensor, but for their scales
    short = tmp_path / "short.tflite"
    short.write_bytes(content[:-4096])
    with pytest.raises(ModelFileError, match=f"a broken TFLite file, maybe truncated to its {len(content) - 4096} b"):
        tflite_file.read(short)


def test_which_nodes_xnnpack_takes(made: dict[str, Path]) -> None:
    for name in ("tflite-float32", "tflite-int8"):
        found = litert_coverage(made[name], 1)
        assert found.n_nodes == sum(tflite_file.read(made[name]).operators.values())
        assert found.n_nodes - found.n_delegated == sum(found.others.values())
        assert not {"CONV_2D", "DEPTHWISE_CONV_2D"} & set(found.others)
    of_int16 = litert_coverage(made["tflite-int16x8"], 1)
    assert {"CONV_2D", "DEPTHWISE_CONV_2D"} <= set(of_int16.others)  # it has no such kernels for int16


# -- where the samples come from ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> list[Path]:
    """Files of one, two and three seconds, and one of silence; each sample of a file has the file's own value."""
    paths = []
    for i, seconds in enumerate((1, 2, 3)):
        paths.append(tmp_path / f"{i}.wav")
        ramp = np.linspace(0.5, 1, 16_000 * seconds) * 0.1 * (i + 1)
        soundfile.write(paths[-1], ramp, 16_000, subtype="FLOAT")
    paths.append(tmp_path / "silence.wav")
    soundfile.write(paths[-1], np.zeros(48_000), 16_000)
    return paths


def test_every_file_gives_a_chunk_before_any_gives_two_and_silence_none(folder: list[Path], small_system: Any) -> None:
    recipe = Recipe(ChunkSpec(length_s=1.0, hop_s=1.0), small_system.recipe.frontend, small_system.recipe.head)
    given = list(calibration.samples(folder, recipe, "whole"))
    assert [sample.shape for sample in given] == [(1, 16_000)] * 6
    peaks = sorted(float(sample.max()) for sample in given[:3])
    assert peaks[0] <= 0.1001
    assert 0.1 < peaks[1] <= 0.2001
    assert 0.2 < peaks[2] <= 0.3001
    assert len({sample.tobytes() for sample in given}) == 6  # no chunk twice
    again = list(calibration.samples(folder, recipe, "whole"))
    assert all(map(np.array_equal, given, again))


def test_a_recording_is_decoded_once(folder: list[Path], small_system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(calibration, "load", lambda path, rate: decoded.append(path) or load(path, rate))
    recipe = Recipe(ChunkSpec(length_s=0.25, hop_s=0.25), small_system.recipe.frontend, small_system.recipe.head)
    assert len(list(calibration.samples(folder, recipe, "whole"))) == 24
    assert sorted(decoded) == folder


def test_the_cnn_alone_is_calibrated_with_pictures(folder: list[Path], small_system: Any) -> None:
    sample = next(calibration.samples(folder, small_system.recipe, "cnn"))
    assert sample.shape == (1, 64, 64, 3)
    assert sample.dtype == np.float32
    assert 0 <= sample.min() < sample.max() <= 255


def test_silence_alone_is_refused(folder: list[Path], small_system: Any) -> None:
    with pytest.raises(AudioError, match="expected audio with sound in it, got 5 silent chunks from 1 files"):
        next(calibration.samples(folder[-1:], small_system.recipe, "whole"))


def test_of_a_table_the_train_split_is_taken_and_of_a_folder_all(data: Path, labels_csv: Path) -> None:
    assert [path.name for path in calibration_files([labels_csv])] == [f"{i}.wav" for i in range(12)]
    assert len(calibration_files([data])) == 25
    assert [path.name for path in calibration_files([labels_csv, data / "20.wav"])][-2:] == ["11.wav", "20.wav"]
    no_train = table(data, "no_train.csv", lambda row: None if row["split"] == "train" else row)
    with pytest.raises(DataError, match=r"no_train.csv: expected a train split to calibrate with"):
        calibration_files([no_train])
    with pytest.raises(AudioError):
        calibration_files([data / "gone.wav"])


def test_a_table_without_splits_is_divided_by_the_seed_of_the_run(data: Path) -> None:
    whole = table(data, "whole.csv")
    text = "".join(f"{line.rpartition(',')[0]}\n" for line in whole.read_text(encoding="utf-8").splitlines())
    whole.write_text(text, encoding="utf-8")
    heard = {seed: {path.name for path in calibration_files([whole], seed)} for seed in (None, 0, 1)}
    assert heard[None] == heard[0] != heard[1]
    assert 10 <= len(heard[1]) <= 20


# -- commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exporter", "message"),
    [
        ("tflite-float32", "--calibration: tflite-float32 has nothing to calibrate: leave it away"),
        ("tflite-int8:samples=7", "tflite-int8:samples=7: samples: expected at least 8 calibration chunks, got 7"),
    ],
)
def test_what_cannot_be_calibrated_is_told(labels_csv: Path, tmp_path: Path, exporter: str, message: str) -> None:
    words = ("--backbone", "mobilenet_v2", "-o", tmp_path / "x.tflite", "--exporter", exporter)
    assert_refused(invoke("export", *words, "--calibration", labels_csv), message)


def test_export_wants_audio_and_takes_it(site: dict[str, str], data: Path, tmp_path: Path) -> None:
    words = ("export", "--backbone", "lab", "--size", "64", "--exporter", "tflite-int8:samples=8", "-o", "lab.tflite")
    refused = invoke(*words, cwd=tmp_path, environment=site)
    assert_refused(refused, "exporter tflite-int8:samples=8 needs audio", "--calibration")
    assert not list(tmp_path.iterdir())
    done = run_dslite(*words, "--calibration", data, cwd=tmp_path, environment=site)
    assert done.returncode == 0, done.stderr
    assert tflite_file.read(tmp_path / "lab.tflite").signatures == ("serving_default",)
    assert manifest.read(tmp_path / "lab.tflite").n_calibration == 8
    assert "calibrated with 8 chunks" in done.stdout
    assert "it/s" not in done.stderr  # no progress bar of the quantiser
    assert "Warning" not in done.stderr


@pytest.mark.slow
def test_bench_calibrates_with_the_audio_it_measures_with(site: dict[str, str], data: Path, tmp_path: Path) -> None:
    words = ("bench", "--backbone", "lab", "--size", "64", "--runs", "2", "--min-seconds", "0")
    exporters = ("--exporter", "tflite-float32,tflite-int8:samples=8", "--target", "host-litert")
    done = invoke(*words, *exporters, "--audio", data, "-o", "with.json", cwd=tmp_path, environment=site)
    assert "tflite-int8" in said(done, None)
    done = invoke(*words, *exporters, cwd=tmp_path, environment=site)
    said(done, None)
    assert "note: exporter tflite-int8:samples=8 is left out: " in done.stderr
