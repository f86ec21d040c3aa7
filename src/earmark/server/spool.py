"""The folder for uploads while they are heard: private, bounded, and gone afterwards, however the server ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from earmark.errors import EarmarkError
from earmark.locks import exclusive

PREFIX = "earmark-serve-"
_LOCK = "lock"


class Spool:
    """A folder of one server process, held by a lock. Use it as a context manager.

    Folders of servers that were killed are removed when the next one starts: nobody holds their lock any more.

    Parameters
    ----------
    most
        Bytes that all files together may have.
    parent
        Where to make it; None: the system's folder for temporary files.
    """

    def __init__(self, most: int, parent: Path | None = None) -> None:
        self.most = most
        self.used = 0
        self._parent = parent or Path(tempfile.gettempdir())
        self._closing = contextlib.ExitStack()
        self.folder = Path()

    def __enter__(self) -> Spool:
        sweep(self._parent)
        # mkdtemp lets nobody else in.
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._parent))
        self._closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._closing.enter_context(exclusive(self.folder / _LOCK, "This folder is used"))
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def new(self, suffix: str = "") -> Path:
        """A name that nobody can guess and nothing in a request has a part in; `suffix` is one of ours."""
        return self.folder / (secrets.token_hex(16) + suffix)

    def has_room(self, count: int) -> bool:
        """Whether so many more bytes may be kept."""
        return self.used + count <= self.most

    def take(self, count: int) -> bool:
        """Reserve bytes; False if there is no room for them."""
        if not self.has_room(count):
            return False
        self.used += count
        return True

    def remove(self, path: Path, size: int) -> None:
        """Remove a file and give back its bytes."""
        self.used -= size
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def sweep(parent: Path) -> list[Path]:
    """Remove what servers left that were killed; what others own or still use stays."""
    removed = []
    for folder in _abandoned(parent):
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    return removed


def _abandoned(parent: Path) -> Iterator[Path]:
    mine = os.getuid() if hasattr(os, "getuid") else None
    for folder in parent.glob(PREFIX + "*"):
        with contextlib.suppress(OSError, EarmarkError):
            status = folder.lstat()
            if folder.is_symlink() or not folder.is_dir() or (mine is not None and status.st_uid != mine):
                continue
            if not (folder / _LOCK).exists():
                # Made this very moment by a server that is about to lock it, or left in that moment.
                import time

                if time.time() - status.st_mtime < 60:
                    continue
            with exclusive(folder / _LOCK, "This folder is used"):
                pass
            yield folder
