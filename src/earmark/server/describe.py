"""Parts of the OpenAPI description that routes share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from earmark.server.problems import KINDS, MEDIA_TYPE
from earmark.server.schemas import ProblemDocument


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Descriptions of problem answers, for ``responses=``; what every request may meet is added."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 401, 403, 421, 422}):
        kinds = [kind for kind, (number, _) in KINDS.items() if number == status]
        found[status] = {
            "description": KINDS[kinds[0]][1],
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                    "example": {
                        "type": f"urn:earmark:problem:{kinds[0]}",
                        "title": KINDS[kinds[0]][1],
                        "status": status,
                        "detail": "song.mp3 is empty (0 bytes). Copy it again from its source."
                        if status == 422
                        else f"{KINDS[kinds[0]][1]}.",
                    },
                }
            },
        }
    return found


def _form(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    body = {"type": "object", "required": [name], "properties": {name: schema}}
    content = {"multipart/form-data": {"schema": body, "encoding": {name: {"contentType": "audio/*"}}}}
    return {"requestBody": {"required": True, "content": content}}


_FILE = {"type": "string", "format": "binary", "description": "The sound file, of any kind and name."}
FILE_FORM = _form("file", _FILE)
FILES_FORM = _form("files", {"type": "array", "minItems": 1, "items": _FILE})


def complete(description: dict[str, Any], *models: type[BaseModel]) -> dict[str, Any]:
    """Add the schemas of problems and of bodies that routes read themselves."""
    schemas = description.setdefault("components", {}).setdefault("schemas", {})
    everything: tuple[type[BaseModel], ...] = (ProblemDocument, *models)
    for model in everything:
        schemas[model.__name__] = model.model_json_schema()
    description["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Where the server was started with --token."}
    }
    return description
