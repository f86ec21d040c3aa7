"""What a track sounds like apart from its genre: statistics of mel-frequency cepstral coefficients.

A network that was trained to tell genres keeps what tells genres, and a network that was trained on photographs keeps
what tells pictures; that two tracks have the same singer, the same guitar, the same studio is better told by these.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from earmark.features import N_MFCC, mfcc_statistics
from earmark.front_end import FrontEnd

SIZE = 4 * N_MFCC
_BANDS = 64


class Timbre:
    """The mean timbre of a track's windows.

    Parameters
    ----------
    front_end
        What their spectrograms are made with.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        self._sum = np.zeros(SIZE, np.float64)
        self._count = 0

    def add(self, spectrogram: NDArray[np.uint8]) -> None:
        """Take in one window, uint8 (bins, columns)."""
        if self._front_end.kind != "mel":
            levels = _mel_bands(self._front_end) @ spectrogram.astype(np.float32)
            spectrogram = np.rint(levels).astype(np.uint8)
        self._sum += mfcc_statistics(spectrogram[None])[0]
        self._count += 1

    def mean(self) -> NDArray[np.float32]:
        """float32 (80,); zeros if there was no window."""
        return (self._sum / max(1, self._count)).astype(np.float32)


@lru_cache(maxsize=2)
def _mel_bands(front_end: FrontEnd) -> NDArray[np.float32]:
    """Averages (64, bins) over bands that are about equally wide to the ear (O'Shaughnessy's mel formula)."""
    hertz = np.arange(front_end.bins) * front_end.sample_rate / front_end.n_fft
    mel = np.log1p(hertz / 700) / np.log1p(front_end.sample_rate / 2 / 700)
    member = (mel * _BANDS).astype(np.intp).clip(0, _BANDS - 1) == np.arange(_BANDS)[:, None]
    # The lowest bands may be narrower than a bin; they take the nearest one.
    empty = ~member.any(axis=1)
    member[empty, np.abs(mel[None] * _BANDS - np.arange(_BANDS)[:, None] - 0.5).argmin(axis=1)[empty]] = True
    return np.asarray(member / member.sum(axis=1, keepdims=True), np.float32)
