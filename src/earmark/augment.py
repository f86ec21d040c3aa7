"""Varying spectrograms for training: other tempo, pitch, level, equaliser; blanked stretches; mixed pairs.

What a slower, higher, louder or differently equalised recording would look like is drawn in the spectrogram itself:
a gain is a level added in decibels, a filter is a curve over the bands. NumPy only, every choice from the generator
that is handed in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.models.convnet_config import AugmentConfig

_LEVELS = 255.0
_EQUALISER_POINTS = 9


def vary(spectrogram: NDArray[np.uint8], generator: np.random.Generator, config: AugmentConfig) -> NDArray[np.uint8]:
    """One version of a spectrogram as another recording of the same music might look.

    Parameters
    ----------
    spectrogram
        uint8 (bins, columns), low frequencies first.
    generator
        Where every random choice comes from; their number does not depend on the configuration's amounts.

    Returns
    -------
    uint8 of the same shape.

    Raises
    ------
    InputError
        If `spectrogram` is not a matrix of 8-bit levels.
    """
    if spectrogram.dtype != np.uint8 or spectrogram.ndim != 2 or not spectrogram.size:
        raise InputError(
            f"Only a spectrogram of 8 bits, (bins, columns), can be varied, not {spectrogram.dtype} of shape "
            f"{spectrogram.shape}."
        )
    bins, columns = spectrogram.shape
    speed, place = generator.uniform(-1.0, 1.0), generator.uniform()
    varied = stretch_time(spectrogram.astype(np.float32), 1.0 + config.stretch * speed, place)
    varied = shift_bands(varied, round(generator.uniform(-config.pitch, config.pitch)))
    contrast, gain, tilt = generator.normal(0.0, 1.0, 3) * (config.contrast, config.gain, config.tilt)
    points = generator.normal(0.0, config.equaliser, _EQUALISER_POINTS)
    curve = gain + tilt * np.linspace(-1, 1, bins)
    curve += np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, _EQUALISER_POINTS), points)
    # The range is changed around its middle, so that a change of contrast is not mostly a change of level.
    middle = _LEVELS / 2
    varied = (varied - middle) * np.float32(1.0 + contrast) + middle + (_LEVELS * curve[:, None]).astype(np.float32)
    deviation = config.noise * generator.uniform()
    varied += np.float32(_LEVELS * deviation) * generator.standard_normal((bins, columns), dtype=np.float32)
    levels: NDArray[np.uint8] = np.clip(np.rint(varied), 0, _LEVELS).astype(np.uint8)
    return levels


def stretch_time(values: NDArray[np.float32], speed: float, place: float) -> NDArray[np.float32]:
    """Play a spectrogram faster or slower, as many columns as before.

    Parameters
    ----------
    values
        (bins, columns).
    speed
        Above 1 is faster: a column of the result advances this many columns. Where that needs more than there
        are, the spectrogram goes on from its beginning.
    place
        0 to 1: from which part the columns are taken where fewer are needed than there are.

    Returns
    -------
    (bins, columns), linear between columns.
    """
    columns = values.shape[1]
    last = columns - 1
    wanted = np.arange(columns) * speed
    wanted = wanted + place * (last - wanted[-1]) if wanted[-1] <= last else wanted % max(last, 1)
    below = np.minimum(wanted.astype(np.int64), max(columns - 2, 0))
    share = (wanted - below).astype(np.float32)
    above = np.minimum(below + 1, columns - 1)
    result: NDArray[np.float32] = values[:, below] * (1 - share) + values[:, above] * share
    return result


def shift_bands(values: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """Move a spectrogram up (positive) or down by whole bands; the edge is continued where nothing moved in."""
    bins = values.shape[0]
    return values[np.clip(np.arange(bins) - bands, 0, bins - 1)]


def masks(generator: np.random.Generator, rows: int, columns: int, most: tuple[int, int]) -> tuple[slice, slice]:
    """One stretch of rows and one of columns to blank (SpecAugment; Park et al., 2019).

    Parameters
    ----------
    rows, columns
        Size of what is blanked.
    most
        Longest stretch of each; the lengths are uniform from 0 to it.
    """
    return _stretch(generator, rows, most[0]), _stretch(generator, columns, most[1])


def _stretch(generator: np.random.Generator, size: int, most: int) -> slice:
    length = int(generator.integers(0, min(most, size) + 1))
    first = int(generator.integers(0, size - length + 1))
    return slice(first, first + length)


def mixing(generator: np.random.Generator, count: int, alpha: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Whom to mix each of `count` clips with, and what share it keeps (mixup; Zhang et al., 2018).

    Returns
    -------
    (partners, shares)
        Row numbers (count,), and shares from 0.5 to 1 (count,): beta(alpha, alpha), the larger part being the
        clip's own. All 1 where `alpha` is 0.
    """
    partners = generator.permutation(count)
    if alpha <= 0:
        return partners, np.ones(count, np.float32)
    shares = generator.beta(alpha, alpha, count)
    return partners, np.maximum(shares, 1 - shares).astype(np.float32)
