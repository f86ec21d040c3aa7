"""A lock between processes, which the system takes back when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from earmark.errors import InputError, StoreError

# Where Windows locks one byte: far behind the text, so that others can still read who holds the lock.
_LOCK_BYTE = 1 << 30
_TAKEN = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


@contextlib.contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs.

    Parameters
    ----------
    path
        The lock file; made if it is not there, and left there.
    what
        What is being done, for the sentence ("The catalogue x is being filled").

    Raises
    ------
    StoreError
        If another process holds it.
    InputError
        If it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}).") from error
    try:
        try:
            _take(descriptor)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise InputError(f"{path} cannot be locked ({error.strerror or error}).") from error
            os.lseek(descriptor, 0, os.SEEK_SET)
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
            raise StoreError(f"{what} by {holder}. Wait for it to end, or stop it.") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCK_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
