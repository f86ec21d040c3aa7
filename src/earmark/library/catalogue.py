"""The catalogue: every track of a library and what is known of it, in one SQLite file.

Writing is one small transaction per track, so that a kill at any moment loses at most the tracks in flight.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.library.details import Details
from earmark.library.schema import connect, explain
from earmark.library.track import FileState, Known, Track
from earmark.library.worker import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earmark.bundle import Bundle

_CHUNK = 4096
_DETAILS = ("artist", "title", "album", "year", "genre")


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

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of the block's changes, or none."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite rolls back by itself where the disk is full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # ------------------------------------------------------------------ reading

    @property
    def revision(self) -> int:
        """Grows with every change to what is searched."""
        return int(self._one("SELECT value FROM counters WHERE name = 'revision'")[0])

    def check(self) -> None:
        """Read the whole file once and raise :class:`StoreError` if it is damaged."""
        for (line,) in self._all("PRAGMA quick_check(1)"):
            if line != "ok":
                error = sqlite3.DatabaseError(str(line).replace("\n", " "))
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise explain(error, self.path)

    def tracks(
        self, *, label: str | None = None, unsure: bool | None = None, removed: bool = False, under: str | None = None
    ) -> Iterator[Track]:
        """Tracks that were heard, by path.

        Parameters
        ----------
        label, unsure
            Only those with this genre; only those that are (not) unsure.
        removed
            Also those whose files are gone.
        under
            Only this file or those below this folder.
        """
        where, values = ["problem IS NULL"], list[Any]()
        if not removed:
            where.append("removed IS NULL")
        if label is not None:
            where.append("label = ?")
            values.append(label)
        if unsure is not None:
            where.append("unsure = ?")
            values.append(int(unsure))
        if under is not None:
            first, last = _below(under)
            where.append("(path = ? OR (path >= ? AND path < ?))")
            values += [os.fsencode(under), first, last]
        return self._select(f"WHERE {' AND '.join(where)} ORDER BY path", values)

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

    def embeddings(self, bundle: int) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """Numbers and embeddings (n, d) of the tracks that are there and were heard by one bundle, in portions."""
        import numpy as np

        last = -1
        while True:
            rows = list(
                self._all(
                    "SELECT tracks.id, vector FROM tracks JOIN embeddings ON track = tracks.id "
                    "WHERE tracks.id > ? AND bundle = ? AND removed IS NULL ORDER BY tracks.id LIMIT ?",
                    (last, bundle, _CHUNK),
                )
            )
            if not rows:
                return
            last = int(rows[-1][0])
            matrix = np.frombuffer(b"".join(vector for _, vector in rows), "<f2").reshape(len(rows), -1)
            yield [int(number) for number, _ in rows], matrix.astype(np.float32)

    def prints(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Packed prints (:mod:`earmark.library.prints`) of tracks, by number."""
        marks = ",".join("?" * len(numbers))
        rows = self._all(f"SELECT track, print FROM embeddings WHERE track IN ({marks})", [int(n) for n in numbers])
        return {int(number): bytes(data) for number, data in rows if data}

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a reading query, for summaries."""
        return list(self._all(sql, values))

    # ------------------------------------------------------------------ writing

    def use_bundle(self, bundle: Bundle) -> int:
        """Note the bundle that hears from now on, and give its number here."""
        card = bundle.card
        with self.writing():
            self._connection.execute(
                "INSERT INTO bundles (sha256, name, labels, unsure_below, embedding_size) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (sha256) DO NOTHING",
                (bundle.id, card.name, json.dumps(card.labels), card.unsure_below, card.embedding_size),
            )
            number = int(self._one("SELECT id FROM bundles WHERE sha256 = ?", (bundle.id,))[0])
            before = self.newest_bundle()
            if before is None or before[0] != number:
                self._connection.execute("INSERT OR REPLACE INTO counters VALUES ('bundle', ?)", (number,))
                self._changed()
        return number

    def note_root(self, root: str) -> None:
        """Remember that a folder was scanned to the end."""
        with self.writing():
            self._connection.execute("INSERT OR REPLACE INTO roots VALUES (?, ?)", (os.fsencode(root), time.time()))

    def write(self, outcome: Outcome, state: FileState, *, bundle: int, windows: int) -> int:
        """Keep what became of one file, in place of what was known of it, and give its number.

        Parameters
        ----------
        outcome
            With ``row`` (heard) or ``problem`` (failed).
        state
            The file as it was before it was opened.
        bundle, windows
            What it was heard with: the bundle's number here, and how many windows (0: all).
        """
        seen = outcome.seen
        values: dict[str, Any] = {
            "path": os.fsencode(outcome.path),
            **state._asdict(),
            "content": seen.content if seen else None,
            "removed": None,
            "problem": outcome.problem,
            "reason": outcome.reason,
            "bundle": bundle,
            "windows": windows,
            "done": time.time(),
            **_details(seen.details if seen else Details()),
        }
        values |= self._result(outcome.row, bundle) if outcome.row is not None else dict.fromkeys(_RESULT)
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        changes = ", ".join(f"{name} = excluded.{name}" for name in values)
        with self.writing():
            number = self._one(
                f"INSERT INTO tracks ({names}) VALUES ({marks}) "
                f"ON CONFLICT (path) DO UPDATE SET {changes} RETURNING id",
                values,
            )[0]
            self._connection.execute("DELETE FROM embeddings WHERE track = ?", (number,))
            if outcome.row is not None:
                self._connection.execute(
                    "INSERT INTO embeddings VALUES (?, ?, ?)", (number, _half(outcome.embedding), outcome.print)
                )
            self._changed()
        return int(number)

    def move(self, number: int, path: str, state: FileState, details: Details) -> None:
        """A track is found under a new name, with what was known of it."""
        with self.writing():
            # Something else, of no use any more, may be noted under the new name.
            self._connection.execute("DELETE FROM tracks WHERE path = ? AND id != ?", (os.fsencode(path), number))
            self._update(number, {"path": os.fsencode(path), **state._asdict(), "removed": None, **_details(details)})

    def touch(self, number: int, state: FileState, details: Details | None = None) -> None:
        """A track's file is there with the sound that it had; its tags, if given, may be new."""
        with self.writing():
            changes = {**state._asdict(), "removed": None}
            self._update(number, changes if details is None else changes | _details(details))

    def copy(self, number: int, path: str, state: FileState, details: Details) -> None:
        """A second file holds the same sound as a known track: what is known counts for it, too."""
        fresh: dict[str, Any] = {"path": os.fsencode(path), **state._asdict(), "removed": None, **_details(details)}
        shared = ["content", "problem", "reason", "bundle", "windows", "done", *_RESULT]
        with self.writing():
            self._connection.execute("DELETE FROM tracks WHERE path = ?", (fresh["path"],))
            new = self._one(
                f"INSERT INTO tracks ({', '.join([*fresh, *shared])}) "
                f"SELECT {', '.join(f':{name}' for name in fresh)}, {', '.join(shared)} FROM tracks WHERE id = :id "
                "RETURNING id",
                fresh | {"id": number},
            )[0]
            self._connection.execute(
                "INSERT INTO embeddings SELECT ?, vector, print FROM embeddings WHERE track = ?", (new, number)
            )
            self._changed()

    def set_aside(self, number: int) -> None:
        """Give a track a name that no file can have, until :meth:`move` or :meth:`drop_set_aside`."""
        with self.writing():
            self._update(number, {"path": b"\x00%d" % number, "removed": time.time()})

    def drop_set_aside(self) -> None:
        """Forget the tracks that were set aside and not found again."""
        with self.writing():
            self._connection.execute("DELETE FROM tracks WHERE path >= x'00' AND path < x'01'")

    def mark_removed(self, numbers: Iterable[int]) -> None:
        """The files of these tracks are gone; what is known is kept in case they come back."""
        with self.writing():
            now = time.time()
            self._connection.executemany("UPDATE tracks SET removed = ? WHERE id = ?", [(now, n) for n in numbers])
            self._changed()

    # ------------------------------------------------------------------ inside

    def _result(self, row: Mapping[str, Any], bundle: int) -> dict[str, Any]:
        probabilities = [row["probabilities"][label] for label in self._labels_of(bundle)]
        return {
            "label": row["label"],
            "confidence": row["confidence"],
            "unsure": int(row["unsure"]),
            "probabilities": struct.pack(f"<{len(probabilities)}f", *probabilities),
            "heard": json.dumps(row["heard"]),
            "seconds": row["declared"] if row["declared"] is not None else row["decoded"],
            "warnings": " ".join(row["problems"]),
        }

    def _update(self, number: int, values: Mapping[str, Any]) -> None:
        changes = ", ".join(f"{name} = :{name}" for name in values)
        self._connection.execute(f"UPDATE tracks SET {changes} WHERE id = :id", {**values, "id": number})
        self._changed()

    def _changed(self) -> None:
        self._connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'revision'")

    def _labels_of(self, bundle: int) -> tuple[str, ...]:
        if bundle not in self._labels:
            self._labels[bundle] = tuple(
                json.loads(self._one("SELECT labels FROM bundles WHERE id = ?", (bundle,))[0])
            )
        return self._labels[bundle]

    def _select(self, condition: str, values: Sequence[Any]) -> Iterator[Track]:
        sql = (
            "SELECT id, path, label, confidence, unsure, probabilities, heard, seconds, problem, reason, warnings, "
            f"removed IS NOT NULL, bundle, artist, title, album, year, genre FROM tracks {condition}"
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
                probabilities=_unpack(self._labels_of(row[12]), packed) if packed else None,
                heard=tuple((start, end) for start, end in json.loads(heard or "[]")),
                seconds=seconds,
                details=Details(*row[13:]),
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


_RESULT = ("label", "confidence", "unsure", "probabilities", "heard", "seconds", "warnings")


def _details(details: Details) -> dict[str, Any]:
    return {name: getattr(details, name) for name in _DETAILS}


def _half(embedding: bytes) -> bytes:
    """float32 to float16 bytes: half the file, with errors far below those of hearing."""
    import numpy as np

    values = np.frombuffer(embedding, np.float32)
    return np.clip(values, -65504, 65504).astype("<f2").tobytes()


def _unpack(labels: tuple[str, ...], packed: bytes) -> dict[str, float]:
    values = struct.unpack(f"<{len(labels)}f", packed)
    return dict(sorted(zip(labels, values, strict=True), key=lambda pair: -pair[1]))


def _below(folder: str) -> tuple[bytes, bytes]:
    """The range of paths below a folder."""
    start = os.fsencode(folder).rstrip(os.sep.encode()) + os.sep.encode()
    return start, start[:-1] + bytes([start[-1] + 1])
