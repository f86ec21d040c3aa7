"""Hearing one uploaded file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from earmark.server.answers import JsonAnswer
from earmark.server.context import Here
from earmark.server.describe import FILE_FORM, problems
from earmark.server.options import HearOptions
from earmark.server.schemas import PREDICTION, Prediction
from earmark.server.uploads import received

router = APIRouter(tags=["classify"])


@router.post(
    "/v1/classify",
    summary="Name the genre of a sound file",
    response_model=None,
    responses={
        200: {"model": Prediction, "content": {"application/json": {"example": PREDICTION}}},
        **problems(400, 408, 413, 415, 422, 503),
    },
    openapi_extra=FILE_FORM,
)
async def classify(request: Request, options: Annotated[HearOptions, Query()], here: Here) -> JsonAnswer:
    """Send the file as the part `file` of a form. The answer is what `earmark classify --format json` writes."""
    with here.place():
        async with received(request, "file", here.spool, here.limits()) as form:
            upload = form.files[0]
            here.measures.uploaded_bytes += upload.size
            task = options.task(str(upload.path), longest=here.settings.max_seconds)
            outcome = await here.hear(task, upload.name, request)
    return JsonAnswer(options.row(outcome, name=upload.name, bundle=here.bundle.id))
