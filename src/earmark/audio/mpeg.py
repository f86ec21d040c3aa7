"""Streams that begin without a magic number: MPEG audio (MP3), ADTS (AAC) and AC-3, told by their frames.

A sync word is 11 to 16 bits and turns up by chance every few kilobytes, so three frames must follow one another
at the distance that their headers give before a stream is believed.

Sources: ISO/IEC 11172-3 and 13818-3 (frame header), 13818-7 (ADTS), ATSC A/52 (AC-3), and the Xing and Info header
as LAME writes it.
"""

from __future__ import annotations

import re
import struct
from typing import Final, Literal, NamedTuple

_CHAIN: Final = 3
# Bytes of the longest header.
_HEADER: Final = 7

# Kilobits per second by (MPEG version 1, layer).
_BIT_RATES: dict[tuple[bool, int], tuple[int, ...]] = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# Hertz by the version bits: MPEG 2.5, reserved, MPEG 2, MPEG 1.
_RATES: tuple[tuple[int, ...], ...] = (
    (11025, 12000, 8000),
    (),
    (22050, 24000, 16000),
    (44100, 48000, 32000),
)
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


Kind = Literal["mp3", "adts", "ac3", "eac3"]


class Frames(NamedTuple):
    """A stream of frames: its kind, where the first begins, and its length."""

    kind: Kind
    start: int
    length: int


class _Frame(NamedTuple):
    """Length in bytes of a frame, and what stays the same from frame to frame."""

    length: int
    key: tuple[Kind, int]


def _frame(data: bytes, at: int) -> _Frame | None:
    """The frame that begins at a place, or None."""
    header = data[at : at + _HEADER]
    if len(header) < 4:
        return None
    if header[0] == 0x0B and header[1] == 0x77:
        return _ac3(header)
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    # Layer 0 does not exist; ADTS uses it for itself.
    return _adts(header) if header[1] & 0xF6 == 0xF0 else _mpeg(header)


