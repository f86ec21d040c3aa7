"""``earmark tags``: plan which genres to write into files, look at the difference, write, undo."""

from __future__ import annotations

import os
import sys
from collections import Counter
from enum import StrEnum
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
from earmark.names import printable

if TYPE_CHECKING:
    from rich.text import Text

    from earmark.library.tags import Entry, Plan, Report

_MOST_FAILURES = 20
_MANY = 3  # from so many files on, a reason that they share is said once
_LONGEST_NAME = 28  # columns; longer ones are cut in their middle

tags = typer.Typer(
    help="Write genres into the tags of your files: plan, look at it, apply; undo gives every byte back.",
    no_args_is_help=True,
)


class _Mode(StrEnum):
    KEEP = "keep"
    ADD = "add"
    REPLACE = "replace"


class _Id3(StrEnum):
    V23 = "2.3"
    V24 = "2.4"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(tags, name="tags")


@tags.command("plan")
def plan(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH", help="Sound files, folders (with all below) and playlists.", show_default=False
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Take the genres from what `earmark classify --format jsonl` wrote, instead of hearing the files.",
            show_default=False,
        ),
    ] = None,
    scanned: Annotated[
        bool, typer.Option("--scanned", help="Take the genres from the catalogue that `earmark scan` filled.")
    ] = False,
    catalogue: Annotated[
        Path | None, typer.Option(help="That catalogue, if it is not the default one.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the plan.")] = Path(
        "earmark-tags.jsonl"
    ),
    mode: Annotated[
        _Mode,
        typer.Option(
            help="keep: only files without a genre; add: new genres behind those that are there; "
            "replace: new ones in their place."
        ),
    ] = _Mode.KEEP,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability from which on a genre is written. Default: any for the first, 0.2 for others.",
            min=0,
            max=1,
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(help="How many genres may be written.", min=1)] = 1,
    unsure: Annotated[bool, typer.Option("--unsure", help="Write genres that are marked as unsure too.")] = False,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="A file of names, aliases, parents and ignored genres (TOML).", show_default=False),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            help="Join several genres to one text with this, such as '; '. Default: a list where the format has "
            "lists, else '/'.",
            show_default=False,
        ),
    ] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="Write the probabilities into a field EARMARK_PROBABILITIES too.")
    ] = False,
    id3: Annotated[
        _Id3, typer.Option(help="The version of ID3 tags that have to be made; others keep theirs.")
    ] = _Id3.V24,
    bundle: BundleOption = None,
    windows: WindowsOption = None,
    full: FullOption = False,
    jobs: JobsOption = None,
    time_limit: LimitOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show files that stay as they are and every failure.")
    ] = False,
) -> None:
    """Plan which genres to write and show the difference.

    What is heard is compared with what the tags say. No file is changed but the plan.
    """
    from earmark.cli import tag_sources
    from earmark.library import tags as library
    from earmark.library.vocabulary import BUILT_IN, load_vocabulary

    words = BUILT_IN if vocabulary is None else load_vocabulary(vocabulary)
    options = library.Options(
        mode=mode.value,
        threshold=threshold,
        top_k=top_k,
        unsure=unsure,
        separator=separator,
        fields=fields,
        id3=4 if id3 is _Id3.V24 else 3,
    )
    _check_output(output)
    if predictions is not None:
        sources = tag_sources.from_file(predictions, paths or [])
    elif scanned or catalogue is not None:
        sources = tag_sources.from_catalogue(catalogue, paths or [])
    elif paths:
        sources = tag_sources.from_sound(
            paths,
            lambda path: library.needs_hearing(path, options, words),
            bundle=bundle,
            windows=0 if full else windows or DEFAULT_WINDOWS,
            jobs=jobs,
            time_limit=time_limit,
        )
    else:
        raise InputError("Name files or folders to hear, or say --predictions FILE or --scanned.")
    if not sources.total:
        raise InputError("There are no sound files to plan for.")
    with progress_bar() as progress:
        made = library.plan(
            sources.pairs,
            **vars(options),
            vocabulary=words,
            progress=progress,
            total=sources.total,
        )
    made.save(output)
    _show_plan(made, show_all=show_all)
    _say_next(made, output)
    if any(entry.action == "fail" for entry in made.entries):
        raise typer.Exit(SOME_FAILED)


