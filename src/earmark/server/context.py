"""What all routes share: settings, workers, uploads, counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from earmark.bundle import Bundle
from earmark.errors import EarmarkError, InputError
from earmark.library.library import Library
from earmark.library.worker import Outcome, Task
from earmark.names import printable
from earmark.predict import Classifier
from earmark.server.hearing import Hearing
from earmark.server.jobs import Jobs
from earmark.server.measures import Measures
from earmark.server.playing import Conversions
from earmark.server.problems import ProblemError, audio_problem, overloaded
from earmark.server.settings import Settings
from earmark.server.spool import Spool
from earmark.server.uploads import Limits


@dataclass
class Context:
    """One server's state."""

    settings: Settings
    bundle: Bundle
    spool: Spool
    hearing: Hearing
    jobs: Jobs
    measures: Measures
    inside: int = 0
    listeners: int = 0
    followers: int = 0
    mapping: asyncio.Lock = field(default_factory=asyncio.Lock)
    # What was worked out for one state of the catalogue: (state, what) to the answer's bytes.
    drawn: dict[str, tuple[tuple[int, int, int], bytes]] = field(default_factory=dict)

    # What was read of runs: name to (when the folder changed, the row).
    runs_seen: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Its own threads: live sound must not wait behind searches.
        self.live = ThreadPoolExecutor(max(1, self.settings.jobs), "live")
        self.conversions = Conversions(self.spool, self.hear, longest=self.settings.max_seconds)

    @cached_property
    def classifier(self) -> Classifier:
        """For live sound, which is plain samples and needs no decoder; loaded when it is first used."""
        return Classifier(self.bundle)

    def close(self) -> None:
        """End the threads."""
        self.live.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """One of the places for requests with sound.

        Raises
        ------
        ProblemError
            If all are taken: 503, with the time after which it is worth coming again.
        """
        if self.inside >= self.settings.max_waiting:
            self.measures.refused += 1
            hearing = self.hearing
            # Half of what the queue takes: those who come back shall not find it empty.
            seconds = self.inside * hearing.seconds_per_task / hearing.jobs / 2
            raise overloaded(f"{self.inside} requests are being served; come again in a moment.", seconds)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def limits(self, files: int = 1) -> Limits:
        """For receiving so many files."""
        return Limits(self.settings.upload_bytes, files, self.settings.upload_seconds)

    async def hear(self, task: Task, name: str, request: Request) -> Outcome:
        """Have a file heard; given up if the client goes away while it still waits.

        Raises
        ------
        ProblemError
            If it cannot be heard: 422 with the reason, in which the file has the client's name.
        """
        future = self.hearing.submit(task)
        outcome = await _while_connected(future, request)
        self.note(outcome)
        if outcome.row is None:
            raise audio_problem(outcome.problem, renamed(outcome.reason, task.path, name))
        return outcome

    def note(self, outcome: Outcome) -> None:
        """Count what became of a file."""
        if outcome.row is None:
            self.measures.failed[outcome.problem or "error"] += 1
        else:
            self.measures.heard += 1

    def has_catalogue(self) -> bool:
        """Whether there is a library to search."""
        try:
            self.library().close()
        except (ProblemError, EarmarkError):
            return False
        return True

    def library(self) -> Library:
        """The catalogue, opened for the calling thread; to be closed by it.

        Raises
        ------
        ProblemError
            404 if there is none.
        """
        try:
            return Library(self.settings.catalogue, create=False)
        except InputError as error:
            raise ProblemError("not-found", str(error)) from error


def renamed(sentence: str | None, path: str, name: str) -> str | None:
    """A sentence about a file of ours with the name that the client gave it."""
    return sentence.replace(printable(path), name) if sentence is not None else None


async def _while_connected(future: Future[Outcome], request: Request) -> Outcome:
    waiting = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        both: set[asyncio.Future[Any]] = {waiting, gone}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            future.cancel()
            raise ProblemError("bad-request", "The client went away.")
        if waiting.cancelled():
            raise ProblemError("unavailable", "The server is being stopped.", headers={"Retry-After": "5"})
        return waiting.result()
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await gone


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def context_of(connection: HTTPConnection) -> Context:
    """The context of the server that a request or WebSocket came to."""
    context: Context = connection.app.state.context
    return context


Here = Annotated[Context, Depends(context_of)]
