"""The page: static files, all known from the start, so that no path from a request reaches the disk."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from earmark.server.context import Here
from earmark.server.headers import PAGE_POLICY
from earmark.server.problems import ProblemError
from earmark.server.routes.about import set_cookie
from earmark.server.security import is_token

router = APIRouter(include_in_schema=False)
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}


@dataclass
class Page:
    """The files of the page by their names, with what was read of them.

    Parameters
    ----------
    folder
        Where they are.
    """

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    _read: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                self.files[path.relative_to(self.folder).as_posix()] = path

    def get(self, name: str) -> tuple[bytes, str, str] | None:
        """Content, its tag and its type; None if there is no such file."""
        path = self.files.get(name)
        if path is None:
            return None
        changed = path.stat().st_mtime_ns
        if name not in self._read or self._read[name][0] != changed:
            content = path.read_bytes()
            self._read[name] = changed, content, f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        _, content, tag = self._read[name]
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return content, tag, kind


def packaged_page() -> Page:
    """The page in the package."""
    return Page(Path(str(resources.files("earmark.server") / "static")))


@router.get("/")
async def index(request: Request, here: Here) -> Response:
    """The page itself; with ?token=... it first keeps the token's proof as a cookie."""
    given = request.query_params.get("token")
    if given is not None:
        answer = RedirectResponse("/", 303)
        if here.settings.token is not None and is_token(given, here.settings):
            set_cookie(answer, here.settings.token)
        return answer
    return _file(request, "index.html")


@router.get("/favicon.ico")
async def favicon(request: Request) -> Response:
    """What browsers ask for unasked."""
    page: Page = request.app.state.page
    return _file(request, next((n for n in ("favicon.ico", "favicon.svg") if n in page.files), "favicon.ico"))


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    """A file of the page."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    page: Page = request.app.state.page
    found = page.get(name)
    if found is None:
        raise ProblemError("not-found", f"There is nothing at {request.url.path}.")
    content, tag, kind = found
    headers = {"etag": tag, "cache-control": "no-cache", "content-security-policy": PAGE_POLICY}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)
