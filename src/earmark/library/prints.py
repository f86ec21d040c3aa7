"""A small print of a stretch of sound, by which two files of one recording are told from two that sound alike.

Embeddings say what music is like; tracks of one kind lie close together, so closeness cannot tell a second file of
the same recording. The print can. As in :mod:`earmark.recordings`, it keeps the sign of what stands out from its
neighbourhood in time and frequency, so that codecs, loudness and equalisation hardly change it; but it is coarse
(16 bands, a step every 0.31 s), takes 400 bytes for a window of 30 s, and is compared at a known place: windows know
their start in the track, so only a few seconds of doubt (silence cut off, another encoder's delay) are searched.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from earmark.front_end import FrontEnd

BANDS = 16
STEP_SECONDS = 0.31
SAME = 0.23
"""Score from which on two prints are of one recording. Measured by ``benchmarks/similar.py``: of pairs of
unrelated clips none reaches 0.17; recordings that were cut, coded at 32 kbit/s, made quieter, clipped or filtered
stay above 0.33."""
DOUBT_SECONDS = 4.0
"""How far the same sound may lie from where the starts of the windows put it."""
_FULL_SECONDS, _LEAST_SECONDS = 30.0, 5.0
_NEIGHBOURS = (3.0, 2.0)
_STANDS_OUT = 3.0
_HEAD = struct.Struct("<fH")


@dataclass(frozen=True, eq=False)
class Print:
    """What stands out where, in one window.

    Parameters
    ----------
    start
        Where the window begins in its track, in seconds.
    signs
        int8 (16, steps): 1 above its neighbourhood, -1 below, 0 neither.
    """

    start: float
    signs: NDArray[np.int8]

    def first(self, seconds: float) -> Print:
        """The beginning only: what was repeated to fill the window of a short sound proves nothing."""
        return Print(self.start, self.signs[:, : max(1, round(seconds / STEP_SECONDS))])

    def pack(self) -> bytes:
        """About 400 bytes."""
        planes = np.packbits(np.stack([self.signs > 0, self.signs < 0]))
        return _HEAD.pack(self.start, self.signs.shape[1]) + planes.tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Print:
        """What :meth:`pack` made."""
        start, steps = _HEAD.unpack_from(data)
        bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=_HEAD.size), count=2 * BANDS * steps)
        planes = bits.reshape(2, BANDS, steps).astype(np.int8)
        return cls(start, planes[0] - planes[1])


def make_print(start: float, spectrogram: NDArray[np.uint8], front_end: FrontEnd) -> Print:
    """The print of one window.

    Parameters
    ----------
    start
        Where the window begins in its track, in seconds.
    spectrogram
        uint8 (bins, columns).
    front_end
        What it was made with.
    """
    bands, times = _matrices(front_end)
    levels = bands @ spectrogram.astype(np.float32) @ times
    rest = _without_average(BANDS, _NEIGHBOURS[0]) @ levels @ _without_average(levels.shape[1], _NEIGHBOURS[1]).T
    return Print(start, np.where(np.abs(rest) < _STANDS_OUT, 0, np.sign(rest)).astype(np.int8))


def agreement(one: Print, other: Print) -> float:
    """How much two prints agree, from 0 to 1.

    It is the share of signs that agree minus the share of those that do not, at the best lag within the doubt, times
    ``sqrt(T / 30 s)`` for an overlap of T: chance agrees more in short stretches, and its level is then the same for
    all. 0 if they overlap by less than 5 s.
    """
    return float(agreements(one, [other])[0])


def agreements(one: Print, others: Sequence[Print]) -> NDArray[np.float32]:
    """:func:`agreement` of a print with each of several, (n,)."""
    result = np.zeros(len(others), np.float32)
    alike: dict[tuple[int, int], list[int]] = {}
    for number, other in enumerate(others):
        centre = round((other.start - one.start) / STEP_SECONDS)
        alike.setdefault((centre, other.signs.shape[1]), []).append(number)
    doubt = round(DOUBT_SECONDS / STEP_SECONDS)
    signs = one.signs.astype(np.float32)
    for (centre, width), numbers in alike.items():
        # Step t of the others meets step t + lag of the one; beyond its ends is nothing, which agrees with nothing.
        places = np.arange(width) + np.arange(centre - doubt, centre + doubt + 1)[:, None]
        meets = (places >= 0) & (places < signs.shape[1])
        overlap = meets.sum(axis=1) * STEP_SECONDS
        used = overlap >= _LEAST_SECONDS
        if not used.any():
            continue
        places, meets = places[used], meets[used]
        shifted = (signs[:, np.where(meets, places, 0)] * meets).transpose(1, 0, 2).reshape(len(places), -1)
        rest = np.stack([others[number].signs for number in numbers]).astype(np.float32)
        products = shifted @ rest.reshape(len(numbers), -1).T
        energies = np.abs(shifted).sum(axis=1)[:, None] * (meets @ np.abs(rest).sum(axis=1).T)
        scores = products / np.sqrt(np.maximum(energies, 1))
        scores *= np.sqrt(np.minimum(1, overlap[used] / _FULL_SECONDS))[:, None]
        result[numbers] = np.maximum(0, scores.max(axis=0))
    return result


@lru_cache(maxsize=4)
def _matrices(front_end: FrontEnd) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Averages over bands (16, bins) and over time steps (columns, steps)."""
    if front_end.kind == "mel":
        place = (np.arange(front_end.bins) + 0.5) / front_end.bins
    else:
        # Bands of equal width in the logarithm, near enough to the mel scale for one bundle's own prints.
        hertz = np.arange(front_end.bins) * front_end.sample_rate / front_end.n_fft
        place = np.log1p(hertz / 700) / np.log1p(front_end.sample_rate / 2 / 700)
    times = np.asarray(front_end.frames, np.float64) * front_end.hop_length / front_end.sample_rate / STEP_SECONDS
    steps = int(times[-1]) + 1
    return _averages(np.minimum(place * BANDS, BANDS - 0.5), BANDS), _averages(times, steps).T


def _averages(places: NDArray[np.float64], parts: int) -> NDArray[np.float32]:
    """(parts, n): the mean of the places within each unit interval; zeros where there is none."""
    member = (places.astype(np.intp) == np.arange(parts)[:, None]).astype(np.float32)
    return np.asarray(member / np.maximum(1, member.sum(axis=1, keepdims=True)), np.float32)


@lru_cache(maxsize=8)
def _without_average(size: int, sigma: float) -> NDArray[np.float32]:
    """The matrix that takes away from each value the Gaussian average around it."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(np.eye(size) - weights / weights.sum(axis=1, keepdims=True), np.float32)
