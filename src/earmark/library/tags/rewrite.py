"""Changing one file so that at every moment there is either the old or the new one, whole and checked.

The new file is made beside the old one under a temporary name, read back and compared; only then it takes the old
one's place in one step of the file system.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from earmark.errors import InputError
from earmark.library.tags import check
from earmark.library.tags.delta import Operation, backward, compose, forward, makes, moved_ranges, unmakes
from earmark.library.tags.edit import Editor, TagError, Wanted
from earmark.library.tags.formats import open_editor
from earmark.library.tags.journal import TEMPORARY, State


class ChangedError(TagError):
    """The file is not the one that was looked at."""


def temporary_beside(path: Path, journal_id: str, number: int) -> Path:
    """The temporary name for one file of one journal; short, because names may not be longer than 255 bytes."""
    return path.with_name(f"{TEMPORARY}{journal_id[:8]}-{number}.part")


def write_tags(
    path: Path,
    wanted: Wanted,
    temporary: Path,
    ready: Callable[[State, State, list[Operation]], None],
    *,
    expected: str | None = None,
    id3: int = 4,
    keep_mtime: bool = False,
    split_hard_links: bool = False,
) -> bool:
    """Change the tags of one file.

    Parameters
    ----------
    path
        The file itself, not a symbolic link to it.
    wanted
        The genre and fields.
    temporary
        The name for the new file until it is complete; in the same folder.
    ready
        Called with the old and the new state and the recipe for undoing, before the new file takes the old
        one's place; if it raises, nothing has happened.
    expected
        The :meth:`~earmark.library.tags.edit.Editor.mark` that the file must have; None takes it as it is.

    Returns
    -------
    bool
        False if the tags say what is wanted already; the file was not touched then.

    Raises
    ------
    ChangedError
        If the file does not have the expected mark.
    TagError
        If it cannot be changed safely.
    """
    _check_permission(path, split_hard_links)
    with _removed_in_the_end(temporary):
        with open(path, "rb") as handle:
            facts = os.fstat(handle.fileno())
            editor = _unchanged(handle, expected, id3)
            if wanted.genres is not None:
                # A person may have written a list into the plan of a file that has no lists.
                wanted = replace(wanted, genres=editor.stored(wanted.genres))
            splices = editor.splices(wanted)
            if not splices:
                return False
            first = check.opinion(handle, editor.format)
            if first.genres != editor.genres:
                raise TagError(
                    f"Earmark reads the genre as {_shown(editor.genres)}, mutagen as {_shown(first.genres)}; "
                    "the file was left as it is."
                )
            undo = backward(splices, handle, editor.size)
            recipe = forward(splices, editor.size)
            before = State(editor.size, _hashed(handle), facts.st_mtime_ns)
            mtime_ns = _make(recipe, handle, path, facts, temporary, facts.st_mtime_ns if keep_mtime else None)
            with open(temporary, "rb") as made:
                if not makes(recipe, handle, made):
                    raise TagError("What was written does not read back the same; the file was left as it is.")
                if not unmakes(undo, recipe, handle, made):
                    raise TagError("The change could not be undone; the file was left as it is.")
                changed = open_editor(made, id3=id3)
                if changed.differs(wanted) or (wanted.genres is None and changed.genres != editor.genres):
                    raise TagError("The new tags do not read back as they should; the file was left as it is.")
                if changed.others() != editor.others():
                    raise TagError("Another tag would have changed; the file was left as it is.")
                if changed.sound() != moved_ranges(editor.sound(), splices):
                    raise TagError("The sound would have changed; the file was left as it is.")
                check.compare(first, check.opinion(made, editor.format), wanted)
                after = State(changed.size, changed.mark(), mtime_ns)
        ready(before, after, undo)
        _replace(temporary, path, facts)
    return True


def _unchanged(handle: BufferedReader, expected: str | None, id3: int) -> Editor:
    """The editor of a file that has the expected mark."""
    try:
        editor = open_editor(handle, id3=id3)
        if expected in (None, editor.mark()):
            return editor
    except TagError:
        # When the plan was made, it could be read.
        if expected is None:
            raise
    raise ChangedError("it was changed after the plan was made")


def restore(path: Path, undo: list[Operation], before: State, after: State, temporary: Path) -> bool:
    """Give a file its old bytes and its old modification time back.

    Returns
    -------
    bool
        False if it has its old bytes already.

    Raises
    ------
    ChangedError
        If the file has been changed by others since.
    TagError
        If it cannot be written.
    """
    _check_permission(path, split_hard_links=True)
    with _removed_in_the_end(temporary):
        with open(path, "rb") as handle:
            facts = os.fstat(handle.fileno())
            if not has_mark(handle, after.digest):
                if _hashed(handle) == before.digest:
                    return False
                raise ChangedError("it was changed after its tags were written")
            _make(undo, handle, path, facts, temporary, before.mtime_ns)
            with open(temporary, "rb") as made:
                if _hashed(made) != before.digest:
                    raise ChangedError("its sound was changed after its tags were written, or the journal is damaged")
        _replace(temporary, path, facts)
    return True


def has_mark(handle: BufferedReader, mark: str) -> bool:
    """Whether an open file has this :meth:`~earmark.library.tags.edit.Editor.mark`."""
    try:
        return open_editor(handle).mark() == mark
    except TagError:
        return False


def _hashed(handle: BufferedReader) -> str:
    """SHA-256 of an open file."""
    handle.seek(0)
    return hashlib.file_digest(handle, "sha256").hexdigest()


def _shown(genres: tuple[str, ...]) -> str:
    return ", ".join(genres) or "none"


@contextlib.contextmanager
def _removed_in_the_end(temporary: Path) -> Iterator[None]:
    """Remove the temporary file, unless it became the real one; system errors become errors of this file."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                "The disk is full. The files that were written so far are in order and in the journal; free some "
                "space and run the same command again."
            ) from error
        raise TagError(f"It cannot be written ({error.strerror or error}).") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def obstacle(path: Path | str, *, split_hard_links: bool = False) -> str | None:
    """What keeps a file from being written, in half a sentence; None if nothing is known to."""
    facts = os.stat(path)  # noqa: PTH116
    if not stat.S_ISREG(facts.st_mode):
        return "it is not a file"
    # A rename would replace a read-only file without being asked; its owner meant it to stay.
    if not facts.st_mode & 0o222 or not os.access(path, os.W_OK):
        return "it is read-only"
    if not os.access(os.path.dirname(os.path.realpath(path)), os.W_OK):  # noqa: PTH120
        return "its folder is read-only"
    if facts.st_nlink > 1 and not split_hard_links:
        return (
            f"it has {facts.st_nlink} names (hard links), which would become different files; "
            "--split-hard-links allows that"
        )
    return None


