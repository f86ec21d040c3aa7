"""How fast a library of four-minute MP3s is heard, where the time goes, and how a plain script compares.

    python benchmarks/library.py [--music FOLDER] [--tracks 60] [--seconds 240] [--jobs 2] [--plain 4] [--json FILE]

The tracks (MP3, 44.1 kHz stereo) are real ones whose packets are repeated to the wanted length, if --music names a
folder of MP3s; otherwise music is made up and encoded on the spot (192 kbit/s). Every track begins elsewhere in its
source: of two equal ones a scan would hear only one. Tracks per second are end to end, as
`earmark classify FOLDER` and `earmark scan FOLDER` are run, with the start of the interpreter and of the workers. On
a machine that others use at the same time the clock says little; so the processor time of all processes is told
beside it, and what it comes to where the processors have nothing else to do.

The plain script decodes with librosa.load, computes librosa's mel spectrogram of the same windows and hears them with
MobileNetV2 in torch, in one process that loads everything once. That is a genre and nothing else; ours also tells
tempo, key and loudness, so there is a second variant of the script, which calls librosa for these as well
(feature.tempo, feature.chroma_stft, feature.rms). Script and ours take turns track by track, on one core each, and
their processor times are compared; then by the clock, the script's one process against our two workers.
"""

# ruff: noqa: E402  (the threads must be pinned before NumPy is imported)
from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import av
import numpy as np
from numpy.typing import NDArray

from earmark import audio, predict
from earmark.library import prints, worker
from earmark.library.pool import Pool
from earmark.library.timbre import Timbre
from earmark.library.worker import Task
from earmark.music.meter import MusicMeter
from earmark.predict import Classifier

RATE = 44100
# Krumhansl and Kessler's profiles, as scripts on the web have them.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


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
        _repeat(packets, stream, target, seconds)


def lengthen(source: Path, path: Path, seconds: float, seed: int) -> None:
    """A real MP3's packets over and over, with tags."""
    with av.open(str(source)) as origin, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(origin.streams.audio[0])
        target.metadata.update({"artist": f"Artist {seed % 5}", "title": f"Piece {seed}"})
        packets = [packet for packet in origin.demux(audio=0) if packet.size]
        first = 97 * seed % len(packets)
        _repeat(packets[first:] + packets[:first], stream, target, seconds)


def _repeat(packets: list[Any], stream: Any, target: Any, seconds: float) -> None:
    for place, packet in zip(range(0, round(seconds * RATE), 1152), itertools.cycle(packets), strict=False):
        copy = av.Packet(bytes(packet))
        copy.stream, copy.time_base = stream, Fraction(1, RATE)
        copy.pts = copy.dts = place
        copy.duration = 1152
        target.mux(copy)


def end_to_end(*commands: list[str]) -> tuple[float, float]:
    """Seconds that commands take, one after the other, and the processor time of all their processes."""
    # As where pip installed it: modules are compiled once, not by every process.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for arguments in commands:
        command = [sys.executable, "-c", "from earmark.cli import main; main()", *arguments]
        done = subprocess.run(command, capture_output=True, env=environment)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
    spent, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def shares(path: Path, windows: int, repeat: int = 5) -> dict[str, float]:
    """Milliseconds of the processor of one worker for one track, by part; the best of several runs."""
    classifier, spent = Classifier(), dict[str, float]()

    def clock(owner: Any, name: str, part: str) -> None:
        original = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            begun = time.process_time()
            result = original(*arguments, **options)
            spent[part] = spent.get(part, 0.0) + time.process_time() - begun
            return result

        setattr(owner, name, timed)

    clock(predict, "network_input", "spectrogram")
    clock(predict, "musical_features", "musical features")
    clock(predict, "mfcc_statistics", "known sound or not")
    clock(MusicMeter, "add", "tempo, key, loudness")
    clock(Timbre, "add", "timbre, for similar tracks")
    clock(prints, "make_print", "print")
    session = classifier._session
    run = SimpleNamespace(run=session.run)
    clock(run, "run", "network")
    classifier._session = run
    runs = []
    for _ in range(repeat):
        spent.clear()
        begun = time.process_time()
        seen = worker.look(str(path))
        looked = time.process_time() - begun
        worker.hear(classifier, Task(str(path), windows, look=True), seen)
        total = time.process_time() - begun
        decoding = total - looked - sum(spent.values())
        parts = {"tags and content key": looked, "decoding and resampling": decoding, **spent, "all": total}
        runs.append({name: 1000 * value for name, value in parts.items()})
    return min(runs, key=lambda run: run["all"])


