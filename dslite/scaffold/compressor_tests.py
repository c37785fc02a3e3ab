"""The compressor keeps dslite's contract, and dslite finds it."""

import numpy as np
import pytest
from dslite.errors import SpecError
from dslite.model.keras import keras
from dslite.records import Options
from dslite.registry import registry
from dslite.testing import check_compressor

import dslite.scaffold.compressor as plugin


def test_keeps_the_contract() -> None:
    for record in plugin.dslite_compressors():
        check_compressor(record)


def test_is_found_once_the_plugin_is_installed() -> None:
    (record,) = plugin.dslite_compressors()
    assert registry().get("compressors", "new_compressor") == record


def _model() -> keras.Model:
    image = keras.Input((8, 8, 3))
    return keras.Model(image, keras.layers.Conv2D(16, 3)(image))


def test_sparsity_is_the_fraction_of_zeros_though_training_moves_them() -> None:
    def finetune(model: keras.Model) -> None:
        model.set_weights([weight + 0.01 for weight in model.get_weights()])

    model = plugin.compress(_model(), finetune, {"sparsity": 0.75, "rounds": 3})
    kernel, bias = model.get_weights()
    assert np.mean(kernel == 0) == pytest.approx(0.75, abs=0.01)
    assert np.all(bias != 0)


@pytest.mark.parametrize("options", [{"sparsity": 1.0, "rounds": 1}, {"sparsity": 0.5, "rounds": 0}])
def test_settings_out_of_range_are_refused(options: Options) -> None:
    with pytest.raises(SpecError, match=r"\w+: expected"):
        plugin.check(options)
