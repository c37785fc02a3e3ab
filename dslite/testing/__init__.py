"""Conformance checks for plugin authors: plain functions that assert, with messages that say what to mend.

    from dslite.testing import check_backbone

    def test_my_backbone():
        check_backbone(my_plugin.dslite_backbones()[0])

dslite's own plugins pass the same checks. They build, run, train and export for real, so each takes some seconds.
What breaks the contract raises `AssertionError`; an error of the plugin's own comes through as it is, with its
traceback, except where the contract says which error it must be.
"""

from dslite.testing.augmenters import check_augmenter
from dslite.testing.backbones import check_backbone
from dslite.testing.compressors import check_compressor
from dslite.testing.exporters import check_exporter
from dslite.testing.shared import check_lazy_imports, check_record, default_options
from dslite.testing.targets import check_target

__all__ = [
    "check_augmenter",
    "check_backbone",
    "check_compressor",
    "check_exporter",
    "check_lazy_imports",
    "check_record",
    "check_target",
    "default_options",
]
