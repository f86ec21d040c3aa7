"""``earmark data``: look at a dataset, find what is wrong with it, and build an archive of its spectrograms."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.console import SOME_FAILED, console, progress_bar
from earmark.processors import usable_processors

if TYPE_CHECKING:
    from earmark.data_check import Finding, Report
    from earmark.dataset import Dataset

SHOWN = 10


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


class Kind(StrEnum):
    """Front ends to choose from."""

    MEL = "mel"
    STFT = "stft"


Source = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A folder with a folder of sound per genre, a CSV manifest (path,label), an .npz, or the word gtzan.",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", help="Worker processes. Default: one per processor.", min=1, show_default=False),
]
Cache = Annotated[
    Path | None,
    typer.Option(help="Where spectrograms are kept. Default: EARMARK_CACHE, else the user's cache folder."),
]
AsFormat = Annotated[Format, typer.Option("--format", help="table, to read; or json, with everything in it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    data = typer.Typer(
        help="Look at datasets, check them, build archives.", no_args_is_help=True, rich_markup_mode=None
    )
    data.command("check")(check)
    data.command("build")(build)
    data.command("show")(show)
    app.add_typer(data, name="data")


def check(
    dataset: Source,
    format: AsFormat = Format.TABLE,
    all: Annotated[bool, typer.Option("--all", help=f"List every finding, not only {SHOWN} of a kind.")] = False,
    jobs: Jobs = None,
    cache: Cache = None,
) -> None:
    """List what is wrong with a dataset, and what Earmark would do about it.

    Unreadable, damaged, silent, short and misnamed files; the same sound twice, under any name, encoding or label;
    genres out of balance; clips without artist. Exit code 1 if clips would be left out.
    """
    from earmark.audio import quiet_decoders
    from earmark.data_check import check_dataset

    with progress_bar() as progress, quiet_decoders():
        report = check_dataset(dataset, jobs=jobs or usable_processors(), cache=cache, progress=progress)
    if format is Format.JSON:
        typer.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print_report(report, every=all)
    if report.bad:
        raise typer.Exit(SOME_FAILED)


def build(
    dataset: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .npz to write.", show_default=False)],
    kind: Annotated[Kind, typer.Option(help="mel: 128 bands; stft: the report's, every bin and frame.")] = Kind.MEL,
    jobs: Jobs = None,
    cache: Cache = None,
) -> None:
    """Compute the spectrograms of a dataset and write them, with labels and groups, as one .npz.

    Any command takes the .npz in place of the sound. Exit code 1 if clips were left out; they are listed.
    """
    from earmark.archive import save_archive
    from earmark.audio import quiet_decoders
    from earmark.dataset import load_dataset
    from earmark.errors import InputError
    from earmark.extract import extract
    from earmark.front_end import MEL, REPORT
    from earmark.names import printable

    if output.suffix.lower() != ".npz":
        raise InputError(f"{output} does not end in .npz. Give the archive a name like my-music.npz.")
    with progress_bar() as progress, quiet_decoders():
        data, failures = extract(
            load_dataset(dataset),
            MEL if kind is Kind.MEL else REPORT,
            cache=cache,
            jobs=jobs or usable_processors(),
            progress=progress,
        )
        save_archive(data, output)
    out = console()
    for failure in failures:
        out.print(f"left out: {failure.message}", markup=False, soft_wrap=True)
    size = output.stat().st_size / 1e6
    out.print(f"{printable(output)}: {_things(len(data), 'clip')}, {size:.1f} MB", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(SOME_FAILED)


def show(dataset: Source, format: AsFormat = Format.TABLE) -> None:
    """Say what a dataset holds: clips, genres, groups, minutes, and how many folds its groups allow."""
    from earmark.dataset import load_dataset, with_notes

    summary = _summary(with_notes(load_dataset(dataset)))
    if format is Format.JSON:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        _print_summary(summary)


def _summary(dataset: Dataset) -> dict[str, Any]:
    seconds = dataset.facts.get("seconds")
    if seconds is None and all(clip.path is not None for clip in dataset.clips):
        from earmark import audio
        from earmark.errors import AudioError

        seconds = 0.0
        for clip in dataset.clips:
            try:
                declared = audio.probe(clip.path).seconds if clip.path is not None else None
            except AudioError:
                declared = None
            seconds += declared or 0.0
    groups = dataset.label_groups()
    return {
        "name": dataset.name,
        "source": dataset.facts.get("source"),
        "clips": len(dataset),
        "minutes": None if seconds is None else round(float(seconds) / 60, 1),
        "spectrograms": None
        if dataset.spectrograms is None or dataset.front_end is None
        else {"shape": list(dataset.spectrograms.shape), "front_end": dataset.front_end.to_dict()},
        "features": {name: list(rows.shape) for name, rows in dataset.features.items()},
        "labels": [
            {
                "label": label,
                "clips": count,
                "groups": len(groups[label]),
                "largest_group": next(iter(groups[label].values()), 0),
            }
            for label, count in dataset.label_counts().items()
        ],
        "most_folds": dataset.most_folds,
        "fingerprint": dataset.fingerprint,
        "notes": list(dataset.facts.get("notes", ())),
    }


def _print_summary(summary: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    parts = [_things(summary["clips"], "clip"), _things(len(summary["labels"]), "genre")]
    if summary["minutes"] is not None:
        parts.append(f"{summary['minutes']:.1f} minutes")
    out.print(f"{summary['name']}: {', '.join(parts)}", markup=False, soft_wrap=True)
    if summary["spectrograms"]:
        shape, kind = summary["spectrograms"]["shape"], summary["spectrograms"]["front_end"]["kind"]
        out.print(f"spectrograms: {kind}, {shape[1]} x {shape[2]}", markup=False)
    for name, shape in summary["features"].items():
        out.print(f"features: {name}, {shape[1]} a clip", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("genre", "clips", "groups", "largest group"):
        table.add_column(name, justify="left" if name == "genre" else "right", overflow="fold")
    for row in summary["labels"]:
        table.add_row(
            _plain(row["label"]), str(row["clips"]), str(row["groups"]), f"{row['largest_group'] / row['clips']:.0%}"
        )
    out.print()
    out.print(table)
    out.print()
    out.print(f"At most {_things(summary['most_folds'], 'fold')} by group can each test every genre.", markup=False)
    for note in summary["notes"]:
        out.print(note, markup=False)


def _print_report(report: Report, *, every: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    styles = {"bad": "bold red", "warning": "bold yellow", "note": "bold"}
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        kinds.setdefault((str(finding.level), finding.kind), []).append(finding)
    for (level, kind), findings in kinds.items():
        heading = Text(kind.replace("-", " "), style=styles[level])
        heading.append(f"  {len(findings)}" if len(findings) > 1 else "", style="dim")
        out.print(heading)
        actions = {finding.action for finding in findings}
        shown = findings if every else findings[:SHOWN]
        for finding in shown:
            out.print(Padding(Text(finding.what, overflow="fold"), (0, 0, 0, 2), expand=False))
            if len(actions) > 1:
                out.print(Padding(Text(f"→ {finding.action}", style="dim"), (0, 0, 0, 4), expand=False))
        if len(findings) > len(shown):
            out.print(f"  ... and {len(findings) - len(shown)} more (--all lists them)", markup=False)
        if len(actions) == 1:
            out.print(Padding(Text(f"→ {findings[0].action}", style="dim"), (0, 0, 0, 2), expand=False))
        out.print()
    if not kinds:
        out.print("Nothing is wrong.\n")
    left_out = report.clips - report.used
    parts = [_things(report.clips, "clip")]
    parts.append(f"{left_out} left out" if left_out else "all usable")
    parts.append(_things(len(report.labels), "genre"))
    if report.seconds is not None:
        parts.append(f"{report.seconds / 60:.1f} minutes")
    parts.append(f"at most {_things(report.most_folds, 'fold')} by group")
    out.print(f"{report.name}: {', '.join(parts)}", markup=False)


def _things(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)
