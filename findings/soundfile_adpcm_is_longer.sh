#!/usr/bin/env bash
# soundfile 0.14.0 (its wheel's libsndfile): WAV files in ADPCM, as recorders and telephones write them, read back.
#
# Guess: as many samples as were written, as the header's fact chunk counts them. Seen: whole blocks, whatever the header
# says. Of MS ADPCM and G.721 the header has the right count, and more samples are read; of IMA ADPCM the header itself
# counts the padding. GSM 6.10 is right where the clip ends with a block. What is added is up to a block of decoder noise,
# not silence. It matters where clips are cut into chunks: a clip of exactly one chunk becomes one chunk and a tail, which
# is padded, classified, and has a part in the mean over the clip.
#
# Output seen:
#   IMA_ADPCM: written 16000, header 16272, read 16272
#   MS_ADPCM: written 16000, header 16000, read 16192
#   G721_32: written 16000, header 16000, read 16080
#   GSM610: written 16000, header 16000, read 16000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import io
import struct

import numpy as np
import soundfile

samples = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
seen = {}
for subtype in ("IMA_ADPCM", "MS_ADPCM", "G721_32", "GSM610"):
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype=subtype)
    content = file.getvalue()
    at = content.index(b"fact") + 8
    (told,) = struct.unpack("<I", content[at : at + 4])
    file.seek(0)
    seen[subtype] = (told, len(soundfile.read(file)[0]))
    print(f"{subtype}: written 16000, header {told}, read {seen[subtype][1]}")
expected = {"IMA_ADPCM": (16272, 16272), "MS_ADPCM": (16000, 16192), "G721_32": (16000, 16080), "GSM610": (16000, 16000)}
assert seen == expected, "the behaviour has changed"
PYTHON
