"""What was written, so that it can be undone: one JSON line per event, appended before and after each step.

Events of one file, in order: ``start`` (a temporary file is about to be made), ``ready`` (it is complete and
checked; how to make the old bytes from the new ones), ``done`` (it took the file's place); later ``undoing`` and
``undone``. After a crash the hashes in ``ready`` tell on which side of the rename the file is.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from earmark import __version__
from earmark.errors import InputError, StoreError
from earmark.library.tags.delta import Operation, from_json, to_json

FORMAT = 2
TEMPORARY = ".earmark-"  # the beginning of the names of temporary files


@dataclass(frozen=True)
class State:
    """A file at one moment.

    Parameters
    ----------
    size
        In bytes.
    digest
        Of a file before it was written: SHA-256 of all its bytes, to which undoing must come back. Of a file after:
        :meth:`earmark.library.tags.edit.Editor.mark`, by which it is known again.
    mtime_ns
        Modification time in nanoseconds.
    """

    size: int
    digest: str
    mtime_ns: int


@dataclass
class Record:
    """The last that the journal says about one file."""

    path: str
    event: str
    before: State | None = None
    after: State | None = None
    undo: list[Operation] = field(default_factory=list)


class Journal:
    """A journal, open for one process at a time; its threads may note what they do side by side.

    Parameters
    ----------
    path
        The file; it is made if it does not exist.
    plan
        The id of the plan that is being applied; None opens an existing journal to undo it.

    Raises
    ------
    InputError
        If there is no such file, or another process works with it.
    StoreError
        If it is damaged, belongs to another plan or comes from a newer version.
    """

    def __init__(self, path: Path, plan: str | None = None) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        self.temporaries: set[str] = set()
        self._gate = threading.Lock()  # held while a line is written
        self._settling = threading.Lock()  # held while lines are brought to the disk
        self._written = self._settled = 0
        self._broken: OSError | None = None
        if plan is None and not path.is_file():
            raise InputError(f"There is no journal {path}.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle: IO[bytes] = open(path, "a+b")  # noqa: SIM115  closed by __exit__
        except OSError as error:
            raise InputError(f"The journal {path} cannot be opened ({error.strerror}).") from error
        try:
            _lock(self._handle, path)
            self._read(plan)
        except BaseException:
            self._handle.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.close()

    def start(self, path: str, temporary: Path, *, undoing: bool = False) -> None:
        """Note that a temporary file is about to be made beside ``path``."""
        event = "undoing" if undoing else "start"
        self._append({"event": event, "path": path, "temporary": os.fspath(temporary)})

    def ready(self, path: str, before: State, after: State, undo: list[Operation]) -> None:
        """Note, safely on the disk, how to get the old bytes back; the new ones take the file's place after this."""
        record = {"event": "ready", "path": path, "before": vars(before), "after": vars(after)}
        self._append({**record, "undo": to_json(undo)}, safely=True)
        self.records[path] = Record(path, "ready", before, after, undo)

    def finish(self, path: str, event: str) -> None:
        """Note that a file is ``done`` or ``undone``."""
        self._append({"event": event, "path": path})
        self.records[path].event = event

    def to_undo(self) -> list[Record]:
        """The files that were or may have been written and not undone, the last one first."""
        return [r for r in reversed(self.records.values()) if r.event in ("ready", "done")]

    def remove_temporaries(self) -> None:
        """Remove what a killed process left behind."""
        for name in self.temporaries:
            temporary = Path(name)
            if temporary.name.startswith(TEMPORARY):
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
        self.temporaries.clear()

    def _append(self, event: dict[str, Any], *, safely: bool = False) -> None:
        try:
            with self._gate:
                self._handle.write(_line(event))
                self._handle.flush()
                self._written += 1
                number = self._written
            if safely:
                self._settle(number)
        except OSError as error:
            message = f"The journal {self.path} cannot be written ({error.strerror}); nothing more was changed."
            raise InputError(message) from error

    def _settle(self, number: int) -> None:
        """Wait until so many lines are safely on the disk; lines of several threads go there together."""
        with self._settling:
            if self._broken is not None:
                # A disk says once that it failed; asked again, it may say that all is well.
                raise self._broken
            if self._settled >= number:
                return
            written = self._written
            try:
                os.fsync(self._handle.fileno())
            except OSError as error:
                self._broken = error
                raise
            self._settled = written

    def _read(self, plan: str | None) -> None:
        self._handle.seek(0)
        content = self._handle.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            # The process was killed while it wrote the last line; what that line was about had not begun.
            self._handle.truncate(whole)
        lines = content[:whole].splitlines()
        if not lines:
            if plan is None:
                raise StoreError(f"{self.path} is not a journal of earmark tags.")
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            header = {"earmark_tag_journal": FORMAT, "plan": plan, "earmark": __version__, "created": now}
            self._append(header, safely=True)
            return
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
                if number == 1:
                    self._check_header(event, plan)
                else:
                    self._take(event)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StoreError(f"Line {number} of the journal {self.path} is damaged.") from error

    def _check_header(self, event: dict[str, Any], plan: str | None) -> None:
        version = event.get("earmark_tag_journal") if isinstance(event, dict) else None
        if version is None:
            raise StoreError(f"{self.path} is not a journal of earmark tags.")
        if version != FORMAT:
            raise StoreError(
                f"The journal {self.path} comes from another version of Earmark ({event.get('earmark')})."
            )
        if plan is not None and event["plan"] != plan:
            raise StoreError(f"The journal {self.path} belongs to another plan. Choose another file with --journal.")

    def _take(self, event: dict[str, Any]) -> None:
        path, kind = event["path"], event["event"]
        if kind in ("start", "undoing"):
            self.temporaries.add(event["temporary"])
        elif kind == "ready":
            # A file that is written a second time (after an undo) goes to the end.
            self.records.pop(path, None)
            before, after = State(**event["before"]), State(**event["after"])
            self.records[path] = Record(path, kind, before, after, from_json(event["undo"]))
        else:
            self.records[path].event = kind


def journals() -> Iterator[Path]:
    """The journals in the default folder, the newest first."""
    yield from sorted(folder().glob("*.jsonl"), reverse=True)


def folder() -> Path:
    """Where journals are kept by default: ``tag-journals`` in the platform's data folder."""
    import platformdirs

    return platformdirs.user_data_path("earmark") / "tag-journals"


def _line(value: dict[str, Any]) -> bytes:
    # ASCII, so that file names that are not valid UTF-8 survive as lone surrogates.
    return json.dumps(value, ensure_ascii=True).encode("ascii") + b"\n"


def _lock(handle: IO[bytes], path: Path) -> None:
    """Lock the journal until it is closed; the system gives the lock back if the process is killed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(1 << 30)  # Windows keeps others from reading locked bytes; this one is never used
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise InputError(f"Another process works with the journal {path}; wait until it has finished.") from error
