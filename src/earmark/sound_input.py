"""Sound to the numbers of networks that take no picture: waveforms and log-mel frames, in NumPy.

They equal the feature extractors of ``transformers`` to rounding (``Wav2Vec2FeatureExtractor``,
``ASTFeatureExtractor``, ``ClapFeatureExtractor``, ``WhisperFeatureExtractor``), which need torch and are not there
when a bundle hears.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.sound_front_end import AnyFrontEnd, LogMel, SoundFrontEnd
from earmark.spectrogram import fit_window, spectrogram

# Sound that is short of a window by no more than this is followed by silence, not by its own beginning.
_SMALL_GAP = 0.1
# Under the square root when a segment is scaled to variance 1, as in transformers.
_EPSILON = 1e-7


def network_input(samples: NDArray[np.float32], front_end: AnyFrontEnd) -> NDArray[Any]:
    """What a network takes of one window.

    Parameters
    ----------
    samples
        Mono, at ``front_end.sample_rate``, shape (n,), any n above 0; cut or repeated to one window.

    Returns
    -------
    ``front_end.shape``: uint8 for a spectrogram, float32 for the others.

    Raises
    ------
    InputError
        If there is no sample, or one is not finite.
    """
    if isinstance(front_end, SoundFrontEnd):
        return sound_input(fit_sound(samples, front_end), front_end)
    return spectrogram(fit_window(samples, front_end), front_end)


def fit_sound(samples: NDArray[np.float32], front_end: SoundFrontEnd) -> NDArray[np.float32]:
    """Sound of exactly one window: cut at its end; or, if it is short, repeated until the window is full.

    Raises
    ------
    InputError
        If there is no sample, or more than one axis.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1:
        raise InputError(f"A network hears mono sound, one axis, not an array of shape {samples.shape}.")
    if not len(samples):
        raise InputError("There is no sound to hear: it has no samples.")
    wanted = front_end.window_samples
    if len(samples) >= wanted:
        return samples[:wanted]
    if wanted - len(samples) <= _SMALL_GAP * front_end.sample_rate:
        fitted = np.zeros(wanted, np.float32)
        fitted[: len(samples)] = samples
        return fitted
    return np.resize(samples, wanted)


def sound_input(samples: NDArray[np.float32], front_end: SoundFrontEnd) -> NDArray[np.float32]:
    """The segments of one window as the network takes them.

    Parameters
    ----------
    samples
        Mono, (front_end.window_samples,); see :func:`fit_sound`.

    Returns
    -------
    float32, ``front_end.shape``.

    Raises
    ------
    InputError
        If the length is not the window's, or a sample is not finite.
    """
    samples = np.asarray(samples, np.float32)
    if samples.shape != (front_end.window_samples,):
        raise InputError(
            f"The front end hears windows of {front_end.window_samples} samples ({front_end.seconds:g} s at "
            f"{front_end.sample_rate} Hz), not of shape {samples.shape}; see fit_sound."
        )
    if not np.isfinite(samples).all():
        raise InputError("Some samples are not finite numbers (NaN or infinite).")
    result = np.empty(front_end.shape, np.float32)
    for number, start in enumerate(front_end.starts):
        segment = samples[start : start + front_end.segment].astype(np.float64)
        if front_end.mel is not None:
            result[number] = log_mel(segment, front_end.sample_rate, front_end.mel)
        elif front_end.normalise:
            result[number] = (segment - segment.mean()) / np.sqrt(segment.var() + _EPSILON)
        else:
            result[number] = segment
    return result


def log_mel(samples: NDArray[np.float64], sample_rate: int, settings: LogMel) -> NDArray[np.float32]:
    """Log-mel frames of one segment: float32 (settings.frames, settings.n_mels)."""
    size = settings.frame_length
    if settings.centred:
        samples = np.pad(samples, size // 2, mode="reflect")
    frames = sliding_window_view(samples, size)[:: settings.hop_length][: settings.frames]
    if settings.without_mean:
        frames = frames - frames.mean(axis=1, keepdims=True)
    if settings.preemphasis:
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        frames = frames - settings.preemphasis * before
    spectra = np.fft.rfft(frames * _hann(size, settings.symmetric), settings.n_fft)
    power = np.square(spectra.real) + np.square(spectra.imag)
    values = np.log(np.maximum(power @ mel_bands(sample_rate, settings), settings.floor))
    if settings.logarithm != "natural":
        values /= np.log(10.0)
    if settings.logarithm == "decibel":
        values *= 10.0
    if settings.below_maximum:
        values = np.maximum(values, values.max() - settings.below_maximum)
    result = np.zeros((settings.frames, settings.n_mels), np.float32)
    result[: len(values)] = values
    return (result - np.float32(settings.mean)) / np.float32(settings.deviation)


@lru_cache(maxsize=8)
def mel_bands(sample_rate: int, settings: LogMel) -> NDArray[np.float64]:
    """Triangular filters, (n_fft // 2 + 1, n_mels), read-only.

    HTK's scale is ``2595 log10(1 + f / 700)`` (Kaldi's the same but for rounding: ``1127 ln(1 + f / 700)``);
    Slaney's (Auditory Toolbox, 1998) is linear up to 1 kHz, 200/3 Hz a mel, and logarithmic above, 27 mels to a
    factor of 6.4.
    """
    low, high = _mel(np.array([settings.low, settings.high]), settings.scale).tolist()
    mels = np.linspace(low, high, settings.n_mels + 2)
    bins = np.arange(settings.n_fft // 2 + 1) * sample_rate / settings.n_fft
    hertz = _hertz(mels, settings.scale)
    edges, places = (mels, _mel(bins, "kaldi")) if settings.scale == "kaldi" else (hertz, bins)
    distance = edges[None] - places[:, None]
    width = np.diff(edges)
    filters: NDArray[np.float64] = np.maximum(
        0, np.minimum(-distance[:, :-2] / width[:-1], distance[:, 2:] / width[1:])
    )
    if settings.area:
        filters *= 2 / (hertz[2:] - hertz[:-2])
    filters.flags.writeable = False
    return filters


_KNEE_HERTZ, _KNEE_MEL, _STEP = 1000.0, 15.0, np.log(6.4) / 27


def _mel(hertz: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hertz / 700))
    if scale == "kaldi":
        return np.asarray(1127 * np.log(1 + hertz / 700))
    above = _KNEE_MEL + np.log(np.maximum(hertz, _KNEE_HERTZ) / _KNEE_HERTZ) / _STEP
    return np.where(hertz < _KNEE_HERTZ, hertz * 3 / 200, above)


def _hertz(mels: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return np.asarray(700 * (10 ** (mels / 2595) - 1))
    if scale == "kaldi":
        return np.asarray(700 * (np.exp(mels / 1127) - 1))
    return np.where(mels < _KNEE_MEL, mels * 200 / 3, _KNEE_HERTZ * np.exp(_STEP * (mels - _KNEE_MEL)))


@lru_cache(maxsize=8)
def _hann(size: int, symmetric: bool) -> NDArray[np.float64]:
    steps = size - 1 if symmetric else size
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / steps))
