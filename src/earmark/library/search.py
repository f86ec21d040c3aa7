"""Looking through a catalogue as a person does: words, filters, an order, and a page of the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from earmark.errors import InputError
from earmark.library.catalogue import Catalogue
from earmark.library.track import Track

# What tracks can be sorted by, and how SQLite does it: text without case.
_ORDERS = {
    "path": "path",
    "artist": "artist COLLATE NOCASE",
    "title": "title COLLATE NOCASE",
    "album": "album COLLATE NOCASE",
    "year": "year",
    "label": "label",
    "confidence": "confidence",
    "seconds": "seconds",
}
SORTS = tuple(_ORDERS)
_SEARCHED = ("artist", "title", "album", "CAST(path AS TEXT)")
_MOST_WORDS = 10


@dataclass(frozen=True)
class TrackPage:
    """A part of what a search found.

    Parameters
    ----------
    tracks
        In order.
    total
        How many were found altogether.
    """

    tracks: tuple[Track, ...]
    total: int


def search(
    catalogue: Catalogue,
    text: str = "",
    *,
    label: str | None = None,
    unsure: bool | None = None,
    under: str | None = None,
    min_confidence: float = 0.0,
    sort: str = "path",
    offset: int = 0,
    limit: int = 50,
) -> TrackPage:
    """Tracks that were heard and are there.

    Parameters
    ----------
    text
        Words, each of which must be part of artist, title, album or path; large and small letters count alike.
    label, unsure, under
        As in :meth:`earmark.library.catalogue.Catalogue.tracks`.
    min_confidence
        Only tracks of at least this confidence.
    sort
        One of :data:`SORTS`, with ``-`` in front for falling order; tracks that lack it come last.
    offset, limit
        Which part of the result.

    Raises
    ------
    InputError
        If there is no such order.
    """
    name = sort.removeprefix("-")
    if name not in _ORDERS:
        raise InputError(
            f"Tracks cannot be sorted by {sort!r}; choose one of {', '.join(SORTS)}, or -NAME to reverse."
        )
    conditions, values = catalogue.conditions(label=label, unsure=unsure, under=under)
    if min_confidence > 0:
        conditions.append("confidence >= ?")
        values.append(min_confidence)
    for word in text.split()[:_MOST_WORDS]:
        patterns = list(dict.fromkeys(_patterns(word)))
        found = [f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED for _ in patterns]
        conditions.append(f"({' OR '.join(found)})")
        values += patterns * len(_SEARCHED)
    where = " AND ".join(conditions)
    total = int(catalogue.select(f"SELECT count(*) FROM tracks WHERE {where}", values)[0][0])
    key, way = _ORDERS[name], "DESC" if sort.startswith("-") else "ASC"
    column = key.split(" ", 1)[0]
    rows = catalogue.select(
        f"SELECT id FROM tracks WHERE {where} ORDER BY {column} IS NULL, {key} {way}, path LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    return TrackPage(tuple(catalogue.by_id([number for (number,) in rows])), total)


def _patterns(word: str) -> Iterator[str]:
    """SQLite knows no case beyond ASCII, so that other words are looked for as people write them."""
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    yield f"%{escaped}%"
    if not word.isascii():
        yield from (f"%{form}%" for form in (escaped.lower(), escaped.upper(), escaped.capitalize()))
