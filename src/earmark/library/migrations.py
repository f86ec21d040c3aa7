"""How the catalogue's tables came to be, format by format.

A new catalogue is made as format 1 and then brought up to date by the same steps as an old one, so the two cannot
differ. A step runs within one transaction: an old catalogue is upgraded wholly, or stays as it was.
"""

from __future__ import annotations

import os
import sqlite3
import unicodedata
from collections.abc import Sequence

from earmark.music import MUSIC_FIELDS

FIRST = """
CREATE TABLE bundles (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    unsure_below REAL NOT NULL,
    embedding_size INTEGER NOT NULL
);
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    content BLOB,
    removed REAL,
    problem TEXT,
    reason TEXT,
    bundle INTEGER NOT NULL REFERENCES bundles,
    windows INTEGER NOT NULL,
    label TEXT,
    confidence REAL,
    unsure INTEGER,
    probabilities BLOB,
    heard TEXT,
    seconds REAL,
    warnings TEXT,
    artist TEXT,
    title TEXT,
    album TEXT,
    year INTEGER,
    genre TEXT,
    done REAL NOT NULL
);
CREATE INDEX tracks_content ON tracks (content);
CREATE TABLE sounds (
    track INTEGER PRIMARY KEY REFERENCES tracks ON DELETE CASCADE,
    embedding BLOB NOT NULL,
    timbre BLOB NOT NULL,
    print BLOB NOT NULL
);
CREATE TABLE roots (
    path BLOB PRIMARY KEY,
    scanned REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters VALUES ('revision', 0);
"""

# What a person said of a track is kept by its sound, so that it outlives the row. The columns after it follow from
# the others: `standing` 0 there, 1 gone, 2 not heard; `said`, `doubt`, `sure` the genre that counts, whether it is
# unsure and how certain it is. They are columns because SQLite lists 100,000 tracks in milliseconds only from indexes
# that hold all that a query asks for, and it takes no computed column for that.
_DERIVE = """
    UPDATE tracks SET
        correction = (SELECT label FROM corrections WHERE content = new.content),
        said = coalesce((SELECT label FROM corrections WHERE content = new.content), label),
        doubt = unsure AND NOT EXISTS (SELECT 1 FROM corrections WHERE content = new.content),
        sure = CASE WHEN EXISTS (SELECT 1 FROM corrections WHERE content = new.content) THEN 1.0 ELSE confidence END,
        standing = CASE WHEN problem IS NOT NULL THEN 2 WHEN removed IS NOT NULL THEN 1 ELSE 0 END
    WHERE id = new.id;
"""
# Every index ends in all that tracks can be filtered by.
_FILTERS = "said, doubt, sure, correction, words"
_SECOND = (
    "CREATE TABLE corrections (content BLOB PRIMARY KEY, label TEXT NOT NULL, made REAL NOT NULL) WITHOUT ROWID",
    "ALTER TABLE tracks ADD COLUMN correction TEXT",
    "ALTER TABLE tracks ADD COLUMN standing INTEGER",
    "ALTER TABLE tracks ADD COLUMN said TEXT",
    "ALTER TABLE tracks ADD COLUMN doubt INTEGER",
    "ALTER TABLE tracks ADD COLUMN sure REAL",
    "ALTER TABLE tracks ADD COLUMN words TEXT",
    *(f"ALTER TABLE tracks ADD COLUMN {name} {'TEXT' if name == 'key' else 'REAL'}" for name in MUSIC_FIELDS),
    f"CREATE TRIGGER tracks_made AFTER INSERT ON tracks BEGIN {_DERIVE} END",
    "CREATE TRIGGER tracks_changed AFTER UPDATE OF content, label, confidence, unsure, problem, removed ON tracks "
    f"BEGIN {_DERIVE} END",
    "CREATE TRIGGER corrections_made AFTER INSERT ON corrections "
    "BEGIN UPDATE tracks SET content = content WHERE content = new.content; END",
    "CREATE TRIGGER corrections_changed AFTER UPDATE ON corrections "
    "BEGIN UPDATE tracks SET content = content WHERE content = new.content; END",
    "CREATE TRIGGER corrections_dropped AFTER DELETE ON corrections "
    "BEGIN UPDATE tracks SET content = content WHERE content = old.content; END",
    "UPDATE tracks SET content = content, words = search_words(artist, title, album, path)",
    f"CREATE INDEX listed_path ON tracks (standing, path, {_FILTERS})",
    f"CREATE INDEX listed_artist ON tracks (standing, artist COLLATE NOCASE, album COLLATE NOCASE, "
    f"title COLLATE NOCASE, path, {_FILTERS})",
    f"CREATE INDEX listed_title ON tracks (standing, title COLLATE NOCASE, path, {_FILTERS})",
    f"CREATE INDEX listed_label ON tracks (standing, {_FILTERS}, path)",
    f"CREATE INDEX listed_confidence ON tracks (standing, sure, path, {_FILTERS})",
    f"CREATE INDEX listed_rest ON tracks (standing, year, seconds, done, path, {_FILTERS})",
    "CREATE INDEX listed_correction ON tracks (correction) WHERE correction IS NOT NULL",
)
_THIRD = (
    "ALTER TABLE tracks ADD COLUMN why_unsure TEXT",
    # Files that are cut off used to be heard as far as they go; the next scan hears these again, and refuses them.
    "UPDATE tracks SET windows = -1 WHERE problem IS NULL AND ' ' || warnings || ' ' LIKE '% truncated %'",
)
_STEPS: dict[int, Sequence[str]] = {1: _SECOND, 2: _THIRD}
VERSION = 1 + len(_STEPS)


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring tables of an older format up to date, within the transaction that is open."""
    connection.create_function("search_words", 4, search_words, deterministic=True)
    for number in range(version, VERSION):
        for statement in _STEPS[number]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def search_words(artist: str | None, title: str | None, album: str | None, path: bytes) -> str:
    """What a search looks through: all four, folded as :func:`fold` does, one per line."""
    return fold("\n".join(filter(None, (artist, title, album, os.fsdecode(path)))))


def fold(text: str) -> str:
    """Text without case and accents, as people type it into a search field: ``Björk`` is ``bjork``."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold()
    # Bytes of file names that are no text stand as lone surrogates, which SQLite does not take.
    return "".join(c for c in apart if not unicodedata.combining(c)).encode("utf-8", "replace").decode()
