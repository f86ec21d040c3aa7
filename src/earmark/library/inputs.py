"""From what a person names (files, folders, playlists, a list on standard input) to the files to hear, in order."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from earmark.errors import InputError
from earmark.names import printable

PLAYLIST_SUFFIXES = frozenset({".m3u", ".m3u8"})
# A list of a million songs has less; a film that was named .m3u is not read into memory.
_LARGEST_LIST = 256 << 20
_NETWORK = ("http:", "https:", "rtsp:", "rtmp:", "mms:", "ftp:")


@dataclass(frozen=True, slots=True)
class Input:
    """One file to hear, or one name that leads to none.

    Parameters
    ----------
    path
        As it was named or found; odd bytes as :func:`os.fsdecode` writes them.
    problem, reason
        Code and sentence if there is nothing to hear under this name.
    """

    path: str
    problem: str | None = None
    reason: str | None = None


def find_inputs(arguments: Iterable[str], *, stdin: BinaryIO | None = None, nul: bool = False) -> Iterator[Input]:
    """Files behind the arguments, each once, in the order in which they are named.

    Parameters
    ----------
    arguments
        Files (any suffix), folders (everything below them with a suffix of sound, sorted), playlists (``.m3u``,
        ``.m3u8``), and ``-`` for a list of such names on standard input.
    stdin
        Where ``-`` reads from.
    nul
        The names on standard input end with NUL instead of a newline.

    Yields
    ------
    Input
        Names that lead nowhere are given too, with the reason, so that they can be listed.
    """
    finder = _Finder()
    for argument in arguments:
        if argument == "-":
            if stdin is None:
                raise InputError("There is no standard input to read names from.")
            for name in _names(stdin.read(), nul):
                yield from finder.expand(name)
        else:
            yield from finder.expand(argument)


class _Finder:
    """Remembers what was given and which playlists were read, so that nothing comes twice and no loop lasts."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._playlists: set[str] = set()

    def expand(self, name: str) -> Iterator[Input]:
        if "\x00" in name:
            yield Input(name, "missing", f"{printable(name)}: a file name cannot hold a NUL character.")
        elif os.path.isdir(name):  # noqa: PTH112  Path would drop the "./" that the person wrote
            yield from self._folder(name)
        elif os.path.splitext(name)[1].lower() in PLAYLIST_SUFFIXES:  # noqa: PTH122
            yield from self._playlist(name)
        else:
            yield from self._once(Input(name))

    def _once(self, found: Input) -> Iterator[Input]:
        key = os.path.abspath(found.path)  # noqa: PTH100
        if key not in self._given:
            self._given.add(key)
            yield found

    def _folder(self, name: str) -> Iterator[Input]:
        from earmark.audio import find_audio

        refused: list[OSError] = []
        for path in find_audio(name, on_error=refused.append):
            yield from self._once(Input(str(path)))
        for error in refused:
            folder = os.fsdecode(error.filename) if error.filename else name
            yield Input(folder, "unreadable", f"{printable(folder)}: this folder cannot be read ({error.strerror}).")

    def _playlist(self, name: str) -> Iterator[Input]:
        key = os.path.realpath(name)
        if key in self._playlists:
            return
        self._playlists.add(key)
        try:
            entries = read_playlist(name)
        except InputError as error:
            yield Input(name, "unreadable", str(error))
            return
        for entry in entries:
            if entry.lower().startswith(_NETWORK):
                yield Input(
                    entry, "missing", f"{printable(entry)}: this is an address, not a file; save the sound first."
                )
            else:
                yield from self.expand(entry)


def read_playlist(path: str | os.PathLike[str]) -> list[str]:
    """The files that an M3U or M3U8 playlist names, relative ones seen from the playlist's folder.

    Raises
    ------
    InputError
        If it cannot be read or is no text.

    Notes
    -----
    Players on Windows write ``\\`` and their code page into ``.m3u``. A line is taken as it stands; only if there
    is no such file, other readings are tried.
    """
    place = Path(path)
    try:
        if not place.is_file():
            reason = "is no file" if place.exists() else "does not exist"
            raise InputError(f"The playlist {printable(place)} {reason}.")
        with place.open("rb") as file:
            data = file.read(_LARGEST_LIST + 1)
    except OSError as error:
        raise InputError(f"The playlist {printable(place)} cannot be read ({error.strerror or error}).") from error
    if b"\x00" in data or len(data) > _LARGEST_LIST:
        raise InputError(f"{printable(place)} is no playlist: it is not text.")
    return [
        _resolve(line, os.path.dirname(path))  # noqa: PTH120
        for raw in data.removeprefix(b"\xef\xbb\xbf").splitlines()
        if (line := raw.strip()) and not line.startswith(b"#")
    ]


def _resolve(line: bytes, folder: str) -> str:
    if line[:7].lower() == b"file://":
        parts = urllib.parse.urlsplit(os.fsdecode(line))
        return os.fsdecode(urllib.parse.unquote_to_bytes(parts.path))
    plain = os.fsdecode(line)
    if plain.lower().startswith(_NETWORK):
        return plain
    readings: list[Callable[[], str]] = [
        lambda: plain,
        lambda: plain.replace("\\", "/"),
        lambda: line.decode("cp1252").replace("\\", "/"),
    ]
    for reading in readings:
        try:
            candidate = os.path.join(folder, reading())  # noqa: PTH118
        except UnicodeDecodeError:
            continue
        if os.path.lexists(candidate):
            return candidate
    return os.path.join(folder, plain)  # noqa: PTH118


def _names(data: bytes, nul: bool) -> list[str]:
    lines = data.split(b"\x00") if nul else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [os.fsdecode(line) for line in lines if line]
