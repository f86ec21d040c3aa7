"""What readers of sound files have in common, and the one that uses libsndfile (through soundfile).

A reader gives mono float32 at the file's own rate, at most a few seconds at once, so that memory is bounded by the
chunk and not by what a header claims.
"""

from __future__ import annotations

import contextlib
import math
import os
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.audio.containers import Content
from earmark.audio.sniff import Bytes
from earmark.products import ROW, energy

TOLERANCE: Final = 0.25
"""Seconds by which containers may be wrong about their length before sound is said to be missing."""
# libsndfile reads no further ahead than this many bytes, of tags behind the sound as little.
_READ_AHEAD: Final = 1 << 14
CHUNK: Final = 1 << 18
"""Values (frames times channels) decoded at once: 1 MiB of float32. More costs page faults, less costs calls."""

# Full scale is 1; integers stored as float reach 2^31. Beyond, a value is no sound, and the resampler would overflow.
_LIMIT: Final = 2.0**32
_HALVES: Final = np.full(2, 0.5, np.float32)
RATES: Final = (1000, 6_200_000)
"""Sample rates that are believed, in Hz: from telephone sound at its worst to DSD512 decoded to one eighth."""


class Chunk(NamedTuple):
    """A piece of decoded sound.

    ``samples``: (n,) float32 mono, to be used before the next chunk is read; ``rate`` in Hz; ``repaired``: values
    that were not finite (or beyond 2^32) and were set to zero; ``energy``: sum of the squares of all channels, not a
    number where that is not known.
    """

    samples: NDArray[np.float32]
    rate: int
    repaired: int
    energy: float = math.nan


class ReadError(Exception):
    """A reader cannot open a file or cannot go on; the message is the decoder's own."""


class Reader(Protocol):
    """What both readers offer.

    ``rate`` in Hz and ``channels`` as at the beginning; ``frames``: how many the container declares (None: unknown);
    ``errors``: how often decoding failed with more sound after it; ``position``: where the next chunk begins, in
    seconds of decoded sound; ``reached``: the same by the container's own clock, which also counts what was lost;
    ``promised``: whether ``frames`` is the length of the sound itself, and not of a film that it belongs to.
    Reading weighs a chunk (sums up its energy) unless it is told not to.
    """

    name: Literal["soundfile", "av"]
    rate: int
    channels: int
    codec: str
    frames: int | None
    errors: int
    promised: bool

    @property
    def position(self) -> float: ...
    @property
    def reached(self) -> float: ...
    def seek(self, frame: int) -> None: ...
    def read(self, frames: int, weigh: bool = True) -> Chunk | None: ...
    def measure(self) -> float: ...
    def close(self) -> None: ...


def mix(block: NDArray[Any], axis: int, out: NDArray[np.float32] | None = None) -> tuple[NDArray[np.float32], int]:
    """Mix channels to mono by their mean.

    Parameters
    ----------
    block
        (n, channels) or (channels, n), float32.
    axis
        Which axis is the channels.
    out
        (n,) float32 to write to, one value behind the other, if at hand: fresh memory costs more than the sum.

    Returns
    -------
    tuple
        Mono (n,) float32, which may share its memory with `block` or `out`, and the number of values repaired.
    """
    with np.errstate(all="ignore"):
        mono = _mean(block, axis, out)
        # NaN fails every comparison.
        if mono.min() > -_LIMIT and mono.max() < _LIMIT:
            return mono, 0
        bad = ~(np.abs(block) < _LIMIT)
        return _mean(np.where(bad, np.float32(0), block), axis, out), int(bad.sum())


def _mean(block: NDArray[Any], axis: int, out: NDArray[np.float32] | None) -> NDArray[np.float32]:
    channels = block.shape[axis]
    if channels == 1:
        single: NDArray[np.float32] = block.reshape(-1)
        return single
    if channels > 16:
        return np.asarray(block.mean(axis=axis, dtype=np.float32))
    if axis == 1 and channels == 2 and block.flags.c_contiguous and block.dtype == np.float32:
        return _mean_of_pairs(block, out)
    # Adding whole channels is twenty times faster than ndarray.mean over a short last axis.
    parts = [block[:, c] if axis == 1 else block[c] for c in range(channels)]
    mono: NDArray[np.float32] = np.add(parts[0], parts[1], out=out, dtype=np.float32)
    for part in parts[2:]:
        mono += part
    mono *= np.float32(1 / channels)
    return mono


