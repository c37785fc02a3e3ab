"""Structured pruning: whole channels are taken out, so that the file is smaller and faster everywhere.

H. Li et al., "Pruning filters for efficient ConvNets", 2017, with the coupling of channels found in the graph as in
G. Fang et al., "DepGraph: towards any structural pruning", 2023. Those go that add the least variance to what reads
them, on pictures of the training; their means go into biases. In several steps, with fine-tuning after each.
"""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.errors import ExportError, SpecError
from dslite.records import Compressor, Finetune, Option, Options
from dslite_plugins.compressors.common import check_between, check_training

_MOST_ABOVE = 1.1
"""The aim is met, but for what rounding to whole multiples of channels costs."""
_N_PICTURES = 128


def _channels(model: Any, finetune: Finetune, options: Options) -> Any:
    from dslite.model.surgery import backbone_of, folded
    from dslite_plugins.compressors import coupling

    share, steps, multiple, epochs, rate = _settings(options)
    cnn = folded(model)
    backbone = backbone_of(cnn)
    whole = coupling.count_macs(coupling.coupling(backbone), backbone, set())
    for step in range(steps):
        aim = int(whole * share ** ((step + 1) / steps))
        cnn = _shrunk(cnn, finetune.pictures(_N_PICTURES), aim, multiple)
        n_epochs = (step + 1) * epochs // steps - step * epochs // steps
        finetune(cnn, epochs=n_epochs, rate=rate)
    return cnn


def _settings(options: Options) -> tuple[float, int, int, int, float]:
    share = check_between(options, "macs", 0, 1, "it is the share of the backbone's multiply-accumulates that is left")
    epochs, rate = check_training(options)
    steps, multiple = int(options["steps"]), int(options["multiple"])
    if not 1 <= steps <= epochs:
        raise SpecError(f"steps: expected 1 to {epochs}, as there are epochs, got {steps}")
    if multiple < 1:
        raise SpecError(f"multiple: expected 1 or more, got {multiple}")
    return share, steps, multiple, epochs, rate


def _shrunk(cnn: Any, images: Any, aim: int, multiple: int) -> Any:
    """Take out channels so that about so many of the backbone's multiply-accumulates are left."""
    import numpy as np

    from dslite.model.surgery import backbone_of, copied, set_weights, with_backbone
    from dslite_plugins.compressors import coupling

    backbone, hidden = backbone_of(cnn), cnn.get_layer("hidden")
    units = coupling.coupling(backbone)
    seen = coupling.watch(backbone, cnn.get_layer("scaling")(images))
    scores = coupling.importance(units, backbone, hidden.kernel.numpy(), seen)
    gone = coupling.weakest(units, backbone, scores, aim, multiple)
    if coupling.count_macs(units, backbone, gone) > _MOST_ABOVE * aim:
        raise ExportError(
            f"channels: {backbone.name} has too few channels that can go: its layers are not understood, or small: "
            "let more be left with the option macs"
        )
    stays = np.array([int(unit) not in gone for unit in units.output])
    new = with_backbone(cnn, coupling.without(units, backbone, gone, seen), copied(hidden))
    kernel, bias = hidden.get_weights()
    lost = seen[coupling.OUTPUT].mean[~stays] @ kernel[~stays]
    return set_weights(new, {"hidden": [kernel[stays], (bias + lost).astype(np.float32)]})


@hookimpl
def dslite_compressors() -> Iterable[Compressor]:
    """Give the compressor."""
    return [
        Compressor(
            "channels",
            _channels,
            source="https://arxiv.org/abs/1608.08710",
            options=(
                Option("macs", 0.5, "Share of the backbone's multiply-accumulates that is left, above 0 and below 1."),
                Option("steps", 3, "In which channels are taken out, each followed by its part of the epochs."),
                Option("multiple", 8, "Of which the number of a layer's channels is one: what processors do at once."),
                Option("epochs", 12, "Of fine-tuning, over all steps."),
                Option("rate", 1.0, "Learning rate, as a share of that of the run's second phase."),
            ),
            check=_settings,
        )
    ]
