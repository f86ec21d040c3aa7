"""Errors as problem details (RFC 9457): the same sentences as the command line, with a status and a stable code."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from earmark.errors import AudioError, EarmarkError, InputError, MissingExtraError, StoreError
from earmark.server.answers import JsonAnswer
from earmark.server.headers import ALWAYS

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger(__name__)

# Status and title of every code that the server itself gives.
KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request was not understood"),
    "token": (401, "A token is needed"),
    "forbidden": (403, "Refused"),
    "not-found": (404, "There is no such thing"),
    "method": (405, "This cannot be done here"),
    "conflict": (409, "This does not fit the present state"),
    "too-large": (413, "The upload is too large"),
    "content-type": (415, "The body has the wrong content type"),
    "range": (416, "The file has no such part"),
    "wrong-host": (421, "The request was meant for another host"),
    "audio": (422, "The sound cannot be used"),
    "invalid": (422, "The request asks for something impossible"),
    "slow": (408, "The upload came to a halt"),
    "internal": (500, "The server failed"),
    "not-installed": (501, "Something is not installed"),
    "overloaded": (503, "Too much at once"),
    "unavailable": (503, "This is not available at the moment"),
    "disk-full": (507, "The disk is full"),
}
_BY_STATUS = {400: "bad-request", 403: "forbidden", 404: "not-found", 405: "method", 413: "too-large", 416: "range"}


class ProblemError(Exception):
    """A request that cannot be answered as asked.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    detail
        The sentence for a person.
    headers
        To send with it.
    more
        Further members of the document.
    """

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status, self.title = KINDS[kind]
        self.headers = dict(headers or {})
        self.more = more

    def document(self) -> dict[str, Any]:
        """The problem document as plain values."""
        return {
            "type": f"urn:earmark:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }

    def answer(self) -> JsonAnswer:
        """The problem document as a response."""
        return JsonAnswer(self.document(), self.status, self.headers, MEDIA_TYPE)


def overloaded(detail: str, seconds: float = 1.0) -> ProblemError:
    """503: come again in so many seconds."""
    return ProblemError("overloaded", detail, headers={"Retry-After": str(max(1, min(600, round(seconds))))})


def audio_problem(problem: str | None, reason: str | None) -> ProblemError:
    """422: what a file is not heard for, by code and sentence; a server that was stopped or cannot start: 503."""
    if problem == "stopped":
        return ProblemError("unavailable", "The server is being stopped.", headers={"Retry-After": "5"})
    return ProblemError("audio", reason or "The sound cannot be used.", problem=problem)


def problem_of(error: EarmarkError) -> ProblemError:
    """What an error that Earmark raised on purpose means for a request."""
    if isinstance(error, AudioError):
        return audio_problem(str(error.problem), str(error))
    if isinstance(error, InputError):
        return ProblemError("invalid", str(error))
    if isinstance(error, MissingExtraError):
        return ProblemError("not-installed", str(error))
    if isinstance(error, StoreError):
        return ProblemError("unavailable", str(error), headers={"Retry-After": "5"})
    return ProblemError("internal", str(error))


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""

    async def on_problem(request: Request, error: Exception) -> JsonAnswer:
        assert isinstance(error, ProblemError)
        return error.answer()

    async def on_ours(request: Request, error: Exception) -> JsonAnswer:
        assert isinstance(error, EarmarkError)
        return problem_of(error).answer()

    async def on_invalid(request: Request, error: Exception) -> JsonAnswer:
        assert isinstance(error, RequestValidationError)
        said = [_said(one) for one in error.errors()]
        kind = "bad-request" if any(one["type"] == "json_invalid" for one in error.errors()) else "invalid"
        errors = [{"where": where, "what": what} for where, what in said]
        first = f"{said[0][0]}: {said[0][1]}" if said else "The request asks for something impossible."
        return ProblemError(kind, first, errors=errors).answer()

    async def on_http(request: Request, error: Exception) -> JsonAnswer:
        assert isinstance(error, HTTPException)
        kind = _BY_STATUS.get(error.status_code, "bad-request" if error.status_code < 500 else "internal")
        detail = {
            "not-found": f"There is nothing at {request.url.path}.",
            "method": f"{request.method} is not possible at {request.url.path}.",
        }.get(kind, str(error.detail))
        return ProblemError(kind, detail, headers=error.headers).answer()

    async def on_surprise(request: Request, error: Exception) -> JsonAnswer:
        _log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
        detail = "The server met an error that it does not know; its log has more."
        # This answer is made outside of all middleware.
        return ProblemError("internal", detail, headers=ALWAYS).answer()

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(EarmarkError, on_ours)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_surprise)


def _said(error: Mapping[str, Any]) -> tuple[str, str]:
    """Where and what is wrong, of one of pydantic's errors."""
    parts = [str(part) for part in error.get("loc", ())]
    where = ".".join(parts[1:]) or (parts[0] if parts else "request")
    what = str(error.get("msg", "is wrong")).removeprefix("Value error, ")
    return where, what[:1].lower() + what[1:]
