"""What is in an exported file beside its size: how far it compresses, and how many of its weights are zero."""

import zlib
from pathlib import Path

from dslite import files
from dslite.deploy import tflite_file
from dslite.deploy.runtime import LITERT_SUFFIXES
from dslite.records import Measurement

_BLOCK_BYTES = 1 << 20


def contents(path: Path) -> list[Measurement]:
    """Measure what a file takes up once it is compressed and, of a TFLite file, the share of zeros in its kernels.

    Raises:
        ModelFileError: where it is a broken TFLite file.
    """
    found = [Measurement("gzip_size", _deflated(path), "bytes", "bytes of the file, deflated at level 9 as gzip does")]
    if path.suffix in LITERT_SUFFIXES:
        sparsity = tflite_file.read(path).sparsity
        if sparsity is not None:
            method = "share of zeros among the elements of the file's kernels: convolutions and dense layers"
            found.append(Measurement("sparsity", sparsity, "ratio", method))
    return found


def _deflated(path: Path) -> int:
    paths = files.files_in(path) if path.is_dir() else [path]
    n_bytes = 0
    for each in paths:
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
        with each.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                n_bytes += len(compressor.compress(block))
        n_bytes += len(compressor.flush())
    return n_bytes
