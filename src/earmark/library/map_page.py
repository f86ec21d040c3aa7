"""The library as an interactive page: one HTML file that needs nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from earmark.library.track import Track
from earmark.names import printable

# Places are written as whole numbers: no screen shows more.
_GRID = 20000
_PLACE = "/*DATA*/"
_COLUMNS = ("x", "y", "label", "sure", "unsure", "artist", "name", "year", "path")


def map_page(points: Iterable[tuple[Track, Sequence[float]]], *, title: str = "Music library") -> str:
    """An HTML page that draws tracks as points.

    Parameters
    ----------
    points
        Tracks and their places (x, y) in the unit square.
    title
        Heading of the page.

    Notes
    -----
    All text from tags and file names reaches the page as JSON and is shown by scripts as text, never as markup.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for track, (x, y) in points:
        details, settled = track.details, track.settled
        row = (
            round(float(x) * _GRID),
            round(float(y) * _GRID),
            settled.label,
            round(settled.confidence * 100),
            int(settled.unsure),
            details.artist or "",
            details.title or track.name,
            details.year or 0,
            track.path,
        )
        for name, value in zip(_COLUMNS, row, strict=True):
            columns[name].append(value)
    labels = sorted(set(columns["label"]))
    folder = _common_folder(columns["path"])
    data: dict[str, Any] = {
        "title": title,
        "folder": printable(folder),
        "grid": _GRID,
        "labels": labels,
        **columns,
        "label": [labels.index(label) for label in columns["label"]],
        "path": [printable(path[len(folder) :].lstrip(os.sep) if folder else path) for path in columns["path"]],
    }
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    # "</script>" inside a string would end the script for the browser.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    template = resources.files(__package__).joinpath("templates", "map.html").read_text("utf-8")
    return template.replace(_PLACE, text, 1)


def _common_folder(paths: Sequence[str]) -> str:
    try:
        return os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    except ValueError:
        # No tracks, or on several drives.
        return ""
