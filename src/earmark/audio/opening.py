"""Opening a sound file, without waiting for a FIFO or touching a device, and choosing the reader for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from earmark.audio.containers import Content
from earmark.audio.problems import Problem
from earmark.audio.readers import RATES, QuietBytes, Reader, ReadError, SoundfileReader
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


def open_reader(file: QuietBytes, content: Content, name: str) -> Reader:
    """Open the reader for a file that was recognised: the better one of the two, or else the other.

    Raises
    ------
    AudioError
        If the disk fails, or neither can decode it.
    """
    said = []
    openers: list[tuple[str, Callable[[QuietBytes, Content], Reader]]] = [("FFmpeg", ffmpeg_reader)]
    if content.container.soundfile:
        openers.insert(0 if content.soundfile else 1, ("libsndfile", SoundfileReader))
    for library, opener in openers:
        try:
            reader = opener(file, content)
        except ReadError as error:
            check_disk(file, name)
            said.append(f"{library} says: {error}")
            continue
        if RATES[0] <= reader.rate <= RATES[1]:
            return reader
        reader.close()
        said.append(f"Its sample rate is said to be {reader.rate} Hz.")
    title = content.container.title
    problem = Problem.TRUNCATED if content.whole is False else Problem.DAMAGED
    hint = "Its end is missing" if problem is Problem.TRUNCATED else "It is damaged"
    raise AudioError(
        f"{name} begins like {title} but cannot be decoded. {' '.join(said)} {hint}; get it again.",
        problem,
    )


def ffmpeg_reader(file: QuietBytes, content: Content) -> Reader:
    """The reader that uses FFmpeg."""
    # Most libraries are MP3 and FLAC and never need PyAV, which takes its time to import.
    from earmark.audio.ffmpeg import AvReader

    return AvReader(file, content)


def check_disk(file: QuietBytes, name: str) -> None:
    """Raise AudioError if reading the file has failed."""
    error = file.error
    if error is not None:
        raise AudioError(
            f"Reading {name} failed ({error.strerror or error}). Check the disk and try again.",
            Problem.UNREADABLE,
        ) from error
