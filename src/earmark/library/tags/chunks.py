"""WAV and AIFF: the chunk that holds an ID3v2 tag.

The formats: RIFF (Microsoft, little-endian) and AIFF (Apple, big-endian); both pad chunks to an even length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Literal

from earmark.library.tags.edit import Editor, Range, Splice, Wanted, damaged, unsupported
from earmark.library.tags.id3 import HEADER, Id3, tag_length


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int  # of its eight header bytes
    length: int  # without them and without the byte that makes it even

    @property
    def end(self) -> int:
        return self.start + 8 + self.length + self.length % 2


class ChunkEditor(Editor):
    """The ID3v2 tag in a chunk of a WAV or AIFF file; a chunk is appended if there is none."""

    def __init__(self, handle: BinaryIO, id3: int = 4) -> None:
        super().__init__(handle)
        head = self.read(0, 12)
        self._order: Literal["big", "little"] = "little" if head[:4] == b"RIFF" else "big"
        self._wave = head[:4] == b"RIFF"
        self._end = 8 + int.from_bytes(head[4:8], self._order)
        if self._end > self.size + 1:
            raise damaged("it is shorter than its header says")
        self._end = min(self._end, self.size)
        self._chunks: list[_Chunk] = []
        position = 12
        while position + 8 <= self._end:
            header = self.read(position, 8)
            chunk = _Chunk(header[:4], position, int.from_bytes(header[4:], self._order))
            if chunk.start + 8 + chunk.length > self._end:
                raise damaged("a chunk does not end inside the file")
            self._chunks.append(chunk)
            position = chunk.end
        self._sounds = [c for c in self._chunks if c.name == (b"data" if self._wave else b"SSND")]
        if not self._sounds:
            raise damaged("the sound is missing")
        tags = [c for c in self._chunks if c.name.lower() == b"id3 "]
        if len(tags) > 1:
            raise unsupported("It has two ID3 tags")
        self._chunk = tags[0] if tags else None
        self._rest = b""
        if self._chunk is not None:
            data = self.read(self._chunk.start + 8, self._chunk.length)
            length = tag_length(data[:HEADER])
            if not 0 < length <= len(data):
                raise damaged("the length of the ID3 tag is wrong")
            self._tag, self._rest = Id3(data[:length]), data[length:]
        else:
            self._tag = Id3.fresh(id3)
        kind = "WAV" if self._wave else "AIFF"
        self.format = f"{kind}, {'ID3' if self._chunk else 'new ID3'}v2.{self._tag.version}"
        self.genres, self.fields, self.lists = self._tag.genres, self._tag.fields, self._tag.lists
        self.other_genre = self._read_info() if self._wave else None
        if self.other_genre is not None:
            self.notes.append(f"its RIFF INFO list keeps the genre {self.other_genre}")

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        data = self._tag.render(wanted) + self._rest
        name = b"id3 " if self._wave else b"ID3 "
        pad = b""
        if self._chunk is not None:
            name = self._chunk.name
            start, length = self._chunk.start, min(self._chunk.end, self._end) - self._chunk.start
        else:
            start, length = self._end, 0
            if self._end % 2:  # the last chunk's byte of padding was left out
                pad = b"\x00"
        new = pad + name + len(data).to_bytes(4, self._order) + data + bytes(len(data) % 2)
        total = self._end - 8 + len(new) - length
        if total >= 1 << 32:
            raise unsupported("It would become longer than the 4 GB that its format allows")
        return [Splice(4, 4, total.to_bytes(4, self._order)), Splice(start, length, new)]

    def sound(self) -> list[Range]:
        return [(chunk.start + 8, chunk.start + 8 + chunk.length) for chunk in self._sounds]

    def others(self) -> list[bytes]:
        kept = [
            c.name + self.read(c.start + 8, c.length)
            for c in self._chunks
            if c is not self._chunk and c not in self._sounds
        ]
        return [self.read(0, 4), *kept, *self._tag.others(), self._rest, self.read(self._end, self.size - self._end)]

    def _read_info(self) -> str | None:
        for chunk in self._chunks:
            if chunk.name != b"LIST" or chunk.length > 1 << 20:
                continue
            data = self.read(chunk.start + 8, chunk.length)
            position = 4
            while data[:4] == b"INFO" and position + 8 <= len(data):
                length = int.from_bytes(data[position + 4 : position + 8], "little")
                if data[position : position + 4] == b"IGNR":
                    text = data[position + 8 : position + 8 + length].split(b"\x00")[0]
                    return text.decode("utf-8", "replace").strip() or None
                position += 8 + length + length % 2
        return None
