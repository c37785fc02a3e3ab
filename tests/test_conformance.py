"""Every plugin that is installed keeps its contract, and the checks find the ones that do not."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backbones import in_ci_or_nightly

from dslite import testing
from dslite.errors import MeasurementError
from dslite.loading import KINDS, Kind
from dslite.measure import inputs
from dslite.records import Augmenter, Backbone, Compressor, Device, Exporter, Measurement, Option, Plan, Target
from dslite.registry import registry
from dslite.testing import (
    check_augmenter,
    check_backbone,
    check_compressor,
    check_exporter,
    check_lazy_imports,
    check_record,
    check_target,
)


def _installed(kind: Kind, *slow: str) -> list[Any]:
    records = registry().records(kind)
    if not records:
        reason = f"dslite brings no {kind} of its own, and no other plugin does here"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id=f"no {kind}")]
    return [pytest.param(r, marks=pytest.mark.slow if r.name in slow else (), id=r.name) for r in records]


@pytest.mark.parametrize("name", in_ci_or_nightly(registry().names("backbones")))
def test_backbones_keep_the_contract(name: str) -> None:
    check_backbone(registry().get("backbones", name))


@pytest.mark.parametrize("augmenter", _installed("augmenters"))
def test_augmenters_keep_the_contract(augmenter: Augmenter) -> None:
    check_augmenter(augmenter)


@pytest.mark.slow
@pytest.mark.parametrize("compressor", _installed("compressors"))
def test_compressors_keep_the_contract(compressor: Compressor) -> None:
    check_compressor(compressor)


@pytest.mark.parametrize("exporter", _installed("exporters"))
def test_exporters_keep_the_contract(exporter: Exporter) -> None:
    check_exporter(exporter)


@pytest.mark.parametrize("target", _installed("targets", "host-tensorflow"))
def test_targets_keep_the_contract(target: Target, small_system: Any, tmp_path: Path) -> None:
    if not target.by_default:
        pytest.skip(f"{target.name} needs a device: its own tests have one")
    exporter = next(e for e in registry().records("exporters") if e.suffix in target.suffixes)
    artifact = small_system.files["whole", exporter.name]
    np.save(tmp_path / "x.npy", inputs.prepare(artifact, []).arrays)
    plan = Plan(1, warmup_s=0.0, runs=3, min_s=0.0, input_path=str(tmp_path / "x.npy"), input="a chunk")
    check_target(target, artifact, plan)


# -- the checks find what is wrong: one record a rule, that breaks this rule alone -------------------------


def _with_option(name: str = "width", default: Any = 8, text: str = "How wide.") -> dict[str, Any]:
    return {"options": (Option(name, default, text),)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "has blanks"}, "'has blanks' is no name a user can type"),
        ({"source": " "}, "source is empty"),
        (_with_option("Width"), "option 'Width': expected a name such as width"),
        (_with_option(default=None), "default None: expected bool, int, float or str"),
        (_with_option(default=float("nan")), "default nan: expected a finite number"),
        (_with_option(default="a,b"), "default 'a,b': a user must be able to type it"),
        (_with_option(default=""), "default '': a user must be able to type it"),
        (_with_option(text=""), "option 'width': help is empty"),
        ({"options": (Option("a", 1, "One."), Option("a", 2, "Two."))}, "options a, a: one name is there twice"),
    ],
)
def test_what_all_records_share_is_checked(changes: dict[str, Any], message: str) -> None:
    good = Augmenter("fade", lambda *_: (), "tests", _with_option()["options"])
    check_record(good)
    with pytest.raises(AssertionError, match=message):
        check_record(dataclasses.replace(good, **changes))


def _module(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> Any:
    """Give the function `work` of a module that is there to be imported, without its imports being carried out."""
    (folder / "lab_module.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    namespace: dict[str, Any] = {"__name__": "lab_module"}
    exec("def work(): ...", namespace)  # noqa: S102 - our own words
    return namespace["work"]


_LIGHT = "import dslite\n\ndef work():\n    import tensorflow\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"import tensorflow\n{_LIGHT}", "lab: its module lab_module: it imports tensorflow as it is loaded"),
        (f"import dslite.model.keras\n{_LIGHT}", "it imports (keras|tf_keras|tensorflow) as it is loaded"),
        (
            f"{_LIGHT}\n\n@dslite.hookimpl\ndef dslite_targets():\n    import scipy\n",
            "it imports scipy as it is loaded",
        ),
        (f"import no_such_library\n{_LIGHT}", "importing it alone raises ModuleNotFoundError: .*no_such_library"),
    ],
)
def test_a_module_slow_to_import_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        check_lazy_imports("lab", partial(_module(tmp_path, monkeypatch, source), 1))


def test_a_module_quick_to_import_passes_and_what_no_import_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_lazy_imports("lab", _module(tmp_path, monkeypatch, _LIGHT))
    assert "lab_module" not in sys.modules
    work = _module(tmp_path, monkeypatch, "import tensorflow\n")
    for name in ("__main__", "no_such_module", "no_such.module", None):
        work.__module__ = name
        check_lazy_imports("lab", work)


# Backbones


def _conv(shape: tuple[int, int, int], weights: str | None = None, channels: int = 8, **kernel: Any) -> Any:
    from dslite.model.keras import keras

    if weights:
        raise ValueError("random weights only")
    image = keras.Input(shape)
    return keras.Model(image, keras.layers.Conv2D(channels, 3, **kernel)(image))


def _around(layer: Callable[[Any], Any], *, convolved: bool = True) -> Callable[..., Any]:
    """Give a build function that puts `layer`, a function of tensors, behind a convolution."""

    def build(shape: tuple[int, int, int], weights: str | None, _: Any) -> Any:
        from dslite.model.keras import keras

        assert weights is None
        image = keras.Input(shape)
        x = keras.layers.Conv2D(8, 3)(image) if convolved else image
        return keras.Model(image, keras.layers.Lambda(layer)(x))

    return build


def _noise(x: Any) -> Any:
    import tensorflow as tf

    return x + tf.random.normal(tf.shape(x))


def _halved(x: Any) -> Any:
    import tensorflow as tf

    return tf.cast(x, tf.float16)


def _no_builtin(x: Any) -> Any:
    import tensorflow as tf

    return x + tf.math.bessel_i0e(x)


def _only_conv(shape: tuple[int, int, int], weights: str | None, _: Any) -> Any:
    return _conv(shape, weights)


def _own_weights(shape: tuple[int, int, int], weights: str | None, _: Any) -> Any:
    model = _conv(shape, weights)
    model.set_weights([np.random.default_rng().normal(size=w.shape) for w in model.get_weights()])
    return model


RIGHT = Backbone("right", _only_conv, "none", 8, 8, "MIT", "tests")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"build": lambda shape, *_: _conv(shape)}, "took a weight file that is not there"),
        ({"build": lambda shape, weights, _: _conv(shape, weights, 5)}, "gives 5 features, its record says 8"),
        ({"build": lambda _, weights, __: _conv((32, 32, 3), weights)}, r"input is \(None, 32, 32, 3\)"),
        ({"build": lambda _, weights, __: _conv((64, 64, 3), weights)}, r"input is \(None, 64, 64, 3\)"),
        ({"build": lambda shape, weights, _: _conv(shape, weights) and "a model"}, "build gave a <class 'str'>"),
        ({"build": _around(lambda x: x[:, 0, 0])}, r"output is \(None, 8\): build without classifier"),
        ({"build": _around(_noise)}, "two runs differ"),
        ({"build": _around(_halved)}, "gives float16, expected float32"),
        ({"build": _around(lambda x: x / 0.0)}, "gives NaN or infinite features"),
        ({"build": _around(lambda x: x * 2.0, convolved=False), "n_features": 3}, "no convolution and no matrix"),
        ({"build": _around(_no_builtin)}, "cannot become a TFLite file: TFLite has no builtin operator"),
        ({"build": _own_weights}, "two builds with the same keras.utils.set_random_seed differ"),
        ({"min_size_px": 4, "build": _around(lambda x: x[:, 2:])}, "nothing is left of a picture of min_size_px"),
        ({"min_size_px": 2}, "cannot be built for pictures of min_size_px, 2: raise it: ValueError"),
        ({"min_size_px": 0}, "min_size_px 0: expected pixels"),
        ({"n_features": 0}, "n_features 0: expected"),
        ({"scaling": "imagenet"}, "scaling 'imagenet': expected one of torch, tf, caffe, none"),
        ({"licence": ""}, "licence is empty"),
        ({"name": "Wrong-Name"}, "expected a name in snake case"),
        ({"source": ""}, "source is empty"),
    ],
)
def test_check_backbone_names_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backbone(dataclasses.replace(RIGHT, **changes))


# Augmenters


def _amount(strength: Any) -> Any:
    return strength[:, None, None, None]


def _mixed(images: Any, labels: Any, strength: Any, seed: Any, _: Any) -> tuple[Any, Any]:
    """Mix each sample with one drawn for it, as mixup does: the good one."""
    import tensorflow as tf

    n = tf.shape(images)[0]
    other = tf.random.stateless_uniform((n,), seed, 0, n, tf.int32)
    share = strength * tf.random.stateless_uniform((n,), seed + 1)
    images = images + _amount(share) * (tf.gather(images, other) - images)
    return images, labels + share[:, None] * (tf.gather(labels, other) - labels)


def _unseeded(images: Any, labels: Any, strength: Any, *_: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    return images * (1 - _amount(strength) * tf.random.uniform(())), labels


def _mean_strength(images: Any, labels: Any, strength: Any, *_: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    return images * (1 - 0.5 * tf.reduce_mean(strength)), labels


def _one_by_one(images: Any, labels: Any, strength: Any, seed: Any, options: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    if images.shape[0] is None:  # the graph for any number of samples is a good one
        return _mixed(images, labels, strength, seed, options)
    return tf.stack([images[i] * (1 - 0.5 * strength[i]) for i in range(images.shape[0])]), labels


def _in_numpy(images: Any, labels: Any, strength: Any, *_: Any) -> tuple[Any, Any]:
    return images.numpy() * (1 - strength.numpy()[:, None, None, None]), labels


def _cast(images: Any, labels: Any, *_: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    return tf.cast(images, tf.float64), labels


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda images, labels, *_: (images, labels), "strength 1 changes neither pictures nor labels"),
        (lambda images, labels, *_: (images[:, :-1], labels), r"images \(1, 48, 40, 3\) become \(1, 47, 40, 3\)"),
        (_cast, "images become float64, expected float32"),
        (lambda images, labels, s, *_: (images / (1 - _amount(s)), labels), "images become NaN or infinite"),
        (lambda images, labels, s, *_: (images * (1 + _amount(s)), labels), r"expected \[0, 255\]"),
        (lambda images, labels, s, *_: (images, labels * (1 - s[:, None])), "rows of labels sum to"),
        (lambda images, labels, s, *_: (images, labels + s[:, None] * (0.5 - 2 * labels)), "labels become negative"),
        (lambda images, labels, *_: (images * 0.5, labels), "strength 0 changes pictures: such"),
        (_mean_strength, "strength 0 changes pictures where other samples have more"),
        (_unseeded, "two runs with one seed differ"),
        (_one_by_one, "operations for 2 samples and .* for 8: work on the whole batch at once"),
        (_in_numpy, "apply fails inside tf.function"),
        (lambda images, labels, *_: (images, labels, 1), r"expected the pair \(images, labels\)"),
    ],
)
def test_check_augmenter_names_what_is_wrong(apply: Callable[..., Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_augmenter(Augmenter("wrong", apply, "tests"))


# Compressors


def _finetuned(model: Any, finetune: Callable[[Any], None], _: Any) -> Any:
    finetune(model)
    return model


def _often(model: Any, finetune: Callable[[Any], None], _: Any) -> Any:
    for _i in range(11):
        finetune(model)
    return model


def _scaled(factor: float, layer: str = "hidden") -> Callable[..., Any]:
    def compress(model: Any, *_: Any) -> Any:
        found = model.get_layer(layer)
        found.set_weights([factor * weight for weight in found.get_weights()])
        return model

    return compress


def _by_chance(model: Any, *_: Any) -> Any:
    hidden = model.get_layer("output")
    generator = np.random.default_rng()
    hidden.set_weights([w + generator.normal(size=w.shape).astype(np.float32) for w in hidden.get_weights()])
    return model


def _wrapped(function: Callable[[Any], Any]) -> Callable[..., Any]:
    def compress(model: Any, *_: Any) -> Any:
        from dslite.model.keras import keras

        return keras.Model(model.inputs, keras.layers.Lambda(function)(_scaled(0.9)(model).outputs[0]))

    return compress


def _training_only(x: Any) -> Any:
    """Give other values where a file is traced, for one sample, than for a batch."""
    return x[:, ::-1] if x.shape[0] == 1 else x


@pytest.mark.parametrize(
    ("compress", "message"),
    [
        (lambda model, *_: model, "gives the model back as it was"),
        (lambda *_: "model", "compress gave a <class 'str'>"),
        (_often, "calls finetune 11 times"),
        (_scaled(float("nan"), "output"), "gives NaN or infinite values"),
        (_scaled(0.0), "whatever it sees: it took too much away"),
        (_by_chance, "with the same keras.utils.set_random_seed its outputs differ"),
        (_wrapped(lambda x: x[:, :2]), r"becomes \(None, 32, 32, 3\) -> \(None, 2\)"),
        (_wrapped(_no_builtin), "the compressed model cannot become a TFLite file"),
        (_wrapped(_training_only), "the TFLite file of the compressed model differs from it"),
    ],
)
def test_check_compressor_names_what_is_wrong(compress: Callable[..., Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_compressor(Compressor("wrong", compress, "tests"))


# Exporters


def _float32(model: Any, path: str, *_: Any) -> None:
    registry().get("exporters", "tflite-float32").export(model, path, None, {})


def _beside(model: Any, path: str, *_: Any) -> None:
    _float32(model, path)
    Path(path + ".log").write_text("x")


def _changing(factor: float) -> Callable[..., None]:
    def export(model: Any, path: str, *_: Any) -> None:
        kept = model.get_weights()
        model.set_weights([weight * factor for weight in kept])
        _float32(model, path)
        model.set_weights(kept)

    return export


def _for_good(model: Any, path: str, *_: Any) -> None:
    model.set_weights([weight * 1.01 for weight in model.get_weights()])
    _float32(model, path)


def _random(model: Any, path: str, *_: Any) -> None:
    _changing(float(np.random.default_rng().uniform(0.98, 1.02)))(model, path)


def _transposed(model: Any, path: str, *_: Any) -> None:
    from dslite.model.keras import keras

    _float32(keras.Model(model.inputs, model.outputs[0][:, :1]), path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"export": lambda *_: None}, "wrote nothing"),
        ({"export": _beside}, "wrote files beside its path, model.tflite.log"),
        ({"export": _beside, "suffix": ".bin"}, "wrote files beside"),  # also of a file that it cannot open
        ({"export": lambda _, path, *__: Path(path).touch()}, "wrote an empty file"),
        ({"export": _changing(2.0)}, "even quantised it should be nearer"),
        ({"export": _transposed}, r"the file gives \(1, 1\), the model \(1, 2\)"),
        ({"export": _for_good}, "export changes the model it is given"),
        ({"export": _random}, "two exports of one model give"),
        *(({"suffix": suffix}, r"expected such as \.tflite") for suffix in ("", ".", "tflite")),
    ],
)
def test_check_exporter_names_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_exporter(dataclasses.replace(Exporter("wrong", ".tflite", _float32, False, "tests"), **changes))


# Targets

HERE = Device("here", "a desk", "an OS", "an ABI", 1, 1)
LATENCY = Measurement("latency", 1e-3, "s", "a watch", (1e-3, 1e-3, 1e-3))


def _measuring(*found: Any, progress: Sequence[float] = (0.5,), error: Exception | None = None) -> Callable[..., Any]:
    def run(artifact: Any, _device: Any, _plan: Any, _options: Any, report: Any) -> Sequence[Any]:
        if Path(artifact.path).read_bytes()[4:8] != b"TFL3" and error:
            raise error
        for fraction in progress:
            report("measuring", fraction)
        return found

    return run


TARGET = Target("right", (".tflite",), lambda: [HERE], _measuring(LATENCY, error=MeasurementError("no model")), "tests")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suffixes": ()}, "runs no suffix"),
        ({"suffixes": ("tflite",)}, "suffixes tflite: expected such as .tflite"),
        ({"suffixes": (".onnx",)}, "give check_target an `artifact` of such a file"),
        ({"devices": list}, "names no device"),
        ({"devices": lambda: ["here"]}, "devices must be dslite.records.Device"),
        ({"devices": lambda: [HERE, HERE]}, "each needs its own"),
        ({"run": _measuring()}, "measured nothing, expected latency at least"),
        ({"run": _measuring("latency")}, "must give dslite.records.Measurement"),
        ({"run": _measuring(LATENCY, LATENCY)}, "gave one metric twice: latency, latency"),
        ({"run": _measuring(dataclasses.replace(LATENCY, samples=(1e-3,)))}, "kept 1 samples of 3 runs"),
        ({"run": _measuring(dataclasses.replace(LATENCY, samples=(0.0, 1.0, 1.0)))}, "seconds above 0"),
        ({"run": _measuring(dataclasses.replace(LATENCY, unit="ms"))}, "latency is in 'ms', expected s"),
        ({"run": _measuring(LATENCY, Measurement("heat", 1, "", "x"))}, "heat has no unit"),
        ({"run": _measuring(LATENCY, Measurement("heat", float("nan"), "count", "x"))}, "heat is nan"),
        ({"run": _measuring(dataclasses.replace(LATENCY, method=""))}, "latency has no method"),
        ({"run": _measuring(LATENCY, progress=())}, "never called progress"),
        ({"run": _measuring(LATENCY, progress=(50.0,))}, "fraction of 1, got 50.0"),
        ({"run": _measuring(LATENCY)}, "measured a file that is no model"),
        ({"run": _measuring(LATENCY, error=ValueError("no"))}, "raises ValueError: raise dslite.errors.Measurement"),
        ({"run": _measuring(LATENCY, error=MeasurementError(""))}, "refuses a file that is no model without a word"),
    ],
)
def test_check_target_names_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_target(dataclasses.replace(TARGET, **changes))


@pytest.mark.parametrize(
    ("check", "record"),
    [
        (check_backbone, RIGHT),
        (check_augmenter, Augmenter("right", _mixed, "tests")),
        (check_compressor, Compressor("right", _finetuned, "tests")),
        (check_exporter, Exporter("right", ".bin", _float32, False, "tests")),  # a file that it cannot open
        (check_target, TARGET),  # it makes a file itself where it is given none
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_checks_accept_what_keeps_the_contract(check: Callable[[Any], None], record: Any) -> None:
    check(record)


def test_every_kind_has_a_check() -> None:
    assert [kind for kind in KINDS if not callable(getattr(testing, f"check_{kind[:-1]}", None))] == []
