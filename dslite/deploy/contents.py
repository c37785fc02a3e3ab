"""What is in an exported file beside its size: how far it compresses, and how many of its weights are zero."""

import zlib
from pathlib import Path

from dslite import files
from dslite.deploy import tflite_file
from dslite.deploy.runtime import LITERT_SUFFIXES
from dslite.records import Measurement


def contents(path: Path) -> list[Measurement]:
    """Measure what a file takes up once it is compressed and, of a TFLite file, the share of zeros in its kernels.

    Raises:
        ModelFileError: where it is a broken TFLite file.
    """
    n_bytes = sum(len(zlib.compress(each.read_bytes(), 9, wbits=31)) for each in files.files_in(path))
    found = [Measurement("gzip_size", n_bytes, "bytes", "bytes of the file, deflated at level 9 as gzip does")]
    if path.suffix in LITERT_SUFFIXES:
        sparsity = tflite_file.read(path).sparsity
        if sparsity is not None:
            method = "share of zeros among the elements of the file's kernels: convolutions and dense layers"
            found.append(Measurement("sparsity", sparsity, "ratio", method))
    return found
