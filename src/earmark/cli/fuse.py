"""``earmark fuse``: one model out of the saved runs of several."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("fuse")(fuse)


def fuse(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Folders of runs on the same clips and folds, made with --calibrate."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the fused run.")] = Path("runs/fused"),
    weights: Annotated[
        str,
        typer.Option(
            help="inner: fitted inside each fold's training clips; other-folds, equal: for runs without those; "
            "or numbers chosen before, one per run: 1,0.4"
        ),
    ] = "inner",
    name: Annotated[
        str, typer.Option(help="What to call it.  [default: the models' names]", show_default=False)
    ] = "",
) -> None:
    """Fuse the runs of several models, weighing each by what it does inside the training side of each fold."""
    from earmark.cli.learn import show_run
    from earmark.fusion import fuse as fuse_runs
    from earmark.report import write_report
    from earmark.runs import load_run

    run = fuse_runs(
        [load_run(folder) for folder in runs],
        output,
        weights=_weights(weights),
        name=name,
        command=sys.argv,
    )
    show_run(run, write_report(run))
    means = run.info["model"]["mean_weights"]
    if means and run.info["model"]["fusion"] in ("inner", "other-folds"):
        said = ", ".join(f"{name} {weight:.2f}" for name, weight in means.items())
        typer.echo(f"Weights, mean over folds: {said}")


def _weights(text: str) -> Any:
    try:
        return [float(weight) for weight in text.split(",")]
    except ValueError:
        return text
