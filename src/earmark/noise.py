"""Noise of any colour, told from music by how its bands move: each for itself.

In music bands rise and fall together, with every beat and every note. In steady noise, be it white, pink, brown, a
crowd or a waterfall, each band scatters independently of those that it shares no bins with. So of all bands' levels,
each brought to mean 0 and variance 1 over time, the mean over the bands has the variance 1 / bands in independent
bands (about 1.7 / bands for mel bands, whose neighbours overlap), and 7 / bands and more in every one of GTZAN's 1000
clips. A model that has learnt music alone names such noise with confidence, whatever its colour.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST = 3.0
"""Variance of the bands' mean, in multiples of that of independent bands, below which a sound is noise."""
# Bands whose levels hardly move, such as those above a band limit, say nothing.
_STILL = 0.5
_FEWEST_BANDS = 32


def togetherness(spectrogram: NDArray[np.uint8]) -> float:
    """How much the bands of a window move together, in multiples of what independent bands would give.

    Parameters
    ----------
    spectrogram
        uint8 (bins, columns), in decibels.

    Returns
    -------
    1 for independent bands, up to the number of bands where all move alike; infinite where fewer than 32 bands move.
    """
    levels = spectrogram.astype(np.float32)
    centred = levels - levels.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    moving = deviation[:, 0] > _STILL
    if np.count_nonzero(moving) < _FEWEST_BANDS:
        return float("inf")
    together = (centred[moving] / deviation[moving]).mean(axis=0)
    return float(together.var() * np.count_nonzero(moving))
