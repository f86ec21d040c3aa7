"""From sound to spectrogram: short-time Fourier transform, mel bands, decibels, 8 bits; NumPy only.

Both kinds follow librosa to rounding: frames centred on multiples of the hop, zeros beyond both ends, a periodic Hann
window (``librosa.stft``), Slaney's mel scale with bands of equal area (``librosa.filters.mel``), decibels below the
maximum with a floor (``librosa.power_to_db``, ``librosa.amplitude_to_db``).

The work goes a block of frames at a time, so that it stays in the cache. With ``scale="window"`` the columns are
worked out in double precision and rounded to float32 once per power: this is the exact mode, in which bins 80 dB
under the loudest stay free of the rounding noise of the loud ones. The frames between the columns only have a say in
the range: those that cannot change it are left out, single precision finds the two that matter among the others, and
only those are worked out again. With ``scale="columns"`` there is single precision alone, and no frame between the
columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.filters import BLOCK, filter_groups, mel_filters
from earmark.fourier import frame_view, squared_magnitudes
from earmark.front_end import MEL, REPORT, FrontEnd
from earmark.products import energy

__all__ = [
    "MEL",
    "REPORT",
    "FrontEnd",
    "clip_spectrogram",
    "fit_window",
    "mel_filters",
    "spectrogram",
    "spectrogram_db",
]

# librosa's floor under the logarithm (power 1e-10, which is amplitude 1e-5 squared).
_AMIN = 1e-10
# Parts of a frame by whose energies its power is bounded: more make the bound tighter and take longer.
_PARTS = 16

_Precision = type[np.float64] | type[np.float32]


def fit_window(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """Sound of exactly one window.

    A longer sound is cut at its end. A sound that is short by less than a hop, so that it has all of the window's
    frames (some GTZAN clips are 29.98 s long), is followed by silence. That changes nothing: its frames reach into
    the same silence when it is alone, in librosa too. A shorter sound is repeated until the window is full.

    Parameters
    ----------
    samples
        Mono, shape (n,), any n above 0.

    Returns
    -------
    Shape (front_end.window_samples,), float32; a view of `samples` where nothing had to be added.

    Raises
    ------
    InputError
        If there is no sample, or more than one axis.
    """
    samples = _mono(samples)
    wanted = front_end.window_samples
    if not len(samples):
        raise InputError("There is no sound to look at: it has no samples.")
    if len(samples) >= wanted:
        return samples[:wanted]
    if 1 + len(samples) // front_end.hop_length == front_end.n_frames:
        fitted = np.zeros(wanted, np.float32)
        fitted[: len(samples)] = samples
        return fitted
    return np.resize(samples, wanted)


def spectrogram(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.uint8]:
    """The spectrogram of one window in 256 levels.

    With D the decibels of the window and (min, max) their range, ``min(256 * (D - min) / (max - min), 255)``, rounded
    down. A window whose decibels are all equal, digital silence above all, is all zeros.

    Parameters
    ----------
    samples
        Mono, at ``front_end.sample_rate``, shape (front_end.window_samples,); see :func:`fit_window`.

    Returns
    -------
    ``front_end.shape``: bins from low to high, columns from first to last.

    Raises
    ------
    InputError
        If the length is not the window's, or a sample is not finite.
    """
    samples = _window(samples, front_end)
    return _levels(*_decibels(samples, front_end, front_end.n_frames, front_end.frames))


def spectrogram_db(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """The spectrogram of one window in decibels below its maximum, from ``-top_db`` to 0.

    Parameters and errors are those of :func:`spectrogram`; float32, ``front_end.shape``. For the mel kind it equals
    ``librosa.power_to_db(librosa.feature.melspectrogram(...), ref=np.max)`` at the columns' frames, for the other
    ``librosa.amplitude_to_db(np.abs(librosa.stft(...)), ref=np.max)``.
    """
    samples = _window(samples, front_end)
    decibels, _, _ = _decibels(samples, front_end, front_end.n_frames, front_end.frames)
    return np.ascontiguousarray(decibels.T)


def clip_spectrogram(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.uint8]:
    """A whole clip of any length on the columns of one window: what the rows of ``gtzan/mel.npz`` are.

    The columns are spread over the clip like the pixels of a drawing that is 387.5 wide: column k is the frame under
    the middle of pixel k. So c columns over T frames (all of the clip's, ``1 + n // hop_length``) look at frame
    ``ceil((2 k + 1) T / (2 c + 1)) - 1``. That rule was read off the file and holds for each of the 100 clips that
    are at hand as sound, whatever their length.

    For the usual GTZAN clip, T = 1293, these are the frames of :data:`MEL`, and ``spectrogram(fit_window(...))``
    gives the same bytes but for rounding ties. One clip in seven has another length, up to 1.2 % longer, and its row
    is that much faster. Models look at windows; only comparing with the file, or adding rows to it, needs this.

    Parameters
    ----------
    samples
        Mono, at ``front_end.sample_rate``, shape (n,), any n above 0.

    Returns
    -------
    ``front_end.shape``.

    Raises
    ------
    InputError
        If there is no sample, or one is not finite.
    """
    samples = _finite(_mono(samples))
    if not len(samples):
        raise InputError("There is no sound to look at: it has no samples.")
    n_frames = 1 + len(samples) // front_end.hop_length
    columns = front_end.shape[1]
    frames = ((2 * np.arange(columns) + 1) * n_frames - 1) // (2 * columns + 1)
    return _levels(*_decibels(samples, front_end, n_frames, frames))


def frame_power(samples: NDArray[np.float32], front_end: FrontEnd, frames: NDArray[np.intp]) -> NDArray[np.float32]:
    """Power of any frames of a sound of any length, in single precision: for looking at, not for comparing.

    Parameters
    ----------
    samples
        Mono, float32 (n,); beyond its ends there are zeros.
    front_end
        Frame k is centred at sample ``k * front_end.hop_length``.
    frames
        Rising, shape (m,).

    Returns
    -------
    Shape (m, front_end.bins), float32.
    """
    return _power(samples, front_end, frames, np.float32)


@lru_cache(maxsize=16)
def _filter_groups(
    sample_rate: int, n_fft: int, n_mels: int, precision: np.dtype[Any]
) -> tuple[tuple[slice, slice, NDArray[Any]], ...]:
    return filter_groups(mel_filters(sample_rate, n_fft, n_mels), precision)


@lru_cache(maxsize=16)
def _hann(n_fft: int) -> NDArray[np.float64]:
    """Periodic Hann window, times `n_fft`: a power of two, as a rule, and then exact."""
    return n_fft * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft))


def _mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise InputError(f"A spectrogram is made of mono sound, one axis, not of an array of shape {samples.shape}.")
    return samples


def _finite(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    # The quickest pass over the samples that NaN and infinity do not survive.
    if math.isfinite(energy(samples)):
        return samples
    wrong = len(samples) - int(np.count_nonzero(np.isfinite(samples)))
    if wrong:
        raise InputError(f"{wrong} of {len(samples)} samples are not finite numbers (NaN or infinite).")
    return samples


def _window(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    samples = _mono(samples)
    if len(samples) != front_end.window_samples:
        raise InputError(
            f"The front end looks at windows of {front_end.window_samples} samples "
            f"({front_end.seconds:g} s at {front_end.sample_rate} Hz), not of {len(samples)}; see fit_window."
        )
    return _finite(samples)


def _frame_blocks(
    samples: NDArray[np.float32], front_end: FrontEnd, frames: NDArray[np.intp], precision: _Precision
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Windowed frames (m, n_fft) in one buffer that is filled again for each block, with their places in `frames`."""
    n_fft, hop_length = front_end.n_fft, front_end.hop_length
    window = _hann(n_fft).astype(precision)
    buffer = np.empty((min(BLOCK, len(frames)), n_fft), window.dtype)
    for first in range(0, len(frames), BLOCK):
        wanted = frames[first : first + BLOCK]
        start = int(wanted[0]) * hop_length - n_fft // 2
        stop = int(wanted[-1]) * hop_length + n_fft // 2
        piece = samples[max(start, 0) : max(stop, 0)]
        if len(piece) < stop - start:
            before = max(-start, 0)
            piece = np.pad(piece, (before, stop - start - before - len(piece)))
        rows = buffer[: len(wanted)]
        places = wanted - wanted[0]
        every = frame_view(piece, n_fft, hop_length)
        # In two steps: a product of two precisions would go through NumPy's casting buffers.
        rows[...] = every if len(every) == len(rows) else every[places]
        rows *= window
        yield slice(first, first + len(wanted)), rows


def _bands(power: NDArray[Any], front_end: FrontEnd, bands: NDArray[Any]) -> None:
    for rows, bins, weights in _filter_groups(front_end.sample_rate, front_end.n_fft, front_end.n_mels, power.dtype):
        np.matmul(power[:, bins], weights, out=bands[:, rows])


def _power(
    samples: NDArray[np.float32], front_end: FrontEnd, frames: NDArray[np.intp], precision: _Precision
) -> NDArray[np.float32]:
    """Power of the frames asked for, which rise, shape (frames, bins)."""
    result = np.empty((len(frames), front_end.bins), np.float32)
    power = np.empty((min(BLOCK, len(frames)), front_end.n_fft // 2 + 1), precision)
    spectra = np.empty(power.shape, np.result_type(precision, np.complex64))
    bands = np.empty((len(power), front_end.bins), precision) if front_end.kind == "mel" else power
    with np.errstate(over="ignore", invalid="ignore"):
        for place, rows in _frame_blocks(samples, front_end, frames, precision):
            n = len(rows)
            # _hann makes up for the square of the length.
            squared_magnitudes(rows, spectra[:n], power[:n])
            if front_end.kind == "mel":
                _bands(power[:n], front_end, bands[:n])
            result[place] = bands[:n]
    return result


def _decibels(
    samples: NDArray[np.float32], front_end: FrontEnd, n_frames: int, frames: NDArray[np.intp]
) -> tuple[NDArray[np.float32], np.float32, np.float32]:
    """Decibels of the frames asked for, shape (frames, bins), and the lowest and highest of the scale."""
    exact = front_end.scale == "window"
    power = _power(samples, front_end, frames, np.float64 if exact else np.float32)
    # The logarithm rises: the range takes two logarithms, not one for every frame.
    least, most = power.min(), power.max()
    unseen = np.ones(n_frames, bool)
    unseen[frames] = False
    between = np.flatnonzero(unseen)
    # Where columns lie on the floor already, the others can only raise the maximum.
    floored = least <= max(_AMIN, 0.999 * float(most) * 10 ** (-front_end.top_db / 10))
    if exact and len(between) and floored:
        between = between[_most_power(samples, front_end, between) > most]
    if exact and len(between):
        rough = _power(samples, front_end, between, np.float32)
        for place in (rough.argmin(), rough.argmax()):
            row = int(place) // front_end.bins
            extreme = _power(samples, front_end, between[row : row + 1], np.float64)
            least, most = np.minimum(least, extreme.min()), np.maximum(most, extreme.max())
    if not np.isfinite(most):
        raise InputError(f"The samples are too large for a spectrogram: one is {float(np.abs(samples).max()):.3g}.")
    reference = _log(most)
    decibels = _log(power)
    decibels -= reference
    floor = np.float32(-front_end.top_db)
    np.maximum(decibels, floor, out=decibels)
    return decibels, np.maximum(_log(least) - reference, floor), np.float32(0)


def _most_power(samples: NDArray[np.float32], front_end: FrontEnd, frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """What the power of each frame, rising, cannot exceed in any bin or band, shape (frames,), without a transform.

    By Parseval's theorem all bins of a frame together have `n_fft` times the energy under the window, and that is at
    most the sum of the energies of the frame's parts, each times the largest value of the squared window in it. A mel
    band has at most its largest weight times half of that, as it takes each frequency but not its negative.
    """
    n_fft, hop_length = front_end.n_fft, front_end.hop_length
    size = math.gcd(n_fft, hop_length)
    size //= max(1, size * _PARTS // n_fft)
    if n_fft % size or hop_length % size or n_fft > 4 * _PARTS * size:
        return np.full(len(frames), np.inf)
    length = int(frames[-1]) * hop_length + n_fft
    padded = np.zeros(-(-max(length, n_fft // 2 + len(samples)) // size) * size, np.float32)
    padded[n_fft // 2 : n_fft // 2 + len(samples)] = samples
    parts = padded.reshape(-1, size)
    with np.errstate(over="ignore", invalid="ignore"):
        energies = np.einsum("ij,ij->i", parts, parts).astype(np.float64)
        window = np.square(_hann(n_fft) / n_fft).reshape(-1, size).max(axis=1)
        places = (frames * (hop_length // size))[:, None] + np.arange(n_fft // size)
        # The sums above are in single precision.
        most: NDArray[np.float64] = energies[places] @ window * (1.001 * n_fft)
    if front_end.kind == "mel":
        filters = mel_filters(front_end.sample_rate, n_fft, front_end.n_mels)
        most *= 0.5 * float(filters.max())
    return most


def _log(power: Any) -> Any:
    """``10 log10``, floored; a float32 array is overwritten."""
    out = power if isinstance(power, np.ndarray) else None
    result = np.log10(np.maximum(power, np.float32(_AMIN), out=out), out=out)
    return np.multiply(result, np.float32(10), out=out)


def _levels(decibels: NDArray[np.float32], low: np.float32, high: np.float32) -> NDArray[np.uint8]:
    """The 8-bit rule, transposed to (bins, frames); `decibels` is overwritten."""
    if high == low:
        return np.zeros(decibels.shape[::-1], np.uint8)
    decibels -= low
    decibels /= high - low
    decibels *= np.float32(256)
    np.minimum(decibels, np.float32(255), out=decibels)
    return np.ascontiguousarray(decibels.astype(np.uint8).T)
