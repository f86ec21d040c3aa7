"""What the guides tell people to type is understood by the command line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from earmark import __version__
from earmark.cli import app

DOCS = Path(__file__).parent.parent / "docs"
LINE = re.compile(r"^(?:    )?(?:.*\| )?(earmark [^|>]*)", re.MULTILINE)


def commands(page: str) -> list[str]:
    blocks = [line for line in (DOCS / page).read_text("utf-8").splitlines() if line.startswith("    ")]
    return [found.group(1).strip() for line in blocks if (found := LINE.match(line))]


GUIDE = commands("library.md")


def test_the_guide_shows_every_command_for_a_library() -> None:
    names = {" ".join(line.split()[1:3]) if line.split()[1] == "tags" else line.split()[1] for line in GUIDE}
    wanted = {"classify", "scan", "errors", "stats", "similar", "playlist", "map"}
    assert names >= wanted | {"tags plan", "tags apply", "tags undo", "tags vocabulary"}


@pytest.mark.parametrize("line", GUIDE)
def test_what_the_guide_says_is_understood(line: str) -> None:
    command: Any = typer.main.get_command(app)
    _, *words = shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    # Raises where an option does not exist, a value is none, or an argument is missing.
    command.make_context("earmark", words)


def test_python_m_earmark_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "earmark", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "earmark", "hear"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
