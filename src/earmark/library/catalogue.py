"""The catalogue: every track of a library and what is known of it, in one SQLite file; here, reading it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.errors import InputError
from earmark.library.details import Details
from earmark.library.listing import Page, Wanted, order
from earmark.library.schema import connect, damaged, explain
from earmark.library.track import Known, Track
from earmark.music import MUSIC_FIELDS, Music

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_CHUNK = 4096
_ALL = Wanted()
# Where the measurements of the music begin in a row.
_MUSIC = 15 + len(Details.__slots__)


def default_catalogue() -> Path:
    """Where the catalogue lies if no other place is named: ``EARMARK_CATALOGUE``, or the platform's data folder."""
    import platformdirs

    named = os.environ.get("EARMARK_CATALOGUE")
    return Path(named) if named else platformdirs.user_data_path("earmark", appauthor=False) / "catalogue.db"


class Catalogue:
    """An open catalogue, for one thread. Use it as a context manager.

    Parameters
    ----------
    path
        The SQLite file; None: :func:`default_catalogue`.
    create
        Whether to make it if there is none.

    Raises
    ------
    InputError
        If there is none, or the place cannot be used.
    StoreError
        If it is damaged, locked, another program's or a newer version's; it is left as it is.
    """

    def __init__(self, path: Path | str | None = None, *, create: bool = False) -> None:
        self.path = Path(path) if path is not None else default_catalogue()
        self._connection = connect(self.path, create=create)
        self._labels: dict[int, tuple[str, ...]] = {}

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def state(self) -> tuple[int, int]:
        """Identity of this catalogue, and a number that grows with every change."""
        counters = dict(self._all("SELECT name, value FROM counters"))
        return counters["identity"], counters["revision"]

    def check(self) -> None:
        """Read the whole file once and raise :class:`StoreError` if it is damaged."""
        for (line,) in self._all("PRAGMA quick_check(1)"):
            if line != "ok":
                raise damaged(line, self.path)

    def tracks(self, wanted: Wanted = _ALL, *, sort: str = "path", descending: bool = False) -> Iterator[Track]:
        """Tracks that were heard.

        Parameters
        ----------
        wanted
            Which of them.
        sort, descending
            One of :data:`earmark.library.listing.SORTS`, from low to high or from high to low.
        """
        where, values = wanted.condition()
        return self._select(f"WHERE {where} ORDER BY {order(sort, descending)[1]}", values)

    def page(self, wanted: Wanted, *, sort: str, descending: bool, limit: int, offset: int) -> Page:
        """A part of what :meth:`tracks` gives, and how many there are in all."""
        if limit < 1 or offset < 0:
            raise InputError(f"A page holds at least 1 track and begins at 0 or later, not {limit} from {offset}.")
        where, values = wanted.condition()
        index, columns = order(sort, descending)
        # The numbers come from an index alone; whole rows are read only for those that are shown. SQLite's planner
        # may prefer an index that a condition fits, and then reads every row.
        numbers = self.select(
            f"SELECT id FROM tracks INDEXED BY {index} WHERE {where} ORDER BY {columns} LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        if len(numbers) < limit and (numbers or not offset):
            total = offset + len(numbers)
        else:
            total = int(self._one(f"SELECT count(*) FROM tracks WHERE {where}", values)[0])
        return Page(tuple(self.by_id([number for (number,) in numbers])), total, offset, limit)

    def corrections(self) -> Iterator[Track]:
        """Tracks that a person named and whose files are there, by path; of one sound only the first file."""
        return self._select(
            "WHERE id IN (SELECT id FROM (SELECT id, min(path) FROM tracks WHERE correction IS NOT NULL "
            "AND standing = 0 GROUP BY content)) ORDER BY path",
            (),
        )

    def failures(self, *, removed: bool = False) -> Iterator[Track]:
        """Files that could not be heard, by path."""
        return self._select(f"WHERE problem IS NOT NULL {'' if removed else 'AND removed IS NULL '}ORDER BY path", ())

    def track(self, path: str | os.PathLike[str]) -> Track | None:
        """What is known of one file, heard or not."""
        full = os.path.abspath(path)  # noqa: PTH100  links stay as the person named them
        for candidate in dict.fromkeys((full, os.path.realpath(full))):
            for track in self._select("WHERE path = ?", (os.fsencode(candidate),)):
                return track
        return None

    def by_id(self, numbers: Sequence[int]) -> list[Track]:
        """Tracks by their numbers, in that order; numbers that are gone are left out."""
        found: dict[int, Track] = {}
        for first in range(0, len(numbers), 500):
            part = [int(number) for number in numbers[first : first + 500]]
            marks = ",".join("?" * len(part))
            found |= {track.id: track for track in self._select(f"WHERE id IN ({marks})", part)}
        return [found[int(number)] for number in numbers if int(number) in found]

    def content_of(self, number: int) -> bytes | None:
        """The key of a track's sound (:mod:`earmark.library.content`); None if it could not be read."""
        return next((content for (content,) in self._all("SELECT content FROM tracks WHERE id = ?", (number,))), None)

    def known(self) -> dict[bytes, Known]:
        """What decides whether files have to be heard again, by path (as bytes)."""
        rows = self._all(
            "SELECT path, id, size, mtime_ns, inode, content, bundle, windows, problem, "
            "removed IS NOT NULL FROM tracks"
        )
        return {row[0]: Known._make(row[1:]) for row in rows}

    def roots(self) -> list[str]:
        """Folders that were scanned."""
        return [os.fsdecode(path) for (path,) in self._all("SELECT path FROM roots ORDER BY path")]

    def newest_bundle(self) -> tuple[int, str, str] | None:
        """Number, SHA-256 and name of the bundle that was used last; None before the first scan."""
        rows = self._all(
            "SELECT id, sha256, name FROM bundles WHERE id = (SELECT value FROM counters WHERE name = 'bundle')"
        )
        return next(((int(number), str(sha), str(name)) for number, sha, name in rows), None)

    def count(self, bundle: int) -> int:
        """Tracks that are there and were heard by one bundle."""
        return int(
            self._one(
                "SELECT count(*) FROM tracks JOIN sounds ON track = id WHERE bundle = ? AND removed IS NULL",
                (bundle,),
            )[0]
        )

    def sounds(
        self, bundle: int
    ) -> Iterator[tuple[list[int], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:
        """What tracks that are there sound like to one bundle, in portions of some thousand.

        Yields
        ------
        tuple
            Numbers, embeddings (n, d), timbres (n, t) and probabilities (n, genres).
        """
        import numpy as np

        last = -1
        while True:
            rows = list(
                self._all(
                    "SELECT tracks.id, embedding, timbre, probabilities FROM tracks JOIN sounds ON track = tracks.id "
                    "WHERE tracks.id > ? AND bundle = ? AND removed IS NULL ORDER BY tracks.id LIMIT ?",
                    (last, bundle, _CHUNK),
                )
            )
            if not rows:
                return
            numbers = [int(row[0]) for row in rows]
            last = numbers[-1]
            parts = []
            for column, kind in ((1, "<f2"), (2, "<f2"), (3, "<f4")):
                matrix = np.frombuffer(b"".join(row[column] for row in rows), kind)
                parts.append(matrix.reshape(len(rows), -1).astype(np.float32))
            yield numbers, parts[0], parts[1], parts[2]

    def probabilities(self, bundle: int) -> tuple[tuple[str, ...], list[int], NDArray[np.float32]]:
        """Genres, numbers and probabilities (n, genres) of the tracks that are there and were heard by one bundle.

        What a person said counts as certain: 1 for that genre, 0 for all others; all 0 if the bundle lacks it.
        """
        import numpy as np

        rows = list(
            self._all(
                "SELECT id, probabilities, correction FROM tracks "
                "WHERE bundle = ? AND problem IS NULL AND removed IS NULL ORDER BY id",
                (bundle,),
            )
        )
        labels = self.labels_of(bundle)
        packed = b"".join(values for _, values, _ in rows)
        matrix = np.frombuffer(packed, "<f4").reshape(len(rows), len(labels)).copy()
        for row, (_, _, said) in enumerate(rows):
            if said is not None:
                matrix[row] = [float(label == said) for label in labels]
        return labels, [int(number) for number, _, _ in rows], matrix

    def prints(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Packed prints (:mod:`earmark.library.prints`) of tracks, by number."""
        marks = ",".join("?" * len(numbers))
        rows = self._all(f"SELECT track, print FROM sounds WHERE track IN ({marks})", [int(n) for n in numbers])
        return {int(number): bytes(data) for number, data in rows if data}

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a reading query, for summaries."""
        return list(self._all(sql, values))

    def labels_of(self, bundle: int) -> tuple[str, ...]:
        """The genres of a bundle, in its order."""
        if bundle not in self._labels:
            self._labels[bundle] = tuple(
                json.loads(self._one("SELECT labels FROM bundles WHERE id = ?", (bundle,))[0])
            )
        return self._labels[bundle]

    def _select(self, condition: str, values: Sequence[Any]) -> Iterator[Track]:
        sql = (
            "SELECT id, path, label, confidence, unsure, probabilities, heard, seconds, problem, reason, warnings, "
            "removed IS NOT NULL, bundle, correction, why_unsure, artist, title, album, year, genre, "
            f"{', '.join(MUSIC_FIELDS)} FROM tracks {condition}"
        )
        for row in self._all(sql, values):
            number, path, label, confidence, unsure, packed, heard, seconds, problem, reason, warnings, removed = row[
                :12
            ]
            yield Track(
                id=number,
                path=os.fsdecode(path),
                label=label or "",
                confidence=confidence or 0.0,
                unsure=bool(unsure),
                probabilities=_unpack(self.labels_of(row[12]), packed) if packed else None,
                heard=tuple((start, end) for start, end in json.loads(heard or "[]")),
                seconds=seconds,
                correction=row[13],
                doubt=row[14],
                details=Details(*row[15:_MUSIC]),
                music=Music(*row[_MUSIC:]),
                problem=problem,
                reason=reason,
                warnings=tuple((warnings or "").split()),
                removed=bool(removed),
            )

    def _all(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Iterator[tuple[Any, ...]]:
        with self._explained():
            yield from self._connection.execute(sql, values)

    def _one(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> tuple[Any, ...]:
        with self._explained():
            row: tuple[Any, ...] = self._connection.execute(sql, values).fetchone()
            return row

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self.path) from error


def _unpack(labels: tuple[str, ...], packed: bytes) -> dict[str, float]:
    values = struct.unpack(f"<{len(labels)}f", packed)
    return dict(sorted(zip(labels, values, strict=True), key=lambda pair: -pair[1]))
