"""Which sound a file holds, as a short key that neither a new name nor new tags change.

The key is what recognises a moved file, and what tells a file whose tags were edited from one whose sound is new. It
covers the bytes of the sound alone, without the tags around them, wherever the format makes those easy to tell apart.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

KEY_BYTES = 16
# Looked at from the beginning, the middle and the end, where the default windows are decoded too: no further
# seeking on a slow disk. Encoders leave no two recordings with equal length and these three blocks equal.
_BLOCK = 1 << 16
# No file of ours has more chunks, pages or blocks before its sound; a hostile one is not walked for ever.
_STEPS = 4096
_SAID = 4096  # bytes of one part of a header
_NESTED = ((b"trak",), (b"mdia", b"edts"), (b"minf",), (b"stbl",))  # atoms within atoms, from moov on
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def content_key(file: BinaryIO) -> bytes:
    """Key of the sound in an open file: 16 bytes, equal for equal sound data under any tags.

    Parameters
    ----------
    file
        Seekable and binary; its position is changed.

    Notes
    -----
    BLAKE2b over the length of the sound data, three blocks of 64 KiB of it, and what headers say of how to read it:
    rate, channels, samples, promised length. Under a header that lies the same bytes are another sound, or cut off.
    The sound data is what remains without ID3v1, ID3v2, Lyrics3 and APE tags, FLAC metadata blocks, MP4 atoms other
    than ``mdat``, RIFF and AIFF chunks other than the sound, the header of ASF (WMA) and Ogg header pages. Where that
    cannot be told, it is the whole file.
    """
    start, end, reading = _sound(file)
    length = end - start
    digest = hashlib.blake2b(struct.pack("<Q", length) + reading, digest_size=KEY_BYTES)
    places = [start, start + (length - _BLOCK) // 2, end - _BLOCK] if length > 3 * _BLOCK else [start]
    for place in places:
        file.seek(place)
        digest.update(file.read(_BLOCK if len(places) > 1 else length))
    return digest.digest()


def sound_stretch(file: BinaryIO) -> tuple[int, int]:
    """First byte of the sound data and the byte behind it."""
    return _sound(file)[:2]


def _sound(file: BinaryIO) -> tuple[int, int, bytes]:
    """First byte of the sound data, the byte behind it, and what is said outside of it about how to read it."""
    size = file.seek(0, os.SEEK_END)
    start, end, reading = _after_id3(file, size), _before_tags(file, size), b""
    file.seek(start)
    head = file.read(16)
    try:
        if head[:4] == b"fLaC":
            start, reading = _after_flac_blocks(file, start)
        elif head[4:8] == b"ftyp":
            start, end, reading = _atoms(file, size) or (start, end, b"")
        elif head[:4] in (b"RIFF", b"FORM") and head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
            start, end, reading = _chunk(file, start, size, "<" if head[:4] == b"RIFF" else ">") or (start, end, b"")
        elif head[:4] == b"OggS":
            start, reading = _first_sound_page(file, start) or (start, b"")
        elif head == ASF_HEADER:
            start, end, reading = _asf_data(file, start, size) or (start, end, b"")
    except (struct.error, OverflowError, ValueError, OSError):
        # Cut off within a header, or sent to a place beyond all files: the whole file speaks for itself.
        start, end, reading = 0, size, b""
    return (start, end, reading) if 0 <= start < end <= size else (0, size, b"")


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


def _after_flac_blocks(file: BinaryIO, start: int) -> tuple[int, bytes]:
    position, reading = start + 4, b""
    for _ in range(_STEPS):
        file.seek(position)
        (word,) = struct.unpack(">I", file.read(4))
        if word >> 24 & 0x7F == 0 and not reading:
            reading = file.read(18)[10:]  # of STREAMINFO: rate, channels, bits, number of samples
        position += 4 + (word & 0xFFFFFF)
        if word >> 31:
            break
    return position, reading


def _walk_atoms(file: BinaryIO, position: int, end: int, steps: Iterator[int]) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte behind the header and promised end of MP4 atoms."""
    for _ in steps:
        file.seek(position)
        head = file.read(16)
        if position >= end or len(head) < 8:
            break
        length, name, body = int.from_bytes(head[:4]), head[4:8], 8
        if length == 1:
            length, body = int.from_bytes(head[8:16]), 16
        elif length == 0:
            length = end - position
        if length < body:
            break
        yield name, position + body, position + length
        position += length


