"""Tempo, key, loudness and dynamics of a track, measured in the very windows that are heard. NumPy only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from earmark.music.frames import frame_length, weighted_sums
from earmark.music.key import key_of, pitch_classes
from earmark.music.loudness import (
    BLOCK_SECONDS,
    SHORT_SECONDS,
    bin_weights,
    block_power,
    integrated_loudness,
    loudness_range,
)
from earmark.music.onset import band_decibels, onset_envelope
from earmark.music.tempo import periodicity, tempo_of
from earmark.spectrogram import mel_filters

__all__ = ["Music", "MusicMeter"]

_FRAME_SECONDS = 0.046
_BANDS = 32
_BLOCK_STEP, _SHORT_STEP = 0.1, 1.0
_FULL_SCALE = 1e-10


@dataclass(frozen=True)
class Music:
    """What can be measured of a track; None where it could not be.

    Parameters
    ----------
    tempo
        Beats per minute; half and double are a matter of taste (see :mod:`earmark.music.tempo`).
    tempo_confidence
        0..1: how far it stands out from tempos that are not related to it.
    beat_strength
        0..1: how much of what begins comes again after one beat; high for dance music.
    key
        ``"A minor"``.
    key_confidence
        0..1: its share among the 24 keys.
    loudness
        Integrated, in LUFS (ITU-R BS.1770), of what was heard and below half the model's sample rate.
    loudness_range
        In LU (EBU Tech 3342).
    dynamics
        Crest factor in dB: peak over mean square of the mono sum, mean over the windows.
    """

    tempo: float | None = None
    tempo_confidence: float | None = None
    beat_strength: float | None = None
    key: str | None = None
    key_confidence: float | None = None
    loudness: float | None = None
    loudness_range: float | None = None
    dynamics: float | None = None

    def to_dict(self) -> dict[str, float | str | None]:
        """Plain values for JSON."""
        return asdict(self)


MUSIC_FIELDS = tuple(field.name for field in fields(Music))


class MusicMeter:
    """Measures a track window by window.

    Parameters
    ----------
    sample_rate
        Of the samples, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._n_fft = frame_length(_FRAME_SECONDS, sample_rate)
        self._hop = self._n_fft // 2
        # One product gives the bands for the onsets and the weighted power for the loudness.
        self._weights = np.ascontiguousarray(
            np.vstack([mel_filters(sample_rate, self._n_fft, _BANDS), bin_weights(self._n_fft, sample_rate)]).T
        )
        self._blocks: list[NDArray[np.float64]] = []
        self._shorts: list[NDArray[np.float64]] = []
        self._correlations: list[NDArray[np.float64]] = []
        self._classes = np.zeros(12)
        self._crests: list[float] = []

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in one window: mono float32 (n,), full scale 1, not repeated or padded."""
        rate, hop = self._rate, self._hop
        sums = weighted_sums(samples, self._n_fft, hop, self._weights)
        weighted = sums[:, -1].astype(np.float64)
        self._blocks.append(block_power(weighted, hop / rate, BLOCK_SECONDS, _BLOCK_STEP))
        self._shorts.append(block_power(weighted, hop / rate, SHORT_SECONDS, _SHORT_STEP))
        correlation = periodicity(onset_envelope(band_decibels(sums[:, :-1])), rate / hop)
        if correlation is not None:
            self._correlations.append(correlation)
        self._classes += pitch_classes(samples, rate)
        square = float(np.dot(samples, samples)) / max(1, len(samples))
        if square > _FULL_SCALE:
            peak = max(float(samples.max()), -float(samples.min()))
            self._crests.append(float(10 * np.log10(peak**2 / square)))

    def music(self, *, channel_gain: float = 0.0) -> Music:
        """What was measured so far.

        Parameters
        ----------
        channel_gain
            What the channels sum to above their mean, in dB: BS.1770 adds the powers of the channels, and the samples
            are their mono mean. 0 for mono, 3.01 for two equal channels.
        """
        gain = 10 ** (channel_gain / 10)
        blocks = np.concatenate(self._blocks) * gain if self._blocks else np.zeros(0)
        shorts = np.concatenate(self._shorts) * gain if self._shorts else np.zeros(0)
        tempo = None
        if self._correlations:
            # Windows at the end of a track may be shorter than the others.
            lags = max(len(correlation) for correlation in self._correlations)
            whole = [correlation for correlation in self._correlations if len(correlation) == lags]
            tempo = tempo_of(np.mean(whole, axis=0), self._rate / self._hop)
        key = key_of(self._classes)
        return Music(
            tempo=None if tempo is None else tempo.bpm,
            tempo_confidence=None if tempo is None else tempo.confidence,
            beat_strength=None if tempo is None else tempo.strength,
            key=None if key is None else key.name,
            key_confidence=None if key is None else key.confidence,
            loudness=integrated_loudness(blocks),
            loudness_range=loudness_range(shorts),
            dynamics=float(np.mean(self._crests)) if self._crests else None,
        )
