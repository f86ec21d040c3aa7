"""Fixed features of spectrograms: what baselines learn from, and pooled backbone features by name.

Everything here is a function of one clip's own spectrogram; nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from earmark.drawing import resize_matrix
from earmark.products import product

MFCC = "mfcc_statistics"
MEL = "mel_statistics"
MUSICAL = "musical"
BACKBONE = "mobilenet_v2"
SPECTROGRAM = "spectrogram"
"""Not computed: the spectrograms themselves, for networks that are trained on them."""
N_MFCC = 20
THUMBNAIL = (32, 64)
_CHUNK = 64


@lru_cache(maxsize=4)
def dct_matrix(bands: int, coefficients: int) -> NDArray[np.float32]:
    """Orthonormal DCT-II, (coefficients, bands)."""
    k, n = np.arange(coefficients)[:, None], np.arange(bands)[None, :]
    matrix = np.sqrt(2.0 / bands) * np.cos(np.pi * k * (2 * n + 1) / (2 * bands))
    matrix[0] /= np.sqrt(2.0)
    result: NDArray[np.float32] = matrix.astype(np.float32)
    return result


def mel_statistics(mel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean and standard deviation over time of every band, on the 0 to 1 scale of the spectrogram.

    Parameters
    ----------
    mel
        uint8 (n, bands, columns).

    Returns
    -------
    float32 (n, 2 * bands)
    """
    parts = []
    for first in range(0, len(mel), _CHUNK):
        levels = mel[first : first + _CHUNK].astype(np.float32) / 255.0
        parts.append(np.concatenate([levels.mean(axis=2), levels.std(axis=2)], axis=1))
    return np.concatenate(parts)


def mfcc_statistics(mel: NDArray[np.uint8], coefficients: int = N_MFCC) -> NDArray[np.float32]:
    """Statistics over time of mel-frequency cepstral coefficients, the classic features of the field.

    The coefficients are an orthonormal DCT-II over the bands of the logarithmic mel spectrogram (Davis and
    Mermelstein, 1980; Tzanetakis and Cook, 2002, took their mean and deviation for genres). Given are the mean and
    standard deviation of each coefficient and of its difference from column to column. Since a spectrogram is
    scaled to its own range, level and range of the decibels are not in them.

    Parameters
    ----------
    mel
        uint8 (n, bands, columns).

    Returns
    -------
    float32 (n, 4 * coefficients)
    """
    dct = dct_matrix(mel.shape[1], coefficients)
    parts = []
    for first in range(0, len(mel), _CHUNK):
        levels = mel[first : first + _CHUNK].astype(np.float32) / 255.0
        cepstra = np.stack([product(dct, clip) for clip in levels])
        change = np.diff(cepstra, axis=2)
        statistics = (cepstra.mean(axis=2), cepstra.std(axis=2), change.mean(axis=2), change.std(axis=2))
        parts.append(np.concatenate(statistics, axis=1))
    return np.concatenate(parts)


def baseline_features(mel: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
    """The quick ones of the fixed features by name; :mod:`earmark.musical_features` has the others."""
    return {MFCC: mfcc_statistics(mel), MEL: mel_statistics(mel)}


def thumbnails(spectrograms: NDArray[np.uint8], size: tuple[int, int] = THUMBNAIL) -> NDArray[np.uint8]:
    """Small pictures of spectrograms for reports: uint8 (n, *size), low frequency first."""
    rows = resize_matrix(spectrograms.shape[1], size[0])
    columns = resize_matrix(spectrograms.shape[2], size[1]).T
    small = np.empty((len(spectrograms), *size), dtype=np.uint8)
    for number, spectrogram in enumerate(spectrograms):
        small[number] = np.rint(rows @ spectrogram.astype(np.float32) @ columns)
    return small
