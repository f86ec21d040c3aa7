"""JSON bodies, read under a limit and checked."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from earmark.server.problems import ProblemError

_MOST_BYTES = 1_000_000
M = TypeVar("M", bound=BaseModel)


async def json_body(request: Request, model: type[M]) -> M:
    """The body of a request as an object.

    Raises
    ------
    ProblemError
        If it is no JSON, too long, or asks for something impossible.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise ProblemError("content-type", "Send JSON, with Content-Type: application/json.")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                raise ProblemError("too-large", f"The JSON is longer than {_MOST_BYTES} bytes.")
    except ClientDisconnect as error:
        raise ProblemError("bad-request", "The request was broken off.") from error
    return parsed(model, bytes(body))


def parsed(model: type[M], text: bytes | str) -> M:
    """JSON as an object.

    Raises
    ------
    ProblemError
        If it is none, or asks for something impossible.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the JSON"
        kind = "bad-request" if first["type"] == "json_invalid" else "invalid"
        raise ProblemError(kind, f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def described(model: type[BaseModel], **others: Any) -> dict[str, Any]:
    """The OpenAPI description of a body that :func:`json_body` reads, and of what else may be sent there."""
    schema = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    return {"requestBody": {"required": True, "content": {"application/json": schema, **others}}}
