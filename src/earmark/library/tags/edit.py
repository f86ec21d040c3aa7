"""What every tag format has in common: what is wanted, what is there, and which bytes have to change.

An editor reads one file and answers with :class:`Splice` objects. Whatever no splice covers is copied as it is,
so the sound and all other tags cannot change; :meth:`Editor.sound` and :meth:`Editor.others` let a caller check
that on the finished file.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, ClassVar

from earmark.errors import EarmarkError

FIELD_PREFIX = "EARMARK_"
LEFT = "; the file was left as it is."
_EDGE = 1 << 16  # Bytes of the sound at its beginning and at its end that a mark covers.
_BLOCK = 1 << 18
REGION_LIMIT = 256 << 20  # An ID3v2 tag, the largest region that is read at once, cannot be longer than this.


class TagError(EarmarkError):
    """The tags of one file cannot be read or changed safely; the file was left as it was."""


@dataclass(frozen=True)
class Wanted:
    """What a file's tags shall say.

    Parameters
    ----------
    genres
        The values of the genre field exactly as they shall be stored; None leaves the field alone.
    fields
        Custom fields by name, each beginning with ``EARMARK_``; fields that are not named are left alone.
    """

    genres: tuple[str, ...] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Splice:
    """Bytes ``start`` to ``start + length`` of the old file become ``new``."""

    start: int
    length: int
    new: bytes

    @property
    def end(self) -> int:
        return self.start + self.length


Range = tuple[int, int]


class Editor(ABC):
    """One file's tags: read in the constructor, changed by :meth:`splices`.

    Attributes
    ----------
    format
        For people: container and kind of tag, "FLAC" or "MP3, ID3v2.3".
    lists
        Whether several genres are several values; where not, they are joined by :attr:`joiner`.
    genres
        The genre field's values as stored (numbers of the ID3v1 table as names).
    fields
        The ``EARMARK_...`` fields.
    other_genre
        A genre that another kind of tag in the same file holds, which is never touched.
    notes
        What a person should know about this file's tags, in half sentences.
    """

    format: str
    lists: bool = True
    joiner: ClassVar[str] = "/"

    def __init__(self, handle: BinaryIO) -> None:
        self.handle = handle
        self.size = handle.seek(0, os.SEEK_END)
        self.genres: tuple[str, ...] = ()
        self.fields: dict[str, str] = {}
        self.other_genre: str | None = None
        self.notes: list[str] = []

    @abstractmethod
    def splices(self, wanted: Wanted) -> list[Splice]:
        """The changes, in order of position, not overlapping; empty if the tags say so already."""

    @abstractmethod
    def sound(self) -> list[Range]:
        """The stretches of bytes that hold the sound, as (start, end)."""

    @abstractmethod
    def others(self) -> list[bytes]:
        """Everything beside sound, genre and Earmark's fields: must be the same before and after."""

    def mark(self) -> str:
        """64 hexadecimal digits that tell the file from what it was before anybody touched it.

        They change with its length, with any byte that is not sound, and with the sound's first and last 65536. The
        rest of the sound, most of the file, is not read: planning decides nothing by it, and for a library on a slow
        disk it would take hours.
        """
        sound = sorted(self.sound())
        first, last = (sound[0][0] + _EDGE, sound[-1][1] - _EDGE) if sound else (0, 0)
        digest = hashlib.sha256(str(self.size).encode())
        position = 0
        for start, end in ((max(start, first), min(end, last)) for start, end in sound):
            if start < end:
                self._feed(digest, position, start)
                position = end
        self._feed(digest, position, self.size)
        return digest.hexdigest()

    def _feed(self, digest: hashlib._Hash, start: int, end: int) -> None:
        self.handle.seek(start)
        while start < end:
            block = self.handle.read(min(end - start, _BLOCK))
            if not block:
                raise damaged("it became shorter while it was read")
            digest.update(block)
            start += len(block)

    def read(self, start: int, length: int) -> bytes:
        """Read exactly so many bytes."""
        if length < 0 or length > REGION_LIMIT:
            raise damaged("a length in it makes no sense")
        self.handle.seek(start)
        data = self.handle.read(length)
        if len(data) != length:
            raise damaged("it ends too early")
        return data

    def stored(self, genres: Iterable[str], separator: str | None = None) -> tuple[str, ...]:
        """The values that the genre field shall hold for these genres: a list, or one joined value."""
        values = tuple(genres)
        if len(values) < 2:
            return values
        if separator is not None:
            return (separator.join(values),)
        return values if self.lists else (self.joiner.join(values),)

    def differs(self, wanted: Wanted) -> bool:
        """Whether anything has to change."""
        genre = wanted.genres is not None and tuple(wanted.genres) != self.genres
        return genre or any(self.fields.get(name) != value for name, value in wanted.fields.items())


def damaged(why: str) -> TagError:
    """The error for tags that do not follow their own format."""
    return TagError(f"The tags are damaged ({why}){LEFT}")


def unsupported(what: str) -> TagError:
    """The error for files that are whole, but cannot be handled."""
    return TagError(f"{what}{LEFT}")


def genre_name(number: int) -> str | None:
    """A genre of the ID3v1 table by its number, or None."""
    from mutagen.id3 import TCON

    table: list[str] = TCON.GENRES
    return table[number] if 0 <= number < len(table) else None
