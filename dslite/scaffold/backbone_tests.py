"""The backbone keeps dslite's contract, and dslite finds it."""

from pathlib import Path

import numpy as np
import pytest
from dslite.errors import SpecError
from dslite.registry import registry
from dslite.testing import check_backbone

import dslite.scaffold.backbone as plugin

SHAPE = (32, 32, 3)


def test_keeps_the_contract() -> None:
    for record in plugin.dslite_backbones():
        check_backbone(record)


def test_is_found_once_the_plugin_is_installed() -> None:
    (record,) = plugin.dslite_backbones()
    assert registry().get("backbones", "new_backbone") == record


def test_width_scales_the_channels() -> None:
    assert plugin.build(SHAPE, None, {"width": 4}).output_shape[-1] == 32
    with pytest.raises(SpecError, match="width expects 1 or more, got 0"):
        plugin.build(SHAPE, None, {"width": 0})


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    saved = plugin.build(SHAPE, None, {"width": 4})
    path = str(tmp_path / "weights.h5")
    saved.save_weights(path)
    loaded = plugin.build(SHAPE, path, {"width": 4})
    for before, after in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
