"""A library as one object: scan it, look things up, find similar tracks, make playlists."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.library.ledger import Ledger
from earmark.library.listing import Page, Wanted
from earmark.library.track import Track
from earmark.progress import Progress, silent

if TYPE_CHECKING:
    from earmark.library.scan import ScanReport
    from earmark.library.seeds import Hear
    from earmark.library.similar import Match
    from earmark.library.stats import Stats

PER_ARTIST = 3
"""How many tracks of one artist a list holds at most, unless asked otherwise."""


class Library:
    """A music library and its catalogue. Use it as a context manager, or call :meth:`close`.

    Parameters
    ----------
    path
        The catalogue, an SQLite file; None: ``EARMARK_CATALOGUE``, or the one in the platform's data folder.
    create
        Whether to make the catalogue if there is none.

    Raises
    ------
    InputError
        If there is no catalogue, or the place cannot be used.
    StoreError
        If the catalogue is damaged, locked, or from a newer version; it is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, create: bool = True) -> None:
        self._catalogue = Ledger(None if path is None else Path(path), create=create)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalogue."""
        self._catalogue.close()

    @property
    def path(self) -> Path:
        """The catalogue's file."""
        return self._catalogue.path

    @property
    def state(self) -> tuple[int, int]:
        """Identity of the catalogue, and a number that grows with every change."""
        return self._catalogue.state

    def roots(self) -> list[str]:
        """Folders that were scanned."""
        return self._catalogue.roots()

    def scan(
        self,
        *folders: str | os.PathLike[str],
        windows: int = 3,
        full: bool = False,
        bundle: str | os.PathLike[str] | None = None,
        jobs: int | None = None,
        time_limit: float | None = None,
        retry: bool = False,
        accept_removed: bool = False,
        progress: Progress = silent,
    ) -> ScanReport:
        """Bring the catalogue up to date with folders; see :func:`earmark.library.scan.scan`.

        Parameters
        ----------
        folders
            What to look through; none: those of earlier scans.
        windows, full
            How many windows of each track to hear, or all of it.
        bundle
            Path of the bundle; None: the one in the package.
        jobs
            Worker processes; None: one per processor.
        time_limit
            Seconds that one file may take; None: a minute, and a second per megabyte.
        """
        from earmark.bundle import load_bundle
        from earmark.library.pool import Pool, default_jobs
        from earmark.library.scan import scan
        from earmark.predict import packaged_bundle

        place = Path(bundle) if bundle is not None else packaged_bundle()
        with Pool(place, jobs=jobs or default_jobs(), time_limit=time_limit) as pool:
            return scan(
                self._catalogue,
                list(folders) or self.roots(),
                pool,
                load_bundle(place),
                windows=0 if full else windows,
                retry=retry,
                accept_removed=accept_removed,
                progress=progress,
            )

    def track(self, track: int | str | os.PathLike[str]) -> Track | None:
        """What is known of one file, by its path or by :attr:`Track.id`; None if the catalogue does not know it."""
        if isinstance(track, int):
            return next(iter(self._catalogue.by_id([track])), None)
        return self._catalogue.track(track)

    def tracks(
        self,
        *,
        search: str | None = None,
        label: str | Sequence[str] | None = None,
        unsure: bool | None = None,
        corrected: bool | None = None,
        min_confidence: float | None = None,
        under: str | os.PathLike[str] | None = None,
        removed: bool = False,
        sort: str = "path",
        descending: bool = False,
    ) -> Iterator[Track]:
        """Tracks that were heard.

        Parameters
        ----------
        search
            Words that must all occur in artist, title, album or path; case and accents do not count.
        label
            Only those with this genre, or one of these: what a person said, else what was heard.
        unsure
            Only those that are, or are not, unsure; a track that a person named is not.
        corrected
            Only those that a person did, or did not, name.
        min_confidence
            Only those with at least this confidence, from 0 to 1; a track that a person named has 1.
        under
            Only those below this folder.
        removed
            Also those whose files are gone.
        sort, descending
            ``path``, ``artist`` (then album and title), ``title``, ``label``, ``confidence``, ``year``, ``seconds``
            or ``added`` (when it was heard); from low to high, or from high to low.

        Raises
        ------
        InputError
            If an argument makes no sense.
        """
        wanted = _wanted(search, label, unsure, corrected, min_confidence, under, removed)
        return self._catalogue.tracks(wanted, sort=sort, descending=descending)

    def page(
        self,
        *,
        search: str | None = None,
        label: str | Sequence[str] | None = None,
        unsure: bool | None = None,
        corrected: bool | None = None,
        min_confidence: float | None = None,
        under: str | os.PathLike[str] | None = None,
        removed: bool = False,
        sort: str = "path",
        descending: bool = False,
        limit: int = 50,
        offset: int = 0,
    ) -> Page:
        """A part of :meth:`tracks`, and how many there are in all.

        Parameters
        ----------
        limit, offset
            How many tracks at most, and how many to pass over; the other parameters are those of :meth:`tracks`.

        Raises
        ------
        InputError
            If an argument makes no sense.
        """
        wanted = _wanted(search, label, unsure, corrected, min_confidence, under, removed)
        return self._catalogue.page(wanted, sort=sort, descending=descending, limit=limit, offset=offset)

    def correct(self, track: Track | int | str | os.PathLike[str], label: str | None) -> Track:
        """Say what genre a track is, or take that back.

        The correction belongs to the sound: it holds for every file with the same sound, and is kept when the file is
        moved, tagged or scanned again, with this bundle or another.

        Parameters
        ----------
        track
            From the catalogue, or its number or path.
        label
            Any genre, the bundle's or another; one that differs from a known one only by case is taken for that.
            None takes back what was said.

        Returns
        -------
        Track
            As it is now known.

        Raises
        ------
        InputError
            If the catalogue does not know the track, it was never heard, or the label is no single line of text.
        """
        from earmark.library.corrections import correct

        return correct(self._catalogue, track.id if isinstance(track, Track) else track, label)

    def corrections(self) -> Iterator[Track]:
        """Tracks that a person named and whose files are there, by path, one of each sound.

        :func:`earmark.library.manifest.training_manifest` makes a training manifest of them.
        """
        return self._catalogue.corrections()

    def by_id(self, *numbers: int) -> list[Track]:
        """Tracks by their numbers in the catalogue, in that order; those that it does not know are left out."""
        return self._catalogue.by_id(numbers)

    def errors(self) -> Iterator[Track]:
        """Files that could not be heard, with ``problem`` and ``reason``."""
        return self._catalogue.failures()

    def flawed(self) -> Iterator[Track]:
        """Tracks that were heard though something is wrong with their files; ``warnings`` says what."""
        return (track for track in self.tracks() if track.warnings)

    def stats(self) -> Stats:
        """The library in numbers."""
        from earmark.library.stats import stats

        return stats(self._catalogue)

    def similar(
        self,
        *seeds: str | os.PathLike[str],
        minus: Sequence[str | os.PathLike[str]] = (),
        n: int = 20,
        per_artist: int = PER_ARTIST,
        bundle: str | os.PathLike[str] | None = None,
        hear: Hear | None = None,
        progress: Progress = silent,
    ) -> list[Match]:
        """Tracks that sound like one or several others, best first.

        Parameters
        ----------
        seeds
            Files, or folders of them; a file that the catalogue does not know is heard.
        minus
            Files or folders that it should not sound like; they are not in the list either.
        n
            How many tracks.
        per_artist
            How many of one artist at most; 0: any number.
        bundle
            What to hear unknown files with; None: the bundle in the package.
        hear
            Hears unknown files instead, for programs that have workers already.

        Raises
        ------
        InputError
            If a seed is neither known nor a file, or nothing was scanned yet.
        AudioError
            If an unknown file cannot be heard.
        """
        from earmark.library.lists import Search

        return Search(self._catalogue, n, per_artist, bundle, hear, progress).similar(seeds, minus)

    def playlist(
        self,
        *seeds: str | os.PathLike[str],
        minus: Sequence[str | os.PathLike[str]] = (),
        to: str | os.PathLike[str] | None = None,
        mood: str | Mapping[str, float] | None = None,
        n: int = 25,
        per_artist: int = PER_ARTIST,
        bundle: str | os.PathLike[str] | None = None,
        hear: Hear | None = None,
        progress: Progress = silent,
    ) -> list[Match]:
        """Tracks to play one after the other.

        Parameters
        ----------
        seeds
            What it should sound like. The seeds themselves are not in the list, except with `to`.
        minus
            What it should not sound like, as for :meth:`similar`.
        to
            Go from the seed (exactly one) to this song; both are in the list.
        mood
            A mixture of genres, ``"jazz:0.7,blues:0.3"`` or a mapping, instead of seeds.
        n, per_artist, bundle, hear
            As for :meth:`similar`; with `to`, `n` counts both ends.

        Raises
        ------
        InputError
            If the arguments do not go together, or lead to nothing.
        AudioError
            If an unknown file cannot be heard.
        """
        from earmark.library.lists import Search

        return Search(self._catalogue, n, per_artist, bundle, hear, progress).playlist(seeds, minus, to, mood)

    def map_page(self, *, title: str = "Music library", progress: Progress = silent) -> str:
        """The library as one interactive HTML page: tracks that sound alike lie close together.

        Raises
        ------
        InputError
            If nothing was scanned yet.
        """
        from earmark.library.map_page import map_page

        # Not all tracks at once: the page needs little of each.
        return map_page(self._map_points(progress), title=title)

    def map_points(self, *, progress: Progress = silent) -> list[tuple[Track, tuple[float, float]]]:
        """What :meth:`map_page` draws: tracks and their places (x, y) in the unit square, by path.

        Raises
        ------
        InputError
            If nothing was scanned yet.
        """
        return list(self._map_points(progress))

    def _map_points(self, progress: Progress) -> Iterator[tuple[Track, tuple[float, float]]]:
        from earmark.library.index import open_index
        from earmark.library.layout import layout

        index = open_index(self._catalogue, progress=progress)
        places = layout(index.vectors, progress=progress)
        rows = {number: row for row, number in enumerate(index.numbers.tolist())}
        del index
        for track in self._catalogue.tracks():
            if track.id in rows:
                x, y = places[rows[track.id]].tolist()
                yield track, (x, y)


def _wanted(
    search: str | None,
    label: str | Sequence[str] | None,
    unsure: bool | None,
    corrected: bool | None,
    min_confidence: float | None,
    under: str | os.PathLike[str] | None,
    removed: bool,
) -> Wanted:
    return Wanted(
        search=search,
        label=label,
        unsure=unsure,
        corrected=corrected,
        min_confidence=min_confidence,
        under=None if under is None else os.path.realpath(under),
        removed=removed,
    )
