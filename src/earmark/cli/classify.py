"""``earmark classify``: name the genre of files, folders, playlists and lists on standard input."""

from __future__ import annotations

import contextlib
import math
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from earmark.cli.console import SOME_FAILED, progress_bar, tell
from earmark.errors import InputError
from earmark.library.worker import DEFAULT_WINDOWS, Task, windows_to_hear

if TYPE_CHECKING:
    from earmark.library.inputs import Input
    from earmark.library.pool import Pool
    from earmark.library.text import TableWriter
    from earmark.library.worker import Outcome
    from earmark.library.writers import Writer

TABLE_TOP_K = 3


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def parse_clock(text: str | float) -> float:
    """Seconds from ``90``, ``1:30`` or ``1:00:00``."""
    parts = str(text).split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if not 1 <= len(values) <= 3 or not all(0 <= value < math.inf for value in values):
        raise typer.BadParameter(f"{text!r} is no time; write seconds, m:ss or h:mm:ss.")
    total = 0.0
    for value in values:
        total = 60 * total + value
    return total


BundleOption = Annotated[
    Path | None, typer.Option(help="The model. Default: the one in the package.", show_default=False)
]
WindowsOption = Annotated[
    int | None,
    typer.Option(
        help=f"How many 30 s windows to hear, spread over the track. Default: {DEFAULT_WINDOWS}.",
        min=1,
        show_default=False,
    ),
]
FullOption = Annotated[bool, typer.Option("--full", help="Hear all of each track.")]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", help="Worker processes. Default: one per processor.", min=1, show_default=False),
]
StartOption = Annotated[
    float,
    typer.Option(
        parser=parse_clock,
        metavar="TIME",
        help="Hear only from here on: seconds, m:ss or h:mm:ss.",
        show_default=False,
    ),
]
SecondsOption = Annotated[
    float | None,
    typer.Option(
        parser=parse_clock, metavar="TIME", help="Hear only so much: seconds, m:ss or h:mm:ss.", show_default=False
    ),
]
LimitOption = Annotated[
    float | None,
    typer.Option(
        help="Give a file up after so many seconds. Default: 60, and 1 for each megabyte, without getting on.",
        min=0.1,
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("classify")(classify)


def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Sound files, folders (with all below), playlists (.m3u, .m3u8); '-' reads such names from "
            "standard input.",
            show_default=False,
        ),
    ],
    top_k: Annotated[
        int | None,
        typer.Option(
            help=f"How many genres to show for each track. Default: {TABLE_TOP_K} in a table, otherwise all.",
            min=1,
            show_default=False,
        ),
    ] = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Show the genres over time; hears all of each track.")
    ] = False,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format", "-f", help="Default: what the suffix of --output says, or table.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to this file, once all is heard.", show_default=False),
    ] = None,
    windows: WindowsOption = None,
    full: FullOption = False,
    start: StartOption = 0.0,
    seconds: SecondsOption = None,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Add each track's embedding (json, jsonl and parquet).")
    ] = False,
    music: Annotated[
        bool,
        typer.Option(
            "--music/--no-music",
            help="Measure tempo, key and loudness, too, which tables do not show.",
            show_default=False,
        ),
    ] = True,
    bundle: BundleOption = None,
    jobs: JobsOption = None,
    time_limit: LimitOption = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Names on standard input end with NUL, as from find -print0.")
    ] = False,
) -> None:
    """Name the genre of sound files.

    Files that cannot be heard are listed on standard error, each with the reason, and the exit code is 1.
    """
    from earmark.library.inputs import PLAYLIST_SUFFIXES, find_inputs
    from earmark.library.pool import Pool, default_jobs, threads_beside

    chosen = _format(form, output)
    if embedding and chosen in (Format.TABLE, Format.CSV):
        raise InputError("Embeddings go into json, jsonl and parquet: choose one of them with --format.")
    if seconds == 0:
        raise InputError("--seconds must be more than 0.")
    count = windows_to_hear(windows, full=full, timeline=timeline)
    workers = jobs or default_jobs()
    if all(p != "-" and Path(p).suffix.lower() not in PLAYLIST_SUFFIXES and not Path(p).is_dir() for p in paths):
        workers = min(workers, len(paths))
    # The workers load the model while the files are looked for.
    with Pool(bundle, jobs=workers, time_limit=time_limit) as pool:
        stdin = cast(BinaryIO, sys.stdin.buffer)
        found = list(find_inputs(paths, stdin=stdin, nul=null))
        if not found:
            raise InputError("There are no sound files in what was named.")
        _refuse_if_nowhere(found)
        with _destination(output, chosen) as stream:
            tally = _Tally(len(found))
            asked = Task(
                "",
                count,
                threads=threads_beside(min(workers, len(found))),
                stretch=(start, seconds),
                music=music and chosen is not Format.TABLE,
            )
            _hear(found, pool, asked, _Sink(stream, chosen, pool, top_k, timeline, embedding), tally)
    tally.say()
    if tally.failures:
        raise typer.Exit(SOME_FAILED)


