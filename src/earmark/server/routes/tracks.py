"""The library's tracks: find them, play them, hear them again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from earmark.library.corrections import LONGEST_LABEL
from earmark.library.listing import SORTS
from earmark.library.manifest import training_manifest
from earmark.library.track import Track
from earmark.server.answers import JsonAnswer
from earmark.server.bodies import described, json_body
from earmark.server.context import Context, Here
from earmark.server.describe import problems
from earmark.server.options import HearOptions
from earmark.server.playing import check_range, media_type, regular_size
from earmark.server.problems import ProblemError
from earmark.server.schemas import PREDICTION, TRACK, TRACKS, Prediction, StatsAnswer, TrackRow, TracksAnswer

router = APIRouter(tags=["library"])
TrackId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The track's number in the catalogue.")]


class Filters(BaseModel):
    """Query options of the list of tracks."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    search: str = Field("", max_length=200, description="Words in artist, title, album or path.")
    label: list[Annotated[str, Field(max_length=200)]] = Field(
        [], max_length=100, description="Only tracks of this genre, or of one of these: as corrected, else as heard."
    )
    unsure: bool | None = Field(None, description="Only tracks that are, or are not, unsure.")
    corrected: bool | None = Field(None, description="Only tracks that a person did, or did not, name.")
    under: str | None = Field(None, max_length=4096, description="Only tracks below this folder.")
    min_confidence: float | None = Field(None, ge=0, le=1)
    sort: Literal[tuple(f"{sign}{name}" for name in SORTS for sign in ("", "-"))] = Field(  # type: ignore[valid-type]
        "path", description="With - in front: falling."
    )
    offset: int = Field(0, ge=0, le=10**9)
    limit: int = Field(50, ge=1, le=500)


