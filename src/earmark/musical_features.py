"""Musical features of mel spectrograms: timbre, rhythm, harmony and dynamics of a clip as one vector.

They ask of an 8-bit spectrogram with some thirteen columns a second what can be asked of it: how the timbre is
distributed and how it moves, how bands beat and beat together, which pitch classes sound (from about 400 Hz up, where
mel bands are half a semitone wide), how loud and soft parts differ. Percentiles over blocks follow Seyerlehner,
Schedl, Pohle and Knees (*Using Block-Level Features for Genre Classification*, MIREX 2010), spectral contrast Jiang
et al. (ICME 2002), modulation spectra Pampalk (*Computational Models of Music Similarity*, 2006). Everything is a
function of one clip's own spectrogram; nothing is fitted.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from earmark.features import N_MFCC, dct_matrix
from earmark.products import product

Floats = NDArray[np.float32]

# In the order of the vector, with how many values each has.
FAMILIES = {
    "cepstra": 4 * N_MFCC,
    "cepstral shape": 5 * N_MFCC,
    "band variance": 48,
    "modulation": 112,
    "joint onsets": 120,
    "contrast": 64,
    "fine structure": 64,
    "spectral shape": 48,
    "beat": 48,
    "chroma": 45,
    "dynamics": 8,
}
SIZE = sum(FAMILIES.values())

# The range that 8-bit levels stand for, in dB; a clip with less is stretched to it.
_RANGE_DB = 80.0
_STEP_DB = _RANGE_DB / 255
_BANDS = 32
_COLUMNS_PER_SECOND = 12.9
# Edges of modulation frequencies, in steps of a tenth of a hertz: 0.1 to 6.5 Hz, finer below.
_MODULATION_EDGES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 57, 65)
_MODULATION_BLOCK, _MODULATION_STEP = 128, 32
_DELTA_BLOCK, _DELTA_STEP = 14, 3
_PITCH_RANGE = (380.0, 5500.0)
_TINY = 1e-6
# Krumhansl and Kessler's profiles (1982), to see how clearly a key and a mode stand out.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def musical_features(mel: NDArray[np.uint8]) -> Floats:
    """The vectors of clips.

    Parameters
    ----------
    mel
        uint8 (n, bands, columns), made by a front end like that of ``gtzan/mel.npz``: 12.9 columns a second up to
        11 kHz, at least 2 seconds of them, at least 32 bands. Other lengths and numbers of bands give vectors of the
        same kind, not the same numbers.

    Returns
    -------
    float32 (n, 737), in the order of :data:`FAMILIES`.
    """
    rows = np.empty((len(mel), SIZE), np.float32)
    for number, levels in enumerate(mel):
        rows[number] = _one(levels)
    return rows


def family_scale() -> Floats:
    """(737,): one over the root of each value's family's size, so that all families weigh alike in a distance."""
    scale = [np.full(size, 1 / math.sqrt(size * len(FAMILIES))) for size in FAMILIES.values()]
    return np.concatenate(scale).astype(np.float32)


def _one(levels: NDArray[np.uint8]) -> Floats:
    decibels, power = levels.astype(np.float32) * np.float32(_STEP_DB), np.take(_powers(), levels)
    rise = np.maximum(0, np.diff(decibels, axis=1))
    cepstra = product(dct_matrix(decibels.shape[0], N_MFCC), decibels)
    bands = product(_averages(decibels.shape[0], _BANDS), decibels)
    halves = product(_averages(decibels.shape[0], _BANDS // 2), decibels)
    parts = [
        *_cepstra(cepstra),
        *_band_variance(bands),
        *_modulation(bands),
        _joint_onsets(halves),
        *_contrast(decibels),
        *_fine_structure(levels),
        *_spectral_shape(decibels, power, rise),
        *_beat(rise),
        *_chroma(power),
        *_dynamics(decibels, power),
    ]
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def _cepstra(cepstra: Floats) -> list[Floats]:
    change = np.diff(cepstra, axis=1)
    return [
        cepstra.mean(axis=1), cepstra.std(axis=1), change.mean(axis=1), change.std(axis=1),
        _skewness(cepstra), np.diff(change, axis=1).std(axis=1), _percentiles(cepstra, (10, 50, 90)),
    ]  # fmt: skip


def _band_variance(bands: Floats) -> list[Floats]:
    """How unsteady each band is within a second: quiet, usual and lively seconds."""
    blocks = _blocks(np.diff(bands, axis=1), _DELTA_BLOCK, _DELTA_STEP)
    spread = _percentiles(np.log1p(blocks.var(axis=2)).T, (10, 50, 90))
    return [spread.reshape(3, _BANDS // 2, 2).mean(axis=2)]


def _modulation(bands: Floats) -> list[Floats]:
    """How strongly bands swell at each rate between 0.1 and 6.5 Hz: by rate, and by band."""
    blocks = _blocks(bands, _MODULATION_BLOCK, _MODULATION_STEP)
    window = np.hanning(blocks.shape[2] + 2)[1:-1].astype(np.float32)
    blocks = (blocks - blocks.mean(axis=2, keepdims=True)) * window
    # Only with this norm does NumPy transform float32 in float32.
    power = _squared(np.fft.rfft(blocks, _MODULATION_BLOCK, axis=2, norm="forward"))
    grouped = product(_modulation_averages(), power.reshape(-1, power.shape[2]).T)
    grouped = np.sqrt(grouped).reshape(len(grouped), *power.shape[:2]) * np.float32(_MODULATION_BLOCK)
    pattern = np.log1p(_percentiles(np.transpose(grouped, (2, 0, 1)), (60,))[0])
    return [pattern.mean(axis=0), pattern.std(axis=0), pattern.mean(axis=1), pattern.std(axis=1)]


def _joint_onsets(bands: Floats) -> Floats:
    """Which bands change together: correlations of their differences."""
    change = np.diff(bands, axis=1)
    change = change - change.mean(axis=1, keepdims=True)
    change /= np.sqrt((change**2).sum(axis=1, keepdims=True)) + np.float32(1e-3)
    joint: Floats = (change @ change.T)[np.triu_indices(len(bands), 1)]
    return joint


def _contrast(decibels: Floats) -> list[Floats]:
    """Peaks against valleys within sixteen stretches of the spectrum."""
    count = len(decibels) // 16
    stretches = decibels[: 16 * count].reshape(16, count, -1)
    most = max(1, count // 4)
    # The largest and the smallest few, kept in order one row after the other: sorting all takes three times as long.
    largest = [np.full_like(stretches[:, 0], -np.inf) for _ in range(most)]
    smallest = [np.full_like(stretches[:, 0], np.inf) for _ in range(most)]
    for row in range(count):
        up = down = stretches[:, row]
        for place in range(most):
            largest[place], up = np.maximum(largest[place], up), np.minimum(largest[place], up)
            smallest[place], down = np.minimum(smallest[place], down), np.maximum(smallest[place], down)
    contrast = np.mean(largest, axis=0) - np.mean(smallest, axis=0)
    return [contrast.mean(axis=1), contrast.std(axis=1), *_percentiles(contrast, (10, 90))]


def _fine_structure(levels: NDArray[np.uint8]) -> list[Floats]:
    """Harmonics that stay, and how quickly the fine structure of the spectrum changes, per band."""
    # In whole numbers: exact, and the sums of nine neighbours cost next to nothing.
    exact = levels.astype(np.int16)
    padded = np.pad(exact, ((4, 4), (0, 0)), mode="edge")
    above = 9 * exact
    for first in range(9):
        above -= padded[first : first + len(levels)]
    fine = above * np.float32(_STEP_DB / 9)
    pool = _averages(len(levels), _BANDS)
    return [pool @ np.abs(fine.mean(axis=1)), pool @ np.abs(np.diff(fine, axis=1)).mean(axis=1)]


def _spectral_shape(decibels: Floats, power: Floats, rise: Floats) -> list[Floats]:
    """Statistics over time of centroid, spread, roll-off, flatness, bass, treble, level and flux."""
    octaves = np.log2(_centres(len(decibels))).astype(np.float32)
    total = power.sum(axis=0) + np.float32(1e-9)
    centroid = octaves @ power / total
    spread = np.sqrt((np.square(octaves[:, None] - centroid) * power).sum(axis=0) / total)
    below = np.count_nonzero(np.cumsum(power, axis=0) <= np.float32(0.85) * total, axis=0)
    rolloff = octaves[np.minimum(below, len(octaves) - 1)]
    level = 10 * np.log10(total)
    flatness = decibels.mean(axis=0) - 10 * np.log10(total / len(decibels)) - _RANGE_DB
    bass = 10 * np.log10(power[: len(power) // 16].sum(axis=0) + 1e-8) - level
    treble = 10 * np.log10(power[len(power) // 2 :].sum(axis=0) + 1e-8) - level
    flux = np.concatenate([[0.0], rise.mean(axis=0)])
    shape = np.stack([centroid, spread, rolloff, flatness, bass, treble, level, flux]).astype(np.float32)
    return [
        shape.mean(axis=1), shape.std(axis=1), _skewness(shape), _percentiles(shape, (5, 95)),
        np.diff(shape, axis=1).std(axis=1),
    ]  # fmt: skip


def _beat(rise: Floats) -> list[Floats]:
    """Periodicity of the onset envelope in six stretches of the spectrum and in all of it."""
    envelopes = np.concatenate([product(_averages(len(rise), 6), rise), rise.mean(axis=0, keepdims=True)])
    centred = envelopes - envelopes.mean(axis=1, keepdims=True)
    size = 1 << (2 * centred.shape[1]).bit_length()
    power = _squared(np.fft.rfft(centred, size, axis=1, norm="forward"))
    found = np.fft.irfft(power, axis=1, norm="forward")[:, :104] * np.float32(size)
    found = (found / (found[:, :1] + _TINY)).astype(np.float32)
    # Lags of a quarter of a second to three seconds.
    near = found[:, 3:40]
    best = near.argmax(axis=1)
    rows = np.stack(
        [
            np.take_along_axis(near, best[:, None], axis=1)[:, 0],
            _COLUMNS_PER_SECOND / (best + 3),
            np.sort(near, axis=1)[:, -5:].mean(axis=1),
            found[:, 3:].std(axis=1),
            found[:, 40:].max(axis=1, initial=-1.0),
            (found[:, 3:] > 0.1).mean(axis=1),
        ],
        axis=1,
    )
    whole = envelopes[-1:]
    return [rows, centred[-1].std(keepdims=True), _skewness(whole), _percentiles(whole[0], (10, 50, 90, 99))]


def _chroma(power: Floats) -> list[Floats]:
    """Harmony, the same in every key: how even, how clear, how quickly the pitch classes change."""
    chroma = product(_pitch_classes(len(power)), np.sqrt(power))
    chroma /= chroma.sum(axis=0, keepdims=True) + np.float32(1e-9)
    mean = chroma.mean(axis=1) - np.float32(1 / 12)
    turned = np.array([mean @ np.roll(mean, step) for step in range(7)])
    unevenness = turned[0] + 1e-9
    change = np.abs(np.diff(chroma, axis=1)).sum(axis=0)
    entropy = -(chroma * np.log(chroma + 1e-9)).sum(axis=0)
    major, minor = (_keys() @ mean).max(axis=1) / (np.linalg.norm(mean) + _TINY)
    slow = _blocks(chroma, 39, 13).mean(axis=2)
    moves = np.abs(np.diff(slow, axis=0)).sum(axis=1)
    scalars = (
        math.log(unevenness), change.mean(), change.std(), major, minor, major - minor, entropy.mean(), entropy.std(),
        moves.mean() if len(moves) else 0.0,
    )  # fmt: skip
    intervals = np.abs(np.fft.rfft(chroma, axis=0)[1:])
    return [
        turned[1:] / unevenness, np.array(scalars), intervals.mean(axis=1), intervals.std(axis=1),
        np.abs(np.fft.rfft(mean)[1:]), np.sort(mean)[::-1],
    ]  # fmt: skip


def _dynamics(decibels: Floats, power: Floats) -> list[Floats]:
    """Loud against soft: over stretches of three seconds, over columns, and how much is near silence."""
    level = 10 * np.log10(power.sum(axis=0) + np.float32(1e-9))
    stretch = min(38, len(level))
    stretches = level[: len(level) // stretch * stretch].reshape(-1, stretch).mean(axis=1)
    low, high = _percentiles(level, (10, 95))
    values = (
        stretches.std(), np.ptp(stretches), level.std(), high - low, (level < level.mean() - 6).mean(),
        (level < level.mean() - 12).mean(), decibels.mean(), (decibels < 1).mean(),
    )  # fmt: skip
    return [np.array(values, np.float32)]


@lru_cache(maxsize=1)
def _powers() -> Floats:
    """(256,): power below the loudest that each level stands for."""
    decibels = np.arange(256, dtype=np.float32) * np.float32(_STEP_DB)
    return np.asarray(np.power(np.float32(10), (decibels - np.float32(_RANGE_DB)) * np.float32(0.1)))


def _blocks(rows: Floats, size: int, step: int) -> Floats:
    """Overlapping stretches of every row, (blocks, rows, size); all of it where it is shorter."""
    size = min(size, rows.shape[1])
    return sliding_window_view(rows, size, axis=1)[:, ::step].transpose(1, 0, 2)


def _squared(spectrum: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    """Squared magnitudes; the root that ``np.abs`` takes first costs ten times as much."""
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _percentiles(rows: Floats, percents: tuple[float, ...]) -> Floats:
    """(percents, ...): percentiles over the last axis, as ``np.percentile`` gives them in six times as long."""
    ordered = np.sort(rows, axis=-1)
    places = np.array(percents) * ((rows.shape[-1] - 1) / 100)
    below = places.astype(np.intp)
    low, high = ordered[..., below], ordered[..., np.minimum(below + 1, rows.shape[-1] - 1)]
    return np.moveaxis(low + (high - low) * (places - below).astype(np.float32), -1, 0)


def _skewness(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    centred /= rows.std(axis=1, keepdims=True) + np.float32(_TINY)
    # np.power takes ten times as long.
    skewness: Floats = (centred * centred * centred).mean(axis=1)
    return skewness


@lru_cache(maxsize=1)
def _keys() -> NDArray[np.float64]:
    """(2, 12, 12): the profiles of the major and the minor keys, centred, of length 1."""
    profiles = np.array([[np.roll(profile, tonic) for tonic in range(12)] for profile in (_MAJOR, _MINOR)])
    profiles -= profiles.mean(axis=2, keepdims=True)
    return np.asarray(profiles / np.linalg.norm(profiles, axis=2, keepdims=True))


@lru_cache(maxsize=16)
def _averages(bands: int, groups: int) -> Floats:
    """(groups, bands): means over neighbouring bands."""
    edges = np.rint(np.linspace(0, bands, groups + 1)).astype(np.intp)
    matrix = np.zeros((groups, bands), np.float32)
    for row, (first, last) in enumerate(pairwise(edges)):
        matrix[row, first:last] = 1 / (last - first)
    return matrix


@lru_cache(maxsize=1)
def _modulation_averages() -> Floats:
    """(groups, bins): means over the bins between neighbouring edges."""
    matrix = np.zeros((len(_MODULATION_EDGES) - 1, _MODULATION_BLOCK // 2 + 1), np.float32)
    for row, (first, last) in enumerate(pairwise(_MODULATION_EDGES)):
        matrix[row, first:last] = 1 / (last - first)
    return matrix


@lru_cache(maxsize=4)
def _centres(bands: int) -> NDArray[np.float64]:
    """Centre of each mel band up to 11025 Hz, in Hz (Slaney's scale, as in :mod:`earmark.spectrogram`)."""
    step = math.log(6.4) / 27
    mels = np.linspace(0, 15 + math.log(11025 / 1000) / step, bands + 2)[1:-1]
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))


@lru_cache(maxsize=4)
def _pitch_classes(bands: int) -> Floats:
    """(12, bands): which pitch classes lie under each band's triangle; bands outside 380 to 5500 Hz have none."""
    centres = _centres(bands)
    edges = np.concatenate([[0.0], centres, [11025.0]])
    fine = np.geomspace(20, 11025, 20_000)
    classes = np.rint(12 * np.log2(fine / 440)).astype(np.intp) % 12
    matrix = np.zeros((12, bands), np.float32)
    for band in np.flatnonzero((centres > _PITCH_RANGE[0]) & (centres < _PITCH_RANGE[1])):
        low, middle, high = edges[band : band + 3]
        triangle = np.maximum(0, np.minimum((fine - low) / (middle - low), (high - fine) / (high - middle)))
        found = np.bincount(classes, triangle, minlength=12)
        matrix[:, band] = found / found.sum()
    return matrix
