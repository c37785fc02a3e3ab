"""The exporter keeps dslite's contract, and dslite finds it."""

from pathlib import Path

from dslite.model.convert import to_tflite
from dslite.model.keras import keras
from dslite.registry import registry
from dslite.testing import check_exporter

import dslite.scaffold.exporter as plugin


def test_keeps_the_contract() -> None:
    for record in plugin.dslite_exporters():
        check_exporter(record)


def test_is_found_once_the_plugin_is_installed() -> None:
    (record,) = plugin.dslite_exporters()
    assert registry().get("exporters", "new-exporter") == record


def test_a_file_is_half_as_big_as_in_float32(tmp_path: Path) -> None:
    image = keras.Input((64,))
    model = keras.Model(image, keras.layers.Dense(1024)(image))
    path = tmp_path / "model.tflite"
    plugin.export(model, str(path), None, {})
    assert 0.4 < path.stat().st_size / len(to_tflite(model)) < 0.6
