"""What a file's tags say: artist, title, album, year and genre, read through FFmpeg on the base install."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from earmark.audio.containers import Content

# More is no title but an accident or an attack; it would make every listing unreadable.
_LONGEST = 500
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")
_NAMES: dict[str, tuple[str, ...]] = {
    "artist": ("artist", "album_artist", "albumartist", "album artist", "performer", "author"),
    "title": ("title",),
    "album": ("album", "wm/albumtitle"),
    "genre": ("genre", "wm/genre"),
}
_DATES = ("originaldate", "original_date", "tdor", "tory", "date", "year", "tdrc", "tyer", "wm/year", "creation_time")


@dataclass(frozen=True, slots=True)
class Details:
    """What the tags of one file say; None where they say nothing."""

    artist: str | None = None
    title: str | None = None
    album: str | None = None
    year: int | None = None
    genre: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything at all."""
        return any(getattr(self, field.name) is not None for field in fields(self))


def details_from(tags: Mapping[str, str]) -> Details:
    """Pick the fields out of tags by their names, which formats spell differently."""
    lower = {name.lower(): text for name, value in tags.items() if (text := _clean(value))}

    def first(names: tuple[str, ...]) -> str | None:
        return next((lower[name] for name in names if name in lower), None)

    dates = (_YEAR.search(lower[name]) for name in _DATES if name in lower)
    year = next((int(found.group()) for found in dates if found), None)
    return Details(year=year, **{field: first(names) for field, names in _NAMES.items()})


def read_details(file: BinaryIO, content: Content | None = None) -> Details:
    """Read the tags of an open sound file; what cannot be read says nothing.

    `content` is what the file is, where that is known already.
    """
    from earmark.audio.pyav import read_tags

    return details_from(read_tags(file, content))


def _clean(value: str) -> str:
    """One line without control characters; NUL separates the values of a list."""
    joined = "; ".join(part.strip() for part in value.split("\x00") if part.strip())
    return " ".join("".join(c if c.isprintable() else " " for c in joined).split())[:_LONGEST]
