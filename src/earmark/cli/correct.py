"""``earmark correct`` and ``corrections``: say what a track is where it was heard wrongly, and train on that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.console import SOME_FAILED
from earmark.cli.scan import CatalogueOption, JsonOption
from earmark.errors import InputError
from earmark.names import printable

if TYPE_CHECKING:
    from earmark.library.track import Track


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("correct")(correct)
    app.command("corrections")(corrections)


def correct(
    track: Annotated[
        str, typer.Argument(metavar="TRACK", help="A file that was scanned, or its number.", show_default=False)
    ],
    label: Annotated[
        str | None, typer.Argument(metavar="LABEL", help="What it is: any genre.", show_default=False)
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take back what was said.")] = False,
    catalogue: CatalogueOption = None,
) -> None:
    """Say what genre a track is.

    It then counts as certain: in lists, statistics, playlists and tag plans, and in the manifest that `corrections`
    writes for training. It belongs to the sound, so it stays when the file is moved, tagged or scanned again.
    """
    if label is None and not clear:
        raise InputError("Name the genre, or take back what was said with --clear.")
    if label is not None and clear:
        raise InputError("A genre and --clear do not go together; give one of them.")
    from earmark.library.library import Library

    with Library(catalogue, create=False) as library:
        # A file of that name comes first: "99.mp3" is no number, but "99" may be either.
        wanted: int | str = int(track) if track.isdecimal() and library.track(track) is None else track
        found = library.correct(wanted, label)
    heard = f"{found.label} at {found.confidence:.0%}{', unsure' if found.unsure else ''}"
    if found.correction is None:
        typer.echo(f"{printable(found.name)}: {found.answer} (heard as {heard}).")
        return
    typer.echo(f"{printable(found.name)}: {found.correction} (heard as {heard}).")
    if found.correction not in (found.probabilities or {}):
        known = ", ".join(sorted(found.probabilities or {}))
        typer.echo(f"The model does not know {found.correction}; it knows {known}.", err=True)


def corrections(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a training manifest (.csv) for `earmark train`; '-' for standard output.",
            show_default=False,
        ),
    ] = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what people said of tracks, or write it as a manifest to train on."""
    from earmark.library.library import Library

    with Library(catalogue, create=False) as library:
        found = list(library.corrections())
    if output is not None:
        _write_manifest(output, found)
        return
    if as_json:
        typer.echo(json.dumps([track.to_dict() for track in found], indent=2))
        return
    width = max((len(track.correction or "") for track in found), default=0)
    for track in found:
        typer.echo(f"{track.correction:<{width}}  {printable(track.path)}  (heard as {track.label})")
    typer.echo(f"{len(found)} {'track was' if len(found) == 1 else 'tracks were'} corrected.", err=True)


def _write_manifest(output: Path, found: list[Track]) -> None:
    from earmark.files import atomic_write
    from earmark.library.manifest import training_manifest

    data, left_out = training_manifest(found)
    if len(found) == len(left_out):
        raise InputError("Nothing was corrected yet, so there is nothing to train on. See: earmark correct --help")
    if str(output) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        with atomic_write(output) as handle:
            handle.write(data)
        count = len(found) - len(left_out)
        typer.echo(f"{count} {'track' if count == 1 else 'tracks'} in {printable(output)}", err=True)
    for path in left_out:
        typer.echo(f"left out: {path}: a line of CSV cannot hold this name.", err=True)
    if left_out:
        raise typer.Exit(SOME_FAILED)
