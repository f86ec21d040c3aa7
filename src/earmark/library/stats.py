"""A library in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from earmark.library.catalogue import Catalogue

_HEARD = "FROM tracks WHERE problem IS NULL AND removed IS NULL"


@dataclass(frozen=True)
class GenreCount:
    """One genre of the library: how many tracks, how many of those unsure, how many hours."""

    label: str
    tracks: int
    unsure: int
    hours: float


@dataclass(frozen=True)
class Spread:
    """How a measurement is spread over the tracks: the middle one, and a tenth of all below and above."""

    tracks: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Stats:
    """A library in numbers.

    Parameters
    ----------
    tracks, hours
        That were heard and are there.
    unsure
        How many of them are unsure.
    doubts
        Of these, how many for which reason, most first; tracks from before the reason was kept are not counted.
    corrected
        How many of them a person named.
    genres
        By falling number of tracks: what a person said, else what was heard; unsure ones count for their most
        probable genre.
    decades
        Tracks by the decade in their tags: (1970, 12) ...
    tagged_genre, tagged_year
        Tracks whose tags name a genre, a year.
    tempo, loudness
        Of the tracks where they were measured, in beats per minute and in LUFS; None where there are none.
    keys
        Tracks by key, most first: ("A minor", 12) ...
    failed
        Files that could not be heard, by the code of the reason.
    removed
        Tracks whose files are gone.
    outdated
        Tracks that were heard by another bundle than the newest.
    bundle
        Name of the newest bundle; None before the first scan.
    roots
        Folders that were scanned.
    """

    tracks: int
    hours: float
    unsure: int
    doubts: dict[str, int]
    corrected: int
    genres: tuple[GenreCount, ...]
    decades: tuple[tuple[int, int], ...]
    tagged_genre: int
    tagged_year: int
    tempo: Spread | None
    loudness: Spread | None
    keys: tuple[tuple[str, int], ...]
    failed: dict[str, int]
    removed: int
    outdated: int
    bundle: str | None
    roots: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def stats(catalogue: Catalogue) -> Stats:
    """Sum up a catalogue."""
    newest = catalogue.newest_bundle()
    totals = catalogue.select(
        "SELECT count(*), coalesce(sum(seconds), 0) / 3600, coalesce(sum(doubt), 0), count(genre), count(year), "
        f"count(correction), coalesce(sum(bundle != ?), 0) {_HEARD}",
        (newest[0] if newest else -1,),
    )[0]
    genres = catalogue.select(
        f"SELECT said, count(*), sum(doubt), coalesce(sum(seconds), 0) / 3600 {_HEARD} GROUP BY said "
        "ORDER BY count(*) DESC, said"
    )
    decades = catalogue.select(
        f"SELECT year / 10 * 10, count(*) {_HEARD} AND year IS NOT NULL GROUP BY year / 10 ORDER BY year / 10"
    )
    failed = catalogue.select(
        "SELECT problem, count(*) FROM tracks WHERE problem IS NOT NULL AND removed IS NULL "
        "GROUP BY problem ORDER BY count(*) DESC, problem"
    )
    doubts = catalogue.select(
        f"SELECT why_unsure, count(*) {_HEARD} AND doubt AND why_unsure IS NOT NULL GROUP BY why_unsure "
        "ORDER BY count(*) DESC, why_unsure"
    )
    removed = catalogue.select("SELECT count(*) FROM tracks WHERE removed IS NOT NULL")[0][0]
    return Stats(
        tracks=totals[0],
        hours=totals[1],
        unsure=totals[2],
        doubts={str(why): int(count) for why, count in doubts},
        corrected=totals[5],
        genres=tuple(GenreCount(*row) for row in genres),
        decades=tuple((int(decade), int(count)) for decade, count in decades),
        tagged_genre=totals[3],
        tagged_year=totals[4],
        tempo=_spread(catalogue, "tempo"),
        loudness=_spread(catalogue, "loudness"),
        keys=tuple(
            (str(key), int(count))
            for key, count in catalogue.select(
                f"SELECT key, count(*) {_HEARD} AND key IS NOT NULL GROUP BY key ORDER BY count(*) DESC, key"
            )
        ),
        failed={str(problem): int(count) for problem, count in failed},
        removed=removed,
        outdated=totals[6],
        bundle=newest[2] if newest else None,
        roots=tuple(catalogue.roots()),
    )


def _spread(catalogue: Catalogue, column: str) -> Spread | None:
    values = [
        float(value)
        for (value,) in catalogue.select(f"SELECT {column} {_HEARD} AND {column} IS NOT NULL ORDER BY {column}")
    ]
    if not values:
        return None
    low, median, high = (values[round(share * (len(values) - 1))] for share in (0.1, 0.5, 0.9))
    return Spread(len(values), low, median, high)
