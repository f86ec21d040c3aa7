"""One pass over each window of a track for all that :class:`earmark.music.Music` tells."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earmark.filters import mel_filters
from earmark.music import Music
from earmark.music.frames import frame_length, weighted_sums
from earmark.music.key import key_of, pitch_classes
from earmark.music.loudness import (
    BLOCK_SECONDS,
    SHORT_SECONDS,
    Levels,
    bin_weights,
    block_power,
)
from earmark.music.onset import band_decibels, onset_envelope
from earmark.music.tempo import periodicity, tempo_of
from earmark.products import energy

_FRAME_SECONDS = 0.046
_BANDS = 32
_BLOCK_STEP, _SHORT_STEP = 0.1, 0.1
_SMALLEST = 1e-12


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
        self._blocks, self._shorts = Levels(), Levels()
        self._correlation = np.zeros(0)
        self._classes = np.zeros(12)
        self._crest, self._crests = 0.0, 0

    def add(self, samples: NDArray[np.float32]) -> None:
        """Take in one window: mono float32 (n,), full scale 1, not repeated or padded."""
        rate, hop = self._rate, self._hop
        sums = weighted_sums(samples, self._n_fft, hop, self._weights)
        weighted = sums[:, -1].astype(np.float64)
        self._blocks.add(block_power(weighted, hop / rate, BLOCK_SECONDS, _BLOCK_STEP))
        self._shorts.add(block_power(weighted, hop / rate, SHORT_SECONDS, _SHORT_STEP))
        correlation = periodicity(onset_envelope(band_decibels(sums[:, :-1])), rate / hop)
        if correlation is not None:
            # A window at the end of a track may be shorter than the others; the longest ones count.
            if len(correlation) > len(self._correlation):
                self._correlation = correlation
            elif len(correlation) == len(self._correlation):
                self._correlation = self._correlation + correlation
        self._classes += pitch_classes(samples, rate)
        square = energy(samples) / max(1, len(samples))
        if square > _SMALLEST:
            peak = max(float(samples.max()), -float(samples.min()))
            self._crest += 10 * math.log10(peak**2 / square)
            self._crests += 1

    def music(self, *, channel_gain: float = 0.0) -> Music:
        """What was measured so far.

        Parameters
        ----------
        channel_gain
            What the channels sum to above their mean, in dB: BS.1770 adds the powers of the channels, and the samples
            are their mono mean. 0 for mono, 3.01 for two equal channels.
        """
        tempo = tempo_of(self._correlation, self._rate / self._hop) if len(self._correlation) else None
        key = key_of(self._classes)
        return Music(
            tempo=None if tempo is None else round(tempo.bpm, 2),
            tempo_confidence=None if tempo is None else round(tempo.confidence, 3),
            beat_strength=None if tempo is None else round(tempo.strength, 3),
            key=None if key is None else key.name,
            key_confidence=None if key is None else round(key.confidence, 3),
            loudness=_rounded(self._blocks.integrated(channel_gain)),
            loudness_range=_rounded(self._shorts.range(channel_gain)),
            dynamics=_rounded(self._crest / self._crests if self._crests else None),
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