class Correction(BaseModel):
    """What a person says of a track."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"label": "jazz"}})

    label: str = Field(min_length=1, max_length=LONGEST_LABEL, description="Any genre, the model's or another.")


@router.get(
    "/v1/tracks",
    summary="The tracks of the library",
    response_model=None,
    responses={
        200: {"model": TracksAnswer, "content": {"application/json": {"example": TRACKS}}},
        **problems(404, 503),
    },
)
def tracks(filters: Annotated[Filters, Query()], here: Here) -> JsonAnswer:
    """Search, filter, sort, page by page."""
    with here.library() as library:
        page = library.page(
            search=filters.search,
            label=filters.label or None,
            unsure=filters.unsure,
            corrected=filters.corrected,
            min_confidence=filters.min_confidence,
            under=filters.under,
            sort=filters.sort.removeprefix("-"),
            descending=filters.sort.startswith("-"),
            offset=filters.offset,
            limit=filters.limit,
        )
        corrected = page.total if filters.corrected else library.page(corrected=True, limit=1).total
    return JsonAnswer(
        {
            "tracks": [track_row(track) for track in page.tracks],
            "total": page.total,
            "offset": filters.offset,
            "limit": filters.limit,
            "corrections": corrected,
        }
    )


@router.get(
    "/v1/stats",
    summary="The library in numbers",
    response_model=None,
    responses={200: {"model": StatsAnswer}, **problems(404, 503)},
)
def stats(here: Here) -> JsonAnswer:
    """What `earmark stats --json` writes."""
    with here.library() as library:
        return JsonAnswer(library.stats().to_dict())


@router.get(
    "/v1/tracks/{id}",
    summary="One track",
    response_model=None,
    responses={200: {"model": TrackRow, "content": {"application/json": {"example": TRACK}}}, **problems(404, 503)},
)
def one(id: TrackId, here: Here) -> JsonAnswer:
    """What the catalogue knows of it."""
    return JsonAnswer(track_row(find(here, id)))


@router.get(
    "/v1/tracks/{id}/audio",
    summary="The sound of a track",
    response_model=None,
    responses={
        200: {"description": "The file", "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {"description": "The part that was asked for"},
        **problems(400, 404, 416, 503),
    },
)
async def audio(
    request: Request,
    id: TrackId,
    here: Here,
    format: Annotated[
        Literal["wav"] | None, Query(description="wav: as WAV (mono, 16 bits), whatever the file is.")
    ] = None,
) -> Response:
    """The file as it is where browsers play it, otherwise turned into WAV; with HTTP ranges."""
    track = await run_in_threadpool(find, here, id)
    kind = None if format is not None else await run_in_threadpool(media_type, track.path)
    place = track.path
    if kind is None:
        with here.place():
            place, kind = str(await here.conversions.get(track, request)), "audio/wav"
    check_range(request, await run_in_threadpool(regular_size, place))
    return FileResponse(place, media_type=kind, headers={"cache-control": "private, no-cache"})


@router.post(
    "/v1/tracks/{id}/classify",
    summary="Hear a track again",
    response_model=None,
    responses={
        200: {"model": Prediction, "content": {"application/json": {"example": PREDICTION}}},
        **problems(404, 503),
    },
)
async def classify_track(
    request: Request, id: TrackId, options: Annotated[HearOptions, Query()], here: Here
) -> JsonAnswer:
    """As for an uploaded file; the catalogue stays as it is."""
    track = await run_in_threadpool(find, here, id)
    with here.place():
        outcome = await here.hear(options.task(track.path, longest=here.settings.max_seconds), track.path, request)
    return JsonAnswer(options.row(outcome, name=track.path, bundle=here.bundle.id))


@router.put(
    "/v1/tracks/{id}/correction",
    summary="Say what genre a track is",
    response_model=None,
    responses={
        200: {"model": TrackRow, "content": {"application/json": {"example": TRACK}}},
        **problems(400, 404, 413, 415, 503),
    },
    openapi_extra=described(Correction),
)
async def correct(request: Request, id: TrackId, here: Here) -> JsonAnswer:
    """It belongs to the sound, counts as certain, and goes into the manifest for training. The answer: the track."""
    asked = await json_body(request, Correction)
    return JsonAnswer(track_row(await run_in_threadpool(_correct, here, id, asked.label)))


@router.delete(
    "/v1/tracks/{id}/correction",
    summary="Take back what was said of a track",
    response_model=None,
    responses={
        200: {"model": TrackRow, "content": {"application/json": {"example": TRACK}}},
        **problems(404, 503),
    },
)
def take_back(id: TrackId, here: Here) -> JsonAnswer:
    """The answer: the track as it was heard."""
    return JsonAnswer(track_row(_correct(here, id, None)))


@router.get(
    "/v1/corrections",
    summary="Corrected tracks as a training manifest",
    response_model=None,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **problems(404, 503)},
)
def corrections(here: Here) -> Response:
    """The CSV file that `earmark train` reads; names that it cannot hold are left out."""
    with here.library() as library:
        data, left_out = training_manifest(library.corrections())
    headers = {"content-disposition": 'attachment; filename="corrections.csv"', "x-left-out": str(len(left_out))}
    return Response(data, headers=headers, media_type="text/csv")


def _correct(here: Context, number: int, label: str | None) -> Track:
    find(here, number)
    with here.library() as library:
        return library.correct(number, label)


def find(here: Context, number: int) -> Track:
    """A track that can be used: known, heard, and its file is there as far as the catalogue knows.

    Raises
    ------
    ProblemError
        404 if there is none.
    """
    with here.library() as library:
        found = library.by_id(number)
    if not found or found[0].removed or found[0].problem is not None:
        raise ProblemError("not-found", f"The catalogue has no track {number}.")
    return found[0]


def track_row(track: Track) -> dict[str, Any]:
    """What the API says of a track."""
    return {"id": track.id, "name": track.name, **track.to_dict()}


def match_row(track: Track, score: float) -> dict[str, Any]:
    """What the API says of a track that was found."""
    return {"score": score, **track_row(track)}
