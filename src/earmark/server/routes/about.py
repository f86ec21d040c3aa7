"""What the server is and how it fares."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from earmark import __version__
from earmark.server.answers import JsonAnswer
from earmark.server.context import Context, Here
from earmark.server.describe import problems
from earmark.server.measures import CONTENT_TYPE
from earmark.server.problems import ProblemError
from earmark.server.schemas import About, Health
from earmark.server.security import COOKIE, is_token, session_of

router = APIRouter(tags=["server"])


@router.get("/v1/health", summary="Whether the server lives", response_model=None, responses={200: {"model": Health}})
async def health() -> JsonAnswer:
    """Answers as long as the server runs; needs no token."""
    return JsonAnswer({"status": "ok", "version": __version__})


@router.get(
    "/v1/ready",
    summary="Whether the server can hear",
    response_model=None,
    responses={200: {"model": Health}, **problems(503)},
)
async def ready(here: Here) -> JsonAnswer:
    """200 once a worker has loaded the model; 503 before, and while too much is asked for. Needs no token."""
    if here.hearing.ready is None:
        raise ProblemError("unavailable", "The workers are still loading the model.", headers={"Retry-After": "1"})
    if here.inside >= here.settings.max_waiting:
        raise ProblemError("overloaded", "All places are taken.", headers={"Retry-After": "1"})
    return JsonAnswer({"status": "ok", "version": __version__})


@router.get(
    "/v1/about",
    summary="Version, model card, what is there, and limits",
    response_model=None,
    responses={200: {"model": About}, **problems()},
)
async def about(here: Here) -> JsonAnswer:
    """What the model is and says of itself, whether there is a library, and what this server takes."""
    return JsonAnswer(await run_in_threadpool(_about, here))


def _about(here: Context) -> dict[str, Any]:
    card, front_end, settings = here.bundle.card, here.bundle.front_end, here.settings
    return {
        "version": __version__,
        "model": {
            "name": card.name,
            "id": here.bundle.id,
            "labels": list(card.labels),
            "unsure_below": card.unsure_below,
            "window_seconds": front_end.window_samples / front_end.sample_rate,
            "sample_rate": front_end.sample_rate,
            "embedding_size": card.embedding_size,
            "scores": card.scores,
            "provenance": card.provenance,
            "licence": card.licence,
            "limits": card.limits,
        },
        "catalogue": here.has_catalogue(),
        "runs": settings.runs is not None,
        "limits": {
            "upload_bytes": settings.upload_bytes,
            "seconds": settings.max_seconds,
            "time_limit": settings.time_limit,
            "job_files": settings.max_job_files,
            "waiting": settings.max_waiting,
            "listeners": settings.max_listeners,
        },
        "workers": here.hearing.jobs,
    }


@router.get(
    "/metrics",
    summary="Counts and times for Prometheus",
    response_model=None,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)
async def metrics(here: Here) -> Response:
    """Text in Prometheus' format, version 0.0.4."""
    hearing = here.hearing
    gauges = (
        ("earmark_workers", "Worker processes.", hearing.jobs),
        ("earmark_workers_busy", "Workers that hear at this moment.", hearing.busy),
        ("earmark_workers_replaced", "Workers that had to be replaced.", hearing.replaced),
        ("earmark_queue", "Files that wait for a worker.", hearing.waiting),
        ("earmark_requests_inside", "Requests with sound that are being served.", here.inside),
        ("earmark_jobs_running", "Batch jobs that are not done.", here.jobs.running),
        ("earmark_listeners", "Live connections.", here.listeners),
        ("earmark_spool_bytes", "Bytes of uploads on disk.", here.spool.used),
    )
    text = here.measures.text(gauges, {"version": __version__, "bundle": here.bundle.id[:16]})
    return Response(text, headers={"content-type": CONTENT_TYPE})


@router.post(
    "/v1/session",
    summary="Exchange the token for the page's cookie",
    response_model=None,
    status_code=204,
    responses=problems(),
)
async def session(request: Request, here: Here) -> Response:
    """Send the token as Authorization: Bearer; browsers then carry a cookie where they cannot send headers."""
    settings = here.settings
    answer = Response(status_code=204)
    if settings.token is None:
        return answer
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not is_token(given.strip(), settings):
        raise ProblemError("token", "This is not the server's token.", headers={"WWW-Authenticate": "Bearer"})
    set_cookie(answer, settings.token)
    return answer


def set_cookie(answer: Response, token: str) -> None:
    """Give the browser proof that it knows the token."""
    answer.set_cookie(COOKIE, session_of(token), max_age=30 * 24 * 3600, httponly=True, samesite="strict", path="/")
