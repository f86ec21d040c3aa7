"""Loudness as broadcasters measure it: ITU-R BS.1770-5, EBU R 128, EBU Tech 3341 and 3342.

The standard filters the samples ("K weighting") and takes mean squares over blocks of 0.4 s. Here the same squares are
read from power spectra, each bin times the filter's power response: for a block of many frames the two are the same to
a few hundredths of a decibel, and the spectra are there anyway.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS, SHORT_SECONDS = 0.4, 3.0
ABSOLUTE_GATE = -70.0
# Relative gates, in LU: BS.1770-5 for the loudness, EBU Tech 3342 for the range.
_GATE, _RANGE_GATE = -10.0, -20.0
_OFFSET = -0.691
# The two filters of BS.1770-5 (tables 1 and 2), which are given for this rate: b0, b1, b2, a1, a2.
_RATE = 48000.0
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621)


def k_weighting(frequencies: NDArray[np.floating]) -> NDArray[np.float64]:
    """Power response of the K weighting at frequencies in Hz, whatever the rate of the sound.

    It is that of the standard's digital filters, which are given for 48 kHz, on the unit circle at each frequency.
    """
    z = np.exp(-2j * np.pi * np.asarray(frequencies, np.float64) / _RATE)
    response = np.ones_like(z)
    for b0, b1, b2, a1, a2 in (_SHELF, _HIGH_PASS):
        response = response * (b0 + b1 * z + b2 * z**2) / (1 + a1 * z + a2 * z**2)
    return np.abs(response) ** 2


@lru_cache(maxsize=8)
def bin_weights(n_fft: int, sample_rate: int) -> NDArray[np.float32]:
    """:func:`k_weighting` of each bin, (n_fft // 2 + 1,): a frame's power times these is its K-weighted mean square."""
    weights = k_weighting(np.fft.rfftfreq(n_fft, 1 / sample_rate)).astype(np.float32)
    weights.flags.writeable = False
    return weights


def block_power(frames: NDArray[np.float64], frame_seconds: float, seconds: float, step: float) -> NDArray[np.float64]:
    """Mean squares of overlapping blocks.

    Parameters
    ----------
    frames
        Mean square of each frame, (n,).
    frame_seconds
        From frame to frame.
    seconds, step
        Length of a block, and from block to block.

    Returns
    -------
    (blocks,); all of the sound is one block where it is shorter.
    """
    if not len(frames):
        return np.zeros(0)
    size = min(len(frames), max(1, round(seconds / frame_seconds)))
    total = np.concatenate([[0.0], np.cumsum(frames)])
    begins = np.rint(np.arange(0, len(frames) - size + 0.5, step / frame_seconds)).astype(np.intp)
    begins = begins[begins <= len(frames) - size]
    return np.asarray((total[begins + size] - total[begins]) / size)


def level(power: float) -> float:
    """K-weighted mean square in LUFS; minus infinity for silence."""
    return _OFFSET + 10 * math.log10(power) if power > 0 else -math.inf


def _threshold(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


def integrated_loudness(blocks: NDArray[np.float64]) -> float | None:
    """Gated loudness of blocks of 0.4 s that overlap by three quarters, in LUFS; None: all is below -70 LUFS."""
    loud = blocks[blocks > _threshold(ABSOLUTE_GATE)]
    if not len(loud):
        return None
    gated = loud[loud > _threshold(level(float(loud.mean())) + _GATE)]
    return level(float(gated.mean()))


def loudness_range(blocks: NDArray[np.float64]) -> float | None:
    """Loudness range in LU from blocks of 3 s: between the 10th and the 95th percentile (EBU Tech 3342).

    None where no block is above -70 LUFS.
    """
    loud = blocks[blocks > _threshold(ABSOLUTE_GATE)]
    if not len(loud):
        return None
    gated = loud[loud >= _threshold(level(float(loud.mean())) + _RANGE_GATE)]
    low, high = np.percentile(10 * np.log10(gated), (10, 95))
    return float(high - low)
