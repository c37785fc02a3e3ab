"""The five hooks. A plugin is a module with one or more functions of these names, marked ``@dslite.hookimpl``.

Hooks are called without arguments and return records; they must be quick and must not import TensorFlow: what
is heavy belongs inside the functions the records hold.
"""

from collections.abc import Iterable

import pluggy

from dslite.records import Augmenter, Backbone, Compressor, Exporter, Target

hookspec = pluggy.HookspecMarker("dslite")
hookimpl = pluggy.HookimplMarker("dslite")


@hookspec
def dslite_backbones() -> Iterable[Backbone]:  # type: ignore[empty-body]
    """Give the image CNNs this plugin brings."""


@hookspec
def dslite_augmenters() -> Iterable[Augmenter]:  # type: ignore[empty-body]
    """Give the augmenters this plugin brings."""


@hookspec
def dslite_compressors() -> Iterable[Compressor]:  # type: ignore[empty-body]
    """Give the compressors this plugin brings."""


@hookspec
def dslite_exporters() -> Iterable[Exporter]:  # type: ignore[empty-body]
    """Give the exporters this plugin brings."""


@hookspec
def dslite_targets() -> Iterable[Target]:  # type: ignore[empty-body]
    """Give the targets this plugin brings."""
