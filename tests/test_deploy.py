import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_refused, invoke

from dslite.audio.frontend import picture
from dslite.audio.load import chunks, load, synthetic_chunk
from dslite.deploy import manifest, tflite_file
from dslite.deploy.export import Provenance, export
from dslite.deploy.predict import chunk_spec, predict
from dslite.deploy.runtime import open_session
from dslite.errors import ExportError, ModelFileError, PluginError, WriteError
from dslite.model.assembly import build_cnn, build_part
from dslite.model.convert import to_tflite
from dslite.model.keras import keras
from dslite.recipe import REFERENCE
from dslite.records import Exporter
from dslite.registry import registry

EXPORTERS = ["tflite-float32", "hdf5", "savedmodel"]


@pytest.mark.parametrize("part", ["whole", "cnn"])
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_export_gives_what_the_model_gives(small_system: Any, part: str, exporter: str) -> None:
    artifact = small_system.files[part, exporter]
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.uniform(0, 255, artifact.input.shape).astype(np.float32)
        x = x / 128 - 1 if part == "whole" else x
        expected = build_part(part, small_system.recipe, small_system.cnn)(x)
        assert np.allclose(open_session(small_system.path(part, exporter), 1).run(x), expected, atol=1e-5)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_front_end_alone_gives_the_picture(small_system: Any, exporter: str) -> None:
    chunk = synthetic_chunk(16_000, 16_000)[None]
    got = open_session(small_system.path("frontend", exporter), 1).run(chunk)
    expected = np.asarray(picture(chunk, small_system.recipe.frontend))
    assert got.shape == expected.shape
    # A level of 255 may round to its neighbour where float32 sums in another order, which is one colour's step.
    assert np.mean(np.abs(got - expected) <= 0.01) >= 0.999
    assert np.abs(got - expected).max() <= 3


@pytest.mark.parametrize("part", ["whole", "frontend", "cnn"])
def test_tflite_files_have_builtin_operators_and_the_serving_signature(small_system: Any, part: str) -> None:
    facts = tflite_file.read(small_system.path(part, "tflite-float32"))
    assert facts.custom == ()
    assert facts.signatures == ("serving_default",)
    artifact = small_system.files[part, "tflite-float32"]
    assert [facts.inputs[0].shape, facts.outputs[0].shape] == [artifact.input.shape, artifact.output.shape]
    assert facts.macs == artifact.macs


def test_silence_and_broken_samples_give_finite_probabilities(small_system: Any) -> None:
    session = open_session(small_system.path("whole", "tflite-float32"), 1)
    broken = np.full((1, 16_000), 0.1, np.float32)
    broken[0, 5], broken[0, 6], broken[0, 7] = np.nan, np.inf, -np.inf
    for audio in (np.zeros((1, 16_000), np.float32), broken, np.full((1, 16_000), np.nan, np.float32)):
        assert np.isfinite(session.run(audio)).all()


# -- manifest -----------------------------------------------------------------------------------------


