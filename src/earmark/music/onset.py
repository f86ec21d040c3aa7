"""How much begins at each moment: the onset envelope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FLOOR_DB = 60.0


def band_decibels(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power in bands, (frames, bands), in decibels below the loudest, at most 60 dB: gain changes nothing."""
    most = float(bands.max(initial=0.0))
    if most <= 0:
        return np.full(bands.shape, -_FLOOR_DB, np.float32)
    decibels = bands / np.float32(most)
    np.maximum(decibels, np.float32(10 ** (-_FLOOR_DB / 10)), out=decibels)
    np.log10(decibels, out=decibels)
    decibels *= np.float32(10)
    return decibels


def onset_envelope(decibels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rise from frame to frame, mean over the bands: (frames - 1,), in dB.

    "Spectral flux" in decibels, as Ellis (*Beat Tracking by Dynamic Programming*, JNMR 36, 2007) has it; the values
    of ``librosa.onset.onset_strength`` for the same spectrogram.
    """
    return np.asarray(np.maximum(0, np.diff(decibels, axis=0)).mean(axis=1), np.float32)