def _atoms(file: BinaryIO, size: int) -> tuple[int, int, bytes] | None:
    """The largest ``mdat``, its promised length, and what the tracks say of how to read it."""
    found: tuple[int, int] | None = None
    reading = b""
    steps = iter(range(_STEPS))
    for name, start, end in _walk_atoms(file, 0, size, steps):
        if name == b"mdat" and (found is None or end - start > found[1] - found[0]):
            found = start, end
        elif name == b"moov":
            reading += _of_tracks(file, start, min(end, size), steps)
    return (
        None if found is None else (found[0], min(size, found[1]), reading + struct.pack("<Q", found[1] - found[0]))
    )


def _of_tracks(file: BinaryIO, start: int, end: int, steps: Iterator[int], depth: int = 0) -> bytes:
    reading = b""
    for name, first, last in _walk_atoms(file, start, end, steps):
        if depth < len(_NESTED) and name in _NESTED[depth]:
            reading += _of_tracks(file, first, min(last, end), steps, depth + 1)
        elif name in (b"mdhd", b"stsd", b"stts", b"elst"):
            file.seek(first)
            data = file.read(min(last - first, _SAID))
            # The dates of mdhd, which say nothing about the sound, come before its rate and length.
            reading += data[20 if data[:1] == b"\1" else 12 :] if name == b"mdhd" else data
    return reading


def _chunk(file: BinaryIO, start: int, size: int, order: str) -> tuple[int, int, bytes] | None:
    position, reading = start + 12, b""
    for _ in range(_STEPS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        (length,) = struct.unpack(order + "I", head[4:])
        if head[:4] in (b"data", b"SSND"):
            return position + 8, min(size, position + 8 + length), reading + head[4:]
        if head[:4] in (b"fmt ", b"COMM"):
            reading += file.read(min(length, _SAID))
        position += 8 + length + length % 2
    return None


def _first_sound_page(file: BinaryIO, start: int) -> tuple[int, bytes] | None:
    """The first Ogg page with a time: header pages have time 0, or -1 where no packet ends in them."""
    position, reading = start, b""
    for _ in range(_STEPS):
        file.seek(position)
        head = file.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            break
        if int.from_bytes(head[6:14], "little", signed=True) > 0:
            return position, reading
        length = sum(file.read(head[26]))
        if position == start:
            reading = file.read(min(length, _SAID))
        position += 27 + head[26] + length
    return None


def _asf_data(file: BinaryIO, start: int, size: int) -> tuple[int, int, bytes] | None:
    """The packets, their promised length, and what the header of ASF says of how to read them."""
    file.seek(start + 16)
    (length,) = struct.unpack("<Q", file.read(8))
    position, reading = start + 30, b""
    for _ in range(_STEPS):
        if position >= start + length:
            break
        file.seek(position)
        guid, part = struct.unpack("<16sQ", file.read(24))
        if guid == ASF_FILE_PROPERTIES:
            data = file.read(80)
            reading += data[32:64] + data[68:]  # without the file's size and date
        elif guid == _ASF_STREAM:
            reading += file.read(min(max(part, 24) - 24, _SAID))
        position += max(part, 24)
    file.seek(start + length)
    guid, part = struct.unpack("<16sQ", file.read(24))
    if guid != _ASF_DATA:
        return None
    return start + length + 24, min(size, start + length + max(part, 24)), reading + struct.pack("<Q", part)
