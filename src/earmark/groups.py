"""Who belongs together: clips of one artist or one recording form a group that no split may tear apart."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.dataset import Clip

# Names that stand for "nobody in particular"; as an artist they would tie unrelated clips together.
_NOBODY = frozenset({"", "unknown", "unknown artist", "various", "various artists", "va", "na", "none", "untitled"})
_FEATURED = re.compile(r"[\s(\[]+(?:feat|ft|featuring)\b.*$", re.IGNORECASE)


def artist_key(name: str | None) -> str | None:
    """An artist's name reduced to what two spellings of it share; None for nobody in particular.

    Case, accents, punctuation, a leading or trailing "The" and featured guests are dropped; "&" is "and".

    >>> artist_key("The Beatles") == artist_key("Beatles, The") == artist_key("BEATLES feat. Billy Preston")
    True
    """
    if name is None:
        return None
    text = _FEATURED.sub("", name.strip()) or name.strip()
    text = unicodedata.normalize("NFKD", text).casefold().replace("&", " and ")
    text = "".join(c for c in text if not unicodedata.combining(c))
    words = re.sub(r"['’`.]", "", text)
    words = " ".join(re.sub(r"[\W_]+", " ", words).split())
    words = words.removeprefix("the ").removesuffix(" the") or text.strip()
    return None if words in _NOBODY else words


def assign_groups(clips: Iterable[Clip], repeats: Iterable[tuple[str, str]] = ()) -> tuple[Clip, ...]:
    """Give every clip its group, and one recording's clips the same.

    A clip's group is the one it has, else its artist's, else its own. Then the groups of clips that are the same
    recording (`repeats`, pairs of ids) become one, named after the first of them in the alphabet.

    Parameters
    ----------
    clips
        Any order; kept.
    repeats
        Pairs of ids; pairs with an unknown id are passed over, so that a list made for a whole dataset serves a
        part of it.

    Returns
    -------
    The clips, each with ``group`` set and, where it shares a recording, ``recording`` (joined with what was there).
    """
    clips = list(clips)
    recordings, groups = _Union(), _Union()
    place = {clip.id: clip for clip in clips}
    own = {clip.id: _own_group(clip) for clip in clips}
    for clip in clips:
        if clip.recording is not None:
            recordings.join(clip.recording, clip.id)
    for first, second in sorted((min(pair), max(pair)) for pair in repeats):
        if first in place and second in place:
            recordings.join(first, second)
    first_of: dict[str, str] = {}
    for clip in sorted(clips, key=lambda clip: clip.id):
        groups.join(own[first_of.setdefault(recordings.find(clip.id), clip.id)], own[clip.id])
    shared = Counter(recordings.find(clip.id) for clip in clips)
    return tuple(
        replace(
            clip,
            group=groups.find(own[clip.id]),
            recording=root if shared[root := recordings.find(clip.id)] > 1 else None,
        )
        for clip in clips
    )


def _own_group(clip: Clip) -> str:
    if clip.group:
        return clip.group
    artist = artist_key(clip.artist)
    return f"artist:{artist}" if artist else f"clip:{clip.id}"


class _Union:
    """Union-find over names; the first name of a set in the alphabet stands for it."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        parent = self._parent.setdefault(name, name)
        while parent != self._parent[parent]:
            self._parent[parent] = parent = self._parent[self._parent[parent]]
        self._parent[name] = parent
        return parent

    def join(self, first: str, second: str) -> None:
        one, other = sorted((self.find(first), self.find(second)))
        self._parent[other] = one
