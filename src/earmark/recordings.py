"""Finding clips that are cut from one recording, from their spectrograms.

Other encodings, levels, noise, another start, another end and slightly another speed (tape, turntable, a wrong
sample rate: 2 %) do not hide a repeat; two different takes or versions of a piece are not one.

**The print of a clip.** The spectrogram is averaged to 32 bands and to a column every 77.5 ms. From every value
the average of its neighbourhood in time (Gaussian, 0.46 s) is taken away, then that in frequency (two bands): what is
left is what stands out here and now; gain, equalisation and slow changes are gone. Of that only the sign is kept (0
for what does not stand out), as Haitsma and Kalker (2002, "A Highly Robust Audio Fingerprinting System") keep the
sign of a difference: codecs and noise change how much, seldom which way.

**Search.** Two prints agree, at a lag, by the mean product a of their signs over the overlap of T seconds, from -1 to
1. Chance spreads a like 1/sqrt(T), so the score is ``a * sqrt(T / 30 s)``, whose chance level is the same at every
lag. All pairs and all lags of at least 5 s overlap are looked at: a cross-correlation is a product of Fourier
transforms, and the sum over bands of those products, for all pairs at once, is one matrix product per frequency.

**Check.** What passes a low threshold is looked at again in 64 bands, with the second clip's time and frequency axes
stretched by -3 to 3 %. To be believed, the best lag must score at least :data:`THRESHOLD` and stand out from the
pair's other lags by :data:`PROMINENCE` (music with a steady beat, or with few notes, agrees a little with anything
at many lags; a repeat does at one). ``benchmarks/recordings.py`` holds both numbers to altered copies of
100 clips and prints how many are found and how many pairs of unrelated clips are not told apart. GTZAN's own pairs
had been seen when they were set, so what is found there is no blind test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.front_end import FrontEnd
from earmark.products import product
from earmark.progress import Progress, Step, silent

THRESHOLD = 0.08
"""The least score of a repeat."""
PROMINENCE = 4.5
"""The least height of its peak above the other lags, in their root mean square."""
CANDIDATE = 0.05
"""The score in the search that earns a pair the check."""

VERSION = 1
"""Raised when other pairs may be found in the same spectrograms."""

_COLUMN = 1709 / 22050
_SMOOTH = 6.0
_LEAST_OVERLAP = 5.0
_FULL = 30.0
_DEAD = 0.5
_SPEEDS = np.round(1 + np.arange(-6, 7) * 0.005, 3)
# Products of complex numbers stay within a quarter of earmark.products.MOST: 44 x 32 x 44.
_BLOCK = 44
_FINE = 64
# Mel scale of Slaney (linear below 1 kHz, logarithmic above), as in librosa and earmark.spectrogram.
_MEL_LINEAR, _MEL_STEP = 200.0 / 3, np.log(6.4) / 27.0


@dataclass(frozen=True)
class Repeat:
    """Two clips cut from one recording.

    Parameters
    ----------
    first, second
        Their rows, first < second.
    score
        How sure: agreement times the square root of the overlap in units of 30 s; chance stays below 0.06.
    agreement
        Of the signs in the overlap, the share that agrees minus the share that differs; 1 for a bit-identical copy.
    prominence
        Height of the peak above the pair's other lags, in their root mean square.
    offset
        What is heard at time t of the second is heard at ``offset + t * speed`` of the first, in seconds.
    overlap
        Seconds that they have in common.
    speed
        How much faster the second one runs: 1.02 is 2 % faster and higher.
    """

    first: int
    second: int
    score: float
    agreement: float
    prominence: float
    offset: float
    overlap: float
    speed: float


def find_repeats(
    spectrograms: NDArray[np.uint8],
    front_end: FrontEnd,
    *,
    threshold: float = THRESHOLD,
    prominence: float = PROMINENCE,
    progress: Progress = silent,
) -> list[Repeat]:
    """All pairs of clips that share a recording, surest first.

    Parameters
    ----------
    spectrograms
        (n, bins, columns) uint8, of either kind of front end, each column at least every 80 ms.
    front_end
        What they were made with.
    threshold, prominence
        What a pair must reach; lower ones let pairs through that are none. Below :data:`CANDIDATE` a threshold finds
        no more.

    Notes
    -----
    Time grows with n squared: 1000 clips take about 10 s on one core, 5000 about 4 minutes. Memory does not: it is
    worked in blocks of clips, on one core.
    """
    _check(spectrograms, front_end)
    prints = _Prints(spectrograms, front_end)
    found = []
    candidates = list(_candidates(prints, progress))
    for number, (first, second) in enumerate(candidates):
        progress(Step("checking repeats", number, len(candidates)))
        repeat = _compare(prints, first, second)
        if repeat.score >= threshold and repeat.prominence >= prominence:
            found.append(repeat)
    if candidates:
        progress(Step("checking repeats", len(candidates), len(candidates)))
    return sorted(found, key=lambda r: (-r.score, r.first, r.second))


def compare(first: NDArray[np.uint8], second: NDArray[np.uint8], front_end: FrontEnd) -> Repeat:
    """Look at one pair closely, whatever comes out; rows 0 and 1."""
    pair = np.stack([first, second])
    _check(pair, front_end)
    return _compare(_Prints(pair, front_end), 0, 1)


def can_compare(front_end: FrontEnd) -> bool:
    """Whether spectrograms of a front end are long and fine enough to tell recordings apart."""
    step = front_end.frame_step * front_end.hop_length / front_end.sample_rate
    return step <= 1.05 * _COLUMN and front_end.seconds >= _LEAST_OVERLAP


def _check(spectrograms: NDArray[np.uint8], front_end: FrontEnd) -> None:
    if spectrograms.ndim != 3 or spectrograms.shape[1:] != front_end.shape:
        raise InputError(
            f"Spectrograms of shape {spectrograms.shape[1:]} were not made by a front end of shape {front_end.shape}."
        )
    if not can_compare(front_end):
        raise InputError(
            f"Recordings can be told apart by windows of at least {_LEAST_OVERLAP:.0f} s with a column every "
            f"{1000 * _COLUMN:.0f} ms, not by this front end's."
        )


class _Prints:
    """The prints of clips: all of them coarse, for the search, and one at a time fine, for the check."""

    def __init__(self, spectrograms: NDArray[np.uint8], front_end: FrontEnd) -> None:
        self._spectrograms = spectrograms
        self._bands = _band_matrix(front_end)
        self._times = _time_matrix(front_end)
        self._steady = bool(np.array_equal(self._times, np.eye(len(self._times))))
        top = front_end.sample_rate / 2
        self._centres = _mel_to_hz((np.arange(_FINE) + 0.5) / _FINE * _hz_to_mel(np.array(top)))
        self.columns = self._times.shape[1]
        self.least = min(self.columns, round(_LEAST_OVERLAP / _COLUMN))
        self._levels = lru_cache(maxsize=256)(self._make_levels)
        self.fine = lru_cache(maxsize=256)(self._make_fine)

    def __len__(self) -> int:
        return len(self._spectrograms)

    def _make_levels(self, row: int) -> NDArray[np.float32]:
        levels = product(self._bands, self._spectrograms[row].astype(np.float32))
        return levels if self._steady else product(levels, self._times)

    def coarse(self, row: int) -> NDArray[np.int8]:
        """(32, columns) of -1, 0, 1."""
        levels = self._make_levels(row)
        return _print(levels.reshape(_FINE // 2, 2, -1).mean(axis=1)).astype(np.int8)

    def _make_fine(self, row: int) -> NDArray[np.float32]:
        return _print(self._levels(row))

    def slowed(self, row: int, speed: float) -> NDArray[np.float32]:
        """The fine print of a clip played `speed` times slower: its axes stretched by linear interpolation."""
        time = np.arange(int((self.columns - 1) * speed) + 1) / speed
        band = np.interp(self._centres * speed, self._centres, np.arange(_FINE))
        stretched = product(_between(band, _FINE), self._levels(row))
        return _print(product(stretched, _between(time, self.columns).T))


def _candidates(prints: _Prints, progress: Progress) -> Iterator[tuple[int, int]]:
    """Pairs that score enough in the search, block by block of all pairs."""
    blocks = []
    for start in range(0, len(prints), _BLOCK):
        progress(Step("making prints", start, len(prints)))
        blocks.append(np.stack([prints.coarse(row) for row in range(start, min(start + _BLOCK, len(prints)))]))
    size = _smooth_length(2 * prints.columns - prints.least)
    lags, weights = _lags(prints, prints.columns, _FINE // 2)
    done, total = 0, len(blocks) * (len(blocks) + 1) // 2
    for a, one in enumerate(blocks):
        left = np.fft.rfft(one.astype(np.float32), size).transpose(2, 0, 1)
        for b in range(a, len(blocks)):
            progress(Step("comparing clips", done, total))
            right = np.fft.rfft(blocks[b].astype(np.float32), size).transpose(2, 1, 0)
            cross = np.matmul(np.ascontiguousarray(left), np.conj(right))
            for row in range(len(one)):
                sums = np.fft.irfft(np.ascontiguousarray(cross[:, row].T), size)
                best = (sums[:, lags] * weights).max(axis=1)
                for column in np.flatnonzero(best >= CANDIDATE):
                    first, second = a * _BLOCK + row, b * _BLOCK + int(column)
                    if first < second:
                        yield first, second
            done += 1
    progress(Step("comparing clips", total, total))


def _compare(prints: _Prints, first: int, second: int) -> Repeat:
    best: Repeat | None = None
    one = prints.fine(first)
    for speed in _SPEEDS:
        other = prints.fine(second) if speed == 1 else prints.slowed(second, float(speed))
        width = other.shape[1]
        size = _smooth_length(prints.columns + width - prints.least)
        cross = np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size))
        lags, weights = _lags(prints, width, _FINE)
        scores = np.fft.irfft(cross.sum(axis=0), size)[lags] * weights
        at = int(scores.argmax())
        score = float(scores[at])
        if best is None or score > best.score:
            overlap = float(min(prints.columns, width + lags[at]) - max(lags[at], 0)) * _COLUMN
            best = Repeat(
                first=first,
                second=second,
                score=score,
                agreement=score * float(np.sqrt(_FULL / overlap)),
                prominence=score / max(float(np.sqrt((scores**2).mean())), 1e-9),
                offset=float(lags[at]) * _COLUMN,
                overlap=overlap,
                speed=float(speed),
            )
    assert best is not None
    return best


def _lags(prints: _Prints, width: int, bands: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Lags with enough overlap, and what turns a sum of products there into a score."""
    lags = np.arange(prints.least - width, prints.columns - prints.least + 1)
    overlap = np.minimum(prints.columns, width + lags) - np.maximum(lags, 0)
    full = _FULL / _COLUMN
    return lags, (np.sqrt(overlap / full) / (bands * overlap)).astype(np.float32)


