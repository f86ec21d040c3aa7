"""Batch jobs: upload many files, follow how they are heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from earmark.library.worker import Outcome
from earmark.server.answers import JsonAnswer, to_json
from earmark.server.context import Context, Here, renamed
from earmark.server.describe import FILES_FORM, problems
from earmark.server.jobs import Event, Job
from earmark.server.options import HearOptions
from earmark.server.problems import ProblemError, overloaded
from earmark.server.schemas import JOB, JobState
from earmark.server.uploads import Upload, received

router = APIRouter(tags=["jobs"])
_HEARTBEAT_SECONDS = 15.0
_MOST_FOLLOWERS = 100
_EXAMPLE: dict[str, Any] = {"application/json": {"example": JOB}}


@router.post(
    "/v1/jobs",
    summary="Hear many files",
    status_code=202,
    response_model=None,
    responses={202: {"model": JobState, "content": _EXAMPLE}, **problems(400, 408, 413, 415, 503)},
    openapi_extra=FILES_FORM,
)
async def start(request: Request, options: Annotated[HearOptions, Query()], here: Here) -> JsonAnswer:
    """Send the files as parts `files` of a form. They are heard after what others ask for at this moment."""
    if options.spectrogram:
        raise ProblemError("invalid", "spectrogram: pictures are drawn one by one; ask /v1/classify for them.")
    if here.jobs.running >= here.settings.max_jobs:
        here.measures.refused += 1
        raise overloaded(f"{here.jobs.running} jobs are running; wait for one to end.", 10)
    with here.place():
        async with received(request, "files", here.spool, here.limits(here.settings.max_job_files)) as form:
            here.measures.uploaded_bytes += sum(upload.size for upload in form.files)
            # The job removes its files itself.
            uploads, form.files = form.files, []
            job = here.jobs.start(
                uploads, options, longest=here.settings.max_seconds, answer=_answering(here, options)
            )
    return JsonAnswer(job.to_dict(), 202, {"location": f"/v1/jobs/{job.id}"})


@router.get(
    "/v1/jobs/{id}",
    summary="How far a job is, with its results so far",
    response_model=None,
    responses={200: {"model": JobState, "content": _EXAMPLE}, **problems(404)},
)
async def state(id: str, here: Here) -> JsonAnswer:
    """Results are in the order of the files; `place` says which file each belongs to."""
    return JsonAnswer(_job(here, id).to_dict())


@router.delete(
    "/v1/jobs/{id}", summary="Stop and forget a job", status_code=204, response_model=None, responses=problems(404)
)
async def cancel(id: str, here: Here) -> Response:
    """Files that wait are not heard any more; results are forgotten."""
    here.jobs.cancel(_job(here, id))
    return Response(status_code=204)


@router.get(
    "/v1/jobs/{id}/events",
    summary="Follow a job",
    response_model=None,
    responses={
        200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        **problems(404),
    },
)
async def events(
    id: str,
    here: Here,
    after: Annotated[int, Query(ge=0, le=10**9, description="Leave out events up to this number.")] = 0,
    last_event_id: Annotated[str | None, Header(description="As browsers send it when they come again.")] = None,
) -> StreamingResponse:
    """Server-sent events `progress`, `result`, `failed`, and at the end `done`; all are numbered."""
    job = _job(here, id)
    if here.followers >= _MOST_FOLLOWERS:
        here.measures.refused += 1
        raise overloaded("Too many jobs are being followed; come again in a moment.", 5)
    if last_event_id is not None and last_event_id.isdecimal():
        after = max(after, int(last_event_id[:12]))
    return StreamingResponse(_stream(here, job, after), media_type="text/event-stream")


async def _stream(here: Context, job: Job, after: int) -> AsyncIterator[bytes]:
    here.followers += 1
    try:
        yield b"retry: 2000\n\n"
        async for event in job.follow(after, _HEARTBEAT_SECONDS):
            yield b": still here\n\n" if event is None else _message(event)
    finally:
        here.followers -= 1


def _message(event: Event) -> bytes:
    return f"id: {event.number}\nevent: {event.name}\ndata: ".encode() + to_json(event.data) + b"\n\n"


def _job(here: Context, id: str) -> Job:
    job = here.jobs.get(id)
    if job is None:
        raise ProblemError("not-found", "There is no such job; finished ones are kept for an hour.")
    return job


def _answering(here: Context, options: HearOptions) -> Any:
    def answer(outcome: Outcome, upload: Upload) -> dict[str, Any]:
        here.note(outcome)
        if outcome.row is None:
            reason = renamed(outcome.reason, str(upload.path), upload.name)
            return {"path": upload.name, "problem": outcome.problem, "reason": reason}
        return options.row(outcome, name=upload.name, bundle=here.bundle.id)

    return answer
