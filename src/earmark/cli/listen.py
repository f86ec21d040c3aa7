"""``earmark listen``: name the genre of sound that comes through a pipe, while it comes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from earmark.cli.classify import BundleOption
from earmark.cli.console import SOME_FAILED, console
from earmark.errors import AudioError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.live import Live
    from rich.text import Text

    from earmark.listen import Moment
    from earmark.prediction import Prediction

NAME = "standard input"
TABLE_TOP_K = 3
_BAR = 20


class LiveFormat(StrEnum):
    """How answers are written."""

    TABLE = "table"
    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("listen")(listen)


def listen(
    sample_rate: Annotated[
        int | None,
        typer.Option("--sample-rate", "-r", help="In Hz, of raw samples. Default: 44100.", min=1, show_default=False),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option("--channels", "-c", help="Of raw samples, interleaved. Default: 1.", min=1, show_default=False),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            "-e",
            help="Of raw samples: s16le, s24le, s32le, f32le ... Default: s16le.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[float, typer.Option(help="Seconds of sound from one answer to the next.", min=0.1)] = 1.0,
    span: Annotated[
        float | None,
        typer.Option(
            help="Seconds of recent sound that an answer rests on. Default: 30, the model's window. Less follows a "
            "change faster and is right less often.",
            min=1,
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(
            help=f"How many genres to show. Default: {TABLE_TOP_K} in a table, otherwise all.",
            min=1,
            show_default=False,
        ),
    ] = None,
    form: Annotated[LiveFormat, typer.Option("--format", "-f", help="How to write answers.")] = LiveFormat.TABLE,
    bundle: BundleOption = None,
) -> None:
    """Name the genre of sound on standard input, while it comes.

    WAV says itself what it holds; of raw samples say it with the options.

    ffmpeg -i RADIO -f wav - | earmark listen

    arecord -f cd | earmark listen

    ffmpeg -i RADIO -f s16le -ac 1 -ar 44100 - | earmark listen --sample-rate 44100

    Ends with the input or with Ctrl-C, and then says what all of it was.
    """
    if sys.stdin.isatty():
        raise InputError(
            "There is no sound on standard input. Give it some, for example: arecord -f cd | earmark listen"
        )
    from earmark.audio.pcm import PcmStream
    from earmark.listen import Listener

    with _Stop() as stop:
        stream = PcmStream(
            cast(BinaryIO, sys.stdin.buffer), encoding=encoding, sample_rate=sample_rate, channels=channels
        )
        listener = Listener(bundle, sample_rate=stream.sample_rate, channels=stream.channels, every=every, span=span)
        writer = _JsonLines(top_k) if form is LiveFormat.JSONL else _Lines(top_k or TABLE_TOP_K)
        try:
            for block in stop.until(stream.blocks()):
                for moment in listener.feed(block):
                    writer.now(moment)
        finally:
            writer.close()
        seconds = listener.seconds
        try:
            writer.whole(listener.finish(name=NAME), seconds)
        except AudioError as error:
            typer.echo(f"failed: {error}", err=True)
            raise typer.Exit(SOME_FAILED) from error


class _Stop:
    """Ctrl-C ends the input: at once while waiting for it, and after the work on it otherwise."""

    def __init__(self) -> None:
        self._waiting = False
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> _Stop:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        # A second time means it.
        if self._waiting or self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def until(self, items: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        while not self._asked:
            try:
                self._waiting = True
                item = next(items)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waiting = False
            yield item


class _JsonLines:
    def __init__(self, top_k: int | None) -> None:
        self._top_k = top_k

    def now(self, moment: Moment) -> None:
        self._write({"event": "now"} | moment.to_dict(top_k=self._top_k))

    def whole(self, answer: Prediction, seconds: float) -> None:
        self._write({"event": "whole", "at": seconds} | answer.to_dict(top_k=self._top_k))

    def close(self) -> None:
        pass

    def _write(self, row: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class _Lines:
    """A line for each answer; on a terminal one line that lives, and above it where the answer changed."""

    def __init__(self, top_k: int) -> None:
        self._top_k = top_k
        self._out = console()
        self._live: Live | None = None
        self._last: tuple[str, Text] | None = None

    def now(self, moment: Moment) -> None:
        line = self._line(moment)
        if not self._out.is_terminal:
            self._out.print(line, soft_wrap=True)
            return
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._out, auto_refresh=False, transient=True)
            self._live.start()
        if self._last is not None and self._last[0] != moment.answer:
            self._live.console.print(self._last[1], no_wrap=True, overflow="ellipsis")
        self._last = moment.answer, line
        self._live.update(line, refresh=True)

    def whole(self, answer: Prediction, seconds: float) -> None:
        from rich.text import Text

        line = Text(f"{_clock(seconds)}  ")
        line.append("in all: ", "bold")
        line.append(answer.answer, "yellow" if answer.unsure else "bold")
        line.append("  " + _named(answer.probabilities, self._top_k))
        self._out.print(line, soft_wrap=True)

    def close(self) -> None:
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        if self._last is not None:
            self._out.print(self._last[1], no_wrap=True, overflow="ellipsis")

    def _line(self, moment: Moment) -> Text:
        from rich.text import Text

        from earmark.library.text import can_print_blocks

        line = Text(f"{_clock(moment.at)}  ", no_wrap=True, overflow="ellipsis")
        if moment.label is None:
            waiting = moment.problem == "too-short"
            return line.append("listening ..." if waiting else moment.answer, "dim")
        line.append(f"{moment.answer:<10} ", "yellow" if moment.unsure else "bold")
        if self._out.is_terminal:
            filled = round(moment.confidence * _BAR)
            full, empty = ("█", "░") if can_print_blocks() else ("#", "-")
            line.append(full * filled, "yellow" if moment.unsure else "green").append(empty * (_BAR - filled), "dim")
            line.append("  ")
        line.append(_named(moment.probabilities, self._top_k))
        return line.append(f"  (last {moment.seconds:.0f} s)", "dim")


def _named(probabilities: dict[str, float], top_k: int) -> str:
    return ", ".join(f"{label} {share:.0%}" for label, share in list(probabilities.items())[:top_k])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