def _refuse_if_nowhere(found: Sequence[Input]) -> None:
    """One wrong name among many is listed as failed; where no name leads anywhere there is nothing to start with."""
    from earmark.audio import printable

    if any(os.path.lexists(item.path) for item in found if item.problem != "missing"):
        return
    first = printable(found[0].path)
    if len(found) == 1:
        raise InputError(f"{first} does not exist. Check the path.")
    raise InputError(f"None of the {len(found)} files that were named exists, the first is {first}. Check the paths.")


def _format(form: Format | None, output: Path | None) -> Format:
    if form is not None:
        chosen = form
    else:
        suffix = "" if output is None else output.suffix.lower().removeprefix(".")
        chosen = Format(suffix) if suffix in set(Format) else Format.TABLE
    if chosen is Format.PARQUET and output is None and sys.stdout.isatty():
        raise InputError("Parquet is not for terminals: name a file with --output.")
    return chosen


@contextlib.contextmanager
def _destination(output: Path | None, form: Format) -> Iterator[IO[Any]]:
    """Where results go: text for a table, bytes for all else; a file appears only once it is complete."""
    from earmark.files import atomic_write

    table = form is Format.TABLE
    if output is not None:
        with atomic_write(output, "w" if table else "wb") as handle:
            yield handle
    else:
        yield sys.stdout if table else sys.stdout.buffer
        sys.stdout.flush()


class _Sink:
    """A writer that is made with the first outcome, when the genres are known."""

    def __init__(
        self, stream: IO[Any], form: Format, pool: Pool, top_k: int | None, timeline: bool, embedding: bool
    ) -> None:
        self._stream = stream
        self._form = form
        self._pool = pool
        self._options: dict[str, Any] = {"top_k": top_k, "timeline": timeline}
        self._embedding = embedding
        self._writer: TableWriter | Writer | None = None

    @property
    def may_meet_bar(self) -> bool:
        """Whether what is written may come to the terminal past what keeps lines and a progress bar apart.

        So it is with bytes, and with what a pager, ``head`` or ``jq`` behind a pipe makes of it.
        """
        if self._stream.isatty():
            return self._form is not Format.TABLE
        try:
            return stat.S_ISFIFO(os.fstat(self._stream.fileno()).st_mode)
        except (OSError, ValueError):
            return False

    def write(self, outcome: Outcome) -> None:
        self._open().write(outcome)

    def finish(self) -> None:
        self._open().finish()

    def _open(self) -> TableWriter | Writer:
        if self._writer is not None:
            return self._writer
        ready = self._pool.ready
        labels: Sequence[str] = ready.labels if ready else ()
        if self._form is Format.TABLE:
            from earmark.library.text import TableWriter

            # A progress bar puts its own stream in the place of a terminal, to keep lines and bar apart.
            stream = sys.stdout if self._stream.isatty() else self._stream
            options = self._options | {"top_k": self._options["top_k"] or TABLE_TOP_K}
            self._writer = TableWriter(stream, labels, **options)
        else:
            from earmark.library.writers import open_writer

            bundle = ready.bundle if ready else ""
            self._writer = open_writer(
                self._form.value,
                cast(BinaryIO, self._stream),
                labels,
                bundle=bundle,
                embedding=self._embedding,
                **self._options,
            )
        return self._writer


class _Tally:
    """Counts for the sentence at the end, and the reasons of what failed."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.heard = 0
        self.unsure = 0
        self.failures: list[str] = []

    def add(self, outcome: Outcome) -> None:
        if outcome.row is None:
            self.failures.append(outcome.reason or outcome.path)
        else:
            self.heard += 1
            self.unsure += bool(outcome.row["unsure"])

    def say(self) -> None:
        for reason in self.failures:
            tell(f"failed: {reason}", err=True)
        if self.total > 1:
            parts = [f"{self.heard} heard"]
            parts += [f"{self.unsure} of them unsure"] if self.unsure else []
            parts += [f"{len(self.failures)} failed"] if self.failures else []
            typer.echo(f"{self.total} files: {', '.join(parts)}.", err=True)


def _hear(found: Sequence[Input], pool: Pool, asked: Task, sink: _Sink, tally: _Tally) -> None:
    """Hear what can be heard, each file as asked, and write everything in the order in which it was found."""
    import time

    from earmark.library.worker import Outcome
    from earmark.progress import Step

    tasks = (replace(asked, path=item.path) for item in found if item.problem is None)
    outcomes = pool.run(tasks, ordered=True)
    begun = time.monotonic()
    with progress_bar(shown=not sink.may_meet_bar) as progress:
        progress(Step("hearing", 0, len(found)))
        for done, item in enumerate(found, 1):
            if item.problem is None:
                outcome = next(outcomes)
            else:
                outcome = Outcome(item.path, problem=item.problem, reason=item.reason)
            tally.add(outcome)
            sink.write(outcome)
            rate = done / max(1e-9, time.monotonic() - begun)
            progress(Step("hearing", done, len(found), f"{rate:.1f} tracks/s"))
        sink.finish()
