"""``earmark fuse``: one model out of the saved runs of several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("fuse")(fuse)


def fuse(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN RUN...", help="Folders of runs on the same clips and folds, made with --calibrate."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the fused run.")] = Path("runs/fused"),
    equal: Annotated[
        bool, typer.Option("--equal", help="Fit no weights: all models count alike. Needs no inner predictions.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(help="Weights chosen beforehand, one per run, for example 1,0.4; none is fitted."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="What to call it.  [default: the models' names]", show_default=False)
    ] = "",
) -> None:
    """Fuse the runs of several models, weighing each by what it does inside the training side of each fold."""
    from earmark.cli.learn import show_run
    from earmark.errors import InputError
    from earmark.fusion import fuse as fuse_runs
    from earmark.report import write_report
    from earmark.runs import load_run

    try:
        given = None if weights is None else [float(weight) for weight in weights.split(",")]
    except ValueError as error:
        raise InputError(f"Weights are numbers with commas between them, not {weights!r}.") from error
    run = fuse_runs(
        [load_run(folder) for folder in runs], output, equal=equal, given=given, name=name, command=sys.argv
    )
    show_run(run, write_report(run))
    means = run.info["model"]["mean_weights"]
    if means and not equal and given is None:
        said = ", ".join(f"{name} {weight:.2f}" for name, weight in means.items())
        typer.echo(f"Weights, mean over folds: {said}")
