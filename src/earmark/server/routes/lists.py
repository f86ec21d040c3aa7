"""From tracks to others: similar ones, playlists, the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from earmark.errors import EarmarkError
from earmark.library.library import PER_ARTIST, Library
from earmark.library.playlist import write_m3u8
from earmark.library.similar import Match
from earmark.library.worker import Outcome, Ready, Task
from earmark.server.answers import JsonAnswer, to_json
from earmark.server.bodies import described, json_body
from earmark.server.context import Context, Here
from earmark.server.describe import FILE_FORM, problems
from earmark.server.headers import SANDBOX_POLICY
from earmark.server.problems import ProblemError, problem_of
from earmark.server.routes.tracks import match_row, track_row
from earmark.server.schemas import MATCHES, MapAnswer, MatchesAnswer
from earmark.server.uploads import received

router = APIRouter(tags=["library"])
M3U8 = "audio/x-mpegurl"
_MOST_TRACKS = 1000
_MATCHES: dict[str, Any] = {"application/json": {"example": MATCHES}}
Ids = Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(min_length=1, max_length=_MOST_TRACKS)]
Count = Annotated[int, Field(ge=1, le=_MOST_TRACKS, description="How many tracks.")]
Minus = Annotated[
    list[Annotated[int, Field(ge=1, le=2**63 - 1)]],
    Field(max_length=_MOST_TRACKS, description="Numbers of tracks that it should not sound like."),
]
PerArtist = Annotated[int, Field(ge=0, le=_MOST_TRACKS, description="How many of one artist; 0: any number.")]


class SimilarRequest(BaseModel):
    """Tracks to start from."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"tracks": [1], "n": 5}})

    tracks: Ids = Field(description="Numbers of tracks.")
    minus: Minus = []
    n: Count = 20
    per_artist: PerArtist = PER_ARTIST


class PlaylistRequest(BaseModel):
    """What a playlist is made from: tracks, tracks and an end, a mood, or the very list."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, json_schema_extra={"example": {"mood": "jazz:0.7,blues:0.3", "n": 10}}
    )

    tracks: Ids | None = Field(None, description="It should sound like these.")
    minus: Minus = []
    to: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = Field(None, description="Go from the one track to this.")
    mood: str | Annotated[dict[str, float], Field(max_length=100)] | None = Field(
        None, description="A mixture of genres instead, such as jazz:0.7,blues:0.3."
    )
    list: Ids | None = Field(None, description="Exactly these tracks, in this order.")
    n: Count = 25
    per_artist: PerArtist = PER_ARTIST


@router.post(
    "/v1/similar",
    summary="Tracks that sound alike",
    response_model=None,
    responses={200: {"model": MatchesAnswer, "content": _MATCHES}, **problems(400, 404, 408, 413, 415, 503)},
    openapi_extra=described(SimilarRequest, **FILE_FORM["requestBody"]["content"]),
)
async def similar(
    request: Request,
    here: Here,
    n: Annotated[int, Query(ge=1, le=_MOST_TRACKS, description="For an uploaded song: how many tracks.")] = 20,
    per_artist: Annotated[
        int, Query(ge=0, le=_MOST_TRACKS, description="For an uploaded song: how many of one artist.")
    ] = PER_ARTIST,
    minus: Annotated[
        list[int] | None,
        Query(max_length=_MOST_TRACKS, description="For an uploaded song: tracks that it should not sound like."),
    ] = None,
) -> JsonAnswer:
    """To tracks of the library (JSON), or to an uploaded song (a form with `file`) that need not be in it."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        matches = await _similar_to_upload(request, here, minus or [], n, per_artist)
    else:
        asked = await json_body(request, SimilarRequest)
        matches = await run_in_threadpool(_similar_to_tracks, here, asked)
    return JsonAnswer({"tracks": [match_row(match.track, match.score) for match in matches]})


@router.post(
    "/v1/playlist",
    summary="A playlist",
    response_model=None,
    responses={
        200: {"model": MatchesAnswer, "content": {**_MATCHES, M3U8: {"schema": {"type": "string"}}}},
        **problems(400, 404, 413, 415, 503),
    },
    openapi_extra=described(PlaylistRequest),
)
async def playlist(
    request: Request,
    here: Here,
    format: Annotated[Literal["json", "m3u8"] | None, Query(description="Default: what Accept prefers.")] = None,
) -> Response:
    """Like some tracks, from one to another, or by a mood; as JSON or M3U8 (with absolute paths)."""
    asked = await json_body(request, PlaylistRequest)
    matches = await run_in_threadpool(_playlist, here, asked)
    if not matches:
        raise ProblemError("invalid", "No track of the library fits.")
    if format == "m3u8" or (format is None and "mpegurl" in request.headers.get("accept", "").lower()):
        headers = {"content-disposition": 'attachment; filename="playlist.m3u8"'}
        return Response(write_m3u8([m.track for m in matches], None), headers=headers, media_type=M3U8)
    return JsonAnswer({"tracks": [match_row(match.track, match.score) for match in matches]})


