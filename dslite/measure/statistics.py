"""Figures of a series of samples."""

from collections.abc import Sequence

import numpy as np


def summarise(samples: Sequence[float]) -> dict[str, float]:
    """Describe a series.

    Args:
        samples: at least one, in the unit the answer has.

    Returns:
        ``n``, ``mean``, ``std`` (of the sample, n - 1; 0 for one), ``min``, ``p50``, ``p90``, ``max``; percentiles
        interpolate linearly between samples (Hyndman and Fan, type 7, numpy's default).
    """
    x = np.asarray(samples, np.float64)
    p50, p90 = np.percentile(x, [50, 90])
    return {
        "n": float(len(x)),
        "mean": float(x.mean()),
        "std": float(x.std(ddof=1)) if len(x) > 1 else 0.0,
        "min": float(x.min()),
        "p50": float(p50),
        "p90": float(p90),
        "max": float(x.max()),
    }
