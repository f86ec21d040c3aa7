"""Opening a sound file without waiting for a FIFO or touching a device."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from earmark.audio.problems import Problem
from earmark.errors import AudioError


def open_regular(path: Path, name: str) -> BinaryIO:
    """Open a regular file for reading; never wait for a FIFO or touch a device."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            # Should it become a FIFO in this moment, opening does not wait for a writer.
            flags = (
                os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
            )
            file = os.fdopen(os.open(path, flags), "rb", buffering=0)
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode):
                return file
            file.close()
    except FileNotFoundError as error:
        what = "is a link to a file that does not exist" if path.is_symlink() else "does not exist"
        raise AudioError(f"{name} {what}. Check the path.", Problem.MISSING) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Change its permissions" if isinstance(error, PermissionError) else "Check the path"
        raise AudioError(f"{name} cannot be read ({reason}). {hint}.", Problem.UNREADABLE) from error
    kind = "a folder" if stat.S_ISDIR(mode) else "a FIFO" if stat.S_ISFIFO(mode) else "a device or socket"
    raise AudioError(f"{name} is {kind}, not a sound file.", Problem.UNREADABLE)
