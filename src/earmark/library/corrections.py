"""What a person says of a track, against what was heard."""

from __future__ import annotations

import os

from earmark.errors import InputError
from earmark.library.ledger import Ledger
from earmark.library.track import Track
from earmark.names import printable

LONGEST_LABEL = 100


def correct(ledger: Ledger, name: int | str | os.PathLike[str], label: str | None) -> Track:
    """Keep, change or take back what a person says of a track; see ``Library.correct``."""
    track = _find(ledger, name)
    content = ledger.content_of(track.id)
    if track.problem is not None or content is None:
        raise InputError(f"{printable(track.path)} could not be heard, so there is nothing to correct.")
    ledger.correct(content, None if label is None else _spelling(ledger, label))
    return _find(ledger, track.id)


def known_labels(ledger: Ledger) -> list[str]:
    """The newest bundle's genres, in its order, then those that only people have named."""
    newest = ledger.newest_bundle()
    labels = list(ledger.labels_of(newest[0])) if newest is not None else []
    said = ledger.select("SELECT DISTINCT label FROM corrections ORDER BY label")
    return labels + [label for (label,) in said if label not in labels]


def _find(ledger: Ledger, name: int | str | os.PathLike[str]) -> Track:
    if isinstance(name, int):
        found = ledger.by_id([name])
        if not found:
            raise InputError(f"The catalogue has no track number {name}.")
        return found[0]
    track = ledger.track(name)
    if track is None:
        raise InputError(
            f"The catalogue does not know {printable(name)}. Scan its folder first, with: earmark scan FOLDER"
        )
    return track


def _spelling(ledger: Ledger, label: str) -> str:
    text = " ".join(label.split())
    if not text or len(text) > LONGEST_LABEL or not text.isprintable():
        raise InputError(f"A genre is a line of 1 to {LONGEST_LABEL} characters, not {label[:LONGEST_LABEL]!r}.")
    return next((known for known in known_labels(ledger) if known.casefold() == text.casefold()), text)
