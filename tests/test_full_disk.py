"""A disk that really is full: one sentence, nothing half-written, and the same command goes on from there."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from earmark.crossval import crossval
from earmark.errors import InputError
from earmark.files import atomic_write
from earmark.folds import make_protocol
from earmark.learners import HeadLearner
from earmark.models.config import HeadConfig, TrainingConfig
from earmark.report import write_report
from learning import blobs

SMALL = HeadLearner(HeadConfig("tl-cnn-gru", units=4), TrainingConfig(epochs=3, batch_size=16))
TABLES = ("predictions.csv", "curves.csv", "folds.csv", "clips.csv", "inner.csv")


class Disk:
    """A file system of its own, in memory, that can grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kilobytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", self.folder], check=True)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system of its own takes Linux and root")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize(
    ("jobs", "sizes"),
    # From less than the marker of an unfinished run needs, past folds, tables and thumbnails, to the page. Worker
    # processes take their time to start, so with them one size, that of a fold, has to do.
    [(1, (4, 12, 32, 64, 128, 224)), (2, (12,))],
)
def test_cross_validation_stops_with_a_sentence_and_goes_on(
    disk: Disk, tmp_path: Path, jobs: int, sizes: tuple[int, ...]
) -> None:
    data = blobs(40)
    protocol = make_protocol(data, "random10", folds=3)

    def go(folder: Path, jobs: int = 1) -> Path:
        return write_report(crossval(data, SMALL, protocol, folder, jobs=jobs, calibrate=True, leak_tests=False))

    go(tmp_path / "reference")
    run = disk.folder / "run"
    stopped = []
    for kilobytes in sizes:
        disk.resize(kilobytes)
        try:
            go(run, jobs)
        except InputError as error:
            stopped.append(str(error))
            assert "disk is full" in str(error)
            assert "run the same command again" in str(error)
            assert not [name for name in disk.files() if name.endswith(".part")]
    assert len(set(stopped)) >= min(3, len(sizes)), "it stopped at several places"
    disk.resize(4096)
    go(run, jobs)
    for name in TABLES:
        assert (run / name).read_bytes() == (tmp_path / "reference" / name).read_bytes()
    assert not (run / "unfinished.json").exists()


def test_what_stood_there_before_is_untouched(disk: Disk) -> None:
    place = disk.folder / "my.earmark"
    place.write_bytes(b"the bundle of last week")
    with pytest.raises(InputError, match="disk is full"), atomic_write(place) as handle:
        handle.write(bytes(1 << 20))
    assert place.read_bytes() == b"the bundle of last week"
    assert disk.files() == ["my.earmark"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_limit_on_file_sizes_is_told_like_a_full_disk(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from earmark.errors import InputError
from earmark.files import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
try:
    with atomic_write(sys.argv[1]) as handle:
        handle.write(bytes(20000))
except InputError as error:
    print(error)
"""
    place = tmp_path / "big"
    done = subprocess.run([sys.executable, "-c", script, str(place)], capture_output=True, text=True, check=True)
    assert "The disk is full, or a limit on file sizes is reached" in done.stdout, done
    assert list(tmp_path.iterdir()) == []


def test_other_failures_are_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written") as caught, atomic_write(tmp_path / "x"):
        raise OSError(errno.EIO, "Input/output error")
    assert "full" not in str(caught.value)
