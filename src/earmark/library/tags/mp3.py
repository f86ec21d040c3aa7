"""MP3: the ID3v2 tag at the beginning. An ID3v1 tag at the end is never touched."""

from __future__ import annotations

from typing import BinaryIO

from earmark.library.tags import id3v1
from earmark.library.tags.ape import MAGIC, ApeEditor
from earmark.library.tags.edit import Editor, Range, Splice, Wanted, genre_name
from earmark.library.tags.id3 import HEADER, Id3, tag_length


class Mp3Editor(Editor):
    """The ID3v2 tag of an MP3 file; one of version ``id3`` is made if there is none."""

    def __init__(self, handle: BinaryIO, id3: int = 4) -> None:
        super().__init__(handle)
        handle.seek(0)
        self._length = tag_length(handle.read(HEADER))
        tail = self.read(max(0, self.size - 160), min(self.size, 160))
        if self._length:
            self._tag = Id3(self.read(0, self._length))
            self.format = f"MP3, ID3v2.{self._tag.version}"
        else:
            # Players that find ID3v2 no longer look at ID3v1, so a new tag has to say the same.
            self._tag = Id3.fresh(id3, id3v1.read(tail))
            self.format = f"MP3, new ID3v2.{id3}"
        self.genres, self.fields, self.lists = self._tag.genres, self._tag.fields, self._tag.lists
        number = id3v1.genre_number(tail)
        if number is not None and (name := genre_name(number)):
            self.other_genre = name
            self.notes.append(f"its ID3v1 tag keeps the genre {name}")
        if MAGIC in (tail[-32:][:8], tail[:8]):
            ape = ApeEditor(handle, "MP3")
            self.other_genre = ape.genres[0] if ape.genres else self.other_genre
            keeps = f"keeps the genre {ape.genres[0]}" if ape.genres else "is left alone"
            self.notes.append(f"its APE tag {keeps}")

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        return [Splice(0, self._length, self._tag.render(wanted))]

    def sound(self) -> list[Range]:
        return [(self._length, self.size)]

    def others(self) -> list[bytes]:
        return self._tag.others()
