"""The one place that names the Keras dslite works with: Keras 2 (`tf_keras`), because TFMOT needs it.

Plugins import it from here, inside their functions: ``from dslite.model.keras import keras``.
"""

import tf_keras as keras

__all__ = ["keras"]
