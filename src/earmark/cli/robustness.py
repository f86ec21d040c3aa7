"""``earmark robustness``: what MP3, noise, filters and speed do to a model's answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.classify import JobsOption
from earmark.cli.console import SOME_FAILED, console, progress_bar
from earmark.errors import InputError
from earmark.names import printable
from earmark.processors import usable_processors

if TYPE_CHECKING:
    from earmark.robustness.measure import Robustness


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("robustness")(robustness)


def robustness(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="A folder with a folder of sound per genre, or a CSV manifest.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the numbers (JSON), the table (Markdown) and the page.")
    ] = Path("runs/robustness"),
    bundle: Annotated[
        Path | None, typer.Option(help="The model. Default: the one in the package.", show_default=False)
    ] = None,
    folds: Annotated[
        Path | None,
        typer.Option(
            help="Instead of one model: a folder with a bundle per fold, so that each clip is heard by a model that "
            "never heard it (scripts/make_fold_bundles.py).",
            show_default=False,
        ),
    ] = None,
    stored: Annotated[
        Path | None,
        typer.Option(help="An archive of the clips' spectrograms (.npz) to classify too.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            help="Also put the table between <!-- measured: robustness --> and <!-- /measured: robustness --> of "
            "this Markdown file.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the noise.", min=0)] = 0,
    jobs: JobsOption = None,
) -> None:
    """Hear clips as they are, then louder, encoded, filtered, noisy, faster: what each change costs."""
    if bundle is not None and folds is not None:
        raise InputError("Give --bundle or --folds, not both.")
    from earmark.dataset import load_dataset
    from earmark.files import write_json
    from earmark.report.robustness_page import write_robustness
    from earmark.robustness.ears import fold_bundles, one_bundle
    from earmark.robustness.measure import measure
    from earmark.robustness.text import fill, markdown, write_markdown

    ears = fold_bundles(folds) if folds is not None else one_bundle(bundle)
    with progress_bar() as progress:
        found = measure(
            load_dataset(dataset), ears, stored=stored, seed=seed, jobs=jobs or usable_processors(), progress=progress
        )
    write_json(output / "robustness.json", found.to_dict())
    write_markdown(found, output / "robustness.md")
    if into is not None:
        fill(into, "robustness", markdown(found))
    page = write_robustness(found, output / "robustness.html")
    _show(found)
    typer.echo(f"Page: {printable(page)}")
    for clip, sentence in found.failures:
        sys.stderr.write(f"left out {clip}: {sentence}\n")
    if found.failures:
        raise typer.Exit(SOME_FAILED)


def _show(found: Robustness) -> None:
    from rich.table import Table
    from rich.text import Text

    from earmark.report.robustness_page import summary
    from earmark.report.words import pct, points

    out = console()
    if not out.is_terminal:
        out.width = 240
    if found.trained_on:
        out.print(Text("The model has learnt from these clips: the figures flatter it. See --folds.", style="yellow"))
    table = Table(title=f"{found.dataset}, heard by {found.model}", title_justify="left", box=None)
    table.add_column("version")
    for name in ("accuracy", "difference (95%)", "other answer", "right genre's prob.", "answered"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, row in enumerate(found.rows):
        gap = row.difference
        ends = f" ({points(gap.low)} to {points(gap.high)})" if gap.known else ""
        cells = [f"{pct(row.accuracy.value)}%"]
        cells += (
            [f"{points(gap.value)}{ends}", f"{pct(row.changed.value)}%", points(row.probability.value)]
            if place
            else ["", "", ""]
        )
        table.add_row(row.name, *cells, f"{pct(row.answered)}%")
    out.print(table)
    out.print(Text(summary(found)))
