"""From sound files to spectrograms: right, in order, resumable, and one bad file costs one file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.dataset import Clip, Dataset, load_dataset, make_dataset
from earmark.errors import InputError, StoreError
from earmark.extract import extract, listen
from earmark.front_end import MEL, REPORT, FrontEnd
from earmark.spectrogram import fit_window, spectrogram
from earmark.store import ArrayStore
from earmark.workers import in_order
from music import RATE, piece

SHORT = FrontEnd(seconds=2.0)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Two genres of five clips each, 2.5 s long."""
    for number in range(10):
        path = tmp_path / "music" / ("pop" if number < 5 else "rock") / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, piece(number, 2.5), RATE)
    return tmp_path / "music"


def test_every_clip_gets_the_spectrogram_of_its_sound(music: Path, tmp_path: Path) -> None:
    steps = []
    dataset, failures = extract(load_dataset(music), SHORT, cache=tmp_path / "cache", progress=steps.append)
    assert failures == [] and dataset.front_end == SHORT and dataset.ids == tuple(sorted(dataset.ids))
    assert isinstance(dataset.spectrograms, np.memmap) and dataset.spectrograms.shape == (10, *SHORT.shape)
    for row, clip in enumerate(dataset.clips):
        assert clip.path is not None
        samples, _ = soundfile.read(clip.path, dtype="float32")
        np.testing.assert_array_equal(dataset.spectrograms[row], spectrogram(fit_window(samples, SHORT), SHORT))
    assert {step.task for step in steps} == {"reading files", "making spectrograms"}
    assert dataset.facts["seconds"] == pytest.approx(20.0) and dataset.facts["left_out"] == []


def test_processes_give_what_one_process_gives_and_nothing_is_done_twice(music: Path, tmp_path: Path) -> None:
    source = load_dataset(music)
    alone, _ = extract(source, SHORT, cache=tmp_path / "one")
    together, _ = extract(source, SHORT, cache=tmp_path / "two", jobs=2)
    np.testing.assert_array_equal(alone.spectrograms, together.spectrograms)
    assert alone.clips == together.clips
    store = next((tmp_path / "one" / "spectrograms").iterdir())
    again = next((tmp_path / "two" / "spectrograms").iterdir())
    assert (store / "rows.bin").read_bytes() == (again / "rows.bin").read_bytes()
    before = (store / "rows.bin").stat()
    steps = []
    extract(source, SHORT, cache=tmp_path / "one", progress=steps.append)
    assert {step.task for step in steps} == {"reading files"}
    assert (store / "rows.bin").stat().st_mtime_ns == before.st_mtime_ns


def test_renamed_files_are_known_and_changed_ones_are_not(music: Path, tmp_path: Path) -> None:
    extract(load_dataset(music), SHORT, cache=tmp_path / "cache")
    (music / "pop" / "0.wav").rename(music / "rock" / "moved.wav")
    soundfile.write(music / "pop" / "1.wav", piece(50, 2.5), RATE)
    dataset, _ = extract(load_dataset(music), SHORT, cache=tmp_path / "cache")
    store = ArrayStore(
        next((tmp_path / "cache" / "spectrograms").iterdir()), key=SHORT.key(), shape=SHORT.shape, dtype=np.uint8
    )
    assert len(store) == 11 and len(dataset) == 10
    assert dataset.spectrograms is not None
    for clip, row in zip(dataset.clips, dataset.spectrograms, strict=True):
        assert clip.path is not None
        np.testing.assert_array_equal(row, listen(clip.path, SHORT)[0])