def test_manifest_and_file_can_be_moved_together(small_system: Any, tmp_path: Path) -> None:
    source = small_system.path("whole", "tflite-float32")
    moved = tmp_path / "other name.tflite"
    shutil.copy(source, moved)
    shutil.copy(manifest.manifest_path(source), manifest.manifest_path(moved))
    artifact = manifest.read(moved)
    assert artifact == replace(small_system.files["whole", "tflite-float32"], path=str(moved))
    assert str(source.parent) not in manifest.manifest_path(source).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "not json", "expected a manifest written by"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "update dslite"),
        (lambda text: text.replace('"schema": 1', '"schema": null'), "got None: export the model again"),
        (lambda text: text.replace('"labels"', '"label"'), "unknown field 'label'"),
        (lambda text: text.replace('"part": "whole"', '"part": "half"'), "artifact.part: expected one of whole"),
        (lambda text: text.replace('"size_bytes": ', '"size_bytes": 1'), "truncated or changed"),
        (lambda text: text.replace('"sha256": "', '"sha256": "0'), "SHA-256 is not the one"),
    ],
)
def test_a_manifest_that_is_broken_or_does_not_fit_is_refused(
    small_system: Any, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    source, copy = small_system.path("whole", "tflite-float32"), tmp_path / "m.tflite"
    shutil.copy(source, copy)
    text = manifest.manifest_path(source).read_text(encoding="utf-8")
    manifest.manifest_path(copy).write_text(change(text), encoding="utf-8")
    with pytest.raises(ModelFileError, match=message):
        manifest.read(copy)


def test_a_changed_file_in_a_savedmodel_is_noticed(small_system: Any, tmp_path: Path) -> None:
    source, copy = small_system.path("cnn", "savedmodel"), tmp_path / "m.savedmodel"
    shutil.copytree(source, copy)
    shutil.copy(manifest.manifest_path(source), manifest.manifest_path(copy))
    assert manifest.read(copy).exporter == "savedmodel"
    content = bytearray((copy / "saved_model.pb").read_bytes())
    content[-1] ^= 1
    (copy / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelFileError, match="SHA-256"):
        manifest.read(copy)


# -- exporters that misbehave ---------------------------------------------------------------------------


def _export_with(small_system: Any, path: Path, function: Callable[..., None], *, calibration: bool = False) -> None:
    exporter = Exporter("odd", ".odd", function, calibration, "tests")
    provenance = Provenance("small", "none", "cnn", small_system.recipe, ("a", "b", "c"), "odd")
    export(small_system.cnn, exporter, {}, path, provenance)


def test_an_exporter_that_fails_leaves_the_old_file_and_nothing_else(small_system: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.odd"
    path.write_text("old")

    def fails(model: Any, place: str, *_: Any) -> None:
        Path(place).write_text("half")
        raise ValueError("no such thing")

    with pytest.raises(PluginError, match="exporter odd failed: ValueError: no such thing"):
        _export_with(small_system, path, fails)
    assert [p.name for p in tmp_path.iterdir()] == ["model.odd"]
    assert path.read_text() == "old"


def test_a_full_disk_within_tensorflow_is_told_as_one(small_system: Any, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "x/saved_model.pb; No space left on device")

    with pytest.raises(WriteError, match="full"):
        _export_with(small_system, tmp_path / "model.odd", full)
    assert list(tmp_path.iterdir()) == []


def test_an_exporter_that_writes_nothing_or_lacks_calibration_is_named(small_system: Any, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="odd wrote nothing"):
        _export_with(small_system, tmp_path / "model.odd", lambda *_: None)
    with pytest.raises(ExportError, match="odd needs calibration data"):
        _export_with(small_system, tmp_path / "model.odd", lambda *_: None, calibration=True)


# -- reading .tflite files ------------------------------------------------------------------------------


def test_int8_files_are_counted_like_float_ones(tmp_path: Path) -> None:
    x = keras.Input((16, 16, 3))
    bias = {"bias_initializer": "random_normal"}  # the converter drops a bias of zeros
    y = keras.layers.Conv2D(8, 3, padding="same", activation="relu", **bias)(x)
    y = keras.layers.DepthwiseConv2D(3, strides=2, padding="same", **bias)(y)
    y = keras.layers.Dense(5, **bias)(keras.layers.Flatten()(y))
    model = keras.Model(x, y)
    # by hand: 16*16*8*27 + 8*8*8*9 + 512*5; parameters: 27*8+8, 9*8+8, 512*5+5
    macs, params = 55_296 + 4_608 + 2_560, 224 + 80 + 2_565

    def full_integer(converter: Any) -> None:
        rng = np.random.default_rng(0)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [rng.uniform(0, 1, (1, 16, 16, 3)).astype(np.float32)] for _ in range(8)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    def dynamic(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    for name, configure, dtype in (
        ("float", None, "float32"),
        ("dynamic", dynamic, "float32"),
        ("int8", full_integer, "int8"),
    ):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(to_tflite(model, configure))
        facts = tflite_file.read(path)
        assert (facts.macs, facts.params, facts.inputs[0].dtype) == (macs, params, dtype), name


@pytest.mark.data
def test_a_foreign_int8_file_has_the_macs_of_its_architecture(data_dir: Path) -> None:
    (path,) = (data_dir / "weights" / "imagenet_check").glob("*.tflite")
    facts = tflite_file.read(path)
    # MobileNetV2 with its top and 1001 classes: 299,494,272 without, and 1280 * 1001 of the classifier
    assert facts.macs == pytest.approx(299_494_272 + 1280 * 1001, rel=1e-3)
    assert (facts.inputs[0].shape, facts.inputs[0].dtype) == ((1, 224, 224, 3), "uint8")
    # 2,223,872 weights of the CNN with its normalisations folded in, and 1281 * 1001 of the classifier
    assert facts.params == 3_489_097


def _grouped(x: Any) -> Any:
    return keras.layers.Conv2D(6, 3, groups=2, padding="same")(x)


def _transposed_and_a_product_of_batches(x: Any) -> Any:
    y = keras.layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
    return keras.layers.Lambda(lambda t: tf.matmul(t, t, transpose_a=True))(keras.layers.Reshape((64, 5))(y))


@pytest.mark.parametrize(
    ("layers", "shape", "macs"),
    [
        (_grouped, (8, 8, 4), 8 * 8 * 6 * 3 * 3 * 2),
        (_transposed_and_a_product_of_batches, (4, 4, 3), 4 * 4 * 3 * 9 * 5 + 5 * 5 * 64),
    ],
)
def test_odd_layers_are_counted_in_the_file(
    tmp_path: Path, layers: Callable[[Any], Any], shape: tuple[int, ...], macs: int
) -> None:
    x = keras.Input(shape)
    (tmp_path / "m.tflite").write_bytes(to_tflite(keras.Model(x, layers(x))))
    assert tflite_file.read(tmp_path / "m.tflite").macs == macs


@pytest.mark.parametrize("keep", [8, 100, 1000, 0.5, 0.99])
def test_a_truncated_file_is_an_error_never_a_crash(small_system: Any, tmp_path: Path, keep: float) -> None:
    content = small_system.path("whole", "tflite-float32").read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(ModelFileError, match="broken TFLite file"):
        tflite_file.read(path)


def test_noise_in_a_file_never_crashes_the_reader(small_system: Any, tmp_path: Path) -> None:
    content = np.frombuffer(small_system.path("cnn", "tflite-float32").read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.tflite"
    outcomes = set()
    for _ in range(60):
        changed = content.copy()
        changed[rng.integers(8, len(content), 200)] = rng.integers(0, 256, 200)
        path.write_bytes(changed.tobytes())
        try:
            tflite_file.read(path)
            outcomes.add("read")
        except ModelFileError:
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100])
def test_what_is_no_tflite_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    for name, message in (
        ("m.tflite", "expected a TFLite file"),
        ("none.tflite", "no such file"),
        ("", "got a folder"),
    ):
        with pytest.raises(ModelFileError, match=message):
            tflite_file.read(tmp_path / name)


# -- predicting -----------------------------------------------------------------------------------------


def test_prediction_is_the_models_output_per_chunk_and_their_mean(small_system: Any, tone: Path) -> None:
    path = small_system.path("whole", "tflite-float32")
    got = predict(open_session(path, 1), *chunk_spec(manifest.read(path)), tone)
    pieces = chunks(load(tone, 16_000), small_system.recipe.chunk, 16_000)
    expected = np.asarray(build_part("whole", small_system.recipe, small_system.cnn)(pieces))
    assert np.allclose(got.chunks, expected, atol=1e-5)
    assert np.allclose(got.mean, expected.mean(axis=0), atol=1e-5)
    assert got.spans_s == ((0.0, 1.0), (0.5, 1.5), (1.0, 2.0), (1.5, 2.5))


def test_predict_command_table_json_and_csv_agree(small_system: Any, tone: Path) -> None:
    path = small_system.path("whole", "tflite-float32")
    (entry,) = json.loads(invoke("predict", path, tone, "--json").stdout)
    rows = [line.split(",") for line in invoke("predict", path, tone, "--csv").stdout.splitlines()]
    table = invoke("predict", path, tone).stdout
    assert rows[0] == ["file", "level", "start_s", "end_s", "label", "a", "b", "c"]
    assert [row[1] for row in rows[1:]] == ["chunk"] * 4 + ["file"]
    assert [float(p) for p in rows[-1][5:]] == pytest.approx(list(entry["probabilities"].values()), rel=1e-4)
    assert entry["label"] == max(entry["probabilities"], key=entry["probabilities"].get) == rows[-1][4]
    assert [c["start_s"] for c in entry["chunks"]] == [0.0, 0.5, 1.0, 1.5]
    assert f"{entry['probabilities']['a']:.4f}" in table


def test_predict_goes_on_after_a_bad_file_and_says_so(small_system: Any, tone: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    path = small_system.path("whole", "tflite-float32")
    done = invoke("predict", path, tmp_path / "bad.wav", tone, tmp_path / "none.wav", "--json")
    assert done.returncode == 2
    assert [Path(entry["file"]).name for entry in json.loads(done.stdout)] == [tone.name]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "bad.wav" in errors[0]
    assert "none.wav: no such file" in errors[1]


def test_predict_refuses_files_that_do_not_go_from_audio_to_probabilities(
    small_system: Any, tone: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.tflite"
    shutil.copy(small_system.path("whole", "tflite-float32"), bare)
    for path, message in (
        (small_system.path("cnn", "tflite-float32"), "goes from image to probabilities"),
        (bare, "expected an exported model with its manifest beside it"),
        (tmp_path / "none.tflite", "no such file"),
    ):
        assert_refused(invoke("predict", path, tone), message)


# -- the whole reference path, for real -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.data
def test_reference_tflite_equals_tensorflow_on_twenty_real_files(real_audio: list[Path], tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    cnn = build_cnn(registry().get("backbones", "densenet121"), {}, 224, REFERENCE.head, 4, None)
    # Random weights give all classes nearly the same: spread the logits, so that files get different probabilities.
    cnn.get_layer("output").kernel.assign(cnn.get_layer("output").kernel * 20)
    whole = build_part("whole", REFERENCE, cnn)
    path = tmp_path / "reference.tflite"
    provenance = Provenance("densenet121", "none", "whole", REFERENCE, tuple("abcd"), "tflite-float32")
    artifact = export(whole, registry().get("exporters", "tflite-float32"), {}, path, provenance)
    facts = tflite_file.read(path)
    assert facts.custom == ()
    assert facts.macs == artifact.macs
    session = open_session(path, 1)
    files = real_audio[:20]
    assert len(files) == 20
    for file in files:
        pieces = chunks(load(file, 16_000), REFERENCE.chunk, 16_000)
        got = np.concatenate([session.run(piece[None]) for piece in pieces])
        assert np.abs(got - np.asarray(whole(pieces, training=False))).max() < 1e-4, file


@pytest.mark.slow
def test_reference_front_end_file_is_at_most_150_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "frontend.tflite"
    provenance = Provenance(None, None, "frontend", REFERENCE, (), "tflite-float32")
    exporter = registry().get("exporters", "tflite-float32")
    artifact = export(build_part("frontend", REFERENCE, None), exporter, {}, path, provenance)
    assert artifact.size_bytes <= 150_000
