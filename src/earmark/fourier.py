"""Frames of sound and the squared magnitudes of their Fourier transforms, a block of frames at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SUM_OF_TWO = {np.dtype(precision): np.ones(2, precision) for precision in (np.float32, np.float64)}


def frame_view(samples: NDArray[np.float32], n_fft: int, hop_length: int) -> NDArray[np.float32]:
    """All whole frames of sound, (frames, n_fft), without copying a sample: read only.

    Parameters
    ----------
    samples
        (n,), n at least `n_fft`.
    """
    samples = np.ascontiguousarray(samples)
    stride = samples.itemsize
    count = 1 + (len(samples) - n_fft) // hop_length
    # NumPy's as_strided does the same in ten times as long, and frames are viewed dozens of times in a window.
    view: NDArray[np.float32] = np.ndarray(
        (count, n_fft), samples.dtype, samples.data, 0, (hop_length * stride, stride)
    )
    # A sample lies in several frames.
    view.flags.writeable = False
    return view


def squared_magnitudes(
    rows: NDArray[Any], spectra: NDArray[Any], power: NDArray[Any], bins: slice | None = None
) -> None:
    """Squared magnitude of the Fourier transform of each row, over the square of the row's length.

    Parameters
    ----------
    rows
        (m, n_fft), float32 or float64.
    spectra
        (m, n_fft // 2 + 1), complex of the same precision; overwritten.
    power
        The result is written here: (m, number of bins), in the precision of `rows`.
    bins
        Which bins; None: all.
    """
    # Only with this norm does NumPy transform float32 in float32.
    np.fft.rfft(rows, norm="forward", out=spectra)
    parts = spectra.view(power.dtype).reshape(*spectra.shape, 2)
    if bins is not None:
        parts = parts[:, bins]
    np.multiply(parts, parts, out=parts)
    # Twice as fast as adding the even and the odd ones.
    np.matmul(parts, _SUM_OF_TWO[power.dtype], out=power)
