"""Corrected tracks as a training manifest: the CSV file that ``earmark train`` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from earmark.library.track import Track
from earmark.names import printable

COLUMNS = ("path", "label", "group", "artist", "title")


def training_manifest(tracks: Iterable[Track]) -> tuple[bytes, list[str]]:
    """A manifest (:func:`earmark.sources.load_manifest`) of what a person said of tracks.

    Parameters
    ----------
    tracks
        Those that were not corrected are left out.

    Returns
    -------
    tuple
        The CSV file, UTF-8 with a header and absolute paths, and the paths that it cannot hold (names that are no
        text, or begin or end in blanks), printable. Groups are left empty, so that the loader makes them from
        artists and recordings.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    left_out = []
    for track in tracks:
        if track.correction is None:
            continue
        if track.path != track.path.strip() or printable(track.path) != track.path:
            left_out.append(printable(track.path))
            continue
        details = track.details
        writer.writerow([track.path, track.correction, "", details.artist or "", details.title or ""])
    return text.getvalue().encode(), left_out
