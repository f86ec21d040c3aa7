"""Scanning real files with real workers: nothing lost, nothing heard twice, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from mutagen.id3 import ID3, TIT2, TPE1

from bundles import tiny_bundle
from earmark.errors import InputError, StoreError
from earmark.library.library import Library
from earmark.library.pool import Pool
from earmark.library.scan import ScanReport
from earmark.library.worker import Task
from sounds import by_name, make

RATE = 22050
PITCHES = {"bass": 90.0, "middle": 1200.0, "treble": 7000.0}


def sound(label: str, seconds: float = 3.0, seed: int = 0) -> np.ndarray:
    """A sound that the tiny bundle gives this genre, another one for every seed."""
    time = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).normal(size=len(time))
    tone = 0 if label == "hiss" else np.sin(2 * np.pi * (PITCHES[label] + seed) * time)
    return (0.3 * tone + (0.1 if label == "hiss" else 0.002) * noise).astype(np.float32)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.earmark"
    tiny_bundle(path)
    return path


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Six good files, named after their genre."""
    folder = tmp_path / "music"
    (folder / "sub").mkdir(parents=True)
    for seed, label in enumerate(["bass", "hiss", "middle", "treble"]):
        soundfile.write(folder / f"{label}.wav", sound(label, seed=seed), RATE)
    soundfile.write(folder / "sub" / "bass too.FLAC", sound("bass", seed=9), RATE, format="FLAC")
    make(folder / "sub", by_name("mp3"), sound("treble", seed=8), RATE, "treble too")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "c.db") as opened:
        yield opened


@pytest.fixture
def scan(library: Library, music: Path, bundle: Path) -> Callable[..., ScanReport]:
    """Scan the music, or other folders, with the tiny bundle."""

    def run(*folders: Path, **options: object) -> ScanReport:
        return library.scan(*(folders or [music]), **{"bundle": bundle, "jobs": 2, **options})  # type: ignore[arg-type]

    return run


def counts(report: ScanReport) -> dict[str, int]:
    """What is not zero."""
    return {name: n for name, n in vars(report).items() if isinstance(n, int) and n}


def heard(library: Library) -> dict[str, str]:
    return {Path(track.path).name: track.label for track in library.tracks()}


def test_a_scan_hears_everything_once(scan: Callable[..., ScanReport], library: Library, music: Path) -> None:
    report = scan()
    assert counts(report) == {"found": 6, "new": 6}
    assert all(name.startswith(label) for name, label in heard(library).items()), heard(library)
    assert library.roots() == [str(music)]
    assert counts(scan()) == {"found": 6, "unchanged": 6}
    # A file that only looks new is not heard again either.
    (music / "bass.wav").touch()
    assert counts(scan()) == {"found": 6, "retagged": 1, "unchanged": 5}


def test_what_changed_is_noticed_and_only_that(
    scan: Callable[..., ScanReport], library: Library, music: Path, tmp_path: Path
) -> None:
    scan()
    numbers = {Path(t.path).name: t.id for t in library.tracks()}
    # New sound under an old name, while the old sound goes elsewhere; two files that change places; one that goes.
    (music / "bass.wav").rename(music / "sub" / "first.wav")
    soundfile.write(music / "bass.wav", sound("treble", seed=5), RATE)
    (music / "hiss.wav").rename(tmp_path / "hold")
    (music / "middle.wav").rename(music / "hiss.wav")
    (tmp_path / "hold").rename(music / "middle.wav")
    (music / "treble.wav").unlink()
    tags = ID3()
    tags.add(TIT2(encoding=3, text="A title"))
    tags.add(TPE1(encoding=3, text="An artist"))
    tags.save(music / "sub" / "treble too.mp3")
    report = scan()
    assert report.heard == 1, counts(report)
    assert report.removed == 1
    assert report.retagged == 1
    assert heard(library) == {
        "bass.wav": "treble",
        "first.wav": "bass",
        "hiss.wav": "middle",
        "middle.wav": "hiss",
        "bass too.FLAC": "bass",
        "treble too.mp3": "treble",
    }
    tagged = library.track(music / "sub" / "treble too.mp3")
    assert tagged is not None
    assert (tagged.name, tagged.id) == ("An artist - A title", numbers["treble too.mp3"])
    assert counts(scan()) == {"found": 6, "unchanged": 6}


