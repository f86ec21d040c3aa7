"""Live sound over a WebSocket: blocks of samples in, a genre every second out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from fastapi import APIRouter, WebSocket
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from starlette.websockets import WebSocketDisconnect

from earmark.errors import EarmarkError
from earmark.listen import LARGEST_CHANNELS, SMALLEST_STEP, Listener
from earmark.server.answers import to_json
from earmark.server.bodies import parsed
from earmark.server.context import Context, context_of
from earmark.server.problems import ProblemError, overloaded, problem_of

T = TypeVar("T")
router = APIRouter()
_log = logging.getLogger(__name__)
_KINDS: dict[str, np.dtype[Any]] = {"f32le": np.dtype("<f4"), "s16le": np.dtype("<i2")}
# So long a client may say nothing.
_PATIENCE_SECONDS = 60.0
_QUEUED_BLOCKS = 64
_NORMAL, _REFUSED, _FAILED, _TRY_LATER = 1000, 1008, 1011, 1013


class Begin(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    sample_rate: int = Field(ge=1, le=1_000_000)
    format: Literal["f32le", "s16le"] = "f32le"
    channels: int = Field(1, ge=1, le=LARGEST_CHANNELS)
    every: float = Field(1.0, ge=SMALLEST_STEP, le=3600)
    span: float | None = Field(None, gt=0)
    top_k: Annotated[int, Field(ge=1)] | None = None


@router.websocket("/v1/listen")
async def listen(socket: WebSocket) -> None:
    """Take the first message, then hear until the client goes away or says ``{"end": true}``."""
    here = context_of(socket)
    await socket.accept()
    code, problem = _NORMAL, None
    try:
        with _seat(here):
            begin = await _begin(socket)
            listener = await _in_thread(here, lambda: _listener(here, begin))
            await _converse(socket, here, listener, begin)
    except WebSocketDisconnect:
        return
    except ProblemError as error:
        code, problem = _REFUSED if error.status < 500 else _TRY_LATER, error
    except EarmarkError as error:
        code, problem = _REFUSED, problem_of(error)
    except Exception:
        _log.exception("unexpected error while listening")
        code, problem = _FAILED, ProblemError("internal", "The server met an error; its log has more.")
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        if problem is not None:
            await _send(socket, problem.document())
        await socket.close(code)


async def _converse(socket: WebSocket, here: Context, listener: Listener, begin: Begin) -> None:
    bundle = here.bundle
    await _send(
        socket,
        {
            "ready": True,
            "labels": list(listener.labels),
            "window_seconds": listener.classifier.window_seconds,
            "unsure_below": bundle.unsure_below,
        },
    )
    kind, rest = _KINDS[begin.format], b""
    async with contextlib.aclosing(_blocks(socket)) as blocks:
        async for arrived, data in blocks:
            if data is None:
                whole = await _in_thread(here, listener.finish)
                row = whole.to_dict(top_k=begin.top_k, timeline=True)
                await _send(socket, {"whole": {**row, "bundle": bundle.id}})
                return
            data = rest + data
            whole_bytes = len(data) - len(data) % kind.itemsize
            rest = data[whole_bytes:]
            samples = np.frombuffer(data[:whole_bytes], kind)
            for moment in await _in_thread(here, partial(listener.feed, _native(samples))):
                late = 1000 * (time.monotonic() - arrived)
                await _send(socket, {**moment.to_dict(top_k=begin.top_k), "latency_ms": round(late, 1)})


async def _blocks(socket: WebSocket) -> AsyncGenerator[tuple[float, bytes | None], None]:
    """What comes in, with the moment of its arrival; None: the client has said that this was the end.

    A second task reads, so that the arrival of a block is noted while the one before is heard. Its queue is bounded:
    a client that sends faster than its sound can be heard is slowed down.
    """
    queue: asyncio.Queue[tuple[float, dict[str, Any]]] = asyncio.Queue(_QUEUED_BLOCKS)

    async def read() -> None:
        while True:
            message = await socket.receive()
            await queue.put((time.monotonic(), dict(message)))
            if message["type"] == "websocket.disconnect":
                return

    reader = asyncio.ensure_future(read())
    try:
        while True:
            try:
                arrived, message = await asyncio.wait_for(queue.get(), _PATIENCE_SECONDS)
            except TimeoutError as error:
                raise ProblemError("slow", f"No sound came for {_PATIENCE_SECONDS:.0f} seconds.") from error
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                yield arrived, message["bytes"]
            elif _is_end(message.get("text") or ""):
                yield arrived, None
                return
            else:
                raise ProblemError("invalid", 'After the first message come samples, or {"end": true}.')
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await reader


async def _begin(socket: WebSocket) -> Begin:
    try:
        message = await asyncio.wait_for(socket.receive(), _PATIENCE_SECONDS)
    except TimeoutError as error:
        raise ProblemError("slow", f"No message came for {_PATIENCE_SECONDS:.0f} seconds.") from error
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", _NORMAL))
    try:
        return parsed(Begin, message.get("text") or "")
    except ProblemError as problem:
        hint = 'Begin with a message such as {"sample_rate": 44100, "format": "f32le"}.'
        raise ProblemError("invalid", f"{problem.detail}. {hint}") from problem


def _listener(here: Context, begin: Begin) -> Listener:
    return Listener(
        here.classifier, sample_rate=begin.sample_rate, channels=begin.channels, every=begin.every, span=begin.span
    )


def _native(samples: NDArray[Any]) -> NDArray[Any]:
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def _is_end(text: str) -> bool:
    import json

    try:
        said = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("end") is True


@contextlib.contextmanager
def _seat(here: Context) -> Iterator[None]:
    if here.listeners >= here.settings.max_listeners:
        here.measures.refused += 1
        raise overloaded(f"{here.listeners} live connections are open; close one, or come again later.")
    here.listeners += 1
    try:
        yield
    finally:
        here.listeners -= 1


async def _in_thread(here: Context, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(here.live, work)


async def _send(socket: WebSocket, value: dict[str, Any]) -> None:
    try:
        await socket.send_text(to_json(value).decode())
    except RuntimeError as error:
        # Sent into a connection that has just been closed.
        raise WebSocketDisconnect from error
