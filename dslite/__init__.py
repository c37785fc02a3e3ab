"""Choose, train, compress and measure an audio classifier for a phone, with every part a plugin.

Importing this package is cheap: TensorFlow, Keras and librosa are imported only by what uses them.
"""

from dslite.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]
__version__ = "0.1.0"
