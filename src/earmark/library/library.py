"""A library as one object: scan it, look things up, find similar tracks, make playlists."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from earmark.library.ledger import Ledger
from earmark.library.scan import ScanReport
from earmark.library.stats import Stats
from earmark.library.track import Track
from earmark.progress import Progress, silent


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

    def track(self, path: str | os.PathLike[str]) -> Track | None:
        """What is known of one file; None if the catalogue does not know it."""
        return self._catalogue.track(path)

    def tracks(
        self,
        *,
        label: str | None = None,
        unsure: bool | None = None,
        under: str | os.PathLike[str] | None = None,
    ) -> Iterator[Track]:
        """Tracks that were heard and are there, by path.

        Parameters
        ----------
        label
            Only those with this genre.
        unsure
            Only those that are, or are not, unsure.
        under
            Only those below this folder.
        """
        place = None if under is None else os.path.realpath(under)
        return self._catalogue.tracks(label=label, unsure=unsure, under=place)

    def errors(self) -> Iterator[Track]:
        """Files that could not be heard, with ``problem`` and ``reason``."""
        return self._catalogue.failures()

    def stats(self) -> Stats:
        """The library in numbers."""
        from earmark.library.stats import stats

        return stats(self._catalogue)
