"""Putting the server together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark import __version__
from earmark.bundle import load_bundle
from earmark.predict import packaged_bundle
from earmark.server import problems
from earmark.server.context import Context
from earmark.server.describe import complete
from earmark.server.hearing import Hearing
from earmark.server.jobs import Jobs
from earmark.server.measures import Measures
from earmark.server.routes import about, classify, jobs, listen, lists, page, runs, tracks
from earmark.server.security import Guard
from earmark.server.settings import MEGABYTE, Settings
from earmark.server.spool import Spool

_SUMMARY = "Hear music, name its genre."
_DESCRIPTION = (
    "The same functions as the command line `earmark` and the Python package, under the same names. "
    "Errors are problem details (RFC 9457) whose `detail` is a sentence for a person."
)


def create_app(settings: Settings, *, temporary: Path | None = None) -> FastAPI:
    """The server as an ASGI application; workers run and uploads have a folder while its lifespan lasts.

    Parameters
    ----------
    settings
        What to serve.
    temporary
        Where to make the folder for uploads; None: the system's folder for temporary files.

    Raises
    ------
    InputError, StoreError
        If the bundle cannot be used.
    """
    place = settings.bundle or packaged_bundle()
    bundle = load_bundle(place)
    measures = Measures()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with (
            Spool(settings.spool_bytes, temporary) as spool,
            Hearing(
                place,
                jobs=settings.jobs,
                time_limit=settings.time_limit,
                memory=round(settings.max_memory * MEGABYTE),
            ) as hearing,
        ):
            kept = Jobs(hearing, spool)
            context = app.state.context = Context(settings, bundle, spool, hearing, kept, measures)
            try:
                yield
            finally:
                await kept.close()
                context.close()

    app = FastAPI(
        title="Earmark",
        summary=_SUMMARY,
        description=_DESCRIPTION,
        version=__version__,
        openapi_url="/v1/openapi.json",
        # Both pages of documentation load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    described = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(described(), lists.SimilarRequest, lists.PlaylistRequest, tracks.Correction)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.state.page = page.packaged_page()
    problems.install(app)
    for part in (about, classify, jobs, tracks, lists, runs, listen, page):
        app.include_router(part.router)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Counting, measures=measures)
    return app


class Counting:
    """ASGI middleware that counts requests and their times by the route's template.

    Parameters
    ----------
    app
        What to watch.
    measures
        Where to note it.
    """

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begun = 500, time.perf_counter()

        async def send_watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._measures.count(route, method, status, time.perf_counter() - begun)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
