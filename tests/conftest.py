"""What all tests share: the real data folder, and small sounds made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# On a machine with other work any example can take long; timing decides no test.
settings.register_profile("earmark", deadline=None)
settings.load_profile("earmark")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real data; tests that need it are marked ``shared`` and skipped where it is absent."""
    folder = Path(os.environ.get("EARMARK_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "gtzan" / "mel.npz").is_file():
        pytest.skip("the real data is not here: set EARMARK_SHARED to its folder")
    return folder
