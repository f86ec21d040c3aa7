"""Sound for browsers: which files they play as they are, and conversions of the others."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import Request

from earmark.audio.opening import open_regular
from earmark.audio.sniff import sniff
from earmark.errors import AudioError
from earmark.library.track import Track
from earmark.library.worker import Task
from earmark.names import printable
from earmark.server.problems import ProblemError
from earmark.server.spool import Spool

# What all current browsers play, by our name of the container.
_PLAYED = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "adts": "audio/aac",
}
# Codes in the head of a file that only look playable: Apple Lossless, and WAV with other codes than plain samples.
_WAV_CODES = {1, 3, 6, 7, 0xFFFE}
_LOOKED_AT = 1 << 20
_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*")
_MOST_FILES = 8


def media_type(path: str) -> str | None:
    """The type under which browsers play a file as it is; None if they do not.

    Raises
    ------
    AudioError
        If it is not there or no sound.
    """
    name = printable(path)
    with open_regular(Path(path), name) as file:
        size = file.seek(0, os.SEEK_END)
        content = sniff(file, size)
        if content is None:
            return None
        kind = _PLAYED.get(content.container.name)
        if kind is None:
            return None
        file.seek(0)
        head = file.read(_LOOKED_AT)
        file.seek(max(0, size - _LOOKED_AT))
        tail = file.read(_LOOKED_AT)
    if content.container.name == "mp4" and (b"stsd" not in head + tail or b"alac" in head + tail):
        return None
    if content.container.name == "wav":
        at = head.find(b"fmt ")
        if (
            not head.startswith(b"RIFF")
            or at < 0
            or int.from_bytes(head[at + 8 : at + 10], "little") not in _WAV_CODES
        ):
            return None
    return kind


def regular_size(path: str) -> int:
    """Bytes of a file.

    Raises
    ------
    ProblemError
        404 if it is gone, or no file.
    """
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise ProblemError("not-found", f"{printable(path)} cannot be read ({error.strerror}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise ProblemError("not-found", f"{printable(path)} is no file.")
    return status.st_size


def check_range(request: Request, size: int) -> None:
    """Refuse a range that a file of this size does not have.

    Raises
    ------
    ProblemError
        400 if it cannot be understood, 416 if there is no such part.
    """
    header = request.headers.get("range")
    if header is None:
        return
    found = _RANGE.fullmatch(header)
    if found is None or found[1] == found[2] == "":
        raise ProblemError("bad-request", "The Range header is not understood; write it like bytes=0-999.")
    first, last = found[1], found[2]
    if first and last and int(last[:20]) < int(first[:20]):
        raise ProblemError("bad-request", "The Range header ends before it begins.")
    if (first and int(first[:20]) >= size) or (not first and int(last[:20]) == 0):
        headers = {"Content-Range": f"bytes */{size}"}
        raise ProblemError("range", f"The file has {size} bytes, and the range begins behind them.", headers=headers)


class Conversions:
    """Files turned into WAV, of which the last few are kept in the spool.

    Parameters
    ----------
    spool
        Where they are.
    convert
        Has a worker do it; raises ProblemError.
    longest
        Seconds of a file that are converted.
    """

    def __init__(
        self, spool: Spool, convert: Callable[[Task, str, Request], Awaitable[object]], *, longest: float
    ) -> None:
        self._spool = spool
        self._convert = convert
        self._longest = longest
        self._kept: OrderedDict[tuple[str, int, int], tuple[Path, int]] = OrderedDict()
        self._gate = asyncio.Lock()

    async def get(self, track: Track, request: Request) -> Path:
        """A track as WAV.

        Raises
        ------
        ProblemError
            If it cannot be converted.
        """
        # One after the other: a player asks for several ranges of one file at once.
        async with self._gate:
            try:
                status = os.stat(track.path)  # noqa: PTH116
            except OSError as error:
                raise AudioError(f"{printable(track.path)} cannot be read ({error.strerror}).", "missing") from error
            key = track.path, status.st_mtime_ns, status.st_size
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            target = self._spool.new(".wav")
            try:
                await self._convert(Task(track.path, convert=str(target), longest=self._longest), track.path, request)
                size = target.stat().st_size
            except BaseException:
                target.unlink(missing_ok=True)
                raise
            while len(self._kept) >= _MOST_FILES or (self._kept and not self._spool.has_room(size)):
                self._spool.remove(*self._kept.popitem(last=False)[1])
            self._spool.used += size
            self._kept[key] = target, size
            return target