def _mean_of_pairs(block: NDArray[np.float32], out: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(n, 2) -> (n,): halves are exact, so it is the same as the half of the sum, in half the time."""
    mono = np.empty(len(block), np.float32) if out is None else out
    whole = len(block) // ROW * ROW
    for part, rows in ((slice(whole), ROW), (slice(whole, None), len(block) - whole)):
        if rows and len(mono[part]):
            np.matmul(block[part].reshape(-1, rows, 2), _HALVES, out=mono[part].reshape(-1, rows))
    return mono


class QuietBytes:
    """A binary file object for C libraries: exceptions cannot cross them, so they are kept in ``error`` instead.

    A failed read ends the file and a failed seek returns -1. The object has no name, so that no library can take a
    hint from it, and closing is left to the owner.
    """

    def __init__(self, file: Bytes, descriptor: int | None = None) -> None:
        self._file = file
        self.length = 0
        self._start = 0
        self.error: OSError | None = None
        self.descriptor = descriptor
        """Where libsndfile may read directly; only for a file that nobody else reads through a buffer."""

    def read(self, size: int = -1, /) -> bytes:
        try:
            return memoryview(self._file.read(size)).tobytes()
        except OSError as error:
            self.error = error
        except (ValueError, TypeError) as error:
            self.error = OSError(str(error))
        return b""

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        try:
            # FFmpeg adds flags of its own above the lowest two bits.
            whence &= 3
            return self._file.seek(offset + (0 if whence else self._start), whence) - self._start
        except (OSError, ValueError, OverflowError):
            return -1

    def tell(self) -> int:
        return self._file.tell() - self._start

    def skip(self, size: int) -> None:
        """Leave out the first bytes for good: to the readers the file begins behind them."""
        self._start += size
        self.length -= size
        self.descriptor = None

    def size(self) -> int:
        """Length in bytes; raises what the file raises."""
        self.length = self._file.seek(0, SEEK_END)
        self._file.seek(0)
        return self.length

    def place(self) -> int:
        """Where reading goes on, in bytes, be it here or in libsndfile."""
        return self.tell() if self.descriptor is None else os.lseek(self.descriptor, 0, SEEK_CUR)

    def unread(self) -> int:
        """Bytes behind the place of reading."""
        return self.length - self.place()


class _Sound(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that does not seek after every read, which costs a third of the time for MP3."""

    def seekable(self) -> bool:
        return False


_SOUNDFILE_CODECS = {"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_III": "mp3", "ALAC_16": "alac"}


class SoundfileReader:
    """libsndfile: PCM of all kinds, FLAC, Ogg (Vorbis, Opus), MP3; seeks to the sample.

    ``frame``: where the next chunk begins; ``length``: frames in all, as libsndfile counts them; ``most``: how many
    are read at once at most.
    """

    name: Literal["soundfile", "av"] = "soundfile"

    def __init__(self, file: QuietBytes, content: Content) -> None:
        self.file = file
        self._sound = self._open()
        self.rate = int(self._sound.samplerate)
        self.channels = int(self._sound.channels)
        subtype = str(self._sound.subtype)
        self.codec = "flac" if content.container.name == "flac" else _SOUNDFILE_CODECS.get(subtype, subtype.lower())
        # SF_COUNT_MAX stands for an unknown length.
        frames = int(self._sound.frames)
        self.frames = frames if content.declares and frames < 1 << 62 else None
        self.errors = 0
        self.promised = True
        self.length = frames
        self.frame = 0
        self.most = max(1024, CHUNK // self.channels)
        self._buffer = np.empty((self.most, self.channels), np.float32)
        self._mono = np.empty(self.most, np.float32)
        # Asked for float32, libsndfile takes five times as long over 16 bit samples; the numbers are the same.
        self._integers = np.empty(self._buffer.shape, np.int16) if subtype == "PCM_16" else None

    def _open(self) -> _Sound:
        source: int | QuietBytes = self.file
        self.file.seek(0)
        if self.file.descriptor is not None:
            # A copy shares its place with the original, and libsndfile takes that place for the beginning.
            source = os.dup(self.file.descriptor)
        try:
            return _Sound(source, closefd=True)
        except Exception as error:
            if isinstance(source, int):
                with contextlib.suppress(OSError):
                    os.close(source)
            raise ReadError(sentence(error)) from error

    @property
    def position(self) -> float:
        return self.frame / self.rate

    @property
    def reached(self) -> float:
        return self.position

    def seek(self, frame: int) -> None:
        frame = min(frame, self.length)
        if frame == self.frame:
            return
        if self.codec == "vorbis" and self.frame:
            # One seek in ten misses by up to a second where libsndfile has been elsewhere in the file before.
            self._sound.close()
            self._sound = self._open()
        try:
            self.frame = int(self._sound.seek(frame))
        except Exception as error:
            raise ReadError(sentence(error)) from error
        if self.frame != frame:
            raise ReadError("The place that was asked for was not reached.")

    def read(self, frames: int, weigh: bool = True) -> Chunk | None:
        buffer = self._buffer[: max(1, min(frames, self.most))]
        try:
            if self._integers is None:
                count = int(self._sound.buffer_read_into(buffer, "float32"))
            else:
                integers = self._integers[: len(buffer)]
                count = int(self._sound.buffer_read_into(integers, "int16"))
                np.multiply(integers[:count], np.float32(1 / 32768), out=buffer[:count])
        except Exception as error:
            raise ReadError(sentence(error)) from error
        if count <= 0:
            early = self.frames is not None and self.frame < self.frames - TOLERANCE * self.rate
            if early and self.file.unread() > _READ_AHEAD:
                raise ReadError("It stops before the end.")
            return None
        self.frame += count
        mono, repaired = mix(buffer[:count], 1, self._mono[:count])
        return Chunk(mono, self.rate, repaired, energy(buffer[:count]) if weigh else math.nan)

    def measure(self) -> float:
        return self.length / self.rate

    def close(self) -> None:
        self._sound.close()


def sentence(error: Exception) -> str:
    """A decoder's own words, without the name of the file that it may repeat."""
    text = str(
        getattr(error, "error_string", None) or getattr(error, "strerror", None) or error or type(error).__name__
    )
    return text.strip().rstrip(".") + "."
