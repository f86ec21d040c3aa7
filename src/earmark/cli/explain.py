"""``earmark explain`` and ``earmark record``: where a figure comes from, and the table of figures that hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.console import console, progress_bar
from earmark.names import printable

if TYPE_CHECKING:
    from earmark.anatomy_seeds import Repeated


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("explain")(explain)
    app.command("record")(record)


def record(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Folders of finished cross-validations.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The Markdown file to write; JSON goes beside it.")
    ] = Path("docs/table-of-record.md"),
    readme: Annotated[
        Path | None,
        typer.Option(help="Also fill the block between <!-- record --> and <!-- /record -->.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="JSON of a table made before: its other rows stay.", show_default=False),
    ] = None,
) -> None:
    """Write the table of record: each model under each protocol, with intervals, from saved runs."""
    from earmark.record import make_record, markdown, read_record, update_readme, write_record
    from earmark.runs import load_run

    found = make_record([load_run(run) for run in runs], None if keep is None else read_record(keep))
    written = write_record(found, output)
    if readme is not None:
        update_readme(found, readme)
    typer.echo(markdown(found))
    typer.echo(printable(written))


def explain(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="gtzan (in the package), a folder, a manifest or an archive.")
    ] = "gtzan",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for runs, numbers and page.")] = Path(
        "runs/explain"
    ),
    before: Annotated[
        float | None,
        typer.Option(help="Claimed accuracy of one split.  [default: the report's 0.55]", show_default=False),
    ] = None,
    after: Annotated[
        float | None,
        typer.Option(help="Claimed accuracy of cross-validation.  [default: the report's 0.71]", show_default=False),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs in each fold.", min=1)] = 15,
    folds: Annotated[int, typer.Option(help="Number of folds.", min=3)] = 10,
    seeds: Annotated[
        str, typer.Option(help="Each deals folds and split anew, draws first weights, shuffles labels.")
    ] = "0,1,2",
    markdown: Annotated[
        Path | None, typer.Option(help="Also write sentences and table to this file.", show_default=False)
    ] = None,
    kind: Annotated[str, typer.Option(help="How sound becomes a picture: mel, or stft as in the report.")] = "mel",
    backbone: Annotated[
        Path | None, typer.Option(help="Folder of MobileNetV2's weights; else EARMARK_BACKBONE, else the hub.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where computed features are kept.", show_default=False)] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Folds side by side; all processors by default.", show_default=False)
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps.", show_default=False)] = None,
) -> None:
    """Find out which procedure explains a step in accuracy: the report's 0.55 to 0.71, or any other."""
    from earmark import anatomy
    from earmark.anatomy_seeds import explain_seeds
    from earmark.cli.learn import whole_numbers
    from earmark.files import atomic_write
    from earmark.prepare import prepare
    from earmark.report.anatomy_page import write_anatomy
    from earmark.report.anatomy_seeds_view import markdown_over
    from earmark.training import pick_device

    given = before is not None or after is not None
    standard = anatomy.Claim()
    claim = anatomy.Claim(
        standard.before if before is None else before, standard.after if after is None else after, not given
    )
    chosen, numbers = pick_device(device), whole_numbers(seeds)
    with progress_bar() as progress:
        data, failures = prepare(
            dataset, kind=kind, backbone=backbone, cache=cache, jobs=jobs, device=chosen, progress=progress
        )
        found = explain_seeds(
            data, output, numbers, epochs=epochs, folds=folds, claim=claim, jobs=jobs, device=chosen,
            command=sys.argv, progress=progress,
        )  # fmt: skip
        page = write_anatomy(found, output / "explanation.html")
    _show(found)
    if markdown is not None:
        with atomic_write(markdown, "w") as file:
            file.write(markdown_over(found))
    typer.echo(f"Page: {printable(page)}")
    for failure in failures:
        sys.stderr.write(f"left out {failure.clip}: {failure.message}\n")
    if failures:
        raise typer.Exit(1)


def _show(found: Repeated) -> None:
    from rich.table import Table
    from rich.text import Text

    from earmark.report.anatomy_page import sentences
    from earmark.report.anatomy_seeds_view import sentences_over
    from earmark.report.words import pct, points

    out = console()
    claim, several = found.first.claim, len(found.seeds) > 1
    table = Table(
        title=f"Claimed: {pct(claim.before, 0)} to {pct(claim.after, 0)}, {points(claim.step, 0)} points"
        + (f"; means over {len(found.seeds)} seeds" if several else ""),
        title_justify="left",
        box=None,
    )
    table.add_column("procedure")
    for name in ("one split", "cross-val.", "step", "step agrees", "all agrees", "labels shuffled"):
        table.add_column(name, justify="right")
    network = ""
    for item in found.findings:
        if item.network != network:
            network = item.network
            table.add_section()
            table.add_row(Text(network, style="bold"))
        table.add_row(
            f"  {item.name}", pct(item.before.mean), pct(item.after.mean), points(item.step.mean),
            f"{item.step_fits} of {item.seeds}", f"{item.fits} of {item.seeds}", pct(item.shuffled.mean),
        )  # fmt: skip
    out.print(table)
    for sentence in sentences_over(found) if several else sentences(found.first):
        out.print(Text(sentence))
