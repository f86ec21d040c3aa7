"""Power spectra of frames, in single precision: what tempo, key and loudness are all read from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.filters import BLOCK, filter_groups
from earmark.fourier import frame_view, squared_magnitudes

# Samples worked on at a time, so that the frames of long transforms stay in the cache, too.
_BLOCK_SAMPLES = 1 << 16


def frame_length(seconds: float, sample_rate: int) -> int:
    """The power of two, in samples, that comes closest to so many seconds."""
    return 1 << max(4, round(math.log2(seconds * sample_rate)))


@lru_cache(maxsize=8)
def _window(n_fft: int) -> NDArray[np.float32]:
    """Periodic Hann window, its mean square brought to 2: both halves of the spectrum are in one."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    return np.asarray(hann / math.sqrt(3 / 16), np.float32)


def power_blocks(
    samples: NDArray[np.float32], n_fft: int, hop: int, bins: slice | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Squared magnitudes of the Fourier transform of frames under a Hann window, a block of frames at a time.

    Parameters
    ----------
    samples
        Mono, (n,); shorter than a frame: followed by silence to fill one.
    n_fft
        Length of a frame, even.
    hop
        From frame to frame, in samples.
    bins
        Only these, neither the first nor the last among them; None: all.

    Yields
    ------
    tuple
        Which frames, and their power, (m, bins) float32, to be used before the next block is taken. Bins stand for
        their negative frequencies too, so that a frame's sum over all bins is its mean square (Parseval, with the
        window's own power taken out).
    """
    frames = _frames(samples, n_fft, hop)
    window = _window(n_fft)
    size = max(1, min(BLOCK, len(frames), _BLOCK_SAMPLES // n_fft))
    rows = np.empty((size, n_fft), np.float32)
    spectra: NDArray[Any] = np.empty((size, n_fft // 2 + 1), np.complex64)
    power = np.empty((size, _count(n_fft, bins)), np.float32)
    for first in range(0, len(frames), size):
        block = frames[first : first + size]
        count = len(block)
        np.multiply(block, window, out=rows[:count])
        squared_magnitudes(rows[:count], spectra[:count], power[:count], bins)
        if bins is None:
            power[:count, 0] *= np.float32(0.5)
            power[:count, -1] *= np.float32(0.5)
        yield slice(first, first + count), power[:count]


def frame_power(samples: NDArray[np.float32], n_fft: int, hop: int, bins: slice | None = None) -> NDArray[np.float32]:
    """All blocks of :func:`power_blocks` together, (frames, bins) float32."""
    result = np.empty((len(_frames(samples, n_fft, hop)), _count(n_fft, bins)), np.float32)
    for place, power in power_blocks(samples, n_fft, hop, bins):
        result[place] = power
    return result


def weighted_sums(
    samples: NDArray[np.float32], n_fft: int, hop: int, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``frame_power(...) @ weights``, (frames, k), for weights of 0 or more; never holds all of the spectra."""
    result = np.empty((len(_frames(samples, n_fft, hop)), weights.shape[1]), np.float32)
    groups = filter_groups(weights.T, weights.dtype)
    for place, power in power_blocks(samples, n_fft, hop):
        sums = result[place]
        for columns, bins, part in groups:
            np.matmul(power[:, bins], part, out=sums[:, columns])
    return result


def _frames(samples: NDArray[np.float32], n_fft: int, hop: int) -> NDArray[np.float32]:
    samples = np.asarray(samples, np.float32)
    if len(samples) < n_fft:
        samples = np.pad(samples, (0, n_fft - len(samples)))
    return frame_view(samples, n_fft, hop)


def _count(n_fft: int, bins: slice | None) -> int:
    return len(range(n_fft // 2 + 1)[bins or slice(None)])
