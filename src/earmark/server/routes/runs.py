"""The runs of a folder, with their reports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from earmark.errors import EarmarkError
from earmark.server.answers import JsonAnswer
from earmark.server.context import Context, Here
from earmark.server.describe import problems
from earmark.server.headers import SANDBOX_POLICY
from earmark.server.problems import ProblemError
from earmark.server.schemas import RUNS, RunsAnswer

router = APIRouter(tags=["runs"])
# Deeper, no command of ours puts a run.
_DEPTH = 3
_MOST_RUNS = 500


@router.get(
    "/v1/runs",
    summary="Finished runs",
    response_model=None,
    responses={200: {"model": RunsAnswer, "content": {"application/json": {"example": RUNS}}}, **problems(404)},
)
def runs(here: Here) -> JsonAnswer:
    """Model, protocol and accuracy with its 95 % interval, of every run in the folder given with --runs."""
    return JsonAnswer({"runs": [_row(here, name, folder) for name, folder in _find(here).items()]})


@router.get(
    "/v1/runs/{name:path}/report",
    summary="The report page of a run",
    response_model=None,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **problems(404, 501, 503)},
)
def report(name: str, here: Here) -> Response:
    """One page that is complete in itself."""
    folder = _find(here).get(name)
    if folder is None:
        raise ProblemError("not-found", "There is no such run in the folder that is served.")
    page = folder / "report.html"
    if page.is_file():
        content = page.read_bytes()
    else:
        from earmark.report import report_html
        from earmark.runs import load_run

        content = report_html(load_run(folder)).encode()
    return Response(content, headers={"content-security-policy": SANDBOX_POLICY}, media_type="text/html")


def _find(here: Context) -> dict[str, Path]:
    """Folders of runs by their names, which are paths seen from the folder that is served."""
    root = here.settings.runs
    if root is None:
        raise ProblemError("not-found", "No folder of runs is served. Start the server with --runs FOLDER.")
    found: dict[str, Path] = {}
    for folder, below, files in os.walk(root):
        place = Path(folder)
        parts = place.relative_to(root).parts
        if "run.json" in files:
            found["/".join(parts) or place.resolve().name] = place
        if len(parts) >= _DEPTH or "run.json" in files or len(found) >= _MOST_RUNS:
            below.clear()
        below[:] = sorted(name for name in below if not name.startswith("."))
    return dict(sorted(found.items()))


def _row(here: Context, name: str, folder: Path) -> dict[str, Any]:
    try:
        changed = max(path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file())
    except (OSError, ValueError):
        changed = 0
    known = here.runs_seen.get(name)
    if known is None or known[0] != changed:
        known = here.runs_seen[name] = changed, _read(name, folder)
    return known[1]


def _read(name: str, folder: Path) -> dict[str, Any]:
    from earmark.runs import load_run

    row: dict[str, Any] = {
        "name": name,
        "kind": None,
        "model": None,
        "dataset": None,
        "protocol": None,
        "grouped": None,
        "folds": None,
        "clips": 0,
        "labels": 0,
        "created": None,
        "accuracy": None,
        "report": False,
        "error": None,
    }
    try:
        run = load_run(folder)
        metrics = run.metrics
    except EarmarkError as error:
        return row | {"error": str(error)}
    accuracy: Mapping[str, Any] = (metrics or {}).get("accuracy", {})
    return row | {
        "kind": run.kind,
        "model": run.model,
        "dataset": run.dataset,
        "protocol": run.protocol.get("name"),
        "grouped": run.protocol.get("grouped"),
        "folds": run.protocol.get("folds"),
        "clips": len(run.clips),
        "labels": len(run.labels),
        "created": run.info.get("created"),
        "accuracy": {key: accuracy.get(key) for key in ("value", "low", "high")} if accuracy else None,
        "report": (folder / "report.html").is_file() or _can_report(),
    }


def _can_report() -> bool:
    import importlib.util

    return importlib.util.find_spec("jinja2") is not None
