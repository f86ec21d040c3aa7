"""``earmark tags``: plan which genres to write into files, look at the difference, write, undo."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.console import SOME_FAILED, console, progress_bar
from earmark.errors import InputError
from earmark.names import printable

if TYPE_CHECKING:
    from earmark.library.tags import Entry, Plan, Report

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
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Sound files and folders.", show_default=False),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Take the genres from what `earmark classify --format jsonl` wrote, instead of hearing the files.",
            show_default=False,
        ),
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
    bundle: Annotated[
        Path | None, typer.Option(help="The model. Default: the one in the package.", show_default=False)
    ] = None,
    windows: Annotated[int, typer.Option(help="How many windows of each file to hear.", min=1)] = 3,
    full: Annotated[bool, typer.Option("--full", help="Hear all of each file.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show the files that stay as they are too.")] = False,
) -> None:
    """Compare what is heard with what the tags say, show the difference and write a plan. No file is changed."""
    if not paths and predictions is None:
        raise InputError("Name files or folders to hear, or a file with --predictions.")
    from earmark.library import tags as library
    from earmark.library.vocabulary import BUILT_IN, load_vocabulary

    words = BUILT_IN if vocabulary is None else load_vocabulary(vocabulary)
    _check_output(output)
    model: str | None = None
    sources: list[tuple[Path, Any]]
    if predictions is not None:
        sources, model = _from_file(predictions, paths or [])
    else:
        sources, model = _from_sound(paths or [], bundle, windows, full)
    if not sources:
        raise InputError("There are no sound files to plan for.")
    with progress_bar() as progress:
        made = library.plan(
            sources,
            mode=mode.value,
            threshold=threshold,
            top_k=top_k,
            unsure=unsure,
            vocabulary=words,
            separator=separator,
            fields=fields,
            id3=int(id3.value[-1]),
            model=model,
            progress=progress,
            total=len(sources),
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
    """Give files the bytes and the times back that they had before a plan was applied."""
    from earmark.library import tags as library

    with progress_bar() as progress:
        report = library.undo(journal, progress=progress)
    typer.echo(f"Journal: {report.journal}")
    _show_report(report, "as before, byte for byte", "was so already", "were so already")
    if not report.complete:
        raise typer.Exit(SOME_FAILED)


@tags.command("vocabulary")
def vocabulary() -> None:
    """Print the built-in vocabulary, to be changed and given to `earmark tags plan --vocabulary`."""
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


def _from_sound(
    paths: list[Path], bundle: Path | None, windows: int, full: bool
) -> tuple[list[tuple[Path, Any]], str | None]:
    from earmark.audio import find_audio

    found: dict[Path, Any] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(find_audio(path)))
        elif os.path.lexists(path):
            found[path] = None
        else:
            found[path] = InputError("It does not exist.")
    if not found:
        return [], None
    from earmark.predict import Classifier

    classifier = Classifier(bundle)
    hear: Callable[[Path], Any] = functools.partial(classifier.classify, windows=windows, full=full)
    # Hearing is put off until it is known that the answer matters.
    return [
        (path, functools.partial(hear, path) if given is None else given) for path, given in found.items()
    ], classifier.bundle.id[:16]


def _from_file(path: Path, wanted: list[Path]) -> tuple[list[tuple[Path, Any]], str | None]:
    """Predictions from JSON lines; only of the wanted files and folders, if any are named."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"The predictions {path} cannot be read ({error.strerror}).") from error
    places = [place.resolve() for place in wanted]
    found: list[tuple[Path, Any]] = []
    models = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name = row["path"]
            place = Path(name)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"Line {number} of {path} is no prediction; it should come from `earmark classify --format jsonl`."
            ) from error
        resolved = place.resolve()
        if places and not any(resolved == other or other in resolved.parents for other in places):
            continue
        if "label" in row:
            models.add(row.get("bundle"))
            found.append((place, row))
        else:
            found.append((place, InputError(str(row.get("error") or "It was not classified."))))
    model = models.pop() if len(models) == 1 else None
    return found, model[:16] if isinstance(model, str) else None


def _show_plan(plan: Plan, *, show_all: bool) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    out = console()
    shown = [e for e in plan.entries if e.action == "write" or (show_all and e.action == "leave")]
    # A terminal gets columns that fit; a pipe gets whole names.
    room = max(20, min(36, out.width // 2 - 6)) if out.is_terminal else 0
    folder = None
    for entry in shown:
        parent, name = os.path.split(entry.path)
        if parent != folder:
            folder = parent
            out.print(Text(printable(parent), style="bold"), soft_wrap=not out.is_terminal, overflow="ellipsis")
        name = _fitted(printable(name), room)
        line = Text(f"  {name}{' ' * max(2, room + 2 - cell_len(name))}")
        line.append_text(_difference(entry))
        out.print(line, no_wrap=True, overflow="ellipsis", soft_wrap=not out.is_terminal)
        for note in entry.notes:
            out.print(Text(f"    ({note})", style="dim"), soft_wrap=not out.is_terminal)
    _show_failures([(e.path, e.why) for e in plan.entries if e.action == "fail"], "could not be planned")


def _difference(entry: Entry) -> Any:
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
    return chop_cells(name, room - cell_len(end) - 1)[0] + "…" + end


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
        typer.echo(f"{what}: {printable(path)}: {why}", err=True)
