"""Sound from a pipe: raw PCM, or WAV whose end is not known yet, in blocks as they come."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError

ENCODINGS: Final[dict[str, tuple[str, int]]] = {
    "s16le": ("<i2", 2),
    "s16be": (">i2", 2),
    "s24le": ("", 3),
    "s32le": ("<i4", 4),
    "s32be": (">i4", 4),
    "f32le": ("<f4", 4),
    "f32be": (">f4", 4),
    "f64le": ("<f8", 8),
}
"""Names as FFmpeg has them, to NumPy's name and bytes per sample."""
DEFAULT_ENCODING: Final = "s16le"
DEFAULT_RATE: Final = 44100
_READ: Final = 1 << 16
# Writers into a pipe do not know the length and put numbers from here up (arecord, SoX, FFmpeg).
_ENDLESS: Final = 0x7FFFF000
_MOST_HEADER: Final = 1 << 20
_FILES: Final = (
    (0, b"ID3", "an MP3 file"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"FORM", "an AIFF file"),
    (4, b"ftyp", "an MP4 file"),
    (0, b"\x1aE\xdf\xa3", "a Matroska file"),
)


class PcmStream:
    """PCM samples as they come through a pipe.

    Parameters
    ----------
    file
        Open, binary; need not be seekable.
    encoding
        One of :data:`ENCODINGS`, also as ALSA writes it (``S16_LE``); None: ``s16le``. WAV says it itself.
    sample_rate, channels
        None: 44100 Hz and one channel. WAV says them itself.

    Attributes
    ----------
    encoding, sample_rate, channels
        As they are.

    Raises
    ------
    InputError
        If the stream is WAV and says something else than was given or holds no PCM, or is another kind of file.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        encoding: str | None = None,
        sample_rate: int | None = None,
        channels: int | None = None,
    ) -> None:
        # What there is at once: a whole buffer of a slow source would come late.
        self._read = getattr(file, "read1", file.read)
        self._left: int | None = None
        self._held = b""
        given = {
            "encoding": None if encoding is None else _known(encoding),
            "sample rate": sample_rate,
            "channels": channels,
        }
        if self._peek(12)[:4] == b"RIFF" and self._held[8:12] == b"WAVE":
            says: dict[str, Any] = dict(zip(given, self._header(), strict=True))
            for name, value in given.items():
                if value is not None and value != says[name]:
                    raise InputError(f"The WAV stream says {name} {says[name]}, not {value}. Leave the option out.")
        else:
            kind = next((kind for at, magic, kind in _FILES if self._held[at:].startswith(magic)), None)
            if kind is not None:
                raise InputError(
                    f"This is {kind}, not PCM. Decode it first: ffmpeg -i FILE -f wav - | earmark listen; "
                    "or name the whole file with: earmark classify FILE"
                )
            defaults = (DEFAULT_ENCODING, DEFAULT_RATE, 1)
            says = {name: value or default for (name, value), default in zip(given.items(), defaults, strict=True)}
        self.encoding, self.sample_rate, self.channels = says.values()

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Samples as they come, channels interleaved, float or integer, shape (n,); ends with the stream."""
        kind, width = ENCODINGS[self.encoding]
        held = self._held
        while self._left is None or self._left > 0:
            if not held and not (held := self._read(_READ)):
                break
            if self._left is not None:
                held = held[: self._left]
            whole = len(held) - len(held) % width
            if not whole:
                more = self._read(_READ)
                if not more:
                    break
                held += more
                continue
            data, held = held[:whole], held[whole:]
            if self._left is not None:
                self._left -= whole
            yield _samples(data, kind)

    def _peek(self, count: int) -> bytes:
        while len(self._held) < count:
            more = self._read(_READ)
            if not more:
                break
            self._held += more
        return self._held[:count]

    def _take(self, count: int) -> bytes:
        taken = self._peek(count)
        if len(taken) < count:
            raise InputError("The WAV stream ends in its header.")
        self._held = self._held[count:]
        return taken

    def _header(self) -> tuple[str, int, int]:
        self._take(12)
        found: tuple[str, int, int] | None = None
        passed = 0
        while passed < _MOST_HEADER:
            name, length = struct.unpack("<4sI", self._take(8))
            if name == b"data":
                if found is None:
                    break
                self._left = length if 0 < length < _ENDLESS else None
                return found
            passed += 8 + length
            if passed >= _MOST_HEADER:
                break
            body = self._take(length + length % 2)
            if name == b"fmt " and length >= 16:
                found = _format(body)
        raise InputError("The WAV stream has no usable header.")


def _format(body: bytes) -> tuple[str, int, int]:
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if tag == 0xFFFE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    encoding = {(1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le", (3, 64): "f64le"}.get(
        (tag, bits)
    )
    if encoding is None:
        raise InputError(
            f"The WAV stream holds samples of {bits} bits in format {tag}, not PCM of 16, 24 or 32 bits or float. "
            "Ask its writer for 16 bits."
        )
    return encoding, rate, channels


def _known(encoding: str) -> str:
    name = encoding.lower().replace("_", "")
    if name not in ENCODINGS:
        raise InputError(f"There is no encoding {encoding!r} here; known are {', '.join(ENCODINGS)}.")
    return name


def _samples(data: bytes, kind: str) -> NDArray[Any]:
    if kind:
        samples = np.frombuffer(data, kind)
        return samples.astype(samples.dtype.newbyteorder("="), copy=False)
    # Three bytes become the upper three of four.
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    integers: NDArray[Any] = wide.view("<i4").reshape(-1)
    return integers
