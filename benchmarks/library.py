"""How fast a library of four-minute MP3s is heard, where the time goes, and how a plain script compares.

    python benchmarks/library.py [--tracks 24] [--seconds 240] [--jobs 2] [--plain 2] [--json FILE]

The music is made up and encoded on the spot (MP3, 44.1 kHz stereo, 192 kbit/s). Tracks per second are end to end, as
`earmark classify FOLDER` and `earmark scan FOLDER` are run, with the start of the interpreter and of the workers. The
plain script decodes with librosa.load, computes librosa's mel spectrogram of the same three windows and hears them
with MobileNetV2 in torch, in one process that loads everything once; its time is compared with ours per core.
"""

# ruff: noqa: E402  (the threads must be pinned before NumPy is imported)
from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import av
import numpy as np

from earmark import audio, predict
from earmark.library import prints, worker
from earmark.library.worker import Task
from earmark.predict import Classifier

RATE = 44100


def make_track(path: Path, seconds: float, seed: int) -> None:
    """Chords, beats and noise, another piece for every seed, as an MP3 with tags."""
    rng = np.random.default_rng(seed)
    bar = RATE * 2
    time_ = np.arange(bar) / RATE
    bars = []
    for _ in range(6):
        notes = 110 * 2 ** (rng.integers(0, 36, 5) / 12)
        tone = sum(np.sin(2 * np.pi * n * k * time_) / k for n in notes for k in (1, 2, 3))
        beat = np.exp(-12 * (time_ % rng.choice([0.25, 0.5]))) * rng.standard_normal(bar)
        left = 0.06 * np.asarray(tone) + 0.15 * beat + 0.003 * rng.standard_normal(bar)
        bars.append(np.stack([left, np.roll(left, 40) * 0.8]).astype(np.float32))
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libmp3lame", rate=RATE, layout="stereo")
        stream.bit_rate = 192_000
        target.metadata.update({"artist": f"Artist {seed % 5}", "title": f"Piece {seed}", "date": str(1960 + seed)})
        queue, packets = av.AudioFifo(), []
        for _ in range(10):
            samples = np.clip(bars[rng.integers(len(bars))] * rng.uniform(0.6, 1.0), -1, 1).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
            frame.sample_rate = RATE
            queue.write(frame)
            while (part := queue.read(1152)) is not None:
                packets += stream.encode(part)
        # Encoding takes longer than all that is measured; so 20 s are encoded, and their packets used over and over.
        for place, packet in zip(range(0, round(seconds * RATE), 1152), itertools.cycle(packets), strict=False):
            copy = av.Packet(bytes(packet))
            copy.stream, copy.time_base = stream, Fraction(1, RATE)
            copy.pts = copy.dts = place
            copy.duration = 1152
            target.mux(copy)


def end_to_end(arguments: list[str]) -> float:
    """Seconds that a command takes."""
    command = [sys.executable, "-c", "from earmark.cli import main; main()", *arguments]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    spent = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return spent


def shares(path: Path, windows: int, repeat: int = 5) -> dict[str, float]:
    """Milliseconds of one worker for one track, by part; the best of several runs."""
    classifier, spent = Classifier(), dict[str, float]()

    def clock(owner: Any, name: str, part: str) -> None:
        original = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            result = original(*arguments, **options)
            spent[part] = spent.get(part, 0.0) + time.perf_counter() - begun
            return result

        setattr(owner, name, timed)

    clock(predict, "spectrogram", "spectrogram")
    clock(Classifier, "window_probabilities", "network")
    clock(prints, "make_print", "print")
    runs = []
    for _ in range(repeat):
        spent.clear()
        begun = time.perf_counter()
        seen = worker.look(str(path))
        looked = time.perf_counter() - begun
        worker.hear(classifier, Task(str(path), windows, look=True), seen)
        total = time.perf_counter() - begun
        decoding = total - looked - sum(spent.values())
        parts = {"tags and content key": looked, "decoding and resampling": decoding, **spent, "all": total}
        runs.append({name: 1000 * value for name, value in parts.items()})
    return min(runs, key=lambda run: run["all"])


