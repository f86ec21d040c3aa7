"""Banks of filters over the bins of a Fourier transform, and products with them that stay on one core."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.products import MOST

BLOCK = 64
"""Frames worked on at a time: few enough for the cache, many enough that a call costs little."""


@lru_cache(maxsize=16)
def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> NDArray[np.float32]:
    """Triangular mel filters of equal area, equal to ``librosa.filters.mel`` with its defaults.

    Slaney's scale (Auditory Toolbox, 1998): linear up to 1 kHz, 200/3 Hz a mel; above, 27 mels to a factor of 6.4.

    Returns
    -------
    Shape (n_mels, n_fft // 2 + 1), read-only. With many bands and a short transform the lowest may be all zeros.
    """
    linear, knee, step = 200 / 3, 1000.0, math.log(6.4) / 27
    nyquist = sample_rate / 2
    top = nyquist / linear if nyquist < knee else knee / linear + math.log(nyquist / knee) / step
    mels = np.linspace(0, top, n_mels + 2)
    edges = np.where(mels < knee / linear, mels * linear, knee * np.exp(step * (mels - knee / linear)))
    width = np.diff(edges)
    distance = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sample_rate)
    filters = np.zeros((n_mels, n_fft // 2 + 1), np.float32)
    # librosa rounds to float32 before it scales by the area; the last bit follows it.
    filters[:] = np.maximum(0, np.minimum(-distance[:-2] / width[:-1, None], distance[2:] / width[1:, None]))
    filters *= (2 / (edges[2:] - edges[:-2]))[:, None]
    filters.flags.writeable = False
    return filters


def filter_groups(
    filters: NDArray[np.float32], precision: np.dtype[Any]
) -> tuple[tuple[slice, slice, NDArray[Any]], ...]:
    """Neighbouring filters as (bands, bins, weights (bins, bands)), without the bins where all are zero.

    Each group is as large as a product with :data:`BLOCK` frames may be without OpenBLAS starting threads for it.

    Parameters
    ----------
    filters
        (bands, bins), 0 or more.
    precision
        Of the weights.
    """
    n_mels = len(filters)
    used = filters > 0
    first = np.argmax(used, axis=1)
    last = np.where(used.any(axis=1), filters.shape[1] - np.argmax(used[:, ::-1], axis=1), 1)
    groups = []
    band = 0
    while band < n_mels:
        sizes = np.arange(1, n_mels - band + 1)
        lowest = np.minimum.accumulate(first[band:])
        highest = np.maximum.accumulate(last[band:])
        # So small that no threads are started; the filters' zeros left in the groups are few.
        fitting = int(np.count_nonzero(sizes * (highest - lowest) * BLOCK <= MOST))
        size = max(fitting, 1)
        bins = slice(int(lowest[size - 1]), int(highest[size - 1]))
        weights = np.ascontiguousarray(filters[band : band + size, bins].T, precision)
        groups.append((slice(band, band + size), bins, weights))
        band += size
    return tuple(groups)
