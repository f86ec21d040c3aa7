"""What a search starts from: tracks of the catalogue, folders of them, or files that were never scanned."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import AudioError, InputError
from earmark.library.catalogue import Catalogue
from earmark.library.details import Details
from earmark.library.index import Index
from earmark.library.listing import Wanted
from earmark.library.pool import Pool
from earmark.library.prints import Print
from earmark.library.track import Track, length_of
from earmark.library.worker import Outcome, Ready, Task
from earmark.names import printable

Hear = Callable[[Sequence[Task]], tuple[Ready, list[Outcome]]]
"""Hears files, and says by which bundle."""


@dataclass
class Seeds:
    """Tracks to start from.

    Parameters
    ----------
    tracks
        What they are; those that the catalogue does not know have negative numbers.
    vectors
        Their search vectors (m, k), in the same order.
    prints
        Prints of those that the catalogue does not know.
    """

    tracks: list[Track] = field(default_factory=list)
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    prints: dict[int, Print | None] = field(default_factory=dict)


def find_seeds(
    catalogue: Catalogue,
    index: Index,
    names: Sequence[str | os.PathLike[str]],
    *,
    bundle: str | os.PathLike[str] | None = None,
    hear: Hear | None = None,
    first: int = 1,
) -> Seeds:
    """The tracks behind paths of files and folders; a file that the catalogue does not know is heard.

    Parameters
    ----------
    bundle
        What to hear with; it must be the one that filled the catalogue. None: the packaged one.
    hear
        Hears instead of a worker that is started for it.
    first
        Files that the catalogue does not know are numbered from here on, downwards from ``-first``.

    Raises
    ------
    InputError
        If there is no such file or track.
    AudioError
        If a file cannot be heard.
    """
    known: dict[int, Track] = {}
    strange: list[str] = []
    for name in names:
        if Path(name).is_dir():
            below = list(catalogue.tracks(Wanted(under=os.path.realpath(name))))
            if not below:
                raise InputError(f"The catalogue knows no track below {printable(name)}. Scan it first.")
            known |= {track.id: track for track in below}
            continue
        track = catalogue.track(name)
        if track is not None and track.problem is None:
            known[track.id] = track
        elif os.path.lexists(name):
            strange.append(os.fspath(name))
        else:
            raise InputError(f"{printable(name)} is neither a file nor a track of the catalogue.")
    seeds = Seeds()
    rows = index.rows(sorted(known))
    seeds.tracks = [known[int(number)] for number in index.numbers[rows]]
    vectors = [np.asarray(index.vectors[rows])]
    if known and not len(rows):
        one = next(iter(known.values()))
        raise InputError(f"{printable(one.path)} is gone, or was heard by an older bundle. Run earmark scan first.")
    if strange:
        labels, heard = _hear(catalogue, strange, hear or _hearing(bundle))
        for number, outcome in enumerate(heard, first):
            seeds.tracks.append(_track(-number, outcome))
            seeds.prints[-number] = Print.unpack(outcome.print) if outcome.print else None
            vectors.append(_vector(index, outcome, labels)[None])
    seeds.vectors = np.concatenate(vectors)
    return seeds


def _hearing(bundle: str | os.PathLike[str] | None) -> Hear:
    def hear(tasks: Sequence[Task]) -> tuple[Ready, list[Outcome]]:
        with Pool(None if bundle is None else Path(bundle), jobs=1) as pool:
            outcomes = list(pool.run(tasks, ordered=True))
            return pool.ready or Ready(), outcomes

    return hear


def _hear(catalogue: Catalogue, paths: Sequence[str], hear: Hear) -> tuple[tuple[str, ...], list[Outcome]]:
    newest = catalogue.newest_bundle()
    ready, outcomes = hear([Task(path, look=True) for path in paths])
    heard_by, labels = ready.bundle, ready.labels
    for outcome in outcomes:
        if outcome.row is None:
            raise AudioError(str(outcome.reason), str(outcome.problem))
    if newest is None or newest[1] != heard_by:
        raise InputError(
            f"{printable(paths[0])} is not in the catalogue, which was filled by the bundle "
            f"{newest[2] if newest else '(none)'!r}. Name that one with --bundle, or scan the file first."
        )
    return labels, outcomes


def _vector(index: Index, outcome: Outcome, labels: Sequence[str]) -> NDArray[np.float32]:
    known = (outcome.row or {})["probabilities"]
    return index.vector(
        np.frombuffer(outcome.embedding, np.float32),
        np.frombuffer(outcome.timbre, np.float32),
        np.array([known[label] for label in labels], np.float32),
    )


def _track(number: int, outcome: Outcome) -> Track:
    row = outcome.row or {}
    return Track(
        id=number,
        path=os.path.realpath(outcome.path),
        label=row["label"],
        confidence=row["confidence"],
        unsure=row["unsure"],
        doubt=row.get("doubt"),
        probabilities=row["probabilities"],
        heard=tuple((start, end) for start, end in row["heard"]),
        seconds=length_of(row),
        details=outcome.seen.details if outcome.seen else Details(),
    )
