"""Whether a device computes what this host computes: a latency of wrong results is worth nothing."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslite.deploy import tflite_file
from dslite.errors import MeasurementError
from dslite.records import Measurement

TOLERANCE = 1e-4
"""Between float32 files on processors of different kinds, which add in different orders."""
QUANTISED_TOLERANCE = 0.05
"""Where weights or activations are of fewer bits: a sum that is rounded the other way is a step of 1/256 in a layer,
and later layers carry it on. Still far from what a wrong kernel or a wrong input gives."""
_FEW_BITS = {"int4", "int8", "uint8", "int16", "float16", "bfloat16"}


def compare(path: Path, ours: npt.NDArray[np.generic], theirs: bytes) -> Measurement:
    """Compare outputs for the same inputs.

    Args:
        path: of the file that ran on both.
        ours: of this host, ``(k, *shape of the output)``.
        theirs: of the device, as bytes of the same array.

    Returns:
        ``output_difference``: the largest difference, relative to our largest value where that is above 1.

    Raises:
        MeasurementError: where they differ more than they may; what it measured is in its `measured`.
    """
    if len(theirs) != ours.nbytes:
        raise MeasurementError(f"wrong outputs: the device gave {len(theirs)} bytes, this host {ours.nbytes}")
    few_bits = bool(tflite_file.read(path).dtypes & _FEW_BITS)
    tolerance = QUANTISED_TOLERANCE if few_bits else TOLERANCE
    value = difference(ours, np.frombuffer(theirs, ours.dtype).reshape(ours.shape))
    kind = "with weights or activations of fewer bits" if few_bits else "of float32"
    how = (
        f"largest difference from this host's outputs, LiteRT, for the same {len(ours)} input{'s' * (len(ours) != 1)}; "
        f"at most {tolerance:g} {kind}"
    )
    found = Measurement("output_difference", min(value, 1e9), "ratio", how)
    if value > tolerance:
        raise MeasurementError(
            f"wrong outputs: they differ from this host's by {value:.3g}, at most {tolerance:g} is expected {kind}: "
            "another runtime (--target android:runtime=...) or backend may be right",
            [found],
        )
    return found


def difference(ours: npt.NDArray[np.generic], theirs: npt.NDArray[np.generic]) -> float:
    """Give the largest absolute difference, over the largest of our values where that is above 1.

    Not finite in one and finite in the other, or another infinity, is infinitely far; NaN equals NaN.
    """
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.isfinite(a) & np.isfinite(b)
    if not bool((equal | finite).all()):
        return float("inf")
    gap = np.abs(np.where(equal, 0.0, np.where(finite, a, 0.0) - np.where(finite, b, 0.0)))
    scale = np.abs(a[np.isfinite(a)]).max(initial=1.0)
    return float(gap.max(initial=0.0) / scale)
