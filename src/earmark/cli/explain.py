"""``earmark explain`` and ``earmark record``: where a figure comes from, and the table of figures that hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.console import console, progress_bar
from earmark.names import printable

if TYPE_CHECKING:
    from earmark.anatomy import Anatomy


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("explain")(explain)
    app.command("record")(record)


def record(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of finished cross-validations.", show_default=False)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The Markdown file to write; JSON goes beside it.")
    ] = Path("docs/table-of-record.md"),
    readme: Annotated[
        Path | None,
        typer.Option(help="Also fill the block between <!-- record --> and <!-- /record -->.", show_default=False),
    ] = None,
) -> None:
    """Write the table of record: each model under each protocol, with intervals, from saved runs."""
    from earmark.record import make_record, markdown, update_readme, write_record
    from earmark.runs import load_run

    found = make_record([load_run(run) for run in runs])
    written = write_record(found, output)
    if readme is not None:
        update_readme(found, readme)
    typer.echo(markdown(found))
    typer.echo(printable(written))