@tags.command("apply")
def apply(
    plan: Annotated[Path, typer.Argument(help="The plan that `earmark tags plan` wrote.", show_default=False)],
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Where to note how to undo it. Default: the platform's data folder.",
            show_default=False,
        ),
    ] = None,
    keep_mtime: Annotated[
        bool,
        typer.Option(
            "--keep-mtime",
            help="Keep the files' modification times; players may then not notice the new genres.",
        ),
    ] = False,
    split_hard_links: Annotated[
        bool,
        typer.Option(
            "--split-hard-links",
            help="Change files with several names (hard links) too; the other names keep the old file.",
        ),
    ] = False,
) -> None:
    """Write the genres of a plan. If it is stopped, even by a kill, run it again: it goes on where it was."""
    from earmark.library import tags as library

    loaded = library.Plan.load(plan)
    with progress_bar() as progress:
        report = library.apply(
            loaded,
            journal=journal,
            keep_mtime=keep_mtime,
            split_hard_links=split_hard_links,
            progress=progress,
        )
    _show_report(report, "written", "already had its genre", "already had their genre")
    if report.done:
        argument = "" if journal is None else f" {journal}"
        typer.echo(f"To take it back: earmark tags undo{argument}")
    if not report.complete:
        raise typer.Exit(SOME_FAILED)


@tags.command("undo")
def undo(
    journal: Annotated[
        Path | None,
        typer.Argument(help="The journal. Default: that of the last plan that was applied.", show_default=False),
    ] = None,
) -> None:
    """Give files their old bytes and times back, as before a plan was applied."""
    from earmark.library import tags as library

    with progress_bar() as progress:
        report = library.undo(journal, progress=progress)
    typer.echo(f"Journal: {report.journal}")
    _show_report(report, "as before, byte for byte", "was so already", "were so already")
    if not report.complete:
        raise typer.Exit(SOME_FAILED)


@tags.command("vocabulary")
def vocabulary() -> None:
    """Print the built-in vocabulary as a file to change.

    Give the changed file to `earmark tags plan --vocabulary`.
    """
    from earmark.library.vocabulary import BUILT_IN

    typer.echo(BUILT_IN.to_toml(), nl=False)


def _check_output(output: Path) -> None:
    if not output.exists():
        return
    try:
        with open(output, "rb") as handle:
            if b"earmark_tag_plan" in handle.read(200):
                return
    except OSError:
        pass
    raise InputError(f"{output} exists and is no plan; choose another name with --output.")


def _show_plan(plan: Plan, *, show_all: bool) -> None:
    from rich.cells import cell_len
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    shown = [e for e in plan.entries if e.action == "write" or (show_all and e.action == "leave")]
    names = {e.path: printable(os.path.basename(e.path)) for e in shown}  # noqa: PTH119  paths are texts here
    # A terminal gets columns that fit; a pipe gets whole names and lines.
    fits = out.is_terminal
    column = min(_LONGEST_NAME, max(map(cell_len, names.values()), default=0)) if fits else 0
    folder = None
    for entry in shown:
        parent = os.path.dirname(entry.path)  # noqa: PTH120
        if parent != folder:
            folder = parent
            out.print(Text(printable(parent), style="bold"), soft_wrap=True)
        name = _fitted(names[entry.path], column)
        line = Text(f"  {name}{' ' * max(0, column - cell_len(name))}  ")
        difference = _difference(entry)
        if fits and line.cell_len + difference.cell_len > out.width:
            out.print(Text(f"  {name}"))
            out.print(Padding(difference, (0, 0, 0, 4), expand=False))
        else:
            out.print(line.append_text(difference), soft_wrap=True)
        for note in entry.notes:
            remark = Text(f"({note})", style="dim")
            out.print(
                Padding(remark, (0, 0, 0, 4), expand=False) if fits else Text("    ").append_text(remark),
                soft_wrap=not fits,
            )
    failures = [(e.path, e.why) for e in plan.entries if e.action == "fail"]
    if show_all:
        _show_failures(failures, "failed")
    else:
        _sum_up_failures(failures)