def _mpeg(header: bytes) -> _Frame | None:
    second, third = header[1], header[2]
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    bit_rate, rate = third >> 4, third >> 2 & 3
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return None
    kbps, hertz = _BIT_RATES[version == 3, layer][bit_rate], _RATES[version][rate]
    if layer == 1:
        length = (12 * 1000 * kbps // hertz + (third >> 1 & 1)) * 4
    else:
        samples = 576 if layer == 3 and version != 3 else 1152
        length = samples * 125 * kbps // hertz + (third >> 1 & 1)
    return _Frame(length, ("mp3", (second & 0xFE) << 8 | third & 0x0C))


def _adts(header: bytes) -> _Frame | None:
    if len(header) < 7 or header[2] >> 2 & 15 > 12:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return _Frame(length, ("adts", header[1] << 8 | header[2])) if length >= 8 else None


def _ac3(header: bytes) -> _Frame | None:
    if len(header) < 6:
        return None
    if header[5] >> 3 > 10:
        return _Frame(((header[2] & 7) << 8 | header[3]) * 2 + 2, ("eac3", header[4] >> 6))
    rate, size = header[4] >> 6, header[4] & 63
    if rate == 3 or size > 37:
        return None
    kbps = _AC3_KBPS[size >> 1]
    return _Frame(2 * (kbps * 2, kbps * 320 // 147 + (size & 1), kbps * 3)[rate], ("ac3", rate))


def find_frames(data: bytes, ends: bool) -> Frames | None:
    """Find the first frame that others of its kind follow.

    Parameters
    ----------
    data
        The beginning of the stream.
    ends
        Whether the stream ends with `data`; a short stream is then believed with fewer frames.
    """
    for match in re.finditer(rb"\xff[\xe0-\xff]|\x0b\x77", data):
        start = at = match.start()
        frame = first = _frame(data, at)
        count = 0
        while first is not None and frame is not None and frame.key == first.key:
            at += frame.length
            count += 1
            if count == _CHAIN or (ends and start == 0 and at + 7 > len(data)):
                return Frames(first.key[0], start, first.length)
            frame = _frame(data, at)
    return None


def breaks_off(tail: bytes) -> bool:
    """Whether the last bytes of a stream end in the middle of a frame.

    Only a frame that ends the unbroken row of those before it counts, so other data behind the last frame is no cut.
    """
    found = find_frames(tail, ends=False)
    if found is None:
        return False
    at, key = found.start, None
    while (frame := _frame(tail, at)) is not None and key in (None, frame.key):
        key = frame.key
        at += frame.length
        if at > len(tail):
            return True
    # Or in the middle of a header, which is told by its sync word.
    return 2 <= len(tail) - at < _HEADER and tail[at : at + 2] == tail[found.start : found.start + 2]


def promised(frame: bytes) -> tuple[int, int]:
    """(frames, bytes) that the Xing, Info or VBRI header in the first MP3 frame promises; 0 where it says nothing."""
    at = max(frame.find(b"Xing", 0, 64), frame.find(b"Info", 0, 64))
    if at >= 0 and len(frame) >= at + 16:
        flags, first, second = struct.unpack(">III", frame[at + 4 : at + 16])
        if flags & 3 == 3:
            return first, second
        return (first, 0) if flags & 1 else (0, 0)
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        # libsndfile does not read it; without its byte count the stream goes to FFmpeg, which does.
        return int(struct.unpack(">I", frame[50:54])[0]), 0
    return 0, 0


class Chain:
    """Whether MP3 frames (layer III) follow one another without a gap and take no bits from before the chain.

    The bits of a frame may begin up to 511 bytes (MPEG-1; 255 in MPEG-2) before it, in the frames before. Where each
    begins at or behind the beginning of those of the frame before, all are in the chain once it has grown so long.

    Parameters
    ----------
    place
        Where in the file the data will begin that is given first.

    Attributes
    ----------
    place
        Where the next frame begins; data is wanted from there on.
    broken
        Something other than a frame of the same kind follows, or one that takes bits that are not its own.
    """

    def __init__(self, place: int) -> None:
        self.place = place
        self.broken = False
        self._begun = False
        # Bytes of bits in the chain so far; how many of them the next frame may take, and how many any frame may.
        self._gathered = self._there = self._limit = 0
        # Second byte of every header, the rate in the third, whether it is mono; bytes that hold no bits of sound.
        self._second = self._rate = self._overhead = 0
        self._mono = False
        self._lengths: dict[int, int] = {}

    @property
    def full(self) -> bool:
        """Whether what follows in the chain can only take bits of the chain."""
        return self._begun and self._gathered >= self._limit

    def follow(self, data: bytes) -> None:
        """Go on along the chain.

        Parameters
        ----------
        data
            Bytes of the file from :attr:`place` on. A frame that begins in them is looked at as soon as its header is
            there, and what says where its bits begin.
        """
        start = 0 if self._begun else self._begin(data)
        at = start
        while not self.broken and at + 8 <= len(data):
            third = data[at + 2]
            length = self._lengths.get(third)
            if length is None:
                frame = _frame(data, at)
                length = self._lengths[third] = 0 if frame is None else frame.length
            same = data[at] == 0xFF and data[at + 1] == self._second and (data[at + 3] >> 6 == 3) == self._mono
            side = at + (4 if self._second & 1 else 6)
            before = data[side] << 1 | data[side + 1] >> 7 if self._limit == 511 else data[side]
            if not same or not length or third & 0x0C != self._rate or before > self._there:
                self.broken = True
                break
            own = max(0, length - self._overhead)
            self._there = min(self._limit, before + own)
            self._gathered += own
            at += length
        self.place += at

    def _begin(self, data: bytes) -> int:
        """Take on the kind of the first frame, and tell where it begins."""
        found = find_frames(data, ends=False)
        if found is None or found.kind != "mp3" or data[found.start + 1] >> 1 & 3 != 1:
            self.broken = True
            return 0
        self._begun = True
        self._second, self._rate = data[found.start + 1], data[found.start + 2] & 0x0C
        self._mono = data[found.start + 3] >> 6 == 3
        first = self._second >> 3 & 3 == 3
        self._there = self._limit = 511 if first else 255
        # Header, checksum and side information.
        side = (17 if self._mono else 32) if first else (9 if self._mono else 17)
        self._overhead = 4 + (0 if self._second & 1 else 2) + side
        return found.start
