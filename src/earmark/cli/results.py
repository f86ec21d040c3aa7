"""``earmark report`` and ``earmark compare``: pages and tables of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.errors import InputError
from earmark.names import printable

if TYPE_CHECKING:
    from earmark.compare import Comparison


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("report")(report)
    app.command("compare")(compare)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The page to write. Default: report.html in the run's folder.", show_default=False
        ),
    ] = None,
) -> None:
    """Write the page of a run: one HTML file that is complete in itself."""
    from earmark.report import write_report
    from earmark.runs import load_run

    typer.echo(printable(write_report(load_run(run), output)))


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Folders of runs; the others are held against the first."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write a page (.html) or the numbers (.json).", show_default=False),
    ] = None,
    allow_different: Annotated[
        bool,
        typer.Option(
            "--allow-different",
            help="Compare runs made on other clips or folds too, on what they have in common.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 0,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap.", min=100, max=1_000_000)] = 2000,
) -> None:
    """Compare runs on the same clips: differences with intervals, genre by genre, and who wins which clips."""
    if output is not None and output.suffix.lower() not in (".html", ".htm", ".json"):
        raise InputError(f"{output} is neither a page nor numbers. Let it end in .html or .json.")
    from earmark.compare import compare as compare_runs
    from earmark.runs import load_run

    found = compare_runs(
        [load_run(run) for run in runs], allow_different=allow_different, seed=seed, resamples=resamples
    )
    _show(found)
    if output is None:
        return
    if output.suffix.lower() == ".json":
        from earmark.files import write_json

        write_json(output, found.to_dict())
    else:
        from earmark.report import write_comparison

        write_comparison(found, output)
    typer.echo(printable(output))


def _show(found: Comparison) -> None:
    """The comparison as tables on the terminal."""
    from rich.table import Table
    from rich.text import Text

    from earmark.cli.console import console
    from earmark.report.compare_page import verdict
    from earmark.report.words import decimals, p_value, pct, points

    out = console()
    if not out.is_terminal:
        # Into a file or a pipe nothing is cut off.
        out.width = 240
    for reason in found.reasons:
        out.print(Text(f"Not like with like: {reason}", style="yellow"))
    table = Table(title=f"{len(found.clips)} clips in common, {found.groups} groups", title_justify="left", box=None)
    table.add_column("run", overflow="fold", min_width=min(24, max(len(entry.name) for entry in found.entries)))
    for name in ("accuracy (95%)", "F1", "difference (95%)", "won : lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, entry in enumerate(found.entries):
        ends = f" ({pct(entry.accuracy.low)} to {pct(entry.accuracy.high)})" if entry.accuracy.known else ""
        row: list[str | Text] = [
            Text(entry.name),
            f"{pct(entry.accuracy.value)}%{ends}",
            decimals(entry.macro_f1.value, 3),
        ]
        if place:
            pair = found.pair(0, place)
            gap = pair.differences.accuracy
            ends = f" ({points(gap.low)} to {points(gap.high)})" if gap.known else ""
            row += [f"{points(gap.value)}{ends}", f"{pair.test.second} : {pair.test.first}"]
        table.add_row(*row)
    out.print(table)
    genres = Table(title="F1 by genre (and difference in hundredths)", title_justify="left", box=None)
    genres.add_column("genre")
    for entry in found.entries:
        genres.add_column(Text(entry.name), justify="right")
    for j, label in enumerate(found.labels):
        cells = [decimals(found.entries[0].f1[j].value)]
        for place in range(1, len(found.entries)):
            gap = found.pair(0, place).differences.f1[j]
            sure = "*" if gap.known and (gap.low > 0 or gap.high < 0) else " "
            cells.append(f"{decimals(found.entries[place].f1[j].value)} ({points(gap.value)}){sure}")
        genres.add_row(Text(label), *cells)
    out.print()
    out.print(genres)
    out.print()
    for place in range(1, len(found.entries)):
        pair = found.pair(0, place)
        p = p_value(pair.test.mid_p)
        p = p if p.startswith("<") else f"= {p}"
        holm = f", {p_value(pair.adjusted)} adjusted for {len(found.pairs)} pairs" if len(found.pairs) > 1 else ""
        out.print(Text(f"{verdict(found, pair)} McNemar over clips: p {p}{holm}."))
