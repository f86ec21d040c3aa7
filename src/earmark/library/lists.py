"""From what a user names to a list of tracks: what is similar, what to play."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earmark.errors import InputError
from earmark.library.catalogue import Catalogue
from earmark.library.index import Index, open_index
from earmark.library.playlist import between, by_mood, in_smooth_order, like_seeds, parse_mood
from earmark.library.seeds import Hear, Seeds, find_seeds
from earmark.library.similar import Chooser, Match
from earmark.progress import Progress, silent

Name = str | os.PathLike[str]


@dataclass(frozen=True)
class Search:
    """What all searches are told; see :meth:`earmark.Library.similar` and :meth:`earmark.Library.playlist`.

    Parameters
    ----------
    catalogue
        What is searched.
    n, per_artist
        How many tracks, and how many of one artist at most.
    bundle, hear
        By what, or how, files are heard that the catalogue does not know.
    progress
        Is told how the index comes on.
    """

    catalogue: Catalogue
    n: int
    per_artist: int
    bundle: Name | None = None
    hear: Hear | None = None
    progress: Progress = silent

    def similar(self, seeds: Sequence[Name], minus: Sequence[Name]) -> list[Match]:
        """Tracks that sound like the seeds and not like `minus`, best first."""
        return self._alike(seeds, minus)[2]

    def playlist(
        self, seeds: Sequence[Name], minus: Sequence[Name], to: Name | None, mood: str | Mapping[str, float] | None
    ) -> list[Match]:
        """Tracks to play one after the other."""
        if minus and (to is not None or mood is not None):
            raise InputError("Songs to stay away from go with songs to be like, not with an end or a mood.")
        if mood is not None:
            if seeds or to is not None:
                raise InputError("A mood and songs do not go together; give one of them.")
            mixture = parse_mood(mood) if isinstance(mood, str) else mood
            chooser = Chooser(self.catalogue, per_artist=self.per_artist)
            index = open_index(self.catalogue, progress=self.progress)
            return in_smooth_order(index, by_mood(self.catalogue, mixture, chooser, self.n))
        if not seeds:
            raise InputError("Name songs to start from, or a mood such as jazz:0.7,blues:0.3.")
        if to is None:
            index, found, matches = self._alike(seeds, minus)
            return in_smooth_order(index, matches, found.vectors[0])
        index, found = self._start(seeds)
        last = self._find(index, [to], beside=found)
        if len(found.tracks) != 1 or len(last.tracks) != 1:
            raise InputError("A way leads from exactly one song to exactly one other.")
        start, end = found.tracks[0], last.tracks[0]
        way = between(
            self.catalogue, index, found.vectors[0], last.vectors[0], self._chooser(found, last), max(0, self.n - 2)
        )
        return [Match(start, 1.0), *way, Match(end, 1.0)]

    def _alike(self, seeds: Sequence[Name], minus: Sequence[Name]) -> tuple[Index, Seeds, list[Match]]:
        index, found = self._start(seeds)
        away = self._find(index, minus, beside=found)
        chooser = self._chooser(found, away)
        return index, found, like_seeds(self.catalogue, index, found.vectors, away.vectors, chooser, self.n)

    def _start(self, seeds: Sequence[Name]) -> tuple[Index, Seeds]:
        if not seeds:
            raise InputError("Name at least one song to start from.")
        index = open_index(self.catalogue, progress=self.progress)
        return index, self._find(index, seeds, beside=Seeds())

    def _find(self, index: Index, names: Sequence[Name], *, beside: Seeds) -> Seeds:
        """The tracks behind names, numbered apart from those that were found before."""
        first = 1 + len(beside.prints)
        return find_seeds(self.catalogue, index, names, bundle=self.bundle, hear=self.hear, first=first)

    def _chooser(self, found: Seeds, others: Seeds) -> Chooser:
        return Chooser(
            self.catalogue, [*found.tracks, *others.tracks], per_artist=self.per_artist,
            prints=found.prints | others.prints,
        )  # fmt: skip
