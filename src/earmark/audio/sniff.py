"""What a file holds, told from its bytes and never from its name.

Names lie: libraries are full of ``.mp3`` files that are MP4 inside. :func:`sniff` looks at the first bytes (and,
where the structure of the container allows it, at its end) and says which container it is, which reader may try
it, and whether its end is missing. A container that is not in the table is not tried at all: FFmpeg would take a
playlist or a text file as a reason to open other files, and random bytes as some headerless format.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from earmark.audio.containers import AC3, ADTS, EAC3, FORMS, MAGIC, MP3, MPEG_TS, OTHER, Content
from earmark.audio.mpeg import breaks_off, find_frames, promised


class Bytes(Protocol):
    """The part of a binary file object that this package uses."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


class _Behind:
    """A file from a place on, as if it began there."""

    def __init__(self, file: Bytes, start: int) -> None:
        self._file, self._start = file, start
        self.read = file.read

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset + self._start, whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


def sniff(file: Bytes, size: int) -> Content | None:
    """Tell the container of a seekable file from its bytes.

    Parameters
    ----------
    file
        Binary file object; its position is changed.
    size
        Its length in bytes.

    Returns
    -------
    Content or None
        None if it is no sound that Earmark knows.

    Notes
    -----
    libsndfile is the first choice where it can be (it is faster and seeks to the sample), except where it was
    measured to lose sound without a word: MP3 without the frame count of a Xing or Info header, or with more or fewer
    bytes than that header says (it stops at a guessed length: 7.8 of 20 s in one variable bit rate file), and Ogg
    with several streams one after the other (it stops after the first). Opus takes it three times as long as FFmpeg.
    """
    file.seek(0)
    head = file.read(4096)
    offset = 0
    # ID3v2 tags stand in front of MP3, and wrongly also of FLAC, AAC and others; several may follow one another.
    while head[:3] == b"ID3" and len(head) >= 10 and not max(head[6:10]) & 0x80:
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        offset += 10 + length + (10 if head[5] & 0x10 else 0)
        file.seek(offset)
        head = file.read(4096)
    container = FORMS.get((head[:4], head[8:12]))
    if container is None:
        container = next((c for at, magic, c in MAGIC if head.startswith(magic, at)), None)
    if container is not None:
        content = Content(container, container.soundfile, declares=container.declares, offset=offset)
        examine = _EXAMINERS.get(container.name)
        if examine is None:
            return content
        try:
            return examine(content, _Behind(file, offset), head, size - offset)
        except (struct.error, IndexError):
            # The header ends in the middle of a field.
            return replace(content, whole=False)
    if head[:1] == b"\x47" and len(head) > 376 and head[188] == head[376] == 0x47:
        return Content(MPEG_TS, False, declares=False)
    if any(head.startswith(magic) for magic, _ in OTHER):
        return None
    return _sniff_frames(file, offset, size)


def _sniff_frames(file: Bytes, offset: int, size: int) -> Content | None:
    """Recognise streams that are nothing but frames (MP3, ADTS, AC-3), behind up to 128 KiB of other bytes."""
    file.seek(offset)
    data = file.read(1 << 17)
    found = find_frames(data, ends=offset + len(data) >= size)
    if found is None:
        return None
    end = size - trailing_tags(file, size)
    container = _FRAMES[found.kind]
    if container is MP3:
        frames, length = promised(data[found.start : found.start + found.length])
        available = end - offset - found.start
        if frames and length:
            present = available / length
            # 1 % is where mpg123 begins to distrust the header, too.
            fits = abs(present - 1) < 0.01 or abs(available - length) < 2048
            return Content(
                MP3,
                found.start == 0 and fits,
                min(present, 1.0),
                whole=present >= 1 or fits,
                declares=fits or present < 1,
            )
        if frames:
            return Content(MP3, False)
    file.seek(max(offset, end - (1 << 15)))
    cut = breaks_off(file.read(end - file.tell()))
    return Content(container, False, whole=False if cut else None, declares=False)


def trailing_tags(file: Bytes, size: int) -> int:
    """Bytes of the ID3v1 and APEv2 tags at the end of a file."""
    tags = 0
    file.seek(max(0, size - 160))
    tail = file.read(160)
    if tail[-128:-125] == b"TAG":
        tags += 128
        tail = tail[:-128]
    if tail[-32:-24] == b"APETAGEX":
        length, _, flags = struct.unpack("<III", tail[-20:-8])
        tags += length + (32 if flags >> 31 else 0)
    return min(tags, size)


# Streaming writers that cannot go back to fill in the length leave one of these.
_UNKNOWN_LENGTH = frozenset({0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF})


def _promise(content: Content, promised: int, start: int, size: int) -> Content:
    """Compare the length that a header gives for the samples with the bytes that follow."""
    present = max(0, size - start)
    return replace(content, present=min(1.0, present / promised), whole=present >= promised)


