"""Which sound a file holds, as a short key that neither a new name nor new tags change.

The key is what recognises a moved file, and what tells a file whose tags were edited from one whose sound is new. It
covers the bytes of the sound alone, without the tags around them, wherever the format makes those easy to tell apart.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import BinaryIO

KEY_BYTES = 16
# Looked at from the beginning, the middle and the end, where the default windows are decoded too: no further
# seeking on a slow disk. Encoders leave no two recordings with equal length and these three blocks equal.
_BLOCK = 1 << 16
# No file of ours has more chunks, pages or blocks before its sound; a hostile one is not walked for ever.
_STEPS = 4096


def content_key(file: BinaryIO) -> bytes:
    """Key of the sound in an open file: 16 bytes, equal for equal sound data under any tags.

    Parameters
    ----------
    file
        Seekable and binary; its position is changed.

    Notes
    -----
    BLAKE2b over the length of the sound data and three blocks of 64 KiB of it. The sound data is what remains without
    ID3v1, ID3v2, Lyrics3 and APE tags, FLAC metadata blocks, MP4 atoms other than ``mdat``, RIFF and AIFF chunks
    other than the sound, and Ogg header pages. Where that cannot be told, it is the whole file.
    """
    start, end = sound_stretch(file)
    length = end - start
    digest = hashlib.blake2b(struct.pack("<Q", length), digest_size=KEY_BYTES)
    places = [start, start + (length - _BLOCK) // 2, end - _BLOCK] if length > 3 * _BLOCK else [start]
    for place in places:
        file.seek(place)
        digest.update(file.read(_BLOCK if len(places) > 1 else length))
    return digest.digest()


def sound_stretch(file: BinaryIO) -> tuple[int, int]:
    """First byte of the sound data and the byte behind it."""
    size = file.seek(0, os.SEEK_END)
    start, end = _after_id3(file, size), _before_tags(file, size)
    file.seek(start)
    head = file.read(12)
    try:
        if head[:4] == b"fLaC":
            start = _after_flac_blocks(file, start)
        elif head[4:8] == b"ftyp":
            start, end = _atom(file, size) or (start, end)
        elif head[:4] in (b"RIFF", b"FORM") and head[8:] in (b"WAVE", b"AIFF", b"AIFC"):
            start, end = _chunk(file, start, size, "<" if head[:4] == b"RIFF" else ">") or (start, end)
        elif head[:4] == b"OggS":
            start = _first_sound_page(file, start) or start
    except (struct.error, OverflowError, ValueError, OSError):
        # Cut off within a header, or sent to a place beyond all files: the whole file speaks for itself.
        start, end = 0, size
    return (start, end) if 0 <= start < end <= size else (0, size)


def _after_id3(file: BinaryIO, size: int) -> int:
    start = 0
    for _ in range(_STEPS):
        file.seek(start)
        head = file.read(10)
        if head[:3] != b"ID3" or len(head) < 10 or max(head[6:10]) & 0x80:
            break
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        start += 10 + length + (10 if head[5] & 0x10 else 0)
        if start >= size:
            return 0
    return start


def _before_tags(file: BinaryIO, size: int) -> int:
    end = size
    for _ in range(8):
        file.seek(max(0, end - 128))
        tail = file.read(min(128, end))
        if tail[:3] == b"TAG" and len(tail) == 128:
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            length, _, flags = struct.unpack("<III", tail[-20:-8])
            end -= length + (32 if flags >> 31 else 0)
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end -= int(tail[-15:-9]) + 15
        else:
            break
        if end <= 0:
            return size
    return end


def _after_flac_blocks(file: BinaryIO, start: int) -> int:
    position = start + 4
    for _ in range(_STEPS):
        file.seek(position)
        (word,) = struct.unpack(">I", file.read(4))
        position += 4 + (word & 0xFFFFFF)
        if word >> 31:
            break
    return position


def _atom(file: BinaryIO, size: int) -> tuple[int, int] | None:
    """The largest ``mdat``."""
    found: tuple[int, int] | None = None
    position = 0
    for _ in range(_STEPS):
        if position >= size:
            break
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            break
        length, name, body = int.from_bytes(head[:4]), head[4:8], 8
        if length == 1:
            length, body = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = size - position
        if length < body:
            break
        if name == b"mdat" and (found is None or length > found[1] - found[0]):
            found = position + body, min(size, position + length)
        position += length
    return found


def _chunk(file: BinaryIO, start: int, size: int, order: str) -> tuple[int, int] | None:
    position = start + 12
    for _ in range(_STEPS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        (length,) = struct.unpack(order + "I", head[4:])
        if head[:4] in (b"data", b"SSND"):
            return position + 8, min(size, position + 8 + length)
        position += 8 + length + length % 2
    return None


def _first_sound_page(file: BinaryIO, start: int) -> int | None:
    """The first Ogg page with a time: header pages have time 0, or -1 where no packet ends in them."""
    position = start
    for _ in range(_STEPS):
        file.seek(position)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            break
        if int.from_bytes(head[6:14], "little", signed=True) > 0:
            return position
        position += 27 + head[26] + sum(file.read(head[26]))
    return None