def plain_script(music: bool) -> Callable[[Path, bool], None]:
    """A straightforward librosa and torch script for one track, with everything loaded.

    With `music` it tells tempo, key and loudness, too.
    """
    import librosa
    import torch
    from transformers import MobileNetV2Config, MobileNetV2Model

    from earmark.drawing import MAGMA

    torch.set_num_threads(1)
    # Weights do not change the time, so none have to be fetched.
    model = MobileNetV2Model(MobileNetV2Config()).eval()
    colours = torch.tensor(np.asarray(MAGMA), dtype=torch.float32) / 127.5 - 1
    librosa.feature.melspectrogram(y=np.zeros(4096, np.float32), sr=22050)
    profiles = np.array([np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)])

    def measure(samples: NDArray[np.float32], rate: float) -> tuple[float, int, float]:
        tempo = float(librosa.feature.tempo(y=samples, sr=rate)[0])
        chroma = librosa.feature.chroma_stft(y=samples, sr=rate).mean(axis=1)
        key = int(np.argmax([np.corrcoef(profile, chroma)[0, 1] for profile in profiles]))
        return tempo, key, float(librosa.amplitude_to_db(librosa.feature.rms(y=samples)).mean())

    def hear(path: Path, full: bool) -> None:
        samples, rate = librosa.load(path)
        last = len(samples) - 30 * rate
        for start in range(0, last + 1, 30 * rate) if full else (0, last // 2, last):
            window = samples[start : start + 30 * rate]
            mel = librosa.feature.melspectrogram(y=window, sr=rate)
            decibels = librosa.power_to_db(mel, ref=np.max)
            levels = (255 * (decibels - decibels.min()) / np.ptp(decibels)).astype(np.int64)
            picture = colours[torch.from_numpy(levels)].permute(2, 0, 1)[None]
            picture = torch.nn.functional.interpolate(picture, (256, 256), mode="bilinear")
            with torch.no_grad():
                model(picture)
            if music:
                measure(window, rate)

    return hear


def against_plain(files: list[Path], windows: int) -> list[float]:
    """Processor seconds per track, in turns: the plain script, the same with tempo, key and loudness, and ours."""
    scripts, classifier = [plain_script(False), plain_script(True)], Classifier()
    spent, warm = np.zeros(3), False
    for path in [files[0], *files]:
        times = [time.process_time()]
        for script in scripts:
            script(path, windows == 0)
            times.append(time.process_time())
        seen = worker.look(str(path))
        worker.hear(classifier, Task(str(path), windows, look=True), seen)
        times.append(time.process_time())
        # The first turn only warms up.
        spent += np.diff(times) * warm
        warm = True
    return [float(value) for value in spent / len(files)]


def by_the_clock(files: list[Path], windows: int, jobs: int) -> list[float]:
    """Seconds per track by the clock: each script in one process, ours with all workers; everything is loaded."""
    seconds = []
    for script in (plain_script(False), plain_script(True)):
        script(files[0], windows == 0)
        begun = time.perf_counter()
        for path in files:
            script(path, windows == 0)
        seconds.append((time.perf_counter() - begun) / len(files))
    with Pool(jobs=jobs) as pool:
        tasks = [Task(str(path), windows, look=True) for path in files]
        list(pool.run(tasks[:jobs]))
        begun = time.perf_counter()
        list(pool.run(tasks))
        seconds.append((time.perf_counter() - begun) / len(files))
    return seconds


def make_library(music: Path, sources: Path | None, tracks: int, seconds: float) -> list[Path]:
    """Fill a folder with tracks."""
    music.mkdir()
    real = sorted(sources.glob("*.mp3")) if sources is not None else []
    if real:
        with_rate = [path for path in real if audio.probe(path).sample_rate == RATE]
        for seed in range(tracks):
            lengthen(with_rate[seed % len(with_rate)], music / f"{seed:03}.mp3", seconds, seed)
    else:
        for seed in range(tracks):
            make_track(music / f"{seed:03}.mp3", seconds, seed)
    return sorted(music.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--music", type=Path, help="folder of real MP3s, repeated to the wanted length")
    parser.add_argument("--tracks", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plain", type=int, default=4, help="tracks for the plain script; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"tracks": options.tracks, "seconds": options.seconds, "jobs": options.jobs}
    with tempfile.TemporaryDirectory() as folder:
        music = Path(folder) / "music"
        files = make_library(music, options.music, options.tracks, options.seconds)
        jobs = ["--jobs", str(options.jobs)]
        catalogue = ["--catalogue", str(Path(folder) / "c.db")]
        start, busy = min(end_to_end(["classify", str(files[0])]) for _ in range(5))
        figures["one file, cold, s"], figures["one file, cold, processor s"] = start, busy
        print(f"one file, start to answer: {start:.2f} s, of the processor {busy:.2f} s (best of 5)\n")
        runs = {
            "classify": [["classify", str(music), *jobs]],
            "classify --full": [["classify", str(music), "--full", *jobs]],
            "scan": [["scan", str(music), *jobs, *catalogue]],
            "scan, nothing changed": [["scan", str(music), *jobs, *catalogue]],
        }
        if _has_mutagen():
            plan, journal = str(Path(folder) / "plan.jsonl"), str(Path(folder) / "journal")
            hear = ["tags", "plan", str(music), "--unsure", "--mode", "replace", "--output", plan, *jobs]
            runs["tags plan and apply"] = [hear, ["tags", "apply", plan, "--journal", journal]]
        print(f"{'tracks a second':24s}{'by the clock':>14s}{f'if {options.jobs} processors are free':>32s}")
        for name, commands in runs.items():
            spent, busy = end_to_end(*commands)
            rate, free = options.tracks / spent, options.tracks * options.jobs / busy
            figures[f"{name}, tracks/s"], figures[f"{name}, tracks/s, free"] = rate, free
            print(f"{name:24s}{rate:14.1f}{free:32.1f}")
        for name, windows in (("three windows", 3), ("all of it", 0)):
            parts = shares(files[0], windows)
            figures[f"ms, {name}"] = parts
            print(f"\none worker, one track, {name}:")
            for part, value in parts.items():
                print(f"  {part:26s} {value:7.1f} ms")
        if options.plain:
            some = files[: options.plain]
            clocks = (("processor, one core each", 1), (f"clock, {options.jobs} workers against 1", options.jobs))
            for clock, workers in clocks:
                print(f"\ns per track by the {clock}: plain script; with tempo, key, loudness; ours")
                defaults = math.inf
                for name, windows in (("three windows", 3), ("all of it", 0)):
                    found = against_plain(some, windows) if workers == 1 else by_the_clock(some, windows, workers)
                    genre, alike, ours = found
                    figures[f"plain script, {name}, {clock}"] = {
                        "genre alone s": genre, "with music s": alike, "ours s": ours,
                        "times": genre / ours, "times, same answers": alike / ours,
                    }  # fmt: skip
                    said = f"{genre / ours:.1f} times; {alike / ours:.1f} times for the same answers"
                    print(f"  {name:15s} {genre:.2f}; {alike:.2f}; {ours:.3f}: {said}")
                    defaults = ours if windows else defaults
                # A person's script hears all of a track, ours three windows of it unless asked otherwise.
                said = f"{genre / defaults:.1f} times; {alike / defaults:.1f} times for the same kind of answers"
                print(f"  script all of it, ours three windows: {said}")
                figures[f"plain script all of it, ours three windows, {clock}"] = [genre / defaults, alike / defaults]
        length = audio.probe(files[0]).seconds
        print(f"(tracks of {length:.0f} s; {os.cpu_count()} processors)")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


def _has_mutagen() -> bool:
    import importlib.util

    return importlib.util.find_spec("mutagen") is not None


if __name__ == "__main__":
    main()
