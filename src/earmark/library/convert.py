"""Turning a sound file of any kind into a WAV file that every browser plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from earmark.audio import Problem, Recording
from earmark.errors import AudioError

# Beyond it nobody hears a difference, and files only grow.
_HIGHEST_RATE = 48000


def write_wav(source: str, target: str, *, longest: float | None = None) -> float:
    """Decode a file to WAV, mono, 16 bits.

    Parameters
    ----------
    source
        The sound file.
    target
        Where to write.
    longest
        Stop after so many seconds.

    Returns
    -------
    float
        Seconds written.

    Raises
    ------
    AudioError
        If it cannot be decoded or holds no sound.
    """
    with Recording(source) as recording:
        rate, count = min(recording.info.sample_rate, _HIGHEST_RATE), 0
        with soundfile.SoundFile(target, "w", rate, 1, "PCM_16", format="WAV") as file:
            for block in recording.blocks(rate, seconds=longest, weigh=False):
                file.write(np.clip(block, -1, 1))
                count += len(block)
        if not count:
            Path(target).unlink()
            raise AudioError(f"{recording.name} cannot be used: it holds no sound.", Problem.EMPTY)
    return count / rate
