"""``earmark scan``, ``errors``, ``stats``: a library's catalogue, filled and summed up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.classify import (
    BundleOption,
    FullOption,
    JobsOption,
    LimitOption,
    WindowsOption,
)
from earmark.cli.console import SOME_FAILED, console, progress_bar, tell
from earmark.errors import InputError
from earmark.library.worker import DEFAULT_WINDOWS

if TYPE_CHECKING:
    from earmark.library.scan import ScanReport
    from earmark.library.stats import Stats
    from earmark.library.track import Track

CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        help="The catalogue. Default: EARMARK_CATALOGUE, or the one in the platform's data folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
_MOST_FAILURES = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("scan")(scan)
    app.command("errors")(errors)
    app.command("stats")(stats)


def scan(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Folders with music. Default: those scanned before.", show_default=False),
    ] = None,
    catalogue: CatalogueOption = None,
    windows: WindowsOption = None,
    full: FullOption = False,
    bundle: BundleOption = None,
    jobs: JobsOption = None,
    time_limit: LimitOption = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try files again that could not be heard before, though unchanged.")
    ] = False,
    accept_removed: Annotated[
        bool, typer.Option("--accept-removed", help="Believe a folder in which no sound is left.")
    ] = False,
) -> None:
    """Hear a whole library and keep the results in a catalogue.

    It can be stopped at any time, even by a kill or a power cut; run again, it goes on where it was. Later it only
    hears what is new or changed, and recognises files that were moved, renamed or tagged anew.
    """
    from earmark.library.library import Library

    with Library(catalogue, create=True) as library:
        places = [str(folder) for folder in folders or []] or library.roots()
        if not places:
            raise InputError("Name the folders to scan: this catalogue knows none yet.")
        with progress_bar() as progress:
            report = library.scan(
                *places,
                windows=windows or DEFAULT_WINDOWS,
                full=full,
                bundle=bundle,
                jobs=jobs,
                time_limit=time_limit,
                retry=retry,
                accept_removed=accept_removed,
                progress=progress,
            )
        where = library.path
    _say_report(report, where)
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def errors(
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
    null: Annotated[
        bool,
        typer.Option(
            "--null",
            "-0",
            help="Write only the paths of what could not be heard, each with a NUL behind, as for xargs -0.",
        ),
    ] = False,
) -> None:
    """List every file of the library that could not be heard, or only in part, with the reason."""
    import os

    from earmark.library.library import Library

    with Library(catalogue, create=False) as library:
        failures, flawed = list(library.errors()), [] if null else list(library.flawed())
    rows = [(f.path, f.problem or "", f.reason or "", False) for f in failures]
    rows += [(f.path, code, _what_is_wrong(f, code), True) for f in flawed for code in f.warnings]
    if as_json:
        keys = ("path", "problem", "reason", "heard")
        typer.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
    elif null:
        sys.stdout.buffer.writelines(os.fsencode(failure.path) + b"\0" for failure in failures)
    else:
        width = max((len(problem) for _, problem, _, _ in rows), default=0)
        for _, problem, reason, _ in rows:
            tell(f"{problem:<{width}}  {reason}", indent=width + 2)
        count = len(failures)
        said = f"{count} {'file' if count == 1 else 'files'} could not be heard"
        if flawed:
            said += f"; {len(flawed)} {'was' if len(flawed) == 1 else 'were'} heard though something is wrong"
        typer.echo(f"{said}.", err=True)


def _what_is_wrong(track: Track, code: str) -> str:
    from earmark.audio import explain
    from earmark.names import printable

    return f"{printable(track.path)} was heard, but: {explain(code)}"


def stats(catalogue: CatalogueOption = None, as_json: JsonOption = False) -> None:
    """Sum up the library: genres, decades, hours, what is unsure and what failed."""
    from earmark.library.library import Library

    with Library(catalogue, create=False) as library:
        summed, where = library.stats(), library.path
    if as_json:
        typer.echo(json.dumps(summed.to_dict(), indent=2))
    else:
        _show_stats(summed, where)


def _say_report(report: ScanReport, where: Path) -> None:
    for _, _, reason in report.failures[:_MOST_FAILURES]:
        tell(f"failed: {reason}", err=True)
    if len(report.failures) > _MOST_FAILURES:
        typer.echo(
            f"... and {len(report.failures) - _MOST_FAILURES} more; all are listed by: earmark errors", err=True
        )
    parts = [
        (report.new, "new"),
        (report.changed, "changed"),
        (report.again, "heard again"),
        (report.failed, "failed"),
        (report.moved, "moved"),
        (report.copied, "copy of a known one" if report.copied == 1 else "copies of known ones"),
        (report.retagged, "with new tags only"),
        (report.returned, "back again"),
        (report.removed, "gone"),
        (report.unchanged, "unchanged"),
    ]
    said = ", ".join(f"{count} {words}" for count, words in parts if count) or "nothing to do"
    files = "1 file" if report.found == 1 else f"{report.found} files"
    rate = f" ({report.heard / report.seconds:.1f} tracks/s)" if report.heard > 1 and report.seconds else ""
    typer.echo(f"{files}: {said}, in {_duration(report.seconds)}{rate}.")
    if report.flawed:
        some = f"{report.flawed} {'was' if report.flawed == 1 else 'were'}"
        typer.echo(f"{some} heard though something is wrong with the file (see: earmark errors).")
    typer.echo(f"Catalogue: {where}")


def _show_stats(summed: Stats, where: Path) -> None:
    from rich.text import Text

    from earmark.library.text import bars, can_print_blocks, hours
    from earmark.names import printable

    out = console()
    solid, width = can_print_blocks(), min(out.width, 100) - 2

    def title(words: str) -> None:
        out.print(Text(words, style="bold"))

    out.print(Text(f"Catalogue  {printable(where)}"), soft_wrap=True)
    for root in summed.roots:
        out.print(Text(f"Folder     {printable(root)}"), soft_wrap=True)
    share = f" ({summed.unsure / summed.tracks:.0%})" if summed.tracks else ""
    out.print(Text(f"Tracks     {summed.tracks:,}, {hours(summed.hours)}; {summed.unsure:,} unsure{share}"))
    if summed.doubts:
        out.print(Text(f"Unsure     {', '.join(f'{count:,} {why}' for why, count in summed.doubts.items())}"))
    if summed.corrected:
        out.print(Text(f"Corrected  {summed.corrected:,} by hand (see: earmark corrections)"))
    if summed.bundle is not None:
        older = f"; {summed.outdated:,} tracks were heard by an older one" if summed.outdated else ""
        out.print(Text(f"Bundle     {summed.bundle}{older}"))
    out.print(Text(f"Tags       {summed.tagged_genre:,} tracks name a genre, {summed.tagged_year:,} a year"))
    if summed.tempo is not None:
        t = summed.tempo
        out.print(Text(f"Tempo      {t.median:.0f} BPM in the middle, most from {t.low:.0f} to {t.high:.0f}"))
    if summed.loudness is not None:
        t = summed.loudness
        out.print(Text(f"Loudness   {t.median:.1f} LUFS in the middle, most from {t.low:.1f} to {t.high:.1f}"))
    if summed.keys:
        most = ", ".join(f"{key} {count:,}" for key, count in summed.keys[:4])
        out.print(Text(f"Keys       {most}" + (" ..." if len(summed.keys) > 4 else "")))
    if summed.removed:
        out.print(Text(f"Gone       {summed.removed:,}"))
    if summed.genres:
        title("\nGenres")
        rows = [
            (g.label, g.tracks, f"{g.tracks:,}, {hours(g.hours)}" + (f", {g.unsure:,} unsure" if g.unsure else ""))
            for g in summed.genres
        ]
        out.print(bars(rows, width=width, solid=solid), end="")
    if summed.decades:
        title("\nDecades, where the tags name a year")
        rows = [(f"{decade}s", count, f"{count:,}") for decade, count in _without_gaps(summed.decades)]
        out.print(bars(rows, width=width, solid=solid), end="")
    if summed.failed:
        title("\nCould not be heard (see: earmark errors)")
        rows = [(problem, count, f"{count:,}") for problem, count in summed.failed.items()]
        out.print(bars(rows, width=width, solid=solid), end="")


def _without_gaps(decades: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Every decade from the first to the last, so that distance in the plot is distance in time."""
    known = dict(decades)
    return [(decade, known.get(decade, 0)) for decade in range(decades[0][0], decades[-1][0] + 10, 10)]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
