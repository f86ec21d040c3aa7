"""How long loops tell how far they are, without printing.

A loop calls ``progress(Step(...))``; the command line draws it, a server may forward it, a script may ignore it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One report from a long loop.

    Parameters
    ----------
    task
        What is being done, in a few words ("fold 3 of 10"). A new name starts a new bar.
    done, total
        Units finished, of how many (None: unknown).
    note
        Shown behind the bar ("loss 0.31").
    """

    task: str
    done: int
    total: int | None = None
    note: str = ""


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """A progress callback that shows nothing."""
