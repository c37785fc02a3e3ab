#!/usr/bin/env bash
# kaldi-native-fbank 1.23.0: filter-bank features of one clip, computed twice with the default options.
#
# Guess: as in Kaldi, dither is 1.0, of samples in the range of int16. Seen: it is 0.00003, of samples in [-1, 1]. So it is
# neither Kaldi's nor off: with samples in [-1, 1], the scale most Python code has, features of the same clip differ from
# call to call, those of digital silence by 2 or more natural logarithms, and they lie up to 5 above the floor that silence
# has without it. It matters to all who compare a front end on a phone with one in Python, and where clips are padded with
# zeros: set frame_opts.dither = 0.
#
# Output seen (figures of the second and third lines vary, as they are random):
#   default dither: 3e-05
#   noise at -20 dB: calls differ by up to 0.004
#   digital silence: calls differ by up to 2.3, the floor is -15.94, features go up to -11.0
#   digital silence without dither: calls differ by up to 0.0, features go up to -15.94
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check kaldi-native-fbank==1.23.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import kaldi_native_fbank as knf
import numpy as np


def features(samples, dither=None):
    options = knf.FbankOptions()
    options.mel_opts.num_bins = 40
    if dither is not None:
        options.frame_opts.dither = dither
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(16_000, samples.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])


default = knf.FbankOptions().frame_opts.dither
print(f"default dither: {default:.0e}")
noise = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
silence = np.zeros(16_000, np.float32)
of_noise = np.abs(features(noise) - features(noise)).max()
print(f"noise at -20 dB: calls differ by up to {of_noise:.3f}")
first, second = features(silence), features(silence)
of_silence = np.abs(first - second).max()
floor = np.log(np.finfo(np.float32).eps)
print(f"digital silence: calls differ by up to {of_silence:.1f}, the floor is {floor:.2f}, features go up to {first.max():.1f}")
plain = features(silence, 0.0)
apart = np.abs(plain - features(silence, 0.0)).max()
print(f"digital silence without dither: calls differ by up to {apart:.1f}, features go up to {plain.max():.2f}")
assert abs(default - 3e-5) < 1e-9, "the behaviour has changed"
assert of_noise > 0, "the behaviour has changed"
assert of_silence > 1, "the behaviour has changed"
assert apart == 0, "the behaviour has changed"
PYTHON
