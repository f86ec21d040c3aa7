"""What the commands share: progress bars on standard error, run folders' default names, exit codes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from earmark.progress import Progress, Step

DONE, SOME_FAILED, NOT_UNDERSTOOD = 0, 1, 2


def console(*, stderr: bool = False) -> Console:
    """A rich console on standard output or standard error."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def tell(line: str, *, indent: int = 8, err: bool = False) -> None:
    """Write a line of text; where a terminal is too narrow, it goes on below, between words and indented."""
    import typer

    out = console(stderr=err)
    if out.is_terminal:
        from rich.text import Text

        first, *rest = Text(line).wrap(out, out.width) or [Text()]
        if rest:
            below = Text(line[len(first.plain) :].lstrip()).wrap(out, max(20, out.width - indent))
            line = "\n".join([first.plain.rstrip(), *(" " * indent + part.plain.rstrip() for part in below)])
    typer.echo(line, err=err)


@contextlib.contextmanager
def progress_bar(*, shown: bool = True) -> Iterator[Progress]:
    """A progress callback that draws bars with the time left on standard error; silent where that is no terminal."""
    from earmark.progress import silent

    if not shown or not sys.stderr.isatty():
        yield silent
        return
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}", table_column=None),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        known: dict[str, TaskID] = {}

        def draw(step: Step) -> None:
            if step.task not in known:
                for earlier in known.values():
                    bars.stop_task(earlier)
                    bars.update(earlier, visible=False)
                known[step.task] = bars.add_task(step.task, total=step.total, note="")
            bars.update(known[step.task], completed=step.done, total=step.total, note=step.note)

        yield draw
