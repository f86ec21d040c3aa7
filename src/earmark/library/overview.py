"""The spectrogram of a whole track as one small picture, made in one pass and in bounded memory."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio import Problem, Recording, Source
from earmark.drawing import png
from earmark.errors import AudioError
from earmark.front_end import FrontEnd
from earmark.spectrogram import frame_power

RATE = 22050
BINS = 128
MOST_COLUMNS = 1500
_GRID = FrontEnd(sample_rate=RATE, n_mels=BINS)
_N_FFT = _GRID.n_fft
_SHORTEST_HOP = _GRID.hop_length
_TOP_DB = 80.0
_AMIN = 1e-10


@dataclass(frozen=True, slots=True)
class Overview:
    """A picture of a stretch of sound.

    Parameters
    ----------
    png
        The file: one pixel per band and column, low frequencies at the bottom, in the colour map magma.
    start, seconds
        The time axis: where the left edge of the first and how far behind it the right edge of the last column is.
    columns
        How many there are, at most :data:`MOST_COLUMNS`.
    """

    png: bytes
    start: float
    seconds: float
    columns: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the picture as a ``data:`` address."""
        return {
            "png": "data:image/png;base64," + base64.b64encode(self.png).decode("ascii"),
            "start": self.start,
            "seconds": self.seconds,
            "columns": self.columns,
            "bins": BINS,
            "lowest_hz": 0,
            "highest_hz": RATE // 2,
        }


def overview(source: Source, *, start: float = 0.0, seconds: float | None = None) -> Overview:
    """Draw a stretch of a sound file: 128 mel bands, decibels below the loudest column, down to -80.

    Parameters
    ----------
    source
        A path or an open binary file.
    start, seconds
        The stretch; by default everything.

    Raises
    ------
    AudioError
        If it cannot be decoded, or there is no sound in the stretch.
    """
    columns, total = _Columns(), 0
    with Recording(source) as recording:
        for block in recording.blocks(RATE, start=start, seconds=seconds, weigh=False):
            columns.add(block)
            total += len(block)
        if not total:
            raise AudioError(f"{recording.name} holds no sound to draw at {start:g} s.", Problem.EMPTY)
    columns.add(np.zeros(_N_FFT // 2, np.float32))
    levels = columns.levels()
    width = levels.shape[1]
    return Overview(png(levels[::-1], palette=True), start, width * columns.span / RATE, width)


class _Columns:
    """Mean power per band and column; once there are too many columns, each two become one.

    So nothing has to be known of the length beforehand, which many files do not tell.
    """

    def __init__(self) -> None:
        # Half a frame of silence in front: frames are centred on their places, as in librosa.
        self._rest = np.zeros(_N_FFT // 2, np.float32)
        self._place = 0
        self._sums = np.zeros((0, BINS))
        self._counts = np.zeros(0)
        self.span = _SHORTEST_HOP

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples (n,), n up to some hundred thousand."""
        held = np.concatenate([self._rest, samples])
        hop = min(self.span, _N_FFT)
        count = max(0, (len(held) - _N_FFT) // hop + 1)
        if not count:
            self._rest = held
            return
        # What is held begins half a frame before the middle of its first frame.
        frames = (_N_FFT // 2 + hop * np.arange(count)) // _GRID.hop_length
        bands = frame_power(held, _GRID, frames)
        places = self._place + hop * np.arange(count)
        self._collect(places // self.span, bands)
        self._rest, self._place = held[count * hop :], self._place + count * hop
        while len(self._sums) > MOST_COLUMNS:
            self._halve()
        # Frames go on at a multiple of the hop, which may have grown.
        behind = -self._place % min(self.span, _N_FFT)
        self._rest, self._place = self._rest[behind:], self._place + behind

    def levels(self) -> NDArray[np.uint8]:
        """The picture so far, (bands, columns), low frequencies first."""
        filled = self._counts > 0
        power = (self._sums[filled] / self._counts[filled, None]).T
        decibels = 10 * np.log10(np.maximum(power, _AMIN))
        below = np.maximum(decibels - decibels.max(), -_TOP_DB)
        levels: NDArray[np.uint8] = np.rint((below + _TOP_DB) * (255 / _TOP_DB)).astype(np.uint8)
        return levels

    def _collect(self, columns: NDArray[np.int_], bands: NDArray[np.float32]) -> None:
        missing = int(columns[-1]) + 1 - len(self._sums)
        self._sums = np.pad(self._sums, ((0, max(0, missing)), (0, 0)))
        self._counts = np.pad(self._counts, (0, max(0, missing)))
        first = np.flatnonzero(np.diff(columns, prepend=-1))
        self._sums[columns[first]] += np.add.reduceat(bands, first, axis=0)
        self._counts[columns[first]] += np.diff(first, append=len(columns))

    def _halve(self) -> None:
        odd = len(self._sums) % 2
        self._sums = np.pad(self._sums, ((0, odd), (0, 0))).reshape(-1, 2, BINS).sum(axis=1)
        self._counts = np.pad(self._counts, (0, odd)).reshape(-1, 2).sum(axis=1)
        self.span *= 2
