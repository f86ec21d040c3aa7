"""Receiving files: a multipart body goes straight to disk, piece by piece, under limits and names of our own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from earmark.audio.containers import KNOWN_SUFFIXES
from earmark.names import printable
from earmark.server.problems import ProblemError, overloaded
from earmark.server.spool import Spool

# Headers of parts and fields that are no files; far above what any browser sends.
_MOST_HEADERS = 16_384
_MOST_FIELD = 65_536
_LONGEST_NAME = 255
# Bytes per second; whoever sends less holds a place that others need.
_SLOWEST = 4_000
# What may still come in after a refusal, so that the client gets to read the answer.
_LINGER_BYTES, _LINGER_SECONDS = 4_000_000, 1.0


@dataclass
class Upload:
    """One received file.

    Parameters
    ----------
    name
        As the client calls it, on one line; only ever shown, never used to open anything.
    path
        Where it lies.
    size
        In bytes.
    """

    name: str
    path: Path
    size: int = 0


@dataclass
class Received:
    """What a body held: files in order, and the other fields' text."""

    files: list[Upload] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Bytes of one file, number of files, and seconds without a byte."""

    file_bytes: int
    files: int
    idle_seconds: float


@contextlib.asynccontextmanager
async def received(request: Request, part: str, spool: Spool, limits: Limits) -> AsyncIterator[Received]:
    """Receive a multipart body; its files are removed with the end of the block, but for those taken from the list.

    Parameters
    ----------
    part
        The name that the files' parts must have.

    Raises
    ------
    ProblemError
        If the body is no multipart form, too large, too slow or broken.
    """
    receiver = _Receiver(request, part, spool, limits)
    try:
        yield await receiver.run()
    finally:
        receiver.close()
        for upload in receiver.received.files:
            spool.remove(upload.path, upload.size)


def check_form(request: Request) -> bytes:
    """The boundary of a multipart body.

    Raises
    ------
    ProblemError
        If the body is something else.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise ProblemError(
            "content-type",
            "The sound is sent as a form: Content-Type multipart/form-data (with curl: -F file=@song.mp3).",
        )
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 200:
        raise ProblemError("bad-request", "The form's Content-Type names no boundary.")
    return boundary


class _Receiver:
    """The callbacks of the parser, and the state between them."""

    def __init__(self, request: Request, part: str, spool: Spool, limits: Limits) -> None:
        self.received = Received()
        self._request = request
        self._part = part
        self._spool = spool
        self._limits = limits
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._header_bytes = 0
        self._file: BinaryIO | None = None
        self._field: str | None = None
        self._text = bytearray()
        self._ended = False

    async def run(self) -> Received:
        boundary = check_form(self._request)
        declared = self._request.headers.get("content-length", "")
        most = min(self._limits.file_bytes * self._limits.files, self._spool.most) + _MOST_FIELD
        try:
            if declared.isdecimal() and int(declared) > most:
                raise self._too_large()
            parser = MultipartParser(boundary, self._callbacks())
            await self._feed(parser)
        except MultipartParseError as error:
            raise ProblemError("bad-request", f"The form cannot be read ({error}).") from error
        except ClientDisconnect as error:
            raise ProblemError("bad-request", "The upload was broken off.") from error
        except ProblemError as problem:
            if problem.kind in ("too-large", "overloaded"):
                # The rest is not read, however long it may be.
                problem.headers["Connection"] = "close"
                await self._linger()
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ProblemError("disk-full", "The server's disk is full; the upload was not kept.") from error
            raise
        if not self._ended:
            raise ProblemError("bad-request", "The form breaks off before its end.")
        if not self.received.files:
            raise ProblemError("invalid", f"There is no file in the form: send the sound as the part '{self._part}'.")
        return self.received

    async def _feed(self, parser: MultipartParser) -> None:
        now, patience = asyncio.get_running_loop().time, self._limits.idle_seconds
        begun, count = now(), 0
        try:
            async with asyncio.timeout(patience) as limit:
                async for piece in self._request.stream():
                    count += len(piece)
                    if now() - begun > patience + count / _SLOWEST:
                        raise self._slow(f"Fewer than {_SLOWEST} bytes came per second")
                    parser.write(piece)
                    limit.reschedule(now() + patience)
        except TimeoutError as error:
            raise self._slow(f"No byte came for {patience:.0f} seconds") from error
        parser.finalize()

    async def _linger(self) -> None:
        """Read on a little, unseen: a connection closed on a sending client loses the answer."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_LINGER_SECONDS):
                left = _LINGER_BYTES
                async for piece in self._request.stream():
                    left -= len(piece)
                    if left < 0:
                        break

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._headers, self._header_bytes = {}, 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count_header(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count_header(end - start)

    def _count_header(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > _MOST_HEADERS:
            raise ProblemError("bad-request", "The headers of a part of the form are too long.")

    def _on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data":
            raise ProblemError("bad-request", "A part of the form has no Content-Disposition: form-data.")
        if b"filename" not in options and b"filename*" not in options:
            if len(self.received.fields) >= 20:
                raise ProblemError("too-large", "The form has too many fields.")
            self._field = name
            return
        if name != self._part:
            raise ProblemError("invalid", f"The form's files are sent as the part '{self._part}', not {name[:50]!r}.")
        if len(self.received.files) >= self._limits.files:
            count = self._limits.files
            raise ProblemError(
                "too-large", f"At most {count} {'file is' if count == 1 else 'files are'} taken at once."
            )
        shown = display_name(options.get(b"filename", b"").decode("utf-8", "replace"))
        upload = Upload(shown, self._spool.new(known_suffix(shown)))
        self._file = open(upload.path, "xb")  # noqa: SIM115  closed with the part
        self.received.files.append(upload)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._text += data[start:end]
            if len(self._text) > _MOST_FIELD:
                raise ProblemError("too-large", "A field of the form is too long.")
            return
        upload, count = self.received.files[-1], end - start
        if upload.size + count > self._limits.file_bytes:
            raise self._too_large()
        if not self._spool.take(count):
            raise overloaded("The server holds as many uploads as it may; come again in a moment.", 5)
        upload.size += count
        self._file.write(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        if self._field is not None:
            self.received.fields[self._field] = self._text.decode("utf-8", "replace")
            self._field = None
        self._text.clear()
        self.close()

    def _on_end(self) -> None:
        self._ended = True

    def _slow(self, what: str) -> ProblemError:
        return ProblemError("slow", f"{what}, so the upload was given up.", headers={"Connection": "close"})

    def _too_large(self) -> ProblemError:
        return ProblemError("too-large", f"A file may have up to {self._limits.file_bytes / 1e6:g} MB here.")


def display_name(name: str) -> str:
    """A client's file name as one line to show: without folders, control characters and excessive length."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    return printable(base.encode("utf-8", "replace").decode("utf-8"))[-_LONGEST_NAME:] or "upload"


def known_suffix(name: str) -> str:
    """The name's suffix if it is one of the sound files' that we know, else none."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return suffix if suffix in KNOWN_SUFFIXES else ""
