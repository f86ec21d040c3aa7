"""ID3v2.2, 2.3 and 2.4: frames are kept as bytes, only the genre frame and Earmark's own are made anew.

The formats: https://id3.org/id3v2-00, https://id3.org/id3v2.3.0 and https://id3.org/id3v2.4.0-structure.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from earmark.library.tags.edit import FIELD_PREFIX, Wanted, damaged, genre_name, unsupported

HEADER = 10
UNSYNC, EXTENDED, FOOTER = 0x80, 0x40, 0x10
_FRAME_ID = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 \x00]")  # iTunes leaves three-letter names of 2.2 in 2.3 tags
_FRAME_ID_22 = re.compile(rb"[A-Z][A-Z0-9]{2}")
_REFERENCES = re.compile(r"((?:\((?:[0-9]+|RX|CR)\))*)(.*)", re.DOTALL)


def syncsafe(value: int) -> bytes:
    """Four bytes of seven bits each."""
    if not 0 <= value < 1 << 28:
        raise unsupported("The ID3 tag would become longer than 256 MB")
    return bytes((value >> shift) & 0x7F for shift in (21, 14, 7, 0))


def _from_syncsafe(data: bytes) -> int | None:
    if any(byte & 0x80 for byte in data):
        return None
    value = 0
    for byte in data:
        value = value << 7 | byte
    return value


def tag_length(start: bytes) -> int:
    """Bytes of the ID3v2 tag that begins here, header and footer included; 0 if there is none."""
    if len(start) < HEADER or start[:3] != b"ID3" or start[3] == 0xFF or start[4] == 0xFF:
        return 0
    size = _from_syncsafe(start[6:10])
    if size is None:
        return 0
    return HEADER + size + (HEADER if start[3] == 4 and start[5] & FOOTER else 0)


def _unsync(data: bytes) -> bytes:
    stuffed = re.sub(rb"\xff(?=[\xe0-\xff\x00])", b"\xff\x00", data)
    return stuffed + b"\x00" if stuffed.endswith(b"\xff") else stuffed


def _resync(data: bytes) -> bytes:
    return data.replace(b"\xff\x00", b"\xff")


@dataclass(frozen=True)
class _Frame:
    name: bytes
    raw: bytes  # with its header
    flags: int


class Id3:
    """One ID3v2 tag.

    Parameters
    ----------
    data
        The whole tag, from ``ID3`` to the end of its padding or footer.

    Raises
    ------
    TagError
        If the tag is damaged or uses what cannot be kept intact (a checksum over the frames, encryption of the
        genre).
    """

    def __init__(self, data: bytes) -> None:
        if not data or tag_length(data) != len(data):
            raise damaged("the length of the ID3 tag is wrong")
        self.version = data[3]
        if self.version not in (2, 3, 4):
            raise unsupported(f"Its ID3 tag has the unknown version 2.{self.version}")
        self._head = data[:6]
        flags = data[5]
        if self.version == 2 and flags & 0x40:
            raise unsupported("Its ID3v2.2 tag is compressed")
        self._footer = HEADER if self.version == 4 and flags & FOOTER else 0
        body = data[HEADER : len(data) - self._footer]
        self._whole_unsync = self.version < 4 and bool(flags & UNSYNC)
        self._all_unsync = self.version == 4 and bool(flags & UNSYNC)
        if self._whole_unsync:
            body = _resync(body)
        self._extended = self._read_extended(body) if self.version > 2 and flags & EXTENDED else b""
        self._plain_sizes = False
        self.frames, self._padding = self._walk(body[len(self._extended) :])
        self.genres = tuple(
            genre for frame in self.frames if frame.name == self._genre_name for genre in self._genres(frame)
        )
        self.fields = {
            name: value
            for frame in self.frames
            if (pair := self._user_text(frame)) is not None
            for name, value in [pair]
            if name.startswith(FIELD_PREFIX)
        }

    @classmethod
    def fresh(cls, version: int, v1: Mapping[str, str] | None = None) -> Id3:
        """A new tag of version 3 or 4, empty or with the texts of an ID3v1 tag (:func:`id3v1.read`)."""
        self = cls(b"ID3" + bytes((version, 0, 0)) + bytes(4))
        names = {"title": b"TIT2", "artist": b"TPE1", "album": b"TALB", "comment": b"COMM", "track": b"TRCK"}
        names["year"] = b"TDRC" if version == 4 else b"TYER"
        for name, text in (v1 or {}).items():
            encoding, encoded = self._encode(text)
            if name == "comment":
                encoded = b"eng" + self._encode_as("", encoding) + self._null(encoding) + encoded
            self.frames.append(self._make(names[name], bytes((encoding,)) + encoded))
        return self

    @property
    def lists(self) -> bool:
        """Whether the version has several values in a text frame."""
        return self.version == 4

    def others(self) -> list[bytes]:
        """Frames that are not ours to change, and flags, as bytes."""
        junk = b"" if self._is_blank() else self._padding
        return [self._head, self._extended_facts(), *(f.raw for f in self.frames if not self._is_ours(f)), junk]

    def render(self, wanted: Wanted) -> bytes:
        """The whole tag with the wanted genre and fields; everything else byte for byte as it was.

        Padding takes up the difference, so that the length stays; where it cannot, the tag grows or shrinks and
        the padding is left as it is.
        """
        frames: list[bytes] = []
        genre_due = wanted.genres is not None
        fields = dict(wanted.fields)
        for frame in self.frames:
            pair = self._user_text(frame)
            if frame.name == self._genre_name and wanted.genres is not None:
                if genre_due and wanted.genres:
                    frames.append(self._genre_frame(wanted.genres, frame))
                genre_due = False
            elif pair is not None and pair[0] in wanted.fields:
                if pair[0] in fields:
                    frames.append(self._user_frame(pair[0], fields.pop(pair[0])))
            else:
                frames.append(frame.raw)
        if genre_due and wanted.genres:
            frames.append(self._genre_frame(wanted.genres, None))
        frames += [self._user_frame(name, value) for name, value in fields.items()]

        content = b"".join(frames)
        padding = self._padding
        if padding and self._is_blank():
            room = len(padding) + sum(len(frame.raw) for frame in self.frames) - len(content)
            if room >= 0:
                padding = bytes(room)
        extended = self._extended
        if self.version == 3 and extended:
            extended = extended[:6] + len(padding).to_bytes(4, "big") + extended[10:]
        body = extended + content + padding
        if self._whole_unsync:
            body = _unsync(body)
        size = syncsafe(len(body))
        footer = b"3DI" + self._head[3:] + size if self._footer else b""
        return self._head + size + body + footer

    # Parsing

    def _read_extended(self, body: bytes) -> bytes:
        if self.version == 3:
            size = 4 + int.from_bytes(body[:4], "big")
            if size not in (10, 14) or len(body) < size:
                raise damaged("the extended header of the ID3 tag has a wrong length")
            checksum = body[4] & 0x80
        else:
            length = _from_syncsafe(body[:4])
            if length is None or not 6 <= length <= len(body):
                raise damaged("the extended header of the ID3 tag has a wrong length")
            size, checksum = length, body[5] & 0x20
        if checksum:
            raise unsupported("Its ID3 tag carries a checksum over all frames")
        return body[:size]

    def _extended_facts(self) -> bytes:
        # The padding's length in it changes with the padding.
        return self._extended[:6] if self.version == 3 else self._extended

    def _walk(self, area: bytes) -> tuple[list[_Frame], bytes]:
        sizes: list[Callable[[bytes], int | None]] = [lambda raw: int.from_bytes(raw, "big")]
        if self.version == 4:
            # iTunes once wrote plain sizes into 2.4 tags; whichever reading leads to a clean end is right.
            sizes.insert(0, _from_syncsafe)
        found = [(index, walked) for index, size in enumerate(sizes) if (walked := self._try_walk(area, size))]
        if not found:
            raise damaged("a frame of the ID3 tag does not end inside it")
        index, (frames, padding) = min(found, key=lambda item: (item[1][1].count(0) != len(item[1][1]), item[0]))
        self._plain_sizes = self.version == 4 and index == 1
        return frames, padding

    def _try_walk(self, area: bytes, size_of: Callable[[bytes], int | None]) -> tuple[list[_Frame], bytes] | None:
        head, id_length, pattern = (6, 3, _FRAME_ID_22) if self.version == 2 else (10, 4, _FRAME_ID)
        position = 0
        frames = []
        while position < len(area):
            if area[position] == 0:
                break
            header = area[position : position + head]
            if len(header) < head or not pattern.fullmatch(header[:id_length]):
                return None
            size = size_of(header[id_length : id_length + (3 if self.version == 2 else 4)])
            if size is None or position + head + size > len(area):
                return None
            flags = 0 if self.version == 2 else int.from_bytes(header[8:10], "big")
            frames.append(_Frame(header[:id_length], area[position : position + head + size], flags))
            position += head + size
        return frames, area[position:]

    def _is_blank(self) -> bool:
        return self._padding.count(0) == len(self._padding)

    # Frames

    @property
    def _genre_name(self) -> bytes:
        return b"TCO" if self.version == 2 else b"TCON"

    def _is_ours(self, frame: _Frame) -> bool:
        pair = self._user_text(frame)
        return frame.name == self._genre_name or (pair is not None and pair[0].startswith(FIELD_PREFIX))

    def _payload(self, frame: _Frame) -> bytes | None:
        """A frame's content with its transformations undone; None if that is not possible (encryption)."""
        if self.version == 2:
            return frame.raw[6:]
        data = frame.raw[10:]
        if self.version == 3:
            compressed, encrypted, grouped = frame.flags & 0x80, frame.flags & 0x40, frame.flags & 0x20
            data = data[(4 if compressed else 0) + (1 if grouped else 0) :]
        else:
            compressed, encrypted, grouped = frame.flags & 0x08, frame.flags & 0x04, frame.flags & 0x40
            if frame.flags & 0x02 or self._all_unsync:
                data = _resync(data)
            data = data[(1 if grouped else 0) + (4 if frame.flags & 0x01 else 0) :]
        if encrypted:
            return None
        if compressed:
            try:
                return zlib.decompressobj().decompress(data, 1 << 20)
            except zlib.error as error:
                raise damaged("a compressed ID3 frame cannot be unpacked") from error
        return data

    def _texts(self, payload: bytes) -> list[str]:
        if not payload:
            return []
        codecs = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
        if payload[0] not in codecs:
            raise damaged("a text frame of the ID3 tag has an unknown encoding")
        encoded = payload[1:]
        if payload[0] in (1, 2):
            encoded = encoded[: len(encoded) // 2 * 2]
        if payload[0] == 1:
            # Each value may carry its own byte order mark.
            order = "utf-16-be" if encoded[:2] == b"\xfe\xff" else "utf-16-le"
            text = encoded.decode(order, "replace").replace("\ufeff", "").replace("\ufffe", "")
        else:
            text = encoded.decode(codecs[payload[0]], "replace")
        values = text.split("\x00")
        while values and not values[-1]:
            values.pop()
        return values

    def _genres(self, frame: _Frame) -> list[str]:
        payload = self._payload(frame)
        if payload is None:
            raise unsupported("The genre in its ID3 tag is encrypted")
        genres: list[str] = []
        for value in self._texts(payload):
            if not value:
                continue
            if value.isascii() and value.isdigit() and int(value) < 256:
                genres.append(genre_name(int(value)) or "Unknown")
                continue
            if value in ("RX", "CR"):
                genres.append({"RX": "Remix", "CR": "Cover"}[value])
                continue
            match = _REFERENCES.fullmatch(value)
            assert match is not None
            found: list[str] = []
            for reference in match[1][1:-1].split(")(") if match[1] else ():
                if reference in ("RX", "CR"):
                    found.append({"RX": "Remix", "CR": "Cover"}[reference])
                else:
                    found.append((genre_name(int(reference)) if len(reference) < 4 else None) or "Unknown")
            rest = match[2][1:] if match[2].startswith("((") else match[2]
            if rest and rest not in found:
                found.append(rest)
            genres += found
        return genres

    def _user_text(self, frame: _Frame) -> tuple[str, str] | None:
        if frame.name != (b"TXX" if self.version == 2 else b"TXXX"):
            return None
        payload = self._payload(frame)
        if not payload or payload[0] > 3:
            return None
        name, _, value = "\x00".join(self._texts(payload)).partition("\x00")
        return name, value

    # Making frames

    def _null(self, encoding: int) -> bytes:
        return b"\x00\x00" if encoding in (1, 2) else b"\x00"

    def _encode_as(self, text: str, encoding: int) -> bytes:
        if encoding == 1:
            return b"\xff\xfe" + text.encode("utf-16-le")
        return text.encode("utf-8" if encoding == 3 else "latin-1")

    def _encode(self, text: str) -> tuple[int, bytes]:
        """Latin-1 for what is plain ASCII; else what the version has: UTF-8 in 2.4, UTF-16 before."""
        encoding = 0 if text.isascii() else (3 if self.version == 4 else 1)
        return encoding, self._encode_as(text, encoding)

    def _genre_frame(self, genres: tuple[str, ...], old: _Frame | None) -> bytes:
        if self.version == 4:
            text = "\x00".join(genres)
        else:
            text = self.joined(genres)
            if text.startswith("("):
                text = "(" + text  # a single parenthesis would begin a reference to the ID3v1 table
        encoding, encoded = self._encode(text)
        payload = self._payload(old) if old is not None else None
        if payload and payload[0] in (1, 3) and (payload[0] == 1) == (self.version != 4):
            encoding, encoded = payload[0], self._encode_as(text, payload[0])
        if payload and payload[1:].endswith(self._null(payload[0])):
            encoded += self._null(encoding)  # some players write the end of the text, keep theirs as it was
        return self._make(self._genre_name, bytes((encoding,)) + encoded).raw

    def joined(self, genres: tuple[str, ...]) -> str:
        """Several genres as the one value of a version without lists."""
        return "/".join(genres)

    def _user_frame(self, name: str, value: str) -> bytes:
        encoding = self._encode(name + value)[0]
        payload = self._encode_as(name, encoding) + self._null(encoding) + self._encode_as(value, encoding)
        return self._make(b"TXX" if self.version == 2 else b"TXXX", bytes((encoding,)) + payload).raw

    def _make(self, name: bytes, payload: bytes) -> _Frame:
        if self.version == 2:
            return _Frame(name, name + len(payload).to_bytes(3, "big") + payload, 0)
        plain = self.version == 3 or self._plain_sizes
        size = len(payload).to_bytes(4, "big") if plain else syncsafe(len(payload))
        return _Frame(name, name + size + b"\x00\x00" + payload, 0)