def test_a_bad_file_costs_that_file_and_its_reason_is_kept(music: Path, tmp_path: Path) -> None:
    (music / "pop" / "empty.wav").write_bytes(b"")
    (music / "rock" / "too.wav").write_bytes(b"")
    (music / "pop" / "text.mp3").write_text("no sound " * 300)
    (music / "pop" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    soundfile.write(music / "rock" / "silent.wav", np.zeros(3 * RATE), RATE)
    soundfile.write(music / "rock" / "tiny.wav", piece(0, 2.5)[: RATE // 2], RATE)
    sound = (music / "rock" / "5.wav").read_bytes()
    (music / "rock" / "cut.wav").write_bytes(sound[: len(sound) // 4])
    (music / "rock" / "name.mp3").write_bytes((music / "rock" / "6.wav").read_bytes())
    dataset, failures = extract(load_dataset(music), SHORT, cache=tmp_path / "cache", jobs=2)
    assert {failure.clip: failure.problem for failure in failures} == {
        "pop/empty": "empty",
        "rock/too": "empty",
        "pop/text": "not-audio",
        "pop/gone": "missing",
        "rock/silent": "silent",
        "rock/tiny": "too-short",
        "rock/cut": "too-short",
    }
    assert len(dataset) == 11 and dataset.facts["flawed"] == {}
    assert [entry["clip"] for entry in dataset.facts["left_out"]] == sorted(failure.clip for failure in failures)
    assert all(str(failure.path) in failure.message and failure.message.endswith(".") for failure in failures)


def test_what_is_left_of_a_truncated_file_decides(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", piece(0), RATE)
    data = (tmp_path / "whole.wav").read_bytes()
    for name, share, usable in (("most.wav", 0.8, True), ("little.wav", 0.3, False)):
        (tmp_path / name).write_bytes(data[: int(share * len(data))])
        dataset = make_dataset("x", [Clip("a", "x", path=tmp_path / name)])
        if usable:
            heard, _ = extract(dataset, MEL, cache=tmp_path / "cache")
            assert heard.facts["flawed"] == {"a": ["truncated"]}
        else:
            with pytest.raises(InputError, match=r"is truncated: 9\.0 s can be decoded"):
                extract(dataset, MEL, cache=tmp_path / "cache")


def test_of_a_long_track_the_middle_is_looked_at(tmp_path: Path) -> None:
    samples = np.concatenate([piece(0, 5.0), piece(1, 2.0), piece(2, 5.0)])
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    made, notes = listen(tmp_path / "long.wav", SHORT)
    assert notes == {"seconds": 2.0, "start": 5.0, "problems": []}
    np.testing.assert_array_equal(made, spectrogram(samples[5 * RATE : 7 * RATE].copy(), SHORT))
    soundfile.write(tmp_path / "usual.wav", samples[: int(3.9 * RATE)], RATE, subtype="FLOAT")
    assert listen(tmp_path / "usual.wav", SHORT)[1]["start"] == 0.0


def test_clips_of_one_recording_end_up_in_one_group(tmp_path: Path) -> None:
    clips = []
    sounds = [piece(0), piece(1), 0.2 * piece(0)[3 * RATE :], piece(2)]
    for number, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{number}.flac", sound, RATE)
        clips.append(Clip(str(number), "ab"[number % 2], artist=f"artist {number}", path=tmp_path / f"{number}.flac"))
    source = make_dataset("x", clips)
    for front_end in (MEL, REPORT):
        for _ in range(2):  # computed, then remembered
            dataset, _ = extract(source, front_end, cache=tmp_path / "cache")
            assert [(pair["first"], pair["second"]) for pair in dataset.facts["repeats"]] == [("0", "2")]
            assert dataset.groups[0] == dataset.groups[2] and len(set(dataset.groups)) == 3
            assert dataset.clips[2].recording == "0" and dataset.clips[1].recording is None
    apart, _ = extract(source, MEL, cache=tmp_path / "cache", repeats=False)
    assert "repeats" not in apart.facts and apart.clips[2].recording is None


def test_what_cannot_be_extracted_is_said(music: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sound files"):
        extract(make_dataset("x", [Clip("a", "x")]), SHORT, cache=tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"None of the 1 sound files .* is empty \(0 bytes\)"):
        extract(make_dataset("x", [Clip("a", "x", path=tmp_path / "bad" / "a.wav")]), SHORT, cache=tmp_path / "c")
    done, _ = extract(load_dataset(music), SHORT, cache=tmp_path / "cache")
    assert extract(done, SHORT, cache=tmp_path / "other") == (done, [])
    assert not (tmp_path / "other").exists()
    with pytest.raises(InputError, match="another front end"):
        without = tuple(replace(clip, path=None) for clip in done.clips)
        extract(replace(done, clips=without), MEL, cache=tmp_path / "cache")
    header = next((tmp_path / "cache" / "spectrograms").iterdir()) / "store.json"
    header.write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        extract(load_dataset(music), SHORT, cache=tmp_path / "cache")


def test_the_cache_folder_comes_from_the_environment(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "chosen"))
    extract(load_dataset(music), SHORT)
    assert (tmp_path / "chosen" / "spectrograms").is_dir()


EXTRACT = """
    import sys
    from earmark.dataset import load_dataset
    from earmark.extract import extract
    from earmark.front_end import MEL

    def show(step):
        print(step.done, flush=True)

    if __name__ == "__main__":
        print("go", flush=True)
        extract(load_dataset(sys.argv[1]), MEL, cache=sys.argv[2], jobs=2, progress=show)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_after_kill_9_the_rest_is_done_and_the_result_is_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "music" / "pop"
    folder.mkdir(parents=True)
    soundfile.write(folder / "0.wav", piece(0), RATE)
    for number in range(1, 60):
        shutil.copy(folder / "0.wav", folder / f"{number}.wav")
        with open(folder / f"{number}.wav", "r+b") as handle:
            handle.seek(1000 + 2 * number)
            handle.write(b"\x11\x22")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(EXTRACT))
    cache = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, script, folder.parent, cache], stdout=subprocess.PIPE, text=True)
    rows = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (rows is None or rows.stat().st_size < 5 * MEL.shape[0] * MEL.shape[1]):
        rows = next(cache.glob("spectrograms/*/rows.bin"), None)
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert rows is not None
    kept = rows.stat().st_size // (MEL.shape[0] * MEL.shape[1])
    assert 5 <= kept < 60
    steps = []
    dataset, failures = extract(
        load_dataset(folder.parent), MEL, cache=cache, jobs=2, repeats=False, progress=steps.append
    )
    made = [step for step in steps if step.task == "making spectrograms"]
    assert failures == [] and len(dataset) == 60 and len(made) <= 60 - kept
    fresh, _ = extract(load_dataset(folder.parent), MEL, cache=tmp_path / "fresh", repeats=False)
    np.testing.assert_array_equal(dataset.spectrograms, fresh.spectrograms)


def _sometimes_fatal(number: int) -> int:
    if number in (3, 11):
        os._exit(9)
    return number * number


def _said(number: int) -> int:
    return -number


def test_a_task_that_kills_its_process_costs_that_task() -> None:
    results = list(in_order(_sometimes_fatal, range(16), 2, _said))
    assert results == [-n if n in (3, 11) else n * n for n in range(16)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import time
            from earmark.workers import in_order

            def wait(number):
                print(number, flush=True)
                time.sleep(600)

            if __name__ == "__main__":
                list(in_order(wait, range(9), 2, str))
        """)
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    for child in alive:
        child.kill()
    assert alive == []


@pytest.mark.shared
def test_real_clips_give_the_rows_of_the_mel_file(shared: Path, tmp_path: Path) -> None:
    source = load_dataset(shared / "gtzan" / "audio")
    chosen = source.select([row for row, name in enumerate(source.ids) if name.endswith("7")])
    dataset, failures = extract(chosen, MEL, cache=tmp_path, repeats=False)
    reference: Dataset = load_dataset(shared / "gtzan" / "mel.npz")
    assert failures == [] and dataset.spectrograms is not None and reference.spectrograms is not None
    exact = 0
    for row, name in zip(dataset.spectrograms, dataset.ids, strict=True):
        off = np.abs(row.astype(int) - reference.spectrograms[reference.ids.index(name)])
        # Clips of more than 30 s are squeezed in the file (see clip_spectrogram); the others are equal.
        exact += int(off.max() <= 1)
    assert len(dataset) == 10 and exact == 9
