"""Magnitude pruning in rounds: the smallest weights become zero (Han et al., 2015; Zhu and Gupta, 2017)."""

from collections.abc import Callable, Iterable
from typing import Any

from dslite import hookimpl
from dslite.errors import SpecError
from dslite.records import Compressor, Option, Options

_KERNEL_RANK = 2
"""Kernels of convolutions and dense layers have two axes or more; biases and normalisation stay whole."""


def compress(model: Any, finetune: Callable[[Any], None], options: Options) -> Any:
    """Prune the kernels of a model.

    Args:
        model: Keras model, trained; it may be changed in place.
        finetune: ``finetune(model)`` trains the model it is given in place, with dslite's own training loop.
        options: `sparsity` and `rounds`.

    Returns:
        A Keras model with the same input and output, which must still convert to TFLite.
    """
    sparsity, rounds = float(options["sparsity"]), int(options["rounds"])
    kernels = [weight for weight in model.trainable_weights if len(weight.shape) >= _KERNEL_RANK]
    for done in range(1, rounds + 1):
        # Zhu and Gupta's cubic schedule: much at first, while there is much to spare.
        keep = _masks(kernels, sparsity * (1 - (1 - done / rounds) ** 3))
        _zero(kernels, keep)
        finetune(model)
        _zero(kernels, keep)  # training moved them
    return model


def check(options: Options) -> None:
    """Refuse options that cannot be, before anything is trained.

    Raises:
        SpecError: where one is out of its range.
    """
    sparsity, rounds = float(options["sparsity"]), int(options["rounds"])
    if not 0 < sparsity < 1:
        raise SpecError(f"sparsity: expected between 0 and 1, got {sparsity:g}")
    if rounds < 1:
        raise SpecError(f"rounds: expected 1 or more, got {rounds}")


def _masks(kernels: list[Any], sparsity: float) -> list[Any]:
    """Give for each kernel an array of its shape: 1 where a weight stays, 0 where it is among the smallest."""
    import numpy as np

    magnitudes = [np.abs(kernel.numpy()) for kernel in kernels]
    return [(m > np.quantile(m, sparsity)).astype(m.dtype) for m in magnitudes]


def _zero(kernels: list[Any], masks: list[Any]) -> None:
    for kernel, mask in zip(kernels, masks, strict=True):
        kernel.assign(kernel * mask)


@hookimpl
def dslite_compressors() -> Iterable[Compressor]:
    """Give the compressors of this plugin."""
    return [
        Compressor(
            name="new_compressor",
            compress=compress,
            source="https://arxiv.org/abs/1710.01878",
            options=(
                Option("sparsity", 0.5, "Fraction of each kernel's weights that become zero."),
                Option("rounds", 2, "Times it prunes and finetunes, more each time."),
            ),
            check=check,
        )
    ]
