"""``earmark similar``, ``playlist``, ``map``: from one track to others."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.classify import BundleOption
from earmark.cli.console import console, progress_bar
from earmark.cli.scan import CatalogueOption, JsonOption
from earmark.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earmark.library.similar import Match

MinusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--minus", metavar="TRACK", help="Not like this song or folder; may be given several times.",
        show_default=False,
    ),
]  # fmt: skip
PerArtistOption = Annotated[int, typer.Option(help="How many tracks of one artist at most; 0: any number.", min=0)]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("similar")(similar)
    app.command("playlist")(playlist)
    app.command("map")(draw_map)


def similar(
    tracks: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACK",
            help="One or several songs, or folders of them; a file that was not scanned is heard.",
            show_default=False,
        ),
    ],
    minus: MinusOption = None,
    n: Annotated[int, typer.Option("-n", help="How many tracks to find.", min=1)] = 20,
    per_artist: PerArtistOption = 3,
    catalogue: CatalogueOption = None,
    bundle: BundleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the tracks of the library that sound like one or several others.

    The songs themselves are not among them, nor the same recording in another file.
    """
    from earmark.library.library import Library

    with Library(catalogue, create=False) as library, progress_bar() as progress:
        found = library.similar(
            *tracks, minus=minus or (), n=n, per_artist=per_artist, bundle=bundle, progress=progress
        )
    if as_json:
        typer.echo(json.dumps([match.to_dict() for match in found], indent=2))
    else:
        _show(found)


def playlist(
    songs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SONG", help="What it should sound like: songs or folders of them.", show_default=False
        ),
    ] = None,
    minus: MinusOption = None,
    to: Annotated[
        str | None,
        typer.Option(help="Go from the one song that was named to this one.", metavar="SONG", show_default=False),
    ] = None,
    mood: Annotated[
        str | None,
        typer.Option(help="A mixture of genres instead of songs, such as jazz:0.7,blues:0.3.", show_default=False),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many tracks.", min=1)] = 25,
    per_artist: PerArtistOption = 3,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write an M3U8 file here; default: standard output.", show_default=False),
    ] = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Write absolute paths, not such as seen from the playlist.")
    ] = False,
    catalogue: CatalogueOption = None,
    bundle: BundleOption = None,
) -> None:
    """Make a playlist: like some songs, on the way from one song to another, or by a mood."""
    from earmark.files import atomic_write
    from earmark.library.library import Library
    from earmark.library.playlist import write_m3u8

    with Library(catalogue, create=False) as library, progress_bar() as progress:
        found = library.playlist(
            *(songs or []), minus=minus or (), to=to, mood=mood, n=n, per_artist=per_artist, bundle=bundle,
            progress=progress,
        )  # fmt: skip
    if not found:
        raise InputError("No track of the library fits.")
    folder = None if absolute else (Path.cwd() if output is None else output.parent)
    data = write_m3u8([match.track for match in found], folder)
    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    with atomic_write(output) as handle:
        handle.write(data)
    _show(found)
    typer.echo(f"Written: {output}")


def draw_map(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the page.")] = Path(
        "earmark-map.html"
    ),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Music library",
    catalogue: CatalogueOption = None,
) -> None:
    """Draw the library as a page for the browser: tracks that sound alike lie close together."""
    from earmark.files import atomic_write
    from earmark.library.library import Library

    with Library(catalogue, create=False) as library, progress_bar() as progress:
        page = library.map_page(title=title, progress=progress)
    with atomic_write(output, "w") as handle:
        handle.write(page)
    typer.echo(f"Written: {output}")


def _show(found: Sequence[Match]) -> None:
    """One line per track; a pipe gets whole names, a terminal what fits."""
    from rich.cells import cell_len
    from rich.text import Text

    from earmark.library.text import can_print_blocks, end_of
    from earmark.names import printable

    if not found:
        typer.echo("No track of the library fits.", err=True)
        return
    out, solid = console(), can_print_blocks()
    width = max(len(match.track.answer) for match in found)
    for match in found:
        line = Text(f"{match.score:.2f}  ")
        line.append(f"{match.track.answer:<{width}}  ", "bold" if not match.track.settled.unsure else "yellow")
        name, path = Text(match.track.name), printable(_from_here(match.track.path, str(Path.cwd())))
        if out.is_terminal:
            # Half of what is left is the name's, unless the path needs less; of a path the end says most.
            room = max(20, out.width - line.cell_len - 2)
            name.truncate(max(room // 2, room - cell_len(path)), overflow="ellipsis" if solid else "crop")
            path = end_of(path, room - name.cell_len, solid=solid)
        out.print(line.append_text(name).append(f"  {path}", "dim"), soft_wrap=True)


def _from_here(path: str, here: str) -> str:
    """A path below the current folder without that folder, which leaves room for what tells tracks apart."""
    return path.removeprefix(here.rstrip("/\\") + os.sep)
