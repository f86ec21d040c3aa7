"""APEv2 tags at the end of Monkey's Audio, WavPack and Musepack files (and of MP3s that have no ID3v2 tag).

The format: https://wiki.hydrogenaud.io/index.php?title=APEv2_specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from earmark.library.tags import id3v1
from earmark.library.tags.edit import (
    FIELD_PREFIX,
    Editor,
    Range,
    Splice,
    Wanted,
    damaged,
    genre_name,
    unsupported,
)

MAGIC = b"APETAGEX"
_FOOTER = 32
_HAS_HEADER, _IS_HEADER = 1 << 31, 1 << 29
_KIND = 6  # bits 1 and 2 of an item's flags: 0 is text
_FROM_V1 = {
    "title": "Title",
    "artist": "Artist",
    "album": "Album",
    "year": "Year",
    "comment": "Comment",
    "track": "Track",
}


@dataclass(frozen=True)
class _Item:
    key: str
    value: bytes
    flags: int
    raw: bytes


class ApeEditor(Editor):
    """The APEv2 tag at the end of a file; one is made if there is none."""

    def __init__(self, handle: BinaryIO, container: str) -> None:
        super().__init__(handle)
        self.format = f"{container}, APEv2"
        tail = self.read(max(0, self.size - id3v1.LENGTH), min(self.size, id3v1.LENGTH))
        self._v1 = id3v1.read(tail)
        self._tail = self.size - (id3v1.LENGTH if self._v1 is not None else 0)  # where the tag ends
        self._start = self._tail
        self._version = 2000
        self._header = True
        self._flags = 0
        self.items: list[_Item] = []
        if self._tail >= _FOOTER:
            footer = self.read(self._tail - _FOOTER, _FOOTER)
            if footer.startswith(MAGIC):
                self._parse(footer)
        if self.size >= 8 and self.read(0, 8) == MAGIC:
            raise unsupported("It has an APE tag at its beginning")
        self.present = self._start != self._tail
        number = id3v1.genre_number(tail)
        if number is not None and (name := genre_name(number)):
            self.other_genre = name
            self.notes.append(f"its ID3v1 tag keeps the genre {name}")
        self.genres = tuple(
            value
            for item in self.items
            if item.key.upper() == "GENRE" and not item.flags & _KIND
            for value in _texts(item.value)
            if value
        )
        self.fields = {
            item.key.upper(): item.value.decode("utf-8", "replace")
            for item in self.items
            if item.key.upper().startswith(FIELD_PREFIX)
        }
        self.lists = self._version >= 2000

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        rendered = self._render(wanted)
        return [Splice(self._start, self._tail - self._start, rendered)]

    def sound(self) -> list[Range]:
        return [(0, self._start)]

    def others(self) -> list[bytes]:
        kept = [
            item.raw
            for item in self.items
            if item.key.upper() != "GENRE" and not item.key.upper().startswith(FIELD_PREFIX)
        ]
        if not self.present:
            kept = self._from_v1()
        return [*kept, self.read(self._tail, self.size - self._tail)]

    def _parse(self, footer: bytes) -> None:
        self._version = int.from_bytes(footer[8:12], "little")
        length = int.from_bytes(footer[12:16], "little")
        count = int.from_bytes(footer[16:20], "little")
        flags = int.from_bytes(footer[20:24], "little")
        if self._version not in (1000, 2000) or flags & _IS_HEADER:
            raise damaged("the footer of the APE tag makes no sense")
        self._header = self._version == 2000 and bool(flags & _HAS_HEADER)
        self._flags = flags & ~_HAS_HEADER
        items = self._tail - length
        start = items - (_FOOTER if self._header else 0)
        if length < _FOOTER or start < 0 or count > length // 11:
            raise damaged("the APE tag has a wrong length")
        if self._header and not self.read(start, 8) == MAGIC:
            raise damaged("the header of the APE tag is missing")
        data = self.read(items, length - _FOOTER)
        position = 0
        for _ in range(count):
            end_of_key = data.find(b"\x00", position + 8)
            if end_of_key < 0:
                raise damaged("an item of the APE tag does not end inside it")
            size = int.from_bytes(data[position : position + 4], "little")
            flags = int.from_bytes(data[position + 4 : position + 8], "little")
            key = data[position + 8 : end_of_key]
            end = end_of_key + 1 + size
            if end > len(data) or not 1 <= len(key) <= 255 or not key.isascii():
                raise damaged("an item of the APE tag does not end inside it")
            self.items.append(_Item(key.decode("ascii"), data[end_of_key + 1 : end], flags, data[position:end]))
            position = end
        if position != len(data):
            raise damaged("the APE tag holds more than it says")
        self._start = start

    def _from_v1(self) -> list[bytes]:
        # Players that find an APE tag no longer look at ID3v1, so a new one has to say the same.
        texts = self._v1 or {}
        return [_item(_FROM_V1[name], text) for name, text in texts.items()]

    def _render(self, wanted: Wanted) -> bytes:
        items: list[bytes] = [] if self.present else self._from_v1()
        fields = dict(wanted.fields)
        genre_due = wanted.genres is not None
        for item in self.items:
            key = item.key.upper()
            if key == "GENRE" and wanted.genres is not None:
                if genre_due and wanted.genres:
                    items.append(_item(item.key, "\x00".join(wanted.genres)))
                genre_due = False
            elif key in wanted.fields:
                if key in fields:
                    items.append(_item(item.key, fields.pop(key)))
            else:
                items.append(item.raw)
        if genre_due and wanted.genres:
            items.append(_item("Genre", "\x00".join(wanted.genres)))
        items += [_item(name, value) for name, value in fields.items()]
        data = b"".join(items)
        facts = self._version.to_bytes(4, "little") + (len(data) + _FOOTER).to_bytes(4, "little")
        facts += len(items).to_bytes(4, "little")
        flags = self._flags | (_HAS_HEADER if self._header else 0)
        footer = MAGIC + facts + flags.to_bytes(4, "little") + bytes(8)
        header = MAGIC + facts + (flags | _IS_HEADER).to_bytes(4, "little") + bytes(8) if self._header else b""
        return header + data + footer


def _item(key: str, text: str) -> bytes:
    value = text.encode()
    return len(value).to_bytes(4, "little") + bytes(4) + key.encode("ascii") + b"\x00" + value


def _texts(value: bytes) -> list[str]:
    return value.decode("utf-8", "replace").split("\x00")
