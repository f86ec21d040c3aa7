"""``earmark spectrogram``: draw what a model sees of a sound file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.errors import EarmarkError, InputError

if TYPE_CHECKING:
    from earmark.spectrogram import FrontEnd


class _Kind(StrEnum):
    MEL = "mel"
    STFT = "stft"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("spectrogram")(spectrogram)


def spectrogram(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Sound files.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The PNG to write, or a folder for them. Default: the file's name with .png, here.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        _Kind, typer.Option(help="mel: 128 mel bands; stft: the report's, every bin and frame.")
    ] = _Kind.MEL,
    start: Annotated[float, typer.Option(help="Where the window begins, in seconds.", min=0.0)] = 0.0,
    seconds: Annotated[float, typer.Option(help="Length of the window, in seconds.", min=0.1, max=600.0)] = 30.0,
    size: Annotated[
        str,
        typer.Option(help="WIDTHxHEIGHT in pixels, or natural: one pixel per bin and column."),
    ] = "256x256",
) -> None:
    """Draw one window of each sound file as a PNG: time to the right, low frequencies at the bottom."""
    pixels = _size(size)
    targets = _targets(files, output)
    from earmark.audio import printable, quiet_decoders
    from earmark.front_end import FrontEnd

    front_end = FrontEnd(kind=kind.value, seconds=seconds)
    failures = []
    with quiet_decoders():
        for path, target in targets.items():
            try:
                drawn = _draw(path, target, front_end, start, pixels)
            except EarmarkError as error:
                if len(targets) == 1:
                    raise
                failures.append(error)
            else:
                typer.echo(f"{printable(target)}: {printable(path)}, {drawn}")
    if failures:
        for failure in failures:
            typer.echo(f"earmark: {failure}", err=True)
        typer.echo(f"earmark: {len(failures)} of {len(targets)} files could not be drawn.", err=True)
        raise typer.Exit(1)


def _draw(path: Path, target: Path, front_end: FrontEnd, start: float, pixels: tuple[int, int] | None) -> str:
    """Draw one window and say in words what was drawn."""
    from earmark.audio import explain, load
    from earmark.drawing import draw, write_png
    from earmark.spectrogram import fit_window, spectrogram

    sound = load(path, front_end.sample_rate, start=start, seconds=front_end.seconds)
    picture = draw(spectrogram(fit_window(sound.samples, front_end), front_end), pixels)
    write_png(target, picture)
    words = [f"{start:g} to {start + sound.decoded:.4g} s"]
    # A window short by a few milliseconds at the end of a clip is not worth a word.
    if sound.decoded < front_end.seconds - 0.05:
        words.append(f"repeated to fill {front_end.seconds:g} s")
    bins, columns = front_end.shape
    height, width = picture.shape[:2]
    words.append(f"{front_end.kind}, {bins} bins x {columns} columns, drawn {width}x{height}")
    return ". ".join([", ".join(words), *(explain(problem).rstrip(".") for problem in sound.problems)])


def _size(text: str) -> tuple[int, int] | None:
    """(height, width) of "WIDTHxHEIGHT"; None for "natural"."""
    if text == "natural":
        return None
    width, _, height = text.lower().partition("x")
    if width.isdecimal() and height.isdecimal() and 1 <= int(width) <= 10_000 and 1 <= int(height) <= 10_000:
        return int(height), int(width)
    raise InputError(f"--size {text} is not a size: write WIDTHxHEIGHT, such as 256x256 (up to 10000), or natural.")


def _targets(files: list[Path], output: Path | None) -> dict[Path, Path]:
    """The picture of each file; refuses two pictures under one name and a picture over a sound."""
    if output is not None and len(files) == 1 and not output.is_dir() and output.suffix:
        targets = {files[0]: output}
    else:
        folder = Path() if output is None else output
        if folder.is_file() or (len(files) > 1 and folder.suffix.lower() == ".png"):
            raise InputError(f"{len(files)} files cannot all be drawn into {folder}. Name a folder instead.")
        targets = {path: folder / f"{path.stem}.png" for path in dict.fromkeys(files)}
    if any(target.suffix.lower() != ".png" for target in targets.values()):
        raise InputError(f"{output} is not the name of a PNG. Let it end in .png, or name a folder.")
    taken: dict[Path, Path] = {}
    for path, target in targets.items():
        if target in taken:
            raise InputError(f"{taken[target]} and {path} would both be drawn into {target}. Draw them one by one.")
        taken[target] = path
        if target.exists() and path.exists() and target.samefile(path):
            raise InputError(f"{target} is the sound itself and would be lost. Choose another --output.")
    return targets