def _difference(entry: Entry) -> Text:
    from rich.text import Text

    now, after = "; ".join(entry.now) or "no genre", "; ".join(entry.after)
    same = entry.now == entry.after
    what = Text(now) if same else Text.assemble((now, "red"), " → ", (after, "green"))
    if entry.fields:
        what.append(" + fields", style="green")
    return what.append(f"  {entry.why}", style="dim")


def _fitted(name: str, room: int) -> str:
    """A name cut in its middle, because its end tells the format; uncut if there is no limit."""
    from rich.cells import cell_len, chop_cells

    if not room or cell_len(name) <= room:
        return name
    end = name[-8:]
    return chop_cells(name, max(2, room - cell_len(end) - 1))[0] + "…" + end


def _say_next(plan: Plan, output: Path) -> None:
    left = Counter(e.why.partition(" (")[0] for e in plan.entries if e.action == "leave")
    failed = sum(e.action == "fail" for e in plan.entries)
    count = len(plan.to_write)
    if count and sys.stdout.isatty():
        typer.echo("")
    parts = [f"{count} to write", *(f"{n} {_plural(why, n)}" for why, n in left.most_common())]
    if failed:
        parts.append(f"{failed} failed")
    total = len(plan.entries)
    typer.echo(f"{total} {'file' if total == 1 else 'files'}: {', '.join(parts)}.")
    if count:
        typer.echo(f"No file was changed. To write: earmark tags apply {output}")
    else:
        typer.echo(f"There is nothing to write. The reasons are in {output}.")


def _plural(why: str, count: int) -> str:
    if why.startswith("the same file"):
        return "named twice"
    return "have" + why[3:] if why.startswith("has ") and count > 1 else why


def _show_report(report: Report, done: str, already: str, already_many: str) -> None:
    _show_failures(report.skipped, "skipped")
    _show_failures(report.failed, "failed")
    parts = [f"{len(report.done)} {done}"]
    if report.already:
        parts.append(f"{len(report.already)} {already if len(report.already) == 1 else already_many}")
    if report.skipped:
        parts.append(f"{len(report.skipped)} skipped")
    if report.failed:
        parts.append(f"{len(report.failed)} failed")
    total = len(report.done) + len(report.already) + len(report.skipped) + len(report.failed)
    typer.echo(f"{total} {'file' if total == 1 else 'files'}: {', '.join(parts)}.")


def _show_failures(failures: list[tuple[str, str]], what: str) -> None:
    for path, why in failures:
        tell(f"{what}: {printable(path)}: {why}", err=True)


def _sum_up_failures(failures: list[tuple[str, str]]) -> None:
    """Show failures; a reason that many files share, such as their format, is said once."""
    from earmark.library.tags.edit import LEFT

    counts = Counter(why for _, why in failures)
    alone = [(path, why) for path, why in failures if counts[why] < _MANY]
    _show_failures(alone[:_MOST_FAILURES], "failed")
    if len(alone) > _MOST_FAILURES:
        typer.echo(f"... and {len(alone) - _MOST_FAILURES} more", err=True)
    shared = [(why, count) for why, count in counts.most_common() if count >= _MANY]
    for why, count in shared:
        tell(f"failed: {count} files: {why.removesuffix(LEFT)}.", err=True)
    if shared or len(alone) > _MOST_FAILURES:
        typer.echo("Each of them is in the plan, and shown by --all.", err=True)
