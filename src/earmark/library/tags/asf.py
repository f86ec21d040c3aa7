"""ASF, the container of WMA: the object of the header that holds named values.

The format: Microsoft's "Advanced Systems Format (ASF) Specification", revision 01.20.03. Nothing in a file says where
in it something else lies, counted from the file's beginning, so the header may grow.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from earmark.library.content import ASF_FILE_PROPERTIES
from earmark.library.tags.edit import FIELD_PREFIX, Editor, Range, Splice, Wanted, damaged, unsupported

_VALUES = bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850")  # "extended content description"
_EXTENSION = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")
_STREAM_VALUES = bytes.fromhex("eacbf8c5af5b77488467aa8c44fa4cca")  # "metadata", within the extension
_MORE_VALUES = bytes.fromhex("941c23449894d149a1411d134e457054")  # "metadata library", within the extension
_SIGNATURE = bytes.fromhex("fcb3112223bdd211b4b700a0c955fc6e")
_GENRE = "WM/Genre"
_TEXT = 0
_HEAD = 24  # bytes before an object's own: what it is, and its length
_FIRST = 30  # where the header's first object begins
_FILE_SIZE = slice(_HEAD + 16, _HEAD + 24)


@dataclass(frozen=True)
class _Object:
    kind: bytes
    start: int
    data: bytes  # all of it, with what it is and its length


@dataclass(frozen=True)
class _Value:
    name: str
    text: str | None  # None: not a text
    raw: bytes

    @property
    def is_genre(self) -> bool:
        return self.name.upper() == _GENRE.upper() and self.text is not None

    @property
    def is_field(self) -> bool:
        return self.name.upper().startswith(FIELD_PREFIX) and self.text is not None


class AsfEditor(Editor):
    """The named values in the header of an ASF file; the object that holds them is made if there is none."""

    lists = False
    format = "WMA"

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__(handle)
        head = self.read(0, _FIRST)
        self._length, self._count = struct.unpack("<QI", head[16:28])
        if not _FIRST <= self._length <= self.size:
            raise damaged("the header does not end inside the file")
        self._objects = _objects(self.read(0, self._length), _FIRST)
        if len(self._objects) != self._count:
            raise damaged("the header does not have as many parts as it says")
        holders = [part for part in self._objects if part.kind == _VALUES]
        if len(holders) > 1:
            raise unsupported("It has two lists of tags")
        if any(part.kind == _SIGNATURE for part in self._objects):
            raise unsupported("It is signed, and the signature would no longer fit")
        self._holder = holders[0] if holders else None
        self._values: list[_Value] = []
        self._rest = b""
        if self._holder is not None:
            self._values, self._rest = _values(self._holder.data)
        self._elsewhere = self._genres_elsewhere()
        own = [value.text for value in self._values if value.is_genre]
        self.genres = tuple(text for text in (*own, *self._elsewhere) if text)
        self.fields = {value.name.upper(): value.text or "" for value in self._values if value.is_field}

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        if self._elsewhere and wanted.genres is not None and tuple(wanted.genres) != self.genres:
            raise unsupported("Its genres are a list in a part of the header that is not written")
        holder = self._render(wanted)
        old = b"" if self._holder is None else self._holder.data
        grown = len(holder) - len(old)
        count = self._count + (self._holder is None)
        found = [Splice(16, 12, struct.pack("<QI", self._length + grown, count))]
        for part in self._objects:
            if part.kind == ASF_FILE_PROPERTIES and part.data[_FILE_SIZE] == struct.pack("<Q", self.size):
                found.append(Splice(part.start + _FILE_SIZE.start, 8, struct.pack("<Q", self.size + grown)))
        start = self._length if self._holder is None else self._holder.start
        found.append(Splice(start, len(old), holder))
        return sorted(found, key=lambda splice: splice.start)

    def sound(self) -> list[Range]:
        return [(self._length, self.size)]

    def others(self) -> list[bytes]:
        kept = [value.raw for value in self._values if not value.is_genre and not value.is_field]
        if self._rest:
            kept.append(self._rest)
        for part in self._objects:
            if part.kind == ASF_FILE_PROPERTIES and part.data[_FILE_SIZE] == struct.pack("<Q", self.size):
                kept.append(part.data[: _FILE_SIZE.start] + part.data[_FILE_SIZE.stop :])
            elif part is not self._holder:
                kept.append(part.data)
        return [self.read(0, 16), self.read(28, 2), *kept]

    def _genres_elsewhere(self) -> list[str]:
        """Genres that stand in the extension of the header, where lists of values are kept."""
        found = []
        for part in self._objects:
            if part.kind != _EXTENSION:
                continue
            for inner in _objects(part.data, _HEAD + 22):
                if inner.kind in (_STREAM_VALUES, _MORE_VALUES):
                    found += [v.text or "" for v in _values(inner.data, wide=True)[0] if v.is_genre]
        return found

    def _render(self, wanted: Wanted) -> bytes:
        parts: list[bytes] = []
        genres = None if wanted.genres is None or tuple(wanted.genres) == self.genres else [*wanted.genres]
        fields = dict(wanted.fields)
        for value in self._values:
            if value.is_genre and genres is not None:
                parts += [_raw(_GENRE, genre) for genre in genres]
                genres = []
            elif value.is_field and value.name.upper() in fields:
                parts.append(_raw(value.name.upper(), fields.pop(value.name.upper())))
            else:
                parts.append(value.raw)
        parts += [_raw(_GENRE, genre) for genre in genres or ()]
        parts += [_raw(name, text) for name, text in fields.items()]
        if len(parts) > 0xFFFF:
            raise unsupported("It has more tags than its format allows")
        data = struct.pack("<H", len(parts)) + b"".join(parts) + self._rest
        return _VALUES + struct.pack("<Q", _HEAD + len(data)) + data


def _objects(data: bytes, position: int) -> list[_Object]:
    """The objects from a place on to the end of what holds them."""
    found = []
    while position < len(data):
        kind, length = (
            data[position : position + 16],
            int.from_bytes(data[position + 16 : position + _HEAD], "little"),
        )
        if not _HEAD <= length <= len(data) - position:
            raise damaged("a part of the header does not end inside it")
        found.append(_Object(kind, position, data[position : position + length]))
        position += length
    return found


def _values(data: bytes, *, wide: bool = False) -> tuple[list[_Value], bytes]:
    """Named values of an object, and what is behind them; the extension's say more of each (``wide``)."""
    found = []
    try:
        (count,) = struct.unpack_from("<H", data, _HEAD)
        position = _HEAD + 2
        for _ in range(count):
            start = position
            if wide:
                _, _, named, kind, length = struct.unpack_from("<HHHHI", data, position)
                position += 12
            else:
                (named,) = struct.unpack_from("<H", data, position)
                kind, length = struct.unpack_from("<HH", data, position + 2 + named)
                position += 2
            name = _text(data[position : position + named])
            position += named + (0 if wide else 4)
            value = data[position : position + length]
            position += length
            if position > len(data):
                raise damaged("a tag does not end inside the header")
            found.append(_Value(name, _text(value) if kind == _TEXT else None, data[start:position]))
    except struct.error as error:
        raise damaged("the list of tags ends too early") from error
    return found, data[position:]


def _text(data: bytes) -> str:
    return data.decode("utf-16-le", "replace").strip("\x00")


def _raw(name: str, text: str) -> bytes:
    named, value = (f"{word}\x00".encode("utf-16-le") for word in (name, text))
    if len(value) > 0xFFFF:
        raise unsupported("A tag would become longer than its format allows")
    return struct.pack("<H", len(named)) + named + struct.pack("<HH", _TEXT, len(value)) + value
