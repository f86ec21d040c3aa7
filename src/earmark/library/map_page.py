"""The library as an interactive page: one HTML file that needs nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.library.track import Track
from earmark.names import printable

# Places are written as whole numbers: no screen shows more.
_GRID = 20000
_PLACE = "/*DATA*/"


def map_page(tracks: Sequence[Track], places: NDArray[np.float32], *, title: str = "Music library") -> str:
    """An HTML page that draws tracks as points.

    Parameters
    ----------
    tracks
        What to draw.
    places
        (n, 2) in the unit square, in the order of the tracks.
    title
        Heading of the page.

    Notes
    -----
    All text from tags and file names reaches the page as JSON and is shown by scripts as text, never as markup.
    """
    labels = sorted({track.label for track in tracks})
    folder = _common_folder([track.path for track in tracks])
    grid = np.round(np.clip(places, 0, 1) * _GRID).astype(int)
    data: dict[str, Any] = {
        "title": title,
        "folder": printable(folder),
        "grid": _GRID,
        "labels": labels,
        "x": grid[:, 0].tolist(),
        "y": grid[:, 1].tolist(),
        "label": [labels.index(track.label) for track in tracks],
        "sure": [round(track.confidence * 100) for track in tracks],
        "unsure": [int(track.unsure) for track in tracks],
        "artist": [track.details.artist or "" for track in tracks],
        "name": [track.details.title or track.name for track in tracks],
        "year": [track.details.year or 0 for track in tracks],
        "path": [printable(os.path.relpath(track.path, folder) if folder else track.path) for track in tracks],
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
