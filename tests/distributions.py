"""Distributions of third parties, as an installer leaves them: modules, metadata, entry points."""

from pathlib import Path


def install(site: Path, name: str, source: str, *points: str) -> None:
    """Install a distribution of one module; its entry point has the same name where none is given."""
    (site / f"{name}.py").write_text(source, encoding="utf-8")
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[dslite]", *(points or [f"{name} = {name}"])]) + "\n")


BACKBONE = """
from dslite import hookimpl
from dslite.records import Backbone

def build(input_shape, weights, options):
    from dslite.model.keras import keras

    image = keras.Input(input_shape)
    features = keras.layers.Conv2D(8, 3, strides=2)(image)
    BODY

@hookimpl
def dslite_backbones():
    return [Backbone("NAME", build, "torch", 8, 16, "Apache-2.0", "a test")]
"""
"""A backbone of one convolution; NAME and BODY, what its build ends with, are to be replaced."""


def backbone(name: str, body: str = "return keras.Model(image, features)") -> str:
    """Give the source of a plugin with one backbone of this name."""
    return BACKBONE.replace("NAME", name).replace("BODY", body)


BAD_BUILDS = {
    "raises": (
        "raise RuntimeError('no luck')",
        "could not be built: RuntimeError: no luck",
    ),
    "exits": (
        "import sys; sys.exit('no licence')",
        "its build called sys.exit('no licence'): it must raise an error",
    ),
    "pools": (
        "return keras.Model(image, keras.layers.GlobalAveragePooling2D()(features))",
        "a feature map (None, h, w, channels), got (None, 8): build without its classifier and without pooling",
    ),
    "widens": (
        "return keras.Model(image, keras.layers.Conv2D(9, 1)(features))",
        "its record says n_features=8, build gives 9: mend the record",
    ),
}
"""Bodies of builds that break the contract, and what must be said of each."""
