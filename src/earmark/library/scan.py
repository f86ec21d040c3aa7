"""Bring the catalogue up to date with folders: hear what is new, recognise what moved, note what is gone.

Nothing is heard twice: a file counts as known while its size, modification time and number stay, and where they
changed its content key says whether it is another sound or only has new tags or a new place. Every outcome is written
at once, so a scan that was stopped in any way goes on where it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from earmark.errors import InputError
from earmark.library.ledger import Ledger
from earmark.library.pool import Pool
from earmark.library.schema import lock_file
from earmark.library.track import FileState, Known
from earmark.library.worker import Outcome, Seen, Task, failed
from earmark.locks import exclusive
from earmark.names import printable
from earmark.progress import Progress, Step, silent

if TYPE_CHECKING:
    from earmark.bundle import Bundle

# Failures that lie with the disk or the machine, not with the file: tried again with every scan.
_PASSING = frozenset({"missing", "unreadable", "memory"})
_NOWHERE = FileState(0, 0, 0)


@dataclass
class ScanReport:
    """What a scan did, in numbers of files.

    Parameters
    ----------
    found
        Sound files below the folders.
    unchanged
        Known, and not touched.
    new, changed, again
        Heard now: for the first time; because their sound changed; because the bundle or the options did.
    failed
        Could not be heard in this scan, folders that could not be looked into among them; see `failures`.
    flawed
        Of those heard: something is wrong with the file, such as a missing end.
    retagged, moved, copied
        Known sound with other tags, in another place, or in a second place.
    returned, removed
        Back after they were gone; gone now.
    failures
        Path, code and sentence of each file that failed in this scan.
    seconds
        How long it took.
    """

    found: int = 0
    unchanged: int = 0
    new: int = 0
    changed: int = 0
    again: int = 0
    failed: int = 0
    flawed: int = 0
    retagged: int = 0
    moved: int = 0
    copied: int = 0
    returned: int = 0
    removed: int = 0
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def heard(self) -> int:
        """Files that were classified in this scan."""
        return self.new + self.changed + self.again


class _Errand(NamedTuple):
    """A file to look at, and why: ``new``, ``changed`` or ``again``."""

    path: str
    state: FileState
    why: str


def scan(
    catalogue: Ledger,
    folders: Sequence[str | os.PathLike[str]],
    pool: Pool,
    bundle: Bundle,
    *,
    windows: int = 3,
    retry: bool = False,
    accept_removed: bool = False,
    progress: Progress = silent,
) -> ScanReport:
    """Bring a catalogue up to date with folders.

    Parameters
    ----------
    catalogue
        Open for writing.
    folders
        What to look through; symbolic links in their names are resolved.
    pool
        Workers that hear with `bundle`.
    bundle
        What hears. Tracks that were heard with another one are heard again.
    windows
        How many windows per track; 0: all of it. Tracks that were heard with more are left alone.
    retry
        Whether files that could not be decoded before are tried again though they did not change.
    accept_removed
        Believe a folder in which no sound is left. Otherwise it is taken for a disk that is not connected.
    progress
        Called for each file.

    Raises
    ------
    InputError
        If a folder is not there or seems to be a disk that was pulled; what was heard before is kept.
    StoreError
        If another scan is at work on this catalogue, or the catalogue or the bundle cannot be used.
    """
    begun = time.monotonic()
    with exclusive(lock_file(catalogue.path), f"The catalogue {printable(catalogue.path)} is being filled"):
        catalogue.check()
        catalogue.drop_set_aside()
        work = _Scan(catalogue, catalogue.use_bundle(bundle), windows, progress)
        roots = [os.path.realpath(folder) for folder in folders]
        for root in roots:
            work.walk(root, retry=retry, accept_removed=accept_removed)
        work.hear(pool, roots)
        for root in roots:
            work.note_removed(root, accept_removed=accept_removed)
            catalogue.note_root(root)
        catalogue.drop_set_aside()
    work.report.seconds = time.monotonic() - begun
    return work.report


class _Scan:
    """One scan's state: what is known, what there is to do, what was done."""

    def __init__(self, catalogue: Ledger, bundle: int, windows: int, progress: Progress) -> None:
        self.report = ScanReport()
        self._catalogue = catalogue
        self._bundle = bundle
        self._windows = windows
        self._progress = progress
        self._known = catalogue.known()
        self._seen: set[bytes] = set()
        self._errands: dict[str, _Errand] = {}
        # Sound that need not be heard again, by its key: number and path of a track that has it.
        self._sounds: dict[bytes, tuple[int, str]] = {
            row.content: (row.id, os.fsdecode(path))
            for path, row in self._known.items()
            if row.content is not None and row.problem is None and self._is_current(row)
        }

    # ------------------------------------------------------------------ looking

    def walk(self, root: str, *, retry: bool, accept_removed: bool) -> None:
        """Find the files below a folder and what is to be done with each."""
        from earmark.audio import find_audio

        if not os.path.isdir(root):  # noqa: PTH112
            why = "is a file: name the folder that it is in."
            if not os.path.isfile(root):  # noqa: PTH113
                why = "is not a folder that can be read. Is its disk connected? Nothing was changed."
            raise InputError(f"{printable(root)} {why}")
        count = 0
        refused: list[OSError] = []
        for found in find_audio(root, on_error=refused.append):
            path = str(found)
            key = os.fsencode(path)
            if key in self._seen:
                continue
            self._seen.add(key)
            count += 1
            self._progress(Step("looking for files", count))
            try:
                state = FileState.of(found.stat())
            except OSError:
                state = _NOWHERE
            self._consider(path, self._known.get(key), state, retry)
        self._progress(Step("looking for files", count, count))
        for error in refused:
            self._note_refused(error)
        self.report.found += count
        if not count and not accept_removed:
            gone = sum(1 for _ in self._missing(root))
            if gone:
                raise InputError(
                    f"There is no sound below {printable(root)}, though the catalogue knows {gone} files there. "
                    "If its disk is not connected, connect it; if they are really gone, add --accept-removed."
                )

    def _note_refused(self, error: OSError) -> None:
        """List a folder that cannot be looked into as a file that cannot be heard: it may hide a hundred of them."""
        path = os.fsdecode(error.filename or b"")
        key = os.fsencode(path)
        if not path or key in self._seen:
            return
        self._seen.add(key)
        self._fail(failed(path, "unreadable", f"this folder cannot be read ({error.strerror})."), _NOWHERE)

    def _fail(self, outcome: Outcome, state: FileState) -> None:
        self._write(outcome, state)
        self.report.failed += 1
        self.report.failures.append((outcome.path, outcome.problem or "", outcome.reason or ""))

    def _consider(self, path: str, known: Known | None, state: FileState, retry: bool) -> None:
        if known is None:
            self._errands[path] = _Errand(path, state, "new")
        elif (known.size, known.mtime_ns, known.inode) != state:
            self._errands[path] = _Errand(path, state, "changed")
        elif known.problem is not None:
            if retry or known.problem in _PASSING:
                self._errands[path] = _Errand(path, state, "again")
            else:
                self._keep(known, state)
        elif self._is_current(known):
            self._keep(known, state)
        else:
            self._errands[path] = _Errand(path, state, "again")

    def _keep(self, known: Known, state: FileState) -> None:
        if known.removed:
            self._catalogue.touch(known.id, state)
            self.report.returned += 1
        else:
            self.report.unchanged += 1

    def _is_current(self, known: Known) -> bool:
        enough = known.windows == 0 or (self._windows != 0 and known.windows >= self._windows)
        return known.bundle == self._bundle and enough

    # ------------------------------------------------------------------ hearing

    def hear(self, pool: Pool, roots: Sequence[str]) -> None:
        """Hear what there is to hear, and write each outcome as it comes."""
        total, begun = len(self._errands), time.monotonic()
        if total:
            self._progress(Step("hearing", 0, total))
        tasks = (Task(errand.path, self._windows, look=True) for errand in list(self._errands.values()))
        for done, outcome in enumerate(pool.run(tasks, wanted=self._is_wanted), 1):
            errand = self._errands[outcome.path]
            if outcome.row is not None:
                self._write(outcome, errand.state)
                setattr(self.report, errand.why, getattr(self.report, errand.why) + 1)
                self.report.flawed += bool(outcome.row["problems"])
            elif outcome.problem is not None:
                if outcome.problem in _PASSING:
                    _require_connected(errand.path, roots)
                self._fail(outcome, errand.state)
            elif outcome.seen is not None:
                self._recognise(outcome.path, outcome.seen, errand)
            rate = done / max(1e-9, time.monotonic() - begun)
            self._progress(Step("hearing", done, total, f"{rate:.1f} tracks/s, {self.report.failed} failed"))

    def _is_wanted(self, task: Task, seen: Seen) -> bool:
        return seen.content not in self._sounds

    def _write(self, outcome: Outcome, state: FileState) -> None:
        self._set_aside(outcome.path, outcome.seen)
        number = self._catalogue.write(outcome, state, bundle=self._bundle, windows=self._windows)
        if outcome.row is not None and outcome.seen is not None:
            self._sounds[outcome.seen.content] = number, outcome.path
            known = self._known.get(os.fsencode(outcome.path))
            if known is not None and known.content is not None:
                self._catalogue.carry_correction(known.content, outcome.seen.content)

    def _recognise(self, path: str, seen: Seen, errand: _Errand) -> None:
        """The sound is known: the same file with other tags, a file that moved, or a second copy."""
        number, place = self._sounds[seen.content]
        if place == path:
            self._catalogue.touch(number, errand.state, seen.details)
            self.report.retagged += 1
            return
        self._set_aside(path, seen)
        if os.path.lexists(place):
            self._catalogue.copy(number, path, errand.state, seen.details, misnamed=seen.misnamed)
            self.report.copied += 1
        else:
            self._catalogue.move(number, path, errand.state, seen.details, misnamed=seen.misnamed)
            self._known.pop(os.fsencode(place), None)
            self._sounds[seen.content] = number, path
            self.report.moved += 1

    def _set_aside(self, path: str, seen: Seen | None) -> None:
        """Free a path for another sound, but keep what was known of the old one: it may turn up elsewhere."""
        known = self._known.get(os.fsencode(path))
        if known is None or known.content is None or (seen is not None and seen.content == known.content):
            return
        number, place = self._sounds.get(known.content, (-1, ""))
        if number == known.id and place == path:
            self._catalogue.set_aside(number)
            self._sounds[known.content] = number, ""

    # ------------------------------------------------------------------ what is gone

    def note_removed(self, root: str, *, accept_removed: bool) -> None:
        """Mark the tracks below a folder whose files are gone."""
        missing = list(self._missing(root))
        # A folder is noted only while it cannot be looked into.
        self._catalogue.mark_removed(
            known.id
            for path, known in missing
            if known.problem == "unreadable" and os.path.isdir(path)  # noqa: PTH112
        )
        gone = [known.id for path, known in missing if _is_gone(path)]
        if gone:
            if not accept_removed:
                _require_connected(root, [root])
            self._catalogue.mark_removed(gone)
            self.report.removed += len(gone)

    def _missing(self, root: str) -> Iterator[tuple[bytes, Known]]:
        start = os.fsencode(root).rstrip(os.sep.encode()) + os.sep.encode()
        for path, known in self._known.items():
            if path.startswith(start) and path not in self._seen and not known.removed:
                yield path, known


def _is_gone(path: bytes) -> bool:
    """Whether a file is certainly not there, as against not to be seen just now."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _require_connected(path: str, roots: Sequence[str]) -> None:
    """Stop the scan if the folder that holds `path` is gone or empty: then the disk failed, not the files."""
    root = max((r for r in roots if Path(path).is_relative_to(r)), key=len, default=None)
    if root is None:
        return
    try:
        with os.scandir(root) as entries:
            if next(entries, None) is not None:
                return
    except OSError:
        pass
    raise InputError(
        f"{printable(root)} can no longer be read: its disk was pulled or failed. Everything heard so far is kept; "
        "connect it and run the same command again."
    )
