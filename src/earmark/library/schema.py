"""Opening a catalogue, and bringing its tables up to date, without ever harming what is there."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path

from earmark.errors import EarmarkError, InputError, StoreError
from earmark.library.migrations import FIRST, VERSION, upgrade
from earmark.locks import exclusive
from earmark.names import printable

# "EARM": SQLite keeps it at a fixed place of the file, so that programs can tell whose a database is.
APPLICATION_ID = 0x4541524D
WAIT_SECONDS = 5.0
_MAGIC = b"SQLite format 3\x00"


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
        if _check_version(connection, path) < VERSION:
            _upgrade(connection, path)
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
            for statement in FIRST.split(";\n"):
                connection.execute(statement)
            upgrade(connection, 1)
            # Tells this catalogue from one that was made anew in its place, for what is kept beside it.
            connection.execute("INSERT INTO counters VALUES ('identity', ?)", (secrets.randbits(62),))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring an older catalogue up to date: all of it, or nothing if it is damaged, full, locked or interrupted."""
    # A scan of an older Earmark, still at work, would go on in the old way.
    with exclusive(lock_file(path), f"The catalogue {printable(path)} is being filled"):
        for (line,) in connection.execute("PRAGMA quick_check(1)"):
            if line != "ok":
                raise damaged(line, path)
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have done it while this one waited for the lock.
            if (version := _check_version(connection, path)) < VERSION:
                upgrade(connection, version)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def lock_file(path: Path) -> Path:
    """What a process holds while it fills or upgrades a catalogue."""
    return path.with_name(path.name + ".lock")


def damaged(said: object, path: Path) -> EarmarkError:
    """The error for what SQLite's check of a whole file said."""
    error = sqlite3.DatabaseError(str(said).replace("\n", " "))
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return explain(error, path)


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
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
    return int(version)