def plain_script(paths: list[Path]) -> float:
    """Seconds per track of a straightforward librosa and torch script, once everything is loaded."""
    import librosa
    import torch
    from transformers import MobileNetV2Config, MobileNetV2Model

    from earmark.drawing import MAGMA

    torch.set_num_threads(1)
    # Weights do not change the time, so none have to be fetched.
    model = MobileNetV2Model(MobileNetV2Config()).eval()
    colours = torch.tensor(np.asarray(MAGMA), dtype=torch.float32) / 127.5 - 1
    librosa.feature.melspectrogram(y=np.zeros(4096, np.float32), sr=22050)
    begun = time.perf_counter()
    for path in paths:
        samples, rate = librosa.load(path)
        last = len(samples) - 30 * rate
        for start in (0, last // 2, last):
            mel = librosa.feature.melspectrogram(y=samples[start : start + 30 * rate], sr=rate)
            decibels = librosa.power_to_db(mel, ref=np.max)
            levels = (255 * (decibels - decibels.min()) / np.ptp(decibels)).astype(np.int64)
            picture = colours[torch.from_numpy(levels)].permute(2, 0, 1)[None]
            picture = torch.nn.functional.interpolate(picture, (256, 256), mode="bilinear")
            with torch.no_grad():
                model(picture)
    return (time.perf_counter() - begun) / len(paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plain", type=int, default=2, help="tracks for the plain script; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"tracks": options.tracks, "seconds": options.seconds, "jobs": options.jobs}
    with tempfile.TemporaryDirectory() as folder:
        music = Path(folder) / "music"
        music.mkdir()
        for seed in range(options.tracks):
            make_track(music / f"{seed:03}.mp3", options.seconds, seed)
        files = sorted(music.iterdir())
        jobs = ["--jobs", str(options.jobs)]
        catalogue = ["--catalogue", str(Path(folder) / "c.db")]
        start = end_to_end(["classify", str(files[0]), *jobs])
        figures["one file, cold, s"] = start
        print(f"one file, cold start to answer          {start:6.2f} s")
        runs = {
            "classify": ["classify", str(music), *jobs],
            "classify --full": ["classify", str(music), "--full", *jobs],
            "scan": ["scan", str(music), *jobs, *catalogue],
            "scan, nothing changed": ["scan", str(music), *jobs, *catalogue],
        }
        if _has_mutagen():
            plan = str(Path(folder) / "plan.jsonl")
            scanned = ["--scanned", *catalogue, "--unsure", "--output", plan]
            runs["tags plan from the catalogue"] = ["tags", "plan", str(music), *scanned]
            journal = ["--journal", str(Path(folder) / "journal")]
            runs["tags apply"] = ["tags", "apply", plan, *journal]
        for name, arguments in runs.items():
            spent = end_to_end(arguments)
            figures[f"{name}, tracks/s"] = options.tracks / spent
            print(f"{name:38s}  {options.tracks / spent:6.1f} tracks/s  ({spent:.2f} s)")
        for name, windows in (("three windows", 3), ("all of it", 0)):
            parts = shares(files[0], windows)
            figures[f"ms, {name}"] = parts
            print(f"\none worker, one track, {name}:")
            for part, value in parts.items():
                print(f"  {part:26s} {value:7.1f} ms")
        if options.plain:
            plain = plain_script(files[: options.plain])
            ours = figures["ms, three windows"]["all"] / 1000
            figures["plain script, s per track"], figures["times faster"] = plain, plain / ours
            print(
                f"\nplain librosa and torch script: {plain:.2f} s per track on one core, ours {ours:.3f} s: ", end=""
            )
            print(f"{plain / ours:.1f} times faster")
            length = audio.probe(files[0]).seconds
            print(f"(tracks of {length:.0f} s; {os.cpu_count()} processors)")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def _has_mutagen() -> bool:
    import importlib.util

    return importlib.util.find_spec("mutagen") is not None


if __name__ == "__main__":
    main()