def _check_permission(path: Path, split_hard_links: bool) -> None:
    try:
        problem = obstacle(path, split_hard_links=split_hard_links)
    except OSError as error:
        raise TagError(f"It cannot be opened ({error.strerror or error}).") from error
    if problem is not None:
        raise TagError(f"{problem[0].upper()}{problem[1:]}.")


def _make(
    recipe: list[Operation],
    source: BinaryIO,
    path: Path,
    facts: os.stat_result,
    temporary: Path,
    mtime_ns: int | None,
) -> int:
    """Write the new file under its temporary name with the old one's owner, permissions and attributes.

    Its modification time is the one given, or now if None, and returned.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    temporary.unlink(missing_ok=True)  # left behind by a run whose journal is gone
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as target:
        compose(recipe, source, target)
        target.flush()
        os.fsync(target.fileno())
    made = temporary.stat()
    if hasattr(os, "chown") and (made.st_uid, made.st_gid) != (facts.st_uid, facts.st_gid):
        try:
            os.chown(temporary, facts.st_uid, facts.st_gid)
        except OSError as error:
            raise TagError("It belongs to another user or group, which a new file could not keep.") from error
    shutil.copystat(path, temporary)
    if mtime_ns is None:
        os.utime(temporary)
    else:
        os.utime(temporary, ns=(facts.st_atime_ns, mtime_ns))
    return temporary.stat().st_mtime_ns


def _replace(temporary: Path, path: Path, facts: os.stat_result) -> None:
    now = path.stat()
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (facts.st_ino, facts.st_size, facts.st_mtime_ns):
        raise ChangedError("it was changed by another program at the same moment")
    temporary.replace(path)
