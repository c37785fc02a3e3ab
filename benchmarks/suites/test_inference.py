"""Inference of every backbone: picture to probabilities, TFLite float32, one thread, random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dslite.deploy.runtime import open_session
from dslite.registry import registry


@pytest.mark.parametrize("backbone", sorted(registry().names("backbones")))
def test_inference(timed: Callable[..., Any], exported: Callable[[str], Path], backbone: str) -> None:
    """One run of the file; a picture is in place."""
    session = open_session(exported(backbone), 1)
    session.feed(np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32))
    timed(session.invoke)
