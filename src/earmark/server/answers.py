"""JSON as the server writes it: strict, and safe for file names of any bytes."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


def to_json(value: Any) -> bytes:
    """UTF-8 JSON without NaN; where a file name holds odd bytes, ASCII with ``\\udcXX`` escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


class JsonAnswer(Response):
    """A response with JSON in it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)