def _examine_chunks(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    """WAV, RF64 and AIFF: chunks of a name, a length and that many bytes, padded to an even number."""
    little = head[:4] in (b"RIFF", b"RF64", b"BW64")
    long_length: int | None = None
    position = 12
    for _ in range(1000):
        file.seek(position)
        header = file.read(36)
        if len(header) < 8:
            break
        name, (length,) = header[:4], struct.unpack("<I" if little else ">I", header[4:8])
        if name == b"ds64" and len(header) >= 24:
            (long_length,) = struct.unpack("<Q", header[16:24])
        if name in (b"data", b"SSND"):
            if length == 0xFFFFFFFF and long_length is not None:
                length = long_length
            elif length in _UNKNOWN_LENGTH:
                # libsndfile takes a zero for what it says; much that follows shows that it was never filled in.
                open_end = length == 0 and size - position > 1 << 16
                return replace(content, soundfile=content.soundfile and not open_end, declares=False)
            return _promise(content, length, position + 8, size)
        position += 8 + length + length % 2
    return content


def _examine_w64(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    position = 40
    for _ in range(1000):
        file.seek(position)
        header = file.read(24)
        if len(header) < 24:
            break
        (length,) = struct.unpack("<Q", header[16:])
        if header[:4] == b"data":
            return _promise(content, max(1, length - 24), position + 24, size)
        position += max(24, length + -length % 8)
    return content


def _examine_caf(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    position = 8
    for _ in range(1000):
        file.seek(position)
        header = file.read(12)
        if len(header) < 12:
            break
        (length,) = struct.unpack(">q", header[4:])
        if header[:4] == b"data":
            return content if length <= 0 else _promise(content, length, position + 12, size)
        position += 12 + max(0, length)
    return content


def _examine_au(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    start, length = struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12])
    if length in _UNKNOWN_LENGTH:
        return replace(content, declares=False)
    return _promise(content, length, start, size)


def _examine_voc(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    # Blocks of a type, a length of three bytes and as much data; type 0 ends the file. Sound is in types 1, 2 and 9.
    (position,) = struct.unpack("<H", head[20:22])
    promised = present = 0
    for _ in range(4096):
        file.seek(position)
        header = file.read(4)
        if len(header) < 4 or not header[0]:
            break
        length = int.from_bytes(header[1:], "little")
        if header[0] in (1, 2, 9):
            promised += length
            present += min(length, max(0, size - position - 4))
        position += 4 + length
    return replace(content, present=present / promised, whole=present == promised) if promised else content


def _examine_ogg(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    payload = head[28:36]
    known = payload.startswith((b"\x01vorbis", b"\x7fFLAC"))
    file.seek(max(0, size - 65536))
    tail = file.read(65536)
    at = tail.rfind(b"OggS")
    if at < 0:
        # No page is longer than 65,307 bytes: what follows the last one is not Ogg.
        return replace(content, soundfile=False)
    page = tail[at:]
    segments = page[26] if len(page) > 26 else 0
    complete = len(page) >= 27 + segments and len(page) >= 27 + segments + sum(page[27 : 27 + segments])
    single = page[14:18] == head[14:18]
    return replace(content, soundfile=known and single, whole=complete, declares=complete)


def _examine_mp4(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    position = 0
    for _ in range(4096):
        if position >= size:
            return replace(content, whole=position == size)
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            # A few bytes behind the last box.
            return replace(content, whole=True)
        (length,) = struct.unpack(">I", header[:4])
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        elif length == 0:
            return content
        if length < 8:
            return content
        position += length
    return content


def _examine_asf(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    # File Properties Object of the ASF specification (section 3.2). By bytes from its start: at 40 the file's size,
    # at 64 the length in tenths of microseconds, at 80 what of that passes before the beginning, in milliseconds.
    at = head.find(b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65")
    if at < 0:
        return content
    (length,) = struct.unpack("<Q", head[at + 40 : at + 48])
    (flags,) = struct.unpack("<I", head[at + 88 : at + 92])
    if flags & 1 or not length:
        return content
    ticks, _, before = struct.unpack("<QQQ", head[at + 64 : at + 88])
    # FFmpeg guesses the length of a file that is shorter than its header says from what is there.
    seconds = None if size >= length else ticks / 1e7 - before / 1e3
    return replace(content, whole=size >= length, seconds=seconds if seconds and seconds > 0 else None)


def _examine_avi(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    (length,) = struct.unpack("<I", head[4:8])
    return replace(content, whole=size >= length + 8) if length not in _UNKNOWN_LENGTH else content


def _examine_matroska(content: Content, file: Bytes, head: bytes, size: int) -> Content:
    def number(at: int) -> tuple[int | None, int]:
        width = 9 - head[at].bit_length()
        value = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
        return (None if value == (1 << 7 * width) - 1 else value), at + width

    length, at = number(4)
    at += length or 0
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return content
    length, at = number(at + 4)
    return content if not length else replace(content, whole=size >= at + length)


_FRAMES = {"mp3": MP3, "adts": ADTS, "ac3": AC3, "eac3": EAC3}
_EXAMINERS: dict[str, Callable[[Content, Bytes, bytes, int], Content]] = {
    "wav": _examine_chunks,
    "aiff": _examine_chunks,
    "w64": _examine_w64,
    "caf": _examine_caf,
    "au": _examine_au,
    "voc": _examine_voc,
    "ogg": _examine_ogg,
    "mp4": _examine_mp4,
    "asf": _examine_asf,
    "matroska": _examine_matroska,
    "avi": _examine_avi,
}