def test_copies_are_recognised_and_gone_files_come_back(
    scan: Callable[..., ScanReport], library: Library, music: Path, tmp_path: Path
) -> None:
    scan()
    shutil.copy2(music / "bass.wav", music / "copy.wav")
    (music / "hiss.wav").rename(tmp_path / "away.wav")
    assert counts(scan()) == {"found": 6, "unchanged": 5, "copied": 1, "removed": 1}
    assert heard(library)["copy.wav"] == "bass"
    assert "hiss.wav" not in heard(library)
    (tmp_path / "away.wav").rename(music / "hiss.wav")
    assert counts(scan()) == {"found": 7, "unchanged": 6, "returned": 1}
    assert heard(library)["hiss.wav"] == "hiss"


def test_a_copy_under_a_header_that_lies_is_told_whichever_comes_first(
    scan: Callable[..., ScanReport], music: Path, library: Library
) -> None:
    """What is said of a file must not depend on whether a good file with the same bytes was found before."""
    data = bytearray((music / "bass.wav").read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = (10 * len(data)).to_bytes(4, "little")
    for name in ("a.wav", "z.wav"):
        (music / name).write_bytes(data)
    assert counts(scan(jobs=1)) == {"found": 8, "new": 6, "failed": 2}
    assert [(Path(f.path).name, f.problem) for f in library.errors()] == [
        ("a.wav", "truncated"), ("z.wav", "truncated")
    ]  # fmt: skip


def test_a_whole_folder_that_moves_is_recognised(
    scan: Callable[..., ScanReport], library: Library, music: Path, tmp_path: Path
) -> None:
    scan()
    other = tmp_path / "elsewhere"
    music.rename(other)
    report = scan(other)
    assert counts(report) == {"found": 6, "moved": 6}
    assert {Path(t.path).parent for t in library.tracks()} == {other, other / "sub"}


def test_a_disk_that_is_not_there_is_no_reason_to_forget(
    scan: Callable[..., ScanReport], library: Library, music: Path, tmp_path: Path
) -> None:
    scan()
    music.rename(tmp_path / "unplugged")
    with pytest.raises(InputError, match="disk"):
        scan()
    music.mkdir()
    with pytest.raises(InputError, match="6 files there"):
        scan()
    assert len(heard(library)) == 6
    assert counts(scan(accept_removed=True)) == {"removed": 6}
    assert heard(library) == {}


def test_another_bundle_or_more_windows_hear_again(
    scan: Callable[..., ScanReport], library: Library, tmp_path: Path
) -> None:
    scan()
    assert counts(scan(windows=5)) == {"found": 6, "again": 6}
    assert counts(scan(windows=2)) == {"found": 6, "unchanged": 6}, "less than is known"
    assert counts(scan(full=True)) == {"found": 6, "again": 6}
    tiny_bundle(tmp_path / "other.earmark", name="other", unsure_below=0.99)
    assert counts(scan(bundle=tmp_path / "other.earmark")) == {"found": 6, "again": 6}
    assert library.stats().bundle == "other"
    assert library.stats().unsure > 0


def bad_files(folder: Path, good: Path) -> set[str]:
    """Files that cannot be heard, and the names of them all."""
    data = good.read_bytes()
    rng = np.random.default_rng(0)
    files: dict[str, bytes] = {
        "empty.mp3": b"",
        "text.flac": b"This is a text. " * 400,
        "image.ogg": b"\xff\xd8\xff\xe0" + rng.bytes(5000),
        "zeros.wav": bytes(20000),
        "noise.m4a": rng.bytes(20000),
        "header only.wav": data[:44],
        "list.mp3": b"#EXTM3U\n/etc/passwd\n" * 50,
        "huge id3.mp3": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + rng.bytes(3000),
        "huge flac block.flac": b"fLaC\x84\xff\xff\xff" + rng.bytes(3000),
        "huge atom.m4a": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0"
        + b"\x7f\xff\xff\xffmoov"
        + rng.bytes(3000),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    names = set(files)
    os.mkfifo(folder / "pipe.mp3")
    (folder / "broken link.mp3").symlink_to(folder / "nowhere")
    soundfile.write(folder / "silent.wav", np.zeros(3 * RATE), RATE)
    soundfile.write(folder / "short.wav", sound("bass", 0.3), RATE)
    os_name = os.fsencode(folder) + b"/line\nbreak \xff.mp3"
    Path(os.fsdecode(os_name)).write_bytes(b"nothing")
    names |= {"pipe.mp3", "broken link.mp3", "silent.wav", "short.wav", os.fsdecode(b"line\nbreak \xff.mp3")}
    if os.geteuid():
        (folder / "secret.mp3").write_bytes(data)
        (folder / "secret.mp3").chmod(0)
        names.add("secret.mp3")
    return names


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs there")
def test_bad_files_are_listed_and_every_good_one_is_heard(
    scan: Callable[..., ScanReport], library: Library, music: Path, tmp_path: Path
) -> None:
    names = bad_files(music, music / "bass.wav")
    data = make(tmp_path, by_name("mp3"), sound("treble", 15.0, seed=3), RATE).read_bytes()
    for tenth in range(1, 10):
        (music / f"treble cut {tenth}.mp3").write_bytes(data[: len(data) * tenth // 10])
        names.add(f"treble cut {tenth}.mp3")
    (music / "treble nearly.mp3").write_bytes(data[: len(data) * 97 // 100])
    report = scan()
    assert {Path(f.path).name for f in library.errors()} == names
    for failure in library.errors():
        assert failure.reason, failure
        assert failure.reason.isprintable()
        assert failure.label == ""
    labels = heard(library)
    good = {"bass.wav", "hiss.wav", "middle.wav", "treble.wav", "bass too.FLAC", "treble too.mp3"}
    assert set(labels) == good | {"treble nearly.mp3"}, "where hardly anything is missing, the rest is heard"
    assert {t.problem for t in library.errors() if "treble cut" in t.path} == {"truncated"}
    flawed = {Path(track.path).name: track.warnings for track in library.flawed()}
    assert flawed == {"treble nearly.mp3": ("truncated",)} and report.flawed == 1
    assert all(name.startswith(label) for name, label in labels.items())
    assert report.failed == len(names)
    again = scan()
    assert again.heard == 0
    # What lies with the disk is tried again each time, what lies with the file is not.
    assert {Path(path).name for path, _, _ in again.failures} <= {"pipe.mp3", "broken link.mp3", "secret.mp3"}
    assert scan(retry=True).failed == len(names)


def test_a_folder_that_cannot_be_looked_into_is_listed_until_it_can(
    music: Path, bundle: Path, tmp_path: Path
) -> None:
    catalogue = tmp_path / "c.db"
    # Nothing is forbidden to root with all its powers.
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
    powers = without if os.geteuid() == 0 else []
    if powers and shutil.which(powers[0]) is None:
        pytest.skip("root cannot do without its powers here")
    (music / "sub").chmod(0)
    try:
        done = subprocess.run([*powers, *command(music, catalogue, bundle)], capture_output=True, text=True)
    finally:
        (music / "sub").chmod(0o700)
    assert done.returncode == 1
    assert "sub: this folder cannot be read (Permission denied)" in done.stderr
    with Library(catalogue) as library:
        assert [(Path(f.path).name, f.problem) for f in library.errors()] == [("sub", "unreadable")]
        assert len(heard(library)) == 4
        report = library.scan(music, bundle=bundle, jobs=1)
        assert counts(report) == {"found": 6, "unchanged": 4, "new": 2}
        assert list(library.errors()) == []


def test_a_file_that_takes_too_long_is_given_up(
    scan: Callable[..., ScanReport], library: Library, music: Path
) -> None:
    soundfile.write(music / "long.wav", sound("hiss", 400.0), RATE)
    report = scan(full=True, time_limit=0.15)
    assert "long.wav" in {Path(path).name for path, problem, _ in report.failures if problem == "too-slow"}
    report = scan(full=True, retry=True)
    assert report.failed == 0
    assert heard(library)["long.wav"] == "hiss"


def test_a_long_file_is_given_its_time_while_it_gets_on(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "mix.wav", sound("hiss", 600.0), RATE)
    task = Task(str(tmp_path / "mix.wav"), 0)
    with Pool(bundle, jobs=1) as pool:
        assert all(outcome.problem is None for outcome in pool.run([task]))
        begun = time.monotonic()
        assert all(outcome.problem is None for outcome in pool.run([task]))
        half = (time.monotonic() - begun) / 2
        monkeypatch.setattr("earmark.library.pool.BASE_SECONDS", half)
        monkeypatch.setattr("earmark.library.pool.SECONDS_PER_MB", 0.0)
        # Twenty windows: each takes a tenth of that.
        assert [outcome.problem for outcome in pool.run([task])] == [None]
    with Pool(bundle, jobs=1, time_limit=half) as pool:
        assert [outcome.problem for outcome in pool.run([task])] == ["too-slow"]


def test_a_worker_that_dies_costs_one_file(bundle: Path, music: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", sound("hiss", 400.0), RATE)
    files = [tmp_path / "long.wav", *sorted(music.glob("*.wav"))]
    with Pool(bundle, jobs=1) as pool:

        def kill_soon() -> None:
            deadline = time.monotonic() + 60
            # Dead workers of other tests may still be children of this process; the one that is busy is ours.
            while time.monotonic() < deadline:
                for child in psutil.Process().children():
                    if any(f.path.endswith("long.wav") for f in child.open_files()):
                        child.send_signal(signal.SIGSEGV)
                        return
                time.sleep(0.005)

        threading.Thread(target=kill_soon, daemon=True).start()
        tasks = (Task(str(file), windows=0) for file in files)
        outcomes = list(pool.run(tasks, ordered=True))
    assert [outcome.problem for outcome in outcomes] == ["crashed", None, None, None, None]
    assert "SIGSEGV" in str(outcomes[0].reason)


def test_outcomes_come_in_order_and_leaving_early_ends_the_workers(bundle: Path, music: Path) -> None:
    files = sorted(music.glob("*.wav")) * 5
    # Python's own resource tracker may be running already, left by an earlier test in this process.
    before = set(psutil.Process().children())
    with Pool(bundle, jobs=2) as pool:
        outcomes = pool.run((Task(str(file)) for file in files), ordered=True)
        assert [next(outcomes).path for _ in range(10)] == [str(file) for file in files[:10]]
        started = set(psutil.Process().children()) - before
        assert started, "nothing was started that could be left behind"
    after = {child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}
    assert not after - before


def test_a_bundle_that_cannot_be_used_is_said_at_once(library: Library, music: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.earmark").write_bytes(b"no bundle")
    with pytest.raises(InputError, match="bundle"):
        library.scan(music, bundle=tmp_path / "bad.earmark")
    with Pool(tmp_path / "bad.earmark") as pool, pytest.raises(StoreError, match="bundle"):
        list(pool.run([Task(str(music / "bass.wav"))]))


def command(music: Path, catalogue: Path, bundle: Path) -> list[str]:
    code = "from earmark.cli import main; main()"
    options = ["--catalogue", str(catalogue), "--bundle", str(bundle), "--jobs", "1"]
    return [sys.executable, "-c", code, "scan", str(music), *options]


def rows(catalogue: Path) -> int:
    if not catalogue.exists():
        return 0
    try:
        with Library(catalogue, create=False) as library:
            return len(list(library.tracks()))
    except (InputError, StoreError):
        return 0


@pytest.mark.slow
def test_a_scan_that_is_killed_goes_on_where_it_was(music: Path, bundle: Path, tmp_path: Path) -> None:
    for seed in range(60):
        soundfile.write(music / f"hiss {seed}.wav", sound("hiss", 6.0, seed=100 + seed), RATE)
    catalogue = tmp_path / "killed.db"
    kept = 0
    for wanted in (5, 25):
        scanning = subprocess.Popen(command(music, catalogue, bundle), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while rows(catalogue) < wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        scanning.kill()
        scanning.wait()
        now = rows(catalogue)
        assert wanted <= now < 66, "killed in the middle"
        assert now >= kept
        kept = now
    with Library(catalogue) as library:
        before = {t.path: t.id for t in library.tracks()}
    done = subprocess.run(command(music, catalogue, bundle), capture_output=True, text=True, check=True)
    assert f"{66 - kept} new, {kept} unchanged" in done.stdout, done.stdout
    with Library(catalogue) as library:
        after = {t.path: t.id for t in library.tracks()}
        assert len(after) == 66
        assert before.items() <= after.items()
        assert all(Path(t.path).name.startswith(t.label) for t in library.tracks())


def test_workers_do_not_outlive_a_killed_scan(music: Path, bundle: Path, tmp_path: Path) -> None:
    for seed in range(20):
        soundfile.write(music / f"hiss {seed}.wav", sound("hiss", 30.0, seed=100 + seed), RATE)
    scanning = subprocess.Popen(command(music, tmp_path / "c.db", bundle), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while rows(tmp_path / "c.db") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = psutil.Process(scanning.pid).children(recursive=True)
    assert workers
    scanning.kill()
    scanning.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
