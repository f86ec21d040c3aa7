"""Batch jobs: many files heard one after the other, with events that can be followed and taken up again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from earmark.library.worker import Outcome
from earmark.server.hearing import Hearing
from earmark.server.options import HearOptions
from earmark.server.spool import Spool
from earmark.server.uploads import Upload

_KEPT_JOBS = 32
_KEPT_ROWS = 2000
_KEPT_SECONDS = 3600.0


@dataclass(frozen=True)
class Event:
    """Something that happened in a job: ``progress``, ``result``, ``failed`` or ``done``."""

    number: int
    name: str
    data: dict[str, Any]


@dataclass
class Job:
    """Some files to hear.

    Parameters
    ----------
    id
        Unguessable.
    files
        Names, in the order of the upload.
    state
        ``running``, ``done`` or ``cancelled``.
    events
        From number 1 on.
    """

    id: str
    files: list[str]
    created: float
    state: str = "running"
    done: int = 0
    failed: int = 0
    ended: float | None = None
    events: list[Event] = field(default_factory=list)
    rows: list[dict[str, Any] | None] = field(default_factory=list)
    futures: list[Future[Outcome]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """Add an event and wake those who follow."""
        self.events.append(Event(len(self.events) + 1, name, data))
        self.news.set()
        self.news = asyncio.Event()

    def counts(self) -> dict[str, Any]:
        """How far it is."""
        return {"done": self.done, "total": len(self.files), "failed": self.failed}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with all results so far in the order of the files."""
        return {
            "id": self.id,
            "state": self.state,
            "created": self.created,
            "ended": self.ended,
            **self.counts(),
            "files": self.files,
            "results": [row for row in self.rows if row is not None],
        }

    async def follow(self, after: int, heartbeat: float) -> AsyncIterator[Event | None]:
        """Events behind a number, as they happen, until the job has ended; None when nothing happened for a while."""
        while True:
            news = self.news
            while after < len(self.events):
                yield self.events[after]
                after += 1
            if self.state != "running":
                return
            try:
                await asyncio.wait_for(news.wait(), heartbeat)
            except TimeoutError:
                yield None


class Jobs:
    """All jobs of a server; finished ones are kept for an hour: the latest, up to 32 jobs and 2000 results."""

    def __init__(self, hearing: Hearing, spool: Spool) -> None:
        self._hearing = hearing
        self._spool = spool
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """Jobs that are not done."""
        return sum(job.state == "running" for job in self._jobs.values())

    def get(self, number: str) -> Job | None:
        """A job by its id."""
        self._forget()
        return self._jobs.get(number)

    def start(
        self,
        uploads: list[Upload],
        options: HearOptions,
        *,
        longest: float,
        answer: Callable[[Outcome, Upload], dict[str, Any]],
    ) -> Job:
        """Begin to hear files, which are removed one after the other; `answer` makes the result's row."""
        self._forget()
        job = Job(secrets.token_urlsafe(12), [upload.name for upload in uploads], time.time())
        job.rows = [None] * len(uploads)
        job.futures = [
            self._hearing.submit(options.task(str(upload.path), longest=longest), urgent=False) for upload in uploads
        ]
        self._jobs[job.id] = job
        job.tell("progress", job.counts())
        for place, (upload, future) in enumerate(zip(uploads, job.futures, strict=True)):
            task = asyncio.ensure_future(self._wait(job, place, upload, future, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job and forget it; the file that is being heard is heard to its end, for nobody."""
        if job.state == "running":
            self._end(job, "cancelled")
        for future in job.futures:
            future.cancel()
        self._jobs.pop(job.id, None)

    async def close(self) -> None:
        """Stop all jobs."""
        for job in list(self._jobs.values()):
            self.cancel(job)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def _wait(
        self,
        job: Job,
        place: int,
        upload: Upload,
        future: Future[Outcome],
        answer: Callable[[Outcome, Upload], dict[str, Any]],
    ) -> None:
        try:
            outcome = await asyncio.wrap_future(future)
            row = answer(outcome, upload)
        except asyncio.CancelledError:
            return
        except Exception as error:
            row = {"path": upload.name, "problem": "error", "reason": f"{upload.name}: {error}"}
        finally:
            self._spool.remove(upload.path, upload.size)
        if job.state != "running":
            return
        job.rows[place] = {"place": place, **row}
        job.done += 1
        bad = "reason" in row
        job.failed += bad
        job.tell("failed" if bad else "result", job.rows[place] or {})
        job.tell("progress", job.counts())
        if job.done == len(job.files):
            self._end(job, "done")

    def _end(self, job: Job, state: str) -> None:
        job.state, job.ended = state, time.time()
        job.tell("done", {"state": state, **job.counts()})

    def _forget(self) -> None:
        """Let go of what ended long ago, and of the oldest where there are many."""
        rows, now = 0, time.time()
        ended = [(job.ended, job) for job in self._jobs.values() if job.ended is not None]
        for kept, (when, job) in enumerate(sorted(ended, key=lambda pair: pair[0], reverse=True)):
            rows += len(job.files)
            # The latest stays, however many results it has.
            if kept and (kept >= _KEPT_JOBS or rows > _KEPT_ROWS or now - when > _KEPT_SECONDS):
                self._jobs.pop(job.id)
