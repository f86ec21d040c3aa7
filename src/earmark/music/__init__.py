"""Tempo, key, loudness and dynamics of a track, measured in the very windows that are heard. NumPy only.

:class:`Music` is the answer, :class:`earmark.music.meter.MusicMeter` finds it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


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
