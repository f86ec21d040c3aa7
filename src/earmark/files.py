"""Writing files so that nothing half-written is ever left behind."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from earmark.errors import InputError

# The only way to read the mask is to set it; once, before there are threads.
_UMASK = os.umask(0o022)
os.umask(_UMASK)


DISK_FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Errors that more space cures: no space left, a limit on the size of files, a quota."""


def _explain(error: OSError, path: Path) -> InputError:
    if error.errno in DISK_FULL:
        return InputError(
            f"The disk is full, or a limit on file sizes is reached: {path} was not written. Free some space and run "
            "the same command again."
        )
    reason = error.strerror or str(error)
    return InputError(f"{path} cannot be written ({reason}). Choose another place or change its permissions.")


@contextlib.contextmanager
def atomic_write(path: Path | str, mode: str = "wb", *, encoding: str | None = None) -> Iterator[IO[Any]]:
    """Write a file beside its final place and rename it there once it is complete.

    Parameters
    ----------
    path
        The final place; missing parent folders are made.
    mode
        ``"wb"`` or ``"w"``.

    Raises
    ------
    InputError
        If the place cannot be written (full disk, no permission). The old file, if any, is then untouched.
    """
    path = Path(path)
    if "b" not in mode and encoding is None:
        encoding = "utf-8"
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        newline = "" if "b" not in mode else None
        with os.fdopen(descriptor, mode, encoding=encoding, newline=newline) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        # mkstemp makes private files; what we write is meant to be read like any other file.
        Path(temporary).chmod(0o666 & ~_UMASK)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Fill a folder beside its final place and rename it there once it is complete.

    Raises
    ------
    InputError
        If the final place exists already or cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path} exists already. Choose another name or remove it first.")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        yield temporary
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise _explain(error, path) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write a value as indented UTF-8 JSON, atomically; NaN is refused."""
    with atomic_write(path, "w") as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False, allow_nan=False)
        handle.write("\n")


def sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits, read in blocks."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
