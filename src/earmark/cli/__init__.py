"""The command line: one module per area, each a thin face of the library's own functions.

Nothing heavy is imported here or at the top of the area modules, so that ``earmark --help`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated

import typer

from earmark import __version__
from earmark.errors import EarmarkError, MissingExtraError

# Which extra brings a package that a command may miss.
EXTRAS = {
    **dict.fromkeys(("torch", "transformers", "sklearn", "onnx", "jinja2", "matplotlib"), "train"),
    **dict.fromkeys(("fastapi", "uvicorn", "python_multipart", "wsproto"), "serve"),
    "mutagen": "tag",
    "pyarrow": "parquet",
}
AREAS: tuple[str, ...] = (
    "classify",
    "scan",
    "similar",
    "correct",
    "listen",
    "data",
    "explain",
    "learn",
    "fuse",
    "results",
    "robustness",
    "serve",
    "spectrogram",
    "tags",
)

app = typer.Typer(
    name="earmark",
    help="Hear music, name its genre: learn from folders of audio, measure honestly, work through a library.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"earmark {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave."),
    ] = False,
) -> None:
    pass


for _area in AREAS:
    importlib.import_module(f"earmark.cli.{_area}").register(app)


def main() -> None:
    """Run the command line: exit code 0 done, 1 some inputs failed, 2 not understood or could not start."""
    try:
        try:
            code = app(standalone_mode=False)
        except typer.Exit as left:
            code = left.exit_code
        # typer turns Ctrl-C into this exit code without a word.
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except EarmarkError as error:
        sys.stderr.write(f"earmark: {error}\n")
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("earmark: stopped; run the same command again to go on where it was.\n")
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) went away; Python would complain once more while flushing at exit.
        sys.stderr.close()
        sys.exit(0)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        sys.stderr.write(f"earmark: {MissingExtraError('This command', extra)}\n")
        sys.exit(2)
    except Exception as error:
        # typer's own errors about arguments share no public base; they carry a message and an exit code.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        if context is not None and type(error).__name__ == "NoArgsIsHelpError":
            sys.stdout.write(context.get_help() + "\n")
            sys.exit(2)
        where = context.command_path if context is not None else "earmark"
        sys.stderr.write(f"earmark: {error.format_message()} See: {where} --help\n")
        sys.exit(2)
