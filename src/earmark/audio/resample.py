"""From the rate of a file to the rate that is wanted, as a stream.

Resampling is soxr's "HQ" (20 bit, pass band up to 91 % of the lower half rate), the same as librosa's default
``res_type="soxr_hq"``. Run as a stream it gives the same samples as in one piece, whatever the size of the pieces,
and a stretch equals the same stretch of the whole file, both to the rounding of float32.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from earmark.audio.readers import Chunk

# soxr HQ reaches 110 samples of the lower rate to either side (measured: 1.7e-7 from there on).
CONTEXT: Final = 256
_NOTHING: Final = np.empty(0, np.float32)


def grid(first: int, native: int, rate: int) -> tuple[int, int]:
    """Where to begin reading for an output that begins at sample `first`.

    Returns the frame of the file and the number of output samples to throw away. The frame falls on the common grid
    of both rates and leaves room for the resampler's filter, so that a stretch equals that of the whole file.
    """
    if native == rate:
        return first, 0
    step = native // math.gcd(native, rate)
    context = math.ceil(CONTEXT * native / min(native, rate))
    begin = max(0, first * native // rate - context) // step * step
    return begin, first - begin * rate // native


class Converter:
    """Brings chunks of any rate to one rate."""

    def __init__(self, rate: int) -> None:
        self._out = rate
        self._in = rate
        self._stream: soxr.ResampleStream | None = None

    def feed(self, chunk: Chunk) -> NDArray[np.float32]:
        before = _NOTHING
        if chunk.rate != self._in:
            before = self.finish()
            self._in = chunk.rate
            if chunk.rate != self._out:
                self._stream = soxr.ResampleStream(chunk.rate, self._out, 1, dtype="float32", quality="HQ")
        samples = chunk.samples
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples)
        return np.concatenate([before, samples]) if len(before) else samples

    def finish(self) -> NDArray[np.float32]:
        """What is still inside; the next chunk starts afresh."""
        stream, self._stream = self._stream, None
        self._in = self._out
        return _NOTHING if stream is None else stream.resample_chunk(_NOTHING, last=True)