@router.get(
    "/v1/map",
    summary="The map of the library",
    response_model=None,
    responses={
        200: {"model": MapAnswer, "content": {"text/html": {"schema": {"type": "string"}}}},
        **problems(404, 503),
    },
)
async def draw_map(
    request: Request,
    here: Here,
    format: Annotated[
        Literal["html", "json"] | None, Query(description="Default: json if Accept asks for it, else html.")
    ] = None,
) -> Response:
    """A page to look at (what `earmark map` writes), or its points; tracks that sound alike lie close together."""
    accept = request.headers.get("accept", "").lower()
    form = format or ("json" if "json" in accept and "html" not in accept else "html")
    # Drawing takes seconds for a large library: one at a time, and once for each state of the catalogue.
    async with here.mapping:
        content = await run_in_threadpool(_map, here, form)
    if form == "json":
        return Response(content, media_type="application/json")
    return Response(content, headers={"content-security-policy": SANDBOX_POLICY}, media_type="text/html")


async def _similar_to_upload(
    request: Request, here: Context, minus: Sequence[int], n: int, per_artist: int
) -> list[Match]:
    await run_in_threadpool(lambda: here.library().close())
    with here.place():
        async with received(request, "file", here.spool, here.limits()) as form:
            upload = form.files[0]
            here.measures.uploaded_bytes += upload.size
            path = str(upload.path)
            task = Task(path, look=True, longest=here.settings.max_seconds)
            outcome = await here.hear(task, upload.name, request)

            def search() -> list[Match]:
                def hear(tasks: Sequence[Task]) -> tuple[Ready, list[Outcome]]:
                    return here.hearing.ready or Ready(), [outcome]

                try:
                    with here.library() as library:
                        away = _paths(library, minus)
                        return library.similar(path, minus=away, n=n, per_artist=per_artist, hear=hear)
                except EarmarkError as error:
                    found = problem_of(error)
                    raise ProblemError(found.kind, found.detail.replace(path, upload.name), **found.more) from error

            return await run_in_threadpool(search)


def _similar_to_tracks(here: Context, asked: SimilarRequest) -> list[Match]:
    with here.library() as library:
        seeds, minus = _paths(library, asked.tracks), _paths(library, asked.minus)
        return library.similar(*seeds, minus=minus, n=asked.n, per_artist=asked.per_artist)


def _playlist(here: Context, asked: PlaylistRequest) -> list[Match]:
    with here.library() as library:
        return _matches(library, asked)


def _matches(library: Library, asked: PlaylistRequest) -> list[Match]:
    if asked.list is not None:
        if asked.tracks is not None or asked.to is not None or asked.mood is not None:
            raise ProblemError("invalid", "A list is taken as it is; leave tracks, to and mood out.")
        _paths(library, asked.list)
        return [Match(track, 1.0) for track in library.by_id(*asked.list)]
    return library.playlist(
        *_paths(library, asked.tracks or ()),
        minus=_paths(library, asked.minus),
        to=None if asked.to is None else _paths(library, [asked.to])[0],
        mood=asked.mood,
        n=asked.n,
        per_artist=asked.per_artist,
    )


def _paths(library: Library, numbers: Sequence[int]) -> list[str]:
    """Paths of tracks by their numbers; 404 if one is unknown."""
    found = {track.id: track for track in library.by_id(*numbers)}
    for number in numbers:
        if number not in found or found[number].problem is not None:
            raise ProblemError("not-found", f"The catalogue has no track {number}.")
    return [found[number].path for number in numbers]


def _map(here: Context, form: str) -> bytes:
    with here.library() as library:
        # Corrections leave the search's state alone, yet they are seen on the map.
        said = hash(tuple((track.id, track.correction) for track in library.corrections()))
        state = (*library.state, said)
        if form in here.drawn and here.drawn[form][0] == state:
            return here.drawn[form][1]
        if form == "json":
            points = library.map_points()
            content = to_json({"points": [{"x": x, "y": y, **track_row(track)} for track, (x, y) in points]})
        else:
            content = library.map_page().encode("utf-8", "replace")
    here.drawn[form] = state, content
    return content
