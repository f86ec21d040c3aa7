"""Writing into the catalogue: one small transaction per track.

A kill at any moment loses at most the tracks in flight.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from earmark.library.catalogue import Catalogue
from earmark.library.details import Details
from earmark.library.migrations import search_words
from earmark.library.track import FileState, length_of
from earmark.library.worker import Outcome
from earmark.music import MUSIC_FIELDS

if TYPE_CHECKING:
    from earmark.bundle import Bundle

_DETAILS = Details.__slots__
_RESULT = (
    "label", "confidence", "unsure", "why_unsure", "probabilities", "heard", "seconds", "warnings", *MUSIC_FIELDS,
)  # fmt: skip


class Ledger(Catalogue):
    """A catalogue that can be written; see :class:`Catalogue`."""

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
            **_details(seen.details if seen else Details(), outcome.path),
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
            self._connection.execute("DELETE FROM sounds WHERE track = ?", (number,))
            if outcome.row is not None:
                self._connection.execute(
                    "INSERT INTO sounds VALUES (?, ?, ?, ?)",
                    (number, _half(outcome.embedding), _half(outcome.timbre), outcome.print),
                )
            self._changed()
        return int(number)

    def move(self, number: int, path: str, state: FileState, details: Details, *, misnamed: bool = False) -> None:
        """A track is found under a new name, with what was known of it; the name may lie about the format."""
        with self.writing():
            # Something else, of no use any more, may be noted under the new name.
            self._connection.execute("DELETE FROM tracks WHERE path = ? AND id != ?", (os.fsencode(path), number))
            changes = {"path": os.fsencode(path), **state._asdict(), "removed": None, **_details(details, path)}
            self._update(number, changes | {"warnings": self._warnings(number, misnamed)})

    def touch(self, number: int, state: FileState, details: Details | None = None) -> None:
        """A track's file is there with the sound that it had; its tags, if given, may be new."""
        with self.writing():
            changes = {**state._asdict(), "removed": None}
            if details is not None:
                path = os.fsdecode(self._one("SELECT path FROM tracks WHERE id = ?", (number,))[0])
                changes |= _details(details, path)
            self._update(number, changes)

    def copy(self, number: int, path: str, state: FileState, details: Details, *, misnamed: bool = False) -> None:
        """A second file holds the same sound as a known track: what is known counts for it, too."""
        fresh: dict[str, Any] = {
            "path": os.fsencode(path),
            **state._asdict(),
            "removed": None,
            **_details(details, path),
        }
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
                "INSERT INTO sounds SELECT ?, embedding, timbre, print FROM sounds WHERE track = ?",
                (new, number),
            )
            self._update(new, {"warnings": self._warnings(number, misnamed)})

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

    def correct(self, content: bytes, label: str | None) -> None:
        """Keep what a person said of a sound, for every file that holds it; None takes it back.

        The revision stays: what was heard, and all that is worked out from it, is the same.
        """
        with self.writing():
            if label is None:
                self._connection.execute("DELETE FROM corrections WHERE content = ?", (content,))
            else:
                self._connection.execute(
                    "INSERT INTO corrections VALUES (?, ?, ?) ON CONFLICT (content) DO UPDATE "
                    "SET label = excluded.label, made = excluded.made",
                    (content, label, time.time()),
                )

    def carry_correction(self, old: bytes, new: bytes) -> None:
        """A file's bytes changed: what a person said of it stays if it is still the same recording, coded anew."""
        from earmark.library.prints import SAME, Print, agreement

        said = self.select("SELECT label FROM corrections WHERE content = ?", (old,))
        if not said or old == new:
            return
        kept = [
            self.select("SELECT print FROM sounds JOIN tracks ON id = track WHERE content = ? LIMIT 1", (key,))
            for key in (old, new)
        ]
        if not all(rows and rows[0][0] for rows in kept):
            return
        if agreement(*(Print.unpack(rows[0][0]) for rows in kept)) >= SAME:
            self.correct(new, said[0][0])

    def _result(self, row: Mapping[str, Any], bundle: int) -> dict[str, Any]:
        probabilities = [row["probabilities"][label] for label in self.labels_of(bundle)]
        return {
            "label": row["label"],
            "confidence": row["confidence"],
            "unsure": int(row["unsure"]),
            "why_unsure": row.get("doubt"),
            "probabilities": struct.pack(f"<{len(probabilities)}f", *probabilities),
            "heard": json.dumps(row["heard"]),
            "seconds": length_of(row),
            "warnings": " ".join(row["problems"]),
            **{name: row.get(name) for name in MUSIC_FIELDS},
        }

    def _warnings(self, number: int, misnamed: bool) -> str:
        """What is wrong with a track's file, where it goes by another name."""
        # The package of sound loads NumPy, which most commands on a catalogue do without.
        from earmark.audio.problems import Problem

        (said,) = self._one("SELECT warnings FROM tracks WHERE id = ?", (number,))
        others = [code for code in (said or "").split() if code != Problem.WRONG_SUFFIX]
        return " ".join([*others, *([Problem.WRONG_SUFFIX] if misnamed else [])])

    def _update(self, number: int, values: Mapping[str, Any]) -> None:
        changes = ", ".join(f"{name} = :{name}" for name in values)
        self._connection.execute(f"UPDATE tracks SET {changes} WHERE id = :id", {**values, "id": number})
        self._changed()

    def _changed(self) -> None:
        self._connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'revision'")


def _details(details: Details, path: str) -> dict[str, Any]:
    words = search_words(details.artist, details.title, details.album, os.fsencode(path))
    return {name: getattr(details, name) for name in _DETAILS} | {"words": words}


def _half(embedding: bytes) -> bytes:
    """float32 to float16 bytes: half the file, with errors far below those of hearing."""
    import numpy as np

    values = np.frombuffer(embedding, np.float32)
    return np.clip(values, -65504, 65504).astype("<f2").tobytes()
