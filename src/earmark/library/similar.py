"""Tracks that sound like others: exact search, without the same recording twice, with a cap per artist."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.library.catalogue import Catalogue
from earmark.library.prints import SAME, Print, agreements
from earmark.library.track import Track

# Two files of one recording differ by so much at most: silence cut off, another encoder's padding.
_LENGTH_SECONDS, _LENGTH_SHARE = 5.0, 0.03
_PORTION = 64
_BRACKETS = re.compile(r"[(\[{].*?[)\]}]")
_EDITION = re.compile(r"\s-\s.*\b(remaster(ed)?|mono|stereo|version|edit|mix|live|single|album|bonus)\b.*$")


@dataclass(frozen=True)
class Match:
    """A track that was found.

    Parameters
    ----------
    track
        Which.
    score
        How well it fits: cosine similarity from -1 to 1, less half of that to the songs to stay away from; for
        moods the share of the mixture from 0 to 1.
    """

    track: Track
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"score": self.score, **self.track.to_dict()}


class Chooser:
    """Decides, one track after the other, which may be in a list.

    Parameters
    ----------
    catalogue
        Where the prints are.
    seeds
        Tracks that must not be in it, in no file and no version.
    per_artist
        How many of one artist may be in it; 0: any number. Tracks without an artist are not counted.
    prints
        Prints of seeds that the catalogue does not know, by their numbers.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seeds: Sequence[Track] = (),
        *,
        per_artist: int = 0,
        prints: Mapping[int, Print | None] | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._per_artist = per_artist
        self._taken: list[Track] = list(seeds)
        self._numbers = {track.id for track in seeds}
        self._songs = {song for track in seeds if (song := song_name(track)) is not None}
        self._artists: Counter[str] = Counter()
        self._prints: dict[int, Print | None] = dict(prints or {})

    def take(self, track: Track) -> bool:
        """Whether the track may join the list; if so, it counts as taken."""
        song, artist = song_name(track), plain(track.details.artist or "")
        if track.id in self._numbers or song in self._songs:
            return False
        if artist and self._per_artist and self._artists[artist] >= self._per_artist:
            return False
        if self._is_taken_recording(track):
            return False
        self._taken.append(track)
        self._numbers.add(track.id)
        self._artists[artist] += 1
        if song is not None:
            self._songs.add(song)
        return True

    def _is_taken_recording(self, track: Track) -> bool:
        """Whether a track that was taken holds the same recording, by its length and its print."""
        mine = self._print(track)
        if mine is None:
            return False
        length = track.seconds or 0.0
        others = [
            print_
            for other in self._taken
            if abs((other.seconds or 0.0) - length) <= max(_LENGTH_SECONDS, _LENGTH_SHARE * length)
            and (print_ := self._print(other)) is not None
        ]
        return bool((agreements(mine, others) >= SAME).any())

    def _print(self, track: Track) -> Print | None:
        if track.id not in self._prints:
            packed = self._catalogue.prints([track.id]).get(track.id)
            self._prints[track.id] = None if packed is None else Print.unpack(packed)
        return self._prints[track.id]


def ranked(catalogue: Catalogue, numbers: NDArray[np.int64], scores: NDArray[np.floating[Any]]) -> Iterator[Match]:
    """Tracks by falling score, fetched in portions as they are asked for; NaN counts as not at all."""
    scores = np.where(np.isnan(scores), -np.inf, scores)
    done, portion = 0, _PORTION
    while done < len(scores):
        # Sorting all of a large library would take longer than finding the first few; those with equal scores stay
        # together, so that nothing is left out or given twice.
        upto = min(len(scores), done + portion)
        least = np.partition(scores, len(scores) - upto)[len(scores) - upto]
        best = np.flatnonzero(scores >= least)
        order = best[np.lexsort((numbers[best], -scores[best]))][done:]
        found = {track.id: track for track in catalogue.by_id(numbers[order].tolist())}
        for row in order:
            track = found.get(int(numbers[row]))
            if track is not None and np.isfinite(scores[row]):
                yield Match(track, float(scores[row]))
        done, portion = len(best), portion * 4


def choose(matches: Iterable[Match], chooser: Chooser, count: int) -> list[Match]:
    """The first `count` matches that may be in the list."""
    chosen: list[Match] = []
    for match in matches:
        if len(chosen) >= count:
            break
        if chooser.take(match.track):
            chosen.append(match)
    return chosen


def song_name(track: Track) -> tuple[str, str] | None:
    """Artist and title without spelling, brackets and words about the edition; None if the tags lack one."""
    details = track.details
    if not details.artist or not details.title:
        return None
    artist = plain(details.artist)
    title = plain(_EDITION.sub("", _BRACKETS.sub(" ", details.title.casefold()))) or plain(details.title)
    return (artist, title) if artist and title else None


def plain(text: str) -> str:
    """Letters and digits only, without case and accents."""
    spread = unicodedata.normalize("NFKD", text.casefold().removeprefix("the "))
    return "".join(c for c in spread if c.isalnum())
