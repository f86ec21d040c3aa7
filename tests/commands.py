"""A command as a pipe sees it, without the start of a process: bytes in, bytes and exit code out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from earmark.cli import main


def command(
    *arguments: str, stdin: bytes = b"", cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``earmark`` in this process.

    Parameters
    ----------
    cwd
        Where; None: here.
    environment
        Variables to set.
    """
    out, err = io.BytesIO(), io.BytesIO()
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["earmark", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8", write_through=True))
        patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="utf-8", errors="backslashreplace"))
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        if cwd is not None:
            os.chdir(cwd)
        try:
            main()
            code: object = 0
        except SystemExit as left:
            code = left.code
        finally:
            os.chdir(before)
            for stream in (sys.stdout, sys.stderr):
                if not stream.closed:
                    stream.flush()
        return subprocess.CompletedProcess(["earmark", *arguments], int(code or 0), out.getvalue(), err.getvalue())  # type: ignore[call-overload]
