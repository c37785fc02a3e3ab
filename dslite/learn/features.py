"""DeepSpectrum features: what the pooled backbone makes of each chunk.

Source: S. Amiriparian et al., "Snore Sound Classification Using Image-Based Deep Spectrum Features", INTERSPEECH 2017;
section 1 of the paper.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslite import files
from dslite.learn.network import Network, any_number_of, in_batches
from dslite.learn.pictures import Pictures

_FILE = "features.npy"


def extract(
    network: Callable[[], Network], pictures: Pictures, folder: Path, tell: Callable[[str, float], None]
) -> npt.NDArray[np.float32]:
    """Give the pooled features of all chunks, float32 ``(chunks, d)``, from the cache where they are there.

    Args:
        network: called only where they are not.
        pictures: of the data set.
        folder: of the cache, for exactly these pictures and this backbone with its weights.
        tell: told what is done and the fraction done.

    Raises:
        WriteError: where the cache cannot be written.
    """
    place = folder / _FILE
    if not place.is_file():
        import tensorflow as tf

        compiled = tf.function(network().features, [any_number_of(pictures.levels)])
        made = in_batches(compiled, pictures.levels, np.arange(len(pictures.levels)), tell)
        with files.written_once(folder) as new:
            new.mkdir()
            np.save(new / _FILE, made)
    kept: npt.NDArray[np.float32] = np.load(place, allow_pickle=False)
    return kept
