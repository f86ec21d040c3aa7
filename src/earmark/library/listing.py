"""Which tracks of a catalogue are wanted, in which order: search, filters and pages as SQL that indexes answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from earmark.errors import InputError
from earmark.library.migrations import fold
from earmark.library.track import Track

_REST: Final = "listed_rest"
SORTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "path": ("listed_path", ()),
    "artist": ("listed_artist", ("artist COLLATE NOCASE", "album COLLATE NOCASE", "title COLLATE NOCASE")),
    "title": ("listed_title", ("title COLLATE NOCASE",)),
    "label": ("listed_label", ("said",)),
    "confidence": ("listed_confidence", ("sure",)),
    "year": (_REST, ("year",)),
    "seconds": (_REST, ("seconds",)),
    "added": (_REST, ("done",)),
}
"""What tracks can be sorted by: the index that holds all of it, and the columns. The path decides between equals."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which tracks, of those that were heard; everything that is given must hold.

    Parameters
    ----------
    search
        Words that must all occur in artist, title, album or path, in any order; case and accents do not count.
    label
        One of these genres: what a person said, else what was heard.
    unsure
        Only those that are, or are not, unsure; a track that a person named is not.
    corrected
        Only those that a person did, or did not, name.
    min_confidence
        At least this confidence, from 0 to 1; a track that a person named has 1.
    under
        This file, or what lies below this folder.
    removed
        Also those whose files are gone.
    """

    search: str | None = None
    label: str | Sequence[str] | None = None
    unsure: bool | None = None
    corrected: bool | None = None
    min_confidence: float | None = None
    under: str | os.PathLike[str] | None = None
    removed: bool = False

    def condition(self) -> tuple[str, list[Any]]:
        """For WHERE, and its values.

        Raises
        ------
        InputError
            If the confidence is not between 0 and 1.
        """
        # An index finds one standing in the order of what follows it; several it would have to sort.
        where, values = ["standing < 2" if self.removed else "standing = 0"], list[Any]()
        for word in fold(self.search or "").split():
            where.append("words LIKE ? ESCAPE '\\'")
            values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
        if self.label is not None:
            labels = [self.label] if isinstance(self.label, str) else list(self.label)
            where.append(f"said IN ({','.join('?' * len(labels))})")
            values += labels
        if self.unsure is not None:
            where.append("doubt = ?")
            values.append(int(self.unsure))
        if self.corrected is not None:
            where.append(f"correction IS {'NOT ' if self.corrected else ''}NULL")
        if self.min_confidence is not None:
            if not 0 <= self.min_confidence <= 1:
                raise InputError(f"A confidence lies between 0 and 1, not at {self.min_confidence}.")
            where.append("sure >= ?")
            values.append(self.min_confidence)
        if self.under is not None:
            first, last = below(os.fspath(self.under))
            # The range first, for the index; between a folder's name and what lies in it there may be others.
            where.append("path >= ? AND path < ? AND (path = ? OR path >= ?)")
            values += [os.fsencode(self.under), last, os.fsencode(self.under), first]
        return " AND ".join(where), values


@dataclass(frozen=True)
class Page:
    """A part of a list of tracks.

    Parameters
    ----------
    tracks
        In order.
    total
        How many tracks the whole list has.
    offset, limit
        How many tracks lie before this part, and how many it may hold.
    """

    tracks: tuple[Track, ...]
    total: int
    offset: int
    limit: int


def order(sort: str, descending: bool) -> tuple[str, str]:
    """The index that holds all that a list in this order needs, and the columns for ORDER BY.

    Raises
    ------
    InputError
        If there is no such order.
    """
    if sort not in SORTS:
        raise InputError(f"Tracks can be sorted by {', '.join(SORTS)}, not by {sort!r}.")
    index, columns = SORTS[sort]
    return index, ", ".join(f"{column}{' DESC' if descending else ''}" for column in (*columns, "path"))


def below(folder: str) -> tuple[bytes, bytes]:
    """The range of paths below a folder."""
    start = os.fsencode(folder).rstrip(os.sep.encode()) + os.sep.encode()
    return start, start[:-1] + bytes([start[-1] + 1])