def _print(levels: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Signs of what stands out from its neighbourhood, 0 where nothing does."""
    bands, columns = levels.shape
    rest = product(_without_average(bands, bands / 16), levels)
    rest = product(rest, _without_average(columns, _SMOOTH).T)
    return np.where(np.abs(rest) < _DEAD, 0, np.sign(rest)).astype(np.float32)


@lru_cache(maxsize=64)
def _without_average(size: int, sigma: float) -> NDArray[np.float32]:
    """The matrix that takes away from each value the Gaussian average around it."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(np.eye(size) - weights / weights.sum(axis=1, keepdims=True), np.float32)


def _between(places: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """The matrix that interpolates a vector of `size` at fractional places."""
    places = np.clip(places, 0, size - 1)
    low = np.minimum(places.astype(np.intp), size - 2)
    matrix = np.zeros((len(places), size), np.float32)
    rows = np.arange(len(places))
    matrix[rows, low] = 1 - (places - low)
    matrix[rows, low + 1] = places - low
    return matrix


def _band_matrix(front_end: FrontEnd) -> NDArray[np.float32]:
    """Average of the bins in each of 64 equal parts of the mel scale, (64, bins)."""
    if front_end.kind == "mel":
        places = (np.arange(front_end.bins) + 0.5) / front_end.bins * _FINE
    else:
        mel = _hz_to_mel(np.arange(front_end.bins) * front_end.sample_rate / front_end.n_fft)
        places = mel / mel[-1] * _FINE
    return _averages(places, np.arange(_FINE) + 0.5)


def _time_matrix(front_end: FrontEnd) -> NDArray[np.float32]:
    """Average of the columns in each step of 77.5 ms, (columns, steps)."""
    times = np.asarray(front_end.frames, np.float64) * front_end.hop_length / front_end.sample_rate / _COLUMN
    return _averages(times, np.arange(times[0], times[-1] + 0.5)).T


def _averages(places: NDArray[np.floating[Any]], centres: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Mean of the places within half a unit of each centre; the nearest place where there is none."""
    distance = np.abs(np.subtract.outer(centres, places))
    near = distance <= np.maximum(0.5, distance.min(axis=1, keepdims=True))
    return np.asarray(near / near.sum(axis=1, keepdims=True), np.float32)


def _hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 15 + np.log(np.maximum(hz, 1000.0) / 1000.0) / _MEL_STEP
    return np.where(hz < 1000.0, hz / _MEL_LINEAR, above)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * _MEL_LINEAR, 1000.0 * np.exp(_MEL_STEP * (np.maximum(mel, 15) - 15)))


def _smooth_length(least: int) -> int:
    """The next length with no prime factor above 5, for a fast Fourier transform."""
    size = least
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 1
