"""The catalogue's tables, and opening them without ever harming what is there."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path

from earmark.errors import EarmarkError, InputError, StoreError
from earmark.names import printable

# "EARM": SQLite keeps it at a fixed place of the file, so that programs can tell whose a database is.
APPLICATION_ID = 0x4541524D
VERSION = 1
WAIT_SECONDS = 5.0
_MAGIC = b"SQLite format 3\x00"

_TABLES = """
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


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open a catalogue, made on the spot if `create` and there is none.

    Raises
    ------
    InputError
        If there is none and none is to be made, or the place cannot be used.
    StoreError
        If the file is damaged, another program's, or a newer version's. It is left exactly as it is.
    """
    new = _is_new(path)
    if new and not create:
        raise InputError(f"There is no catalogue at {printable(path)} yet. Make one with: earmark scan FOLDER")
    connection: sqlite3.Connection | None = None
    try:
        if new:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(os.fsencode(path), timeout=WAIT_SECONDS, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        if new:
            _make_tables(connection)
        _check_version(connection, path)
        # Readers go on while a scan writes, and a kill in the middle of a write leaves the last whole state.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except OSError as error:
        raise InputError(f"The catalogue {printable(path)} cannot be made ({error.strerror or error}).") from error
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise explain(error, path) from error
    except EarmarkError:
        if connection is not None:
            connection.close()
        raise
    return connection


def explain(error: sqlite3.Error, path: Path) -> EarmarkError:
    """SQLite's error as a sentence that says what to do."""
    name = printable(path)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f"The catalogue {name} is locked by another program. Let it finish and try again.")
        case sqlite3.SQLITE_FULL:
            return InputError(
                f"The disk is full: the catalogue {name} kept everything up to here. "
                "Free some space and run the same command again; it goes on from there."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreError(
                f"The catalogue {name} is damaged ({error}) and was left as it is. Bring back a copy of it, "
                "or scan into a new one with --catalogue."
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_AUTH:
            return InputError(
                f"The catalogue {name} cannot be opened for writing ({error}). "
                "Change the permissions of the file and its folder, or choose another place with --catalogue."
            )
        case sqlite3.SQLITE_IOERR:
            return InputError(
                f"The disk failed while the catalogue {name} was used ({error}). Check the disk or the connection, "
                "then run the same command again; it goes on from there."
            )
    return StoreError(f"The catalogue {name} cannot be used ({error}).")


def _is_new(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise InputError(f"The catalogue {printable(path)} cannot be read ({error.strerror or error}).") from error
    if head and head != _MAGIC:
        raise StoreError(f"{printable(path)} is no catalogue, or is damaged. It was left as it is.")
    return not head


def _make_tables(connection: sqlite3.Connection) -> None:
    # The lock comes first: of two programs that make it at once, one finds it made.
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            # Tells this catalogue from one that was made anew in its place, for what is kept beside it.
            connection.execute("INSERT INTO counters VALUES ('identity', ?)", (secrets.randbits(62),))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if owner != APPLICATION_ID:
        raise StoreError(f"{printable(path)} is a database of another program. It was left as it is.")
    if version > VERSION:
        raise StoreError(
            f"The catalogue {printable(path)} comes from a newer Earmark (format {version}, not {VERSION}). "
            "Update Earmark. It was left as it is."
        )
    if version < 1:
        raise StoreError(f"The catalogue {printable(path)} is damaged (format {version}). It was left as it is.")
