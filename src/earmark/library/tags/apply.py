"""Carrying out a plan, and taking it back."""

from __future__ import annotations

import contextlib
import datetime
import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from earmark.errors import InputError
from earmark.library.tags import journal as journals
from earmark.library.tags.check import require_mutagen
from earmark.library.tags.edit import TagError
from earmark.library.tags.journal import Journal, Record, State
from earmark.library.tags.plan_file import Entry, Plan
from earmark.library.tags.rewrite import ChangedError, has_mark, restore, temporary_beside, write_tags
from earmark.progress import Progress, Step, silent

JOBS = 4
"""Files that are written side by side: some are read and hashed while others wait for the disk."""
_T = TypeVar("_T")


@dataclass
class Report:
    """What :func:`apply` or :func:`undo` did.

    Attributes
    ----------
    journal
        Where it is written down; what :func:`undo` needs.
    done
        Files that were changed (by :func:`undo`: that have their old bytes again).
    already
        Files that were as they should be, for instance because a run before this one was stopped midway.
    skipped
        Files that were changed by others in the meantime and therefore left alone, with the reason.
    failed
        Files that could not be changed, with the reason.
    """

    journal: Path
    done: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing was skipped and nothing failed."""
        return not self.skipped and not self.failed


def apply(
    plan: Plan,
    *,
    journal: Path | str | None = None,
    keep_mtime: bool = False,
    split_hard_links: bool = False,
    jobs: int = JOBS,
    progress: Progress = silent,
) -> Report:
    """Write the genres that a plan holds.

    Every file is written anew beside itself, read back and compared, and then takes the old one's place. A run that
    was stopped, even by a kill or a power failure, is simply run again: it goes on where it was.

    Parameters
    ----------
    plan
        What to write; files that changed since it was made are skipped.
    journal
        Where to note how to undo it. None: in the platform's data folder, under the plan's id.
    keep_mtime
        Whether files keep their modification time. Players and back-ups may then not notice the change.
    split_hard_links
        Whether a file that has several names (hard links) is changed under the planned name only, which makes
        two files of one. Otherwise such files fail.
    jobs
        How many files to work on side by side.
    progress
        Called after each file.

    Raises
    ------
    MissingExtraError
        If mutagen is not installed.
    InputError
        If the disk is full or the journal cannot be written; what was written before that can be undone.
    StoreError
        If the journal is damaged or belongs to another plan.
    """
    require_mutagen()
    place = Path(journal) if journal is not None else _journal_of(plan)
    report = Report(place)
    entries = plan.to_write
    if not entries:
        return report
    with Journal(place, plan.id) as book:
        book.remove_temporaries()
        # A plan that was edited may name a file twice.
        gates: dict[str, threading.Lock] = {}

        def write(place: int) -> TagError | bool:
            entry = entries[place]
            path = os.path.realpath(entry.path)
            try:
                with gates.setdefault(path, threading.Lock()):
                    return _apply_one(entry, path, place + 1, plan, book, keep_mtime, split_hard_links)
            except TagError as error:
                return error

        # Closed at once by whatever happens here, such as Ctrl-C: nothing more is begun then.
        with contextlib.closing(_side_by_side(write, len(entries), jobs)) as results:
            for number, (entry, became) in enumerate(zip(entries, results, strict=True), 1):
                _note(report, entry.path, became)
                progress(Step("writing tags", number, len(entries)))
    return report


def _note(report: Report, path: str, became: TagError | bool) -> None:
    if isinstance(became, TagError):
        (report.skipped if isinstance(became, ChangedError) else report.failed).append((path, str(became)))
    else:
        (report.done if became else report.already).append(path)


def _side_by_side(work: Callable[[int], _T], count: int, jobs: int) -> Generator[_T]:
    """What the work gives for 0 to count - 1, in that order; after an error nothing more is begun."""
    if min(jobs, count) < 2:
        yield from map(work, range(count))
        return
    waiting: deque[Future[_T]] = deque()
    with ThreadPoolExecutor(min(jobs, count)) as pool:
        try:
            for place in range(count):
                waiting.append(pool.submit(work, place))
                if len(waiting) > 2 * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def undo(journal: Path | str | None = None, *, jobs: int = JOBS, progress: Progress = silent) -> Report:
    """Give files the bytes and modification times back that they had before :func:`apply`.

    Files that were changed by others since are skipped. A run that was stopped is simply run again.

    Parameters
    ----------
    journal
        The journal; None takes the newest in the platform's data folder that has something to undo.
    jobs
        How many files to work on side by side.
    progress
        Called after each file.

    Raises
    ------
    InputError
        If there is no journal, or nothing to undo.
    StoreError
        If the journal is damaged.
    """
    place = Path(journal) if journal is not None else latest_journal()
    report = Report(place)
    with Journal(place) as book:
        book.remove_temporaries()
        records = book.to_undo()

        def take_back(place: int) -> TagError | bool:
            try:
                return _undo_one(records[place], place + 1, book)
            except TagError as error:
                return error

        with contextlib.closing(_side_by_side(take_back, len(records), jobs)) as results:
            for number, (record, became) in enumerate(zip(records, results, strict=True), 1):
                _note(report, record.path, became)
                progress(Step("undoing", number, len(records)))
    return report


def latest_journal() -> Path:
    """The newest journal in the platform's data folder that has something to undo.

    Raises
    ------
    InputError
        If there is none.
    """
    for path in journals.journals():
        with Journal(path) as book:
            if book.to_undo():
                return path
    raise InputError("There is nothing to undo: no tags were written, or all of it was undone.")


def _apply_one(
    entry: Entry,
    path: str,
    number: int,
    plan: Plan,
    book: Journal,
    keep_mtime: bool,
    split_hard_links: bool,
) -> bool:
    """Write one file, by its real path; False: it had its tags already."""
    known = book.records.get(path)
    after = known.after if known is not None and known.event in ("ready", "done") else None
    if known is not None and after is not None and _is_like(path, after):
        # Written by a run before this one, perhaps one that was stopped just behind the rename.
        if known.event == "ready":
            book.finish(path, "done")
        return False
    temporary = temporary_beside(Path(path), plan.id, number)
    book.start(path, temporary)
    written = write_tags(
        Path(path),
        entry.wanted,
        temporary,
        partial(book.ready, path),
        expected=entry.mark,
        id3=plan.options.id3,
        keep_mtime=keep_mtime,
        split_hard_links=split_hard_links,
    )
    if written:
        book.finish(path, "done")
    return written


def _undo_one(record: Record, number: int, book: Journal) -> bool:
    """Take one file back; False: it had its old bytes already."""
    assert record.before is not None and record.after is not None
    path = Path(record.path)
    temporary = temporary_beside(path, "undo" + record.before.digest, number)
    book.start(record.path, temporary, undoing=True)
    changed = restore(path, record.undo, record.before, record.after, temporary)
    book.finish(record.path, "undone")
    return changed


def _is_like(path: str, state: State) -> bool:
    """Whether a file is as it was after it was written; its content is only read if its time differs."""
    try:
        facts = os.stat(path)  # noqa: PTH116
        if facts.st_size != state.size:
            return False
        if facts.st_mtime_ns == state.mtime_ns:
            return True
        with open(path, "rb") as handle:
            return has_mark(handle, state.digest)
    except OSError:
        return False


def _journal_of(plan: Plan) -> Path:
    for path in journals.journals():
        if path.stem.endswith(plan.id):
            return path
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return journals.folder() / f"{now}-{plan.id}.jsonl"
