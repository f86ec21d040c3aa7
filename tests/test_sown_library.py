"""A library sown with more than 200 bad files: all good ones heard, all bad ones listed, none of them scored."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bundles import tiny_bundle
from earmark.library.library import Library
from sounds import music
from sow import FORMATS, Sown, sow, write_good

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs there"),
    # Nine formats, 300 files, two commands over all of them, on a machine that may have other work.
    pytest.mark.timeout(900),
]


def earmark(place: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command without the powers of root, to whom nothing is forbidden."""
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
    powers = without if os.geteuid() == 0 and shutil.which("setpriv") else []
    command = [*powers, sys.executable, "-c", "from earmark.cli import main; main()", *arguments]
    environment = os.environ | {"EARMARK_CATALOGUE": str(place / "c.db"), "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, cwd=place, env=environment, timeout=800)


def expected(sown: Sown) -> tuple[set[str], set[str]]:
    """What must be heard, and what must not."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        # Copies of one sound that anybody may read.
        return sown.good | sown.noted | sown.forbidden, sown.bad
    return sown.good | sown.noted, sown.bad | sown.forbidden


def judge(sown: Sown, heard: set[str], failed: set[str]) -> None:
    good, bad = expected(sown)
    assert good <= heard, f"not heard: {sorted(good - heard)}"
    assert not bad & heard, f"scored: {sorted(bad & heard)}"
    assert bad <= failed, f"not listed: {sorted(bad - failed)}"
    assert not heard & failed
    assert heard | failed == good | bad | sown.either, "every file is one or the other"


def check(place: Path, sown: Sown, *options: str) -> None:
    """Scan and classify the folder, and hold what comes of it against what was sown."""
    assert len(sown.bad) >= 200
    done = earmark(place, "scan", "music", *options)
    assert done.returncode == 1, done.stderr[-2000:]
    assert b"Traceback" not in done.stderr
    music = place / "music"
    with Library(place / "c.db", create=False) as library:
        errors = {os.path.relpath(track.path, music): track for track in library.errors()}
        tracks = {os.path.relpath(track.path, music): track for track in library.tracks()}
        judge(sown, set(tracks), set(errors))
        for name, track in errors.items():
            assert track.problem and track.reason and track.reason.isprintable(), name
            assert not track.label and track.probabilities is None
            assert track.problem not in ("crashed", "too-slow", "error"), track.reason
        assert all("wrong-suffix" in tracks[name].warnings for name in sown.noted)
        cut = {name: track.problem for name, track in errors.items() if name.startswith("cut/")}
        assert set(cut.values()) <= {"truncated", "damaged", "not-audio", "too-short", "empty"}, cut
        assert sum(problem == "truncated" for problem in cut.values()) > 0.8 * len(cut)
    listed = earmark(place, "errors")
    assert len(listed.stdout.splitlines()) >= len(errors) + len(sown.noted)
    named = earmark(place, "errors", "-0").stdout.split(b"\0")[:-1]
    assert {os.path.relpath(os.fsdecode(name), music) for name in named} == set(errors)
    # The same through the other command, which keeps nothing.
    done = earmark(place, "classify", "music", "--format", "jsonl", *options)
    assert done.returncode == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    by_name = {os.path.relpath(row["path"], "music"): row for row in rows}
    assert len(by_name) == len(rows)
    heard = {name for name, row in by_name.items() if "label" in row}
    judge(sown, heard, set(by_name) - heard)
    assert all(row["reason"] for row in rows if "label" not in row)
    again = earmark(place, "scan", *options)
    assert b" heard again" not in again.stdout and b" new" not in again.stdout


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    # So that the folder can be removed by whoever made it.
    for secret in (tmp_path / "music" / "no permission").glob("*"):
        secret.chmod(0o600)


def test_made_up_music(place: Path) -> None:
    tiny_bundle(place / "tiny.earmark")
    sounds: list[tuple[NDArray[np.float32], int]] = []
    for number, kind in enumerate(FORMATS.values()):
        rate = kind.rate or 44100
        sounds.append((music(12.0, rate, 1, seed=number)[:, 0], rate))
    good = write_good(place / "music", sounds)
    check(place, sow(place / "music", good), "--bundle", "tiny.earmark")


@pytest.mark.shared
def test_real_clips(place: Path, shared: Path) -> None:
    """Real clips with the model of the package."""
    clips = sorted((shared / "gtzan" / "audio").rglob("*.flac"))[::5][: 2 * len(FORMATS)]
    sounds = []
    for number, clip in enumerate(clips):
        samples, rate = soundfile.read(clip, dtype="float32")
        wanted = list(FORMATS.values())[number % len(FORMATS)].rate
        if wanted is not None:
            import soxr

            samples, rate = soxr.resample(samples, rate, wanted), wanted
        sounds.append((samples, rate))
    good = write_good(place / "music", sounds)
    check(place, sow(place / "music", good))
