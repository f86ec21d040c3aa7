"""From what a user names to a list of tracks: what is similar, what to play."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from earmark.errors import InputError
from earmark.library.catalogue import Catalogue
from earmark.library.index import Index, open_index
from earmark.library.playlist import between, by_mood, in_smooth_order, like_seeds, parse_mood
from earmark.library.seeds import Hear, Seeds, find_seeds
from earmark.library.similar import Chooser, Match
from earmark.progress import Progress, silent

Name = str | os.PathLike[str]


def similar_tracks(
    catalogue: Catalogue,
    seeds: Sequence[Name],
    *,
    minus: Sequence[Name] = (),
    n: int,
    per_artist: int,
    bundle: Name | None = None,
    hear: Hear | None = None,
    progress: Progress = silent,
) -> list[Match]:
    """Tracks that sound like the seeds and not like `minus`; see :meth:`earmark.Library.similar`."""
    return _alike(catalogue, seeds, minus, n, per_artist, bundle, hear, progress)[2]


def make_playlist(
    catalogue: Catalogue,
    seeds: Sequence[Name],
    *,
    minus: Sequence[Name] = (),
    to: Name | None = None,
    mood: str | Mapping[str, float] | None = None,
    n: int,
    per_artist: int,
    bundle: Name | None = None,
    hear: Hear | None = None,
    progress: Progress = silent,
) -> list[Match]:
    """Tracks to play one after the other; see :meth:`earmark.Library.playlist`."""
    if minus and (to is not None or mood is not None):
        raise InputError("Songs to stay away from go with songs to be like, not with an end or a mood.")
    if mood is not None:
        if seeds or to is not None:
            raise InputError("A mood and songs do not go together; give one of them.")
        mixture = parse_mood(mood) if isinstance(mood, str) else mood
        chooser = Chooser(catalogue, per_artist=per_artist)
        index = open_index(catalogue, progress=progress)
        return in_smooth_order(index, by_mood(catalogue, mixture, chooser, n))
    if not seeds:
        raise InputError("Name songs to start from, or a mood such as jazz:0.7,blues:0.3.")
    if to is None:
        index, found, matches = _alike(catalogue, seeds, minus, n, per_artist, bundle, hear, progress)
        return in_smooth_order(index, matches, found.vectors[0])
    index, found = _start(catalogue, seeds, bundle, hear, progress)
    last = find_seeds(catalogue, index, [to], bundle=bundle, hear=hear, first=1 + len(found.prints))
    if len(found.tracks) != 1 or len(last.tracks) != 1:
        raise InputError("A way leads from exactly one song to exactly one other.")
    start, end = found.tracks[0], last.tracks[0]
    chooser = Chooser(catalogue, [start, end], per_artist=per_artist, prints=found.prints | last.prints)
    way = between(catalogue, index, found.vectors[0], last.vectors[0], chooser, max(0, n - 2))
    return [Match(start, 1.0), *way, Match(end, 1.0)]


def _start(
    catalogue: Catalogue, seeds: Sequence[Name], bundle: Name | None, hear: Hear | None, progress: Progress
) -> tuple[Index, Seeds]:
    if not seeds:
        raise InputError("Name at least one song to start from.")
    index = open_index(catalogue, progress=progress)
    return index, find_seeds(catalogue, index, seeds, bundle=bundle, hear=hear)


def _alike(
    catalogue: Catalogue,
    seeds: Sequence[Name],
    minus: Sequence[Name],
    n: int,
    per_artist: int,
    bundle: Name | None,
    hear: Hear | None,
    progress: Progress,
) -> tuple[Index, Seeds, list[Match]]:
    index, found = _start(catalogue, seeds, bundle, hear, progress)
    away = Seeds()
    if minus:
        away = find_seeds(catalogue, index, minus, bundle=bundle, hear=hear, first=1 + len(found.prints))
    chooser = Chooser(
        catalogue, [*found.tracks, *away.tracks], per_artist=per_artist, prints=found.prints | away.prints
    )
    return index, found, like_seeds(catalogue, index, found.vectors, chooser, n, away.vectors)
