"""A real server in a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import earmark


@contextlib.contextmanager
def serving(*options: str) -> Iterator[str]:
    """`earmark serve` on a free port; its address."""
    begin = [sys.executable, "-c", "from earmark.cli import main; main()"]
    command = [*begin, "serve", "--port", "0", "--jobs", "1", *options]
    # The server has to run the very code that the tests import.
    environment = {**os.environ, "PYTHONPATH": str(Path(earmark.__file__).parent.parent)}
    environment.pop("EARMARK_TOKEN", None)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stdout.read()
        yield found.group()
    finally:
        process.terminate()
        process.wait(20)
