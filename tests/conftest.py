"""What all tests share: the real data folder, and small sounds made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real data; tests that need it are marked ``shared`` and skipped where it is absent."""
    folder = Path(os.environ.get("EARMARK_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "gtzan" / "mel.npz").is_file():
        pytest.skip("the real data is not here: set EARMARK_SHARED to its folder")
    return folder
