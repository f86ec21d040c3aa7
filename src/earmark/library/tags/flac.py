"""FLAC: the metadata block with the Vorbis comment, and the padding block that takes up the difference.

The format: RFC 9639, section 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from earmark.library.tags.comments import Comments
from earmark.library.tags.edit import Editor, Range, Splice, Wanted, damaged, unsupported
from earmark.library.tags.id3 import HEADER, tag_length

STREAMINFO, PADDING, COMMENT = 0, 1, 4
_LAST = 0x80


@dataclass(frozen=True)
class _Block:
    kind: int
    start: int  # of its four header bytes
    length: int  # without them


class FlacEditor(Editor):
    """The Vorbis comment of a FLAC file."""

    format = "FLAC"

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__(handle)
        handle.seek(0)
        self._start = tag_length(handle.read(HEADER))
        if self._start:
            self.notes.append("an ID3 tag before the FLAC stream is left alone")
        if self.read(self._start, 4) != b"fLaC":
            raise damaged("the FLAC stream does not begin where it should")
        self._blocks: list[_Block] = []
        position = self._start + 4
        last = False
        while not last:
            header = self.read(position, 4)
            length = int.from_bytes(header[1:], "big")
            self._blocks.append(_Block(header[0] & 0x7F, position, length))
            last = bool(header[0] & _LAST)
            position += 4 + length
            if position > self.size:
                raise damaged("a FLAC metadata block does not end inside the file")
        self._sound = position
        if self._blocks[0].kind != STREAMINFO:
            raise damaged("the FLAC stream information is missing")
        found = [block for block in self._blocks if block.kind == COMMENT]
        if len(found) > 1:
            raise damaged("there are two Vorbis comments")
        self._block = found[0] if found else None
        if self._block is not None:
            self._comments = Comments(self.read(self._block.start + 4, self._block.length))
        else:
            self._comments = Comments.empty()
        self.genres, self.fields = self._comments.genres, self._comments.fields

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        data = self._comments.render(wanted) + self._comments.rest
        if len(data) >= 1 << 24:
            raise unsupported("Its Vorbis comment would become longer than the 16 MB that FLAC allows")
        flag = 0
        if self._block is not None:
            flag = _LAST if self._block is self._blocks[-1] else 0
            start, length, growth = self._block.start, 4 + self._block.length, len(data) - self._block.length
        else:
            # A new block goes behind the stream information, which gives up being the last block if it was.
            first = self._blocks[0]
            start, length, growth = first.start + 4 + first.length, 0, 4 + len(data)
            flag = _LAST if len(self._blocks) == 1 else 0
        block = bytes((COMMENT | flag,)) + len(data).to_bytes(3, "big") + data
        splices = [Splice(start, length, block)]
        if self._block is None and flag:
            splices.append(Splice(self._blocks[0].start, 1, bytes((STREAMINFO,))))
        padding = next((b for b in self._blocks if b.kind == PADDING and b.length >= growth), None)
        if padding is not None and growth:
            room = padding.length - growth
            if room < 1 << 24:
                header = self.read(padding.start, 1) + room.to_bytes(3, "big")
                splices.append(Splice(padding.start, 4 + padding.length, header + bytes(room)))
        return sorted(splices, key=lambda splice: splice.start)

    def sound(self) -> list[Range]:
        return [(self._sound, self.size)]

    def others(self) -> list[bytes]:
        kept = [
            bytes((block.kind,)) + self.read(block.start + 4, block.length)
            for block in self._blocks
            if block.kind not in (PADDING, COMMENT)
        ]
        paddings = sum(block.kind == PADDING for block in self._blocks)
        return [
            self.read(0, self._start),
            *kept,
            *self._comments.others(),
            self._comments.rest,
            b"%d padding blocks" % paddings,
        ]
