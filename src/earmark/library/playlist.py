"""Lists of tracks to play: like some seeds, from one song to another, or by a mixture of genres; and M3U8 files."""

from __future__ import annotations

import math
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.library.catalogue import Catalogue
from earmark.library.index import Index, normalised
from earmark.library.similar import Chooser, Match, choose, ranked
from earmark.library.track import Track

MINUS_WEIGHT = 0.5
"""What similarity to tracks to stay away from counts, against that to the seeds."""


def parse_mood(text: str) -> dict[str, float]:
    """A mixture of genres from text such as ``jazz:0.7,blues:0.3``; a genre without a number weighs 1.

    Raises
    ------
    InputError
        If the text cannot be understood.
    """
    mood: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.partition(":")
        try:
            value = float(weight) if weight.strip() else 1.0
        except ValueError:
            value = -1.0
        if not name.strip() or not 0 < value < float("inf"):
            raise InputError(f"{part.strip()!r} is no part of a mood; write it like jazz:0.7,blues:0.3")
        mood[name.strip()] = mood.get(name.strip(), 0.0) + value
    return mood


def by_mood(catalogue: Catalogue, mood: Mapping[str, float], chooser: Chooser, count: int) -> list[Match]:
    """Tracks whose probabilities come closest to a mixture of genres.

    Notes
    -----
    Two mixtures p and q are compared by the Bhattacharyya coefficient, the sum over genres of sqrt(p q): 1 if they
    are equal, 0 if they share nothing.

    Raises
    ------
    InputError
        If the bundle does not know a genre, or a weight is not above 0.
    """
    newest = catalogue.newest_bundle()
    if newest is None:
        raise InputError("Nothing was heard yet. Fill the catalogue with: earmark scan FOLDER")
    labels, numbers, probabilities = catalogue.probabilities(newest[0])
    names = {label.casefold(): label for label in labels}
    unknown = [name for name in mood if name.casefold() not in names]
    if unknown:
        raise InputError(f"There is no genre {unknown[0]!r} here; known are {', '.join(labels)}.")
    if not mood or any(not 0 < weight < math.inf for weight in mood.values()):
        raise InputError("A mood gives every genre in it a weight above 0.")
    weights = np.zeros(len(labels))
    for name, weight in mood.items():
        weights[labels.index(names[name.casefold()])] += weight
    scores = np.sqrt(probabilities.astype(np.float64)) @ np.sqrt(weights / weights.sum())
    return choose(ranked(catalogue, np.array(numbers, np.int64), scores), chooser, count)


def like_seeds(
    catalogue: Catalogue,
    index: Index,
    seeds: NDArray[np.float32],
    minus: NDArray[np.float32],
    chooser: Chooser,
    count: int,
) -> list[Match]:
    """Tracks closest to several seeds' vectors (m, k) on average, best first.

    Parameters
    ----------
    minus
        Vectors (l, k) to stay away from, if any: a track's score is its mean similarity to the seeds, less half of
        that to these (Rocchio's formula for what a search should be nearer to and further from).
    """
    query = seeds.mean(axis=0)
    if len(minus):
        query = query - MINUS_WEIGHT * minus.mean(axis=0)
    return choose(ranked(catalogue, index.numbers, index.scores(query)), chooser, count)


def between(
    catalogue: Catalogue,
    index: Index,
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    chooser: Chooser,
    count: int,
) -> list[Match]:
    """Tracks on the way from one vector (k,) to another, in the order of the way.

    The way is the arc of a circle between the two; at each of `count` evenly spaced places on it the closest track
    that may be in the list is taken.
    """
    angle = float(np.arccos(np.clip(start @ end, -1, 1)))
    way = []
    for place in np.arange(1, count + 1) / (count + 1):
        if angle < 1e-3 or angle > np.pi - 1e-3:
            target = (1 - place) * start + place * end
        else:
            target = (np.sin((1 - place) * angle) * start + np.sin(place * angle) * end) / np.sin(angle)
        scores = index.scores(normalised(target))
        way += choose(ranked(catalogue, index.numbers, scores), chooser, 1)
    return way


def in_smooth_order(index: Index, matches: Sequence[Match], start: NDArray[np.float32] | None = None) -> list[Match]:
    """The same tracks, each followed by the closest one that is left, so that nothing jumps.

    Parameters
    ----------
    start
        Vector to begin close to; None: the first match stays first.
    """
    if not matches:
        return []
    rows = index.rows([match.track.id for match in matches])
    if len(rows) != len(matches):
        return list(matches)
    vectors = np.asarray(index.vectors[rows])
    left = list(range(len(matches)))
    at = 0 if start is None else int((vectors @ start).argmax())
    order = [left.pop(at)]
    while left:
        order.append(left.pop(int((vectors[left] @ vectors[order[-1]]).argmax())))
    return [matches[i] for i in order]


def write_m3u8(tracks: Iterable[Track], folder: str | os.PathLike[str] | None) -> bytes:
    """A playlist as the bytes of an M3U8 file.

    Parameters
    ----------
    tracks
        In playing order.
    folder
        Where the file will lie: paths are relative to it. None: they are absolute.

    Notes
    -----
    Names that a line of UTF-8 cannot hold (line breaks, other bytes) are written as ``file://`` addresses.
    """
    return "".join(_lines(tracks, None if folder is None else os.path.realpath(folder))).encode()


def _lines(tracks: Iterable[Track], folder: str | None) -> Iterator[str]:
    yield "#EXTM3U\n"
    for track in tracks:
        yield f"#EXTINF:{-1 if track.seconds is None else round(track.seconds)},{track.name}\n"
        yield _entry(track.path, folder) + "\n"


def _entry(path: str, folder: str | None) -> str:
    if any(not c.isprintable() for c in path):
        return "file://" + urllib.parse.quote(os.fsencode(path))
    if folder is None:
        return path
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        # On another drive, where Windows knows no relative way.
        return path
    # A name that begins like a comment or ends in a blank would be misread.
    if relative != relative.strip():
        return "file://" + urllib.parse.quote(os.fsencode(path))
    return f"./{relative}" if relative.startswith("#") else relative
