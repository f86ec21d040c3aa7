"""Loudness as broadcasters measure it: ITU-R BS.1770-5, EBU R 128, EBU Tech 3341 and 3342.

The standard filters the samples ("K weighting") and takes mean squares over blocks of 0.4 s. Here the same squares
are read from power spectra, each bin times the filter's power response: for a block of many frames the two are the
same to a few hundredths of a decibel, and the spectra are there anyway.
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
# Loudnesses that are told apart, in LUFS: digital silence to far beyond full scale.
_LOWEST, _STEP, _BINS = -90.0, 0.05, 2600
_MIDDLES = _LOWEST + _STEP * (np.arange(_BINS) + 0.5)
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
    return np.asarray(np.abs(response) ** 2)


@lru_cache(maxsize=8)
def bin_weights(n_fft: int, sample_rate: int) -> NDArray[np.float32]:
    """:func:`k_weighting` of each bin, (n_fft // 2 + 1,): power times these sums to the weighted mean square."""
    weights = k_weighting(np.fft.rfftfreq(n_fft, 1 / sample_rate)).astype(np.float32)
    weights.flags.writeable = False
    return weights


def block_power(
    frames: NDArray[np.float64], frame_seconds: float, seconds: float, step: float
) -> NDArray[np.float64]:
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


class Levels:
    """The loudness of any number of blocks in constant room: how many blocks had each loudness, to 0.05 LU.

    Gates and percentiles are taken from the counts, means from sums that are kept beside them and are exact. (That is
    how libebur128 goes about it, too.)
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._sums = np.zeros(_BINS)

    def add(self, blocks: NDArray[np.float64]) -> None:
        """Take in the mean squares of blocks, (n,)."""
        heard = blocks[blocks > 0]
        place = np.floor((_OFFSET + 10 * np.log10(heard) - _LOWEST) / _STEP).astype(np.intp)
        inside = place >= 0
        place = np.minimum(place[inside], _BINS - 1)
        self._counts += np.bincount(place, minlength=_BINS)
        self._sums += np.bincount(place, heard[inside], minlength=_BINS)

    def integrated(self, gain: float = 0.0) -> float | None:
        """Gated loudness in LUFS, for blocks of 0.4 s that overlap by three quarters; None: all is below -70 LUFS.

        Parameters
        ----------
        gain
            To add to all blocks, in dB.
        """
        return self._mean(self._above(_GATE, gain), gain)

    def range(self, gain: float = 0.0) -> float | None:
        """Loudness range in LU, for blocks of 3 s: from the 10th to the 95th percentile (EBU Tech 3342)."""
        gated = self._above(_RANGE_GATE, gain)
        if gated is None:
            return None
        share = np.cumsum(np.where(gated, self._counts, 0))
        low, high = (int(np.searchsorted(share, part * share[-1])) for part in (0.10, 0.95))
        return float((high - low) * _STEP)

    def _above(self, gate: float, gain: float) -> NDArray[np.bool_] | None:
        """Which loudnesses are above both gates."""
        loud: NDArray[np.bool_] = _MIDDLES + gain > ABSOLUTE_GATE
        mean = self._mean(loud, gain)
        return None if mean is None else loud & (_MIDDLES + gain > mean + gate)

    def _mean(self, chosen: NDArray[np.bool_] | None, gain: float) -> float | None:
        count = 0 if chosen is None else int(self._counts[chosen].sum())
        return level(float(self._sums[chosen].sum()) / count) + gain if count else None
