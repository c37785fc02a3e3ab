"""Systems with real backbones, each made once for all of its tests; and what tests of compressors share."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dslite.model.assembly import build_cnn
from dslite.model.convert import to_tflite
from dslite.model.keras import keras
from dslite.model.surgery import backbone_of, folded, rebuilt
from dslite.recipe import HeadSpec
from dslite.records import Backbone
from dslite.registry import get_with_options
from dslite_plugins.compressors import coupling

SIZE_PX = 96


@dataclass(frozen=True, eq=False)
class System:
    """A backbone with a head, whose batch normalisation does something; what is made of it is made once.

    Attributes:
        name: of the backbone, with options.
        folder: for its file.
    """

    name: str
    folder: Path

    @cached_property
    def cnn(self) -> Any:
        """The model for pictures of `SIZE_PX`, or of the backbone's least size."""
        backbone, options = get_with_options("backbones", self.name)
        cnn = built(backbone, options, max(SIZE_PX, backbone.min_size_px))
        rng = np.random.default_rng(0)
        for layer in backbone_of(cnn).layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                near_one = [any(part in weight.name for part in ("gamma", "variance")) for weight in layer.weights]
                shapes = [weight.shape for weight in layer.weights]
                layer.set_weights(
                    [
                        rng.uniform(0.8, 1.2, s) if one else rng.normal(0, 0.05, s)
                        for s, one in zip(shapes, near_one, strict=True)
                    ]
                )
        return cnn

    @cached_property
    def folded(self) -> Any:
        """The same without batch normalisation."""
        return folded(self.cnn)

    @cached_property
    def backbone(self) -> Any:
        """The backbone alone, for pictures of 224 px."""
        record, options = get_with_options("backbones", self.name)
        return record.build((224, 224, 3), None, options)

    @cached_property
    def file(self) -> Path:
        """Its TFLite file."""
        path = self.folder / "backbone.tflite"
        path.write_bytes(to_tflite(self.backbone))
        return path


def built(backbone: Backbone, options: Any, size_px: int) -> Any:
    """Give a backbone with a small head, always with the same weights."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    return build_cnn(backbone, options, size_px, HeadSpec(n_hidden=32, dropout=0.0), 3, None)


# -- compressing ----------------------------------------------------------------------------------------


@dataclass
class Finetune:
    """Trains on noise with `fit`, and notes how it was called."""

    size_px: int = 64
    n: int = 16
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, model: Any, *, epochs: int = 1, rate: float = 1.0, training: bool = False) -> None:
        self.calls.append({"epochs": epochs, "rate": rate, "training": training})
        x, y = self.pictures(self.n), np.eye(3)[np.arange(self.n) % 3]
        model.compile(keras.optimizers.Adam(1e-3 * rate), "categorical_crossentropy", run_eagerly=True)
        model.fit(x, y, batch_size=4, epochs=epochs, shuffle=False, verbose=0)

    def n_steps(self, epochs: int) -> int:
        return epochs * -(-self.n // 4)

    def pictures(self, n: int) -> Any:
        images = np.random.default_rng(0).uniform(0, 120, (self.n, self.size_px, self.size_px, 3))
        images[np.arange(self.n), :, :, np.arange(self.n) % 3] += 100
        return images[:n].astype(np.float32)


class Untrained(Finetune):
    """Runs the model once, in place of training."""

    def __call__(self, model: Any, *, epochs: int = 1, rate: float = 1.0, training: bool = False) -> None:
        del epochs, rate
        model(np.zeros((1, *model.input_shape[1:]), np.float32), training=training)


def compressed(text: str, cnn: Any, finetune: Finetune | None = None) -> Any:
    """Give a model, compressed by a compressor with its options."""
    compressor, options = get_with_options("compressors", text)
    return compressor.compress(cnn, finetune or Finetune(), options)


def on_grid(kernel: Any) -> bool:
    """Whether every output channel of a kernel holds whole multiples, of at most 127, of one number."""
    flat = kernel.reshape(-1, kernel.shape[-1])
    steps = np.abs(flat).max(axis=0) / 127
    levels = flat / np.where(steps > 0, steps, 1)
    return bool(np.abs(levels - np.round(levels)).max() < 1e-3)


def silenced(network: Any, of: Any, gone: set[int], seen: Any) -> Any:
    """The network with all its channels, of which those that are gone give their mean, whatever they are given.

    The reference that taking channels out is compared with: what reads them is given a constant.
    """
    replacements = {}
    for layer in filter(coupling._reads, network.layers):
        away = np.array([int(unit) in gone for unit in of.reads[layer.name]], np.float32)
        mean = seen[layer.name].mean.astype(np.float32) * away
        replacements[layer.name] = lambda x, layer=layer, away=away, mean=mean: layer(x * (1 - away) + mean)
    return rebuilt(network, replacements)


def check_what_stays_computes_as_if_what_is_gone_were_constant(cnn: Any) -> None:
    """Take channels out of a folded model until 40 % of its multiply-accumulates are gone, and compare what is left."""
    network = backbone_of(cnn)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4, *network.input_shape[1:])).astype(np.float32)
    of = coupling.coupling(network)
    seen = coupling.watch(network, x)
    hidden = cnn.get_layer("hidden").kernel.numpy()
    whole = coupling.count_macs(of, network, set())
    gone = coupling.weakest(of, network, coupling.importance(of, network, hidden, seen), int(0.6 * whole), 8)
    assert gone
    small = coupling.without(of, network, gone, seen)
    assert coupling.count_macs(coupling.coupling(small), small, set()) == coupling.count_macs(of, network, gone)
    assert coupling.count_macs(of, network, gone) <= 0.66 * whole
    stays = np.array([int(unit) not in gone for unit in of.output])
    got, expected = np.asarray(small(x)), np.asarray(silenced(network, of, gone, seen)(x))[..., stays]
    # Padding is zero, not the mean, so that at borders the two differ; the centre of a feature map is far from them
    # only in small networks. Where they are constant to begin with, borders are right as well.
    scale = np.abs(expected).max()
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.98
    assert np.median(np.abs(got - expected)) <= 0.05 * scale
