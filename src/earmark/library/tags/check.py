"""A second opinion: what mutagen reads in a file, to be compared before and after a change.

The editors write; mutagen, another program by other people, only reads. If the two do not agree about a file, the
file is not touched.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from earmark.errors import MissingExtraError
from earmark.library.tags.edit import FIELD_PREFIX, TagError, Wanted

# What a new ID3v2 or APE tag may say beside the genre: copies of the ID3v1 tag.
_COPIES = frozenset(["TIT2", "TPE1", "TALB", "TDRC", "COMM::eng", "TRCK"])
_APE_COPIES = frozenset(["title", "artist", "album", "year", "comment", "track"])


def require_mutagen() -> None:
    """Raise :class:`MissingExtraError` if mutagen is not installed."""
    try:
        import mutagen  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Working with tags", "tag") from error


_READERS = {
    "MP3": ("mp3", "MP3"),
    "FLAC": ("flac", "FLAC"),
    "MP4": ("mp4", "MP4"),
    "WAV": ("wave", "WAVE"),
    "AIFF": ("aiff", "AIFF"),
    "WavPack": ("wavpack", "WavPack"),
    "WMA": ("asf", "ASF"),
    "Monkey's Audio": ("monkeysaudio", "MonkeysAudio"),
    "Musepack": ("musepack", "Musepack"),
    "Ogg Vorbis": ("oggvorbis", "OggVorbis"),
    "Ogg Opus": ("oggopus", "OggOpus"),
    "Ogg FLAC": ("oggflac", "OggFLAC"),
    "Ogg Speex": ("oggspeex", "OggSpeex"),
}


@dataclass(frozen=True)
class Opinion:
    """What mutagen reads: genre, Earmark's fields, all other tags by name as hashes, and the sound's facts."""

    genres: tuple[str, ...]
    fields: Mapping[str, str]
    others: Mapping[str, str]
    facts: tuple[Any, ...]


def opinion(handle: BinaryIO, kind: str) -> Opinion:
    """Read a file with mutagen.

    Parameters
    ----------
    handle
        The file, open for reading.
    kind
        :attr:`Editor.format` of the file.

    Raises
    ------
    TagError
        If mutagen cannot read it.
    """
    require_mutagen()
    handle.seek(0)
    try:
        file = _open(handle, kind)
        tags = _by_name(file, handle, kind)
        info = file.info
        facts = tuple(
            round(value, 6) if isinstance(value, float) else value
            for name in ("length", "sample_rate", "channels")
            for value in [getattr(info, name, None)]
        )
    except Exception as error:  # mutagen lets many kinds of errors through when a file is damaged
        reason = str(error).strip() or type(error).__name__
        raise TagError(f"mutagen cannot read the file ({reason}); it was left as it is.") from error
    return _sorted_out(tags, facts)


def compare(before: Opinion, after: Opinion, wanted: Wanted) -> None:
    """Check that a change did what was wanted and nothing else.

    Raises
    ------
    TagError
        If anything but the genre and the wanted fields differs.
    """
    problems = []
    if wanted.genres is not None and after.genres != tuple(wanted.genres):
        problems.append(f"the genre reads {after.genres}")
    if wanted.genres is None and after.genres != before.genres:
        problems.append("the genre changed")
    for name, value in {**before.fields, **wanted.fields}.items():
        if after.fields.get(name) != value:
            problems.append(f"the field {name} is not what it should be")
    added = after.others.keys() - before.others.keys()
    if not before.others:
        added = {name for name in added if name not in _COPIES and name.lower() not in _APE_COPIES}
    changed = [name for name, value in before.others.items() if after.others.get(name) != value]
    problems += [f"{name} changed" for name in (*changed, *sorted(added))]
    if before.facts != after.facts:
        problems.append("the sound's length or rate changed")
    if problems:
        raise TagError(f"The check after writing failed ({'; '.join(problems[:3])}); the file was left as it is.")


def _open(handle: BinaryIO, kind: str) -> Any:
    container = kind.partition(", ")[0]
    module, name = _READERS[container]
    # Without load_v1=False an ID3v1 tag would fill in for frames that ID3v2 does not have.
    options = {"load_v1": False} if container in ("MP3", "WAV", "AIFF") else {}
    return getattr(importlib.import_module(f"mutagen.{module}"), name)(handle, **options)


def _by_name(file: Any, handle: BinaryIO, kind: str) -> dict[str, Any]:
    tags = file.tags
    if kind == "MP3, APEv2":
        from mutagen.apev2 import APEv2

        handle.seek(0)
        tags = APEv2(handle)  # type: ignore[no-untyped-call]
    found: dict[str, Any] = {}
    if tags is None:
        return found
    if kind.startswith(("FLAC", "Ogg")):
        for name, value in tags:
            found.setdefault(name.upper(), []).append(value)
        found["pictures"] = [picture.write() for picture in getattr(file, "pictures", [])]
        found["vendor"] = tags.vendor
        return found
    if kind == "WMA":
        for name, value in tags:
            text = value.TYPE == 0 and (name.upper() == "WM/GENRE" or name.upper().startswith(FIELD_PREFIX))
            found.setdefault(name, []).append(str(value) if text else value)
        return found
    found.update(tags.items())
    found.update({f"unknown frame {i}": data for i, data in enumerate(getattr(tags, "unknown_frames", []))})
    return found


def _sorted_out(tags: dict[str, Any], facts: tuple[Any, ...]) -> Opinion:
    genres: tuple[str, ...] = ()
    fields: dict[str, str] = {}
    others: dict[str, str] = {}
    for name, value in tags.items():
        plain = name.removeprefix("TXXX:").removeprefix("----:com.apple.iTunes:").upper()
        if plain in ("TCON", "GENRE", "\xa9GEN", "WM/GENRE"):
            genres = tuple(text for text in getattr(value, "genres", value) if text)
        elif plain.startswith(FIELD_PREFIX):
            fields[plain] = _text(value)
        elif (name, value) != ("vendor", "Earmark"):
            others[name] = hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()
    return Opinion(genres, fields, others, facts)


def _text(value: Any) -> str:
    if hasattr(value, "text"):
        return str(value.text[0])
    if isinstance(value, list):
        value = value[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
