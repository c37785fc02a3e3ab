"""The history of a training, for TensorBoard."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from dslite.learn.history import Epoch


class Log:
    """Writes scalars of each epoch, one step an epoch; what an earlier training left in the folder goes first."""

    def __init__(self, folder: Path, history: Iterable[Epoch]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._writer = tf.summary.create_file_writer(str(folder))
        self._n_epochs = 0
        for epoch in history:
            self.add(epoch)

    def add(self, epoch: Epoch) -> None:
        """Write the scalars of an epoch."""
        self._n_epochs += 1
        with self._writer.as_default():
            for name in ("loss", "devel_loss", "devel_score", "learning_rate"):
                value = getattr(epoch, name)
                if value is not None:
                    _scalar(name, value, self._n_epochs)
        self._writer.flush()


def _scalar(name: str, value: float, step: int) -> None:
    # What tf.summary.scalar does, which needs TensorBoard itself to be installed; looking at the logs does, too,
    # writing them need not.
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1
    )
    tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=metadata)
