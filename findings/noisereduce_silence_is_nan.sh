#!/usr/bin/env bash
# noisereduce 3.0.3 (numpy 2.4.6): noise reduction of digital silence.
#
# Guess: silence in, silence out. Seen: of float32 or float64 every sample is NaN, with no exception; of int16 all are 0.
# It matters where clips are cleaned before they are classified: one muted clip gives a spectrogram of NaN, and a batch
# with it a loss of NaN, while the same recording read as int16 passes. A single sample of 1e-6 is enough to avoid it.
#
# Output seen:
#   float32: 16000 of 16000 samples are NaN
#   float64: 16000 of 16000 samples are NaN
#   int16: 0 of 16000 samples are NaN
#   float32 with one sample of 1e-6: 0 of 16000 samples are NaN
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check noisereduce==3.0.3 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import noisereduce
import numpy as np

counts = {}
for name, samples in {
    "float32": np.zeros(16_000, np.float32),
    "float64": np.zeros(16_000, np.float64),
    "int16": np.zeros(16_000, np.int16),
    "float32 with one sample of 1e-6": np.eye(1, 16_000, 8_000, dtype=np.float32)[0] * 1e-6,
}.items():
    cleaned = noisereduce.reduce_noise(y=samples, sr=16_000)
    counts[name] = int(np.isnan(cleaned.astype(np.float64)).sum())
    print(f"{name}: {counts[name]} of 16000 samples are NaN")
assert list(counts.values()) == [16_000, 16_000, 0, 0], "the behaviour has changed"
PYTHON
