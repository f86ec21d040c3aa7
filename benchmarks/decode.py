"""How fast sound is decoded, where the time goes, and how much memory a very long file takes.

    python benchmarks/decode.py [--shared FOLDER] [--hours 10] [--repeat 7] [--json FILE]

One core, one thread. Every comparison is a ratio from one run: the two sides take turns on the same files, and the
figure is the ratio of the sums of their best runs, in processor time (so that a busy machine disturbs it less). The
one exception is MP3 in two threads on two cores, which is measured by the clock, as the wait is all it can shorten:
that figure is worth nothing unless the machine has nothing else to do.
"""

# ruff: noqa: E402  (the threads must be pinned before NumPy is imported)
from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import av
import librosa
import numpy as np
import soundfile

from earmark import audio
from earmark.audio.readers import SoundfileReader
from earmark.audio.resample import Converter

RATE = 22050


def turns(
    sides: dict[str, Callable[[Path], object]],
    files: list[Path],
    repeat: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Milliseconds per file of each side: the mean over files of the best of their runs, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for file in files:
        runs: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(repeat):
            for name, side in sides.items():
                start = clock()
                side(file)
                runs[name].append(clock() - start)
        for name, values in runs.items():
            times[name].append(min(values))
    return {name: 1000 * statistics.mean(values) for name, values in times.items()}


def shares(files: list[Path]) -> dict[str, float]:
    """Milliseconds per file inside decoding, mixing and resampling, from clocks around the calls."""
    spent: dict[str, float] = {}
    kept: list[tuple[type, str, Callable[..., object]]] = []

    def clock(owner: type, method: str, part: str) -> None:
        original = getattr(owner, method)

        def timed(*args: object) -> object:
            start = time.process_time()
            try:
                return original(*args)
            finally:
                spent[part] = spent.get(part, 0.0) + time.process_time() - start

        kept.append((owner, method, original))
        setattr(owner, method, timed)

    clock(SoundfileReader, "read", "reading")
    clock(soundfile.SoundFile, "buffer_read_into", "decoding")
    clock(Converter, "feed", "resampling")
    start = time.process_time()
    for path in files:
        audio.load(path, RATE, threads=1)
    total = time.process_time() - start
    for owner, method, original in kept:
        setattr(owner, method, original)
    parts = {"decoding": spent["decoding"], "mono": spent["reading"] - spent["decoding"]}
    parts |= {"resampling": spent["resampling"], "rest": total - spent["reading"] - spent["resampling"]}
    return {name: 1000 * part / len(files) for name, part in parts.items()}


def compare(title: str, files: list[Path], repeat: int, target: float | None) -> dict[str, float]:
    """Print Earmark against librosa on one kind of file, and the shares of Earmark's time."""
    sides: dict[str, Callable[[Path], object]] = {
        "librosa": lambda p: librosa.load(p, sr=RATE),
        "earmark": lambda p: audio.load(p, RATE, threads=1),
    }
    for side in sides.values():
        side(files[0])
    took = turns(sides, files, repeat)
    ratio = took["librosa"] / took["earmark"]
    seconds = statistics.mean(audio.probe(p).seconds or 0 for p in files)
    worst = 0.0
    for path in files:
        ours, theirs = audio.load(path, RATE, threads=1).samples, librosa.load(path, sr=RATE)[0]
        worst = max(worst, float(np.abs(ours - theirs).max()) if len(ours) == len(theirs) else np.inf)
    parts = shares(files)
    print(f"\n{title}: {len(files)} files of {seconds:.0f} s")
    print(f"  librosa.load   {took['librosa']:7.1f} ms a file")
    print(
        f"  earmark load   {took['earmark']:7.1f} ms a file ({1000 * seconds / took['earmark']:.0f} times real time)"
    )
    print(f"  {ratio:.2f} times faster{f' (asked for: {target})' if target else ''}, largest difference {worst:.1e}")
    total = sum(parts.values())
    print("  of that: " + ", ".join(f"{name} {100 * part / total:.0f} %" for name, part in parts.items()))
    figures = {"librosa_ms": took["librosa"], "earmark_ms": took["earmark"], "ratio": ratio, "difference": worst}
    return figures | {f"{name}_ms": part for name, part in parts.items()}


def by_the_clock(files: list[Path], repeat: int, cores: set[int]) -> dict[str, float]:
    """Print `load` in two threads on two cores, and in one, against librosa, all by the clock."""
    sides: dict[str, Callable[[Path], object]] = {
        "librosa": lambda p: librosa.load(p, sr=RATE),
        "one": lambda p: audio.load(p, RATE, threads=1),
        "two": lambda p: audio.load(p, RATE, threads=2),
    }
    print("\nMP3 to 22.05 kHz mono, by the clock")
    if len(cores) < 2:
        print("  left out: only one core may be used")
        return {}
    one_core = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    if one_core is not None:
        os.sched_setaffinity(0, set(sorted(cores)[-2:]))
    same = all(
        np.array_equal(audio.load(p, RATE, threads=1).samples, audio.load(p, RATE, threads=2).samples) for p in files
    )
    sides["librosa"](files[0])
    took = turns(sides, files, repeat, time.perf_counter)
    spent = turns({name: sides[name] for name in ("one", "two")}, files, repeat)
    if one_core is not None:
        os.sched_setaffinity(0, one_core)
    ratio = took["librosa"] / took["two"]
    print(f"  librosa.load               {took['librosa']:7.1f} ms a file")
    print(f"  earmark load, one thread   {took['one']:7.1f} ms a file")
    print(f"  earmark load, two threads  {took['two']:7.1f} ms a file, the same samples: {same}")
    print(f"  {ratio:.2f} times faster (asked for: 1.7), {took['one'] / took['two']:.2f} times one thread")
    print(f"  processor time of two threads: {spent['two'] / spent['one']:.2f} of that of one")
    return {f"{name}_ms": ms for name, ms in took.items()} | {"ratio": ratio, "work": spent["two"] / spent["one"]}


def formats(source: Path, repeat: int) -> dict[str, float]:
    """Milliseconds for 30 s of 44.1 kHz stereo in other formats."""
    samples = np.concatenate(list(audio.blocks(source, 44100, seconds=29)))
    stereo = np.stack([samples, np.roll(samples, 200)], 1)
    kinds = {
        "WAV": ("wav", "wav", "pcm_s16le"),
        "FLAC": ("flac", "flac", "flac"),
        "M4A (AAC)": ("m4a", "ipod", "aac"),
        "M4A (ALAC)": ("m4a", "ipod", "alac"),
        "WMA": ("wma", "asf", "wmav2"),
        "WavPack": ("wv", "wv", "wavpack"),
        "Opus": ("opus", "ogg", "libopus"),
    }
    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for title, (suffix, container, codec) in kinds.items():
            path = Path(folder) / f"{title}.{suffix}"
            encode(path, stereo, container, codec)
            took[title] = turns({"load": lambda p: audio.load(p, RATE)}, [path], repeat)["load"]
        path = Path(folder) / "vorbis.ogg"
        soundfile.write(path, stereo, 44100, format="OGG", subtype="VORBIS")
        took["Ogg Vorbis"] = turns({"load": lambda p: audio.load(p, RATE)}, [path], repeat)["load"]
    print("\nOther formats, 29 s at 44.1 kHz stereo, decoded and resampled:")
    print("  " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in took.items()))
    return took


def encode(path: Path, samples: np.ndarray, container: str, codec: str, rate: int = 44100) -> None:
    """Write (n, channels) float32 samples with one of FFmpeg's encoders."""
    layout = "stereo" if samples.shape[1] == 2 else "mono"
    out = 48000 if "opus" in codec else rate
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=out, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        context = stream.codec_context
        context.bit_rate = 192_000
        resampler = av.AudioResampler(context.format, layout, out, frame_size=context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))


def generated(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write 30 s of chords, beats and noise three times: as stereo MP3 at 44.1 kHz and as mono FLAC at 22.05 kHz."""
    rng = np.random.default_rng(0)
    time_ = np.arange(60 * RATE) / (2 * RATE)
    pairs = []
    for number, root in enumerate((110.0, 196.0, 261.6)):
        chord = sum(np.sin(2 * np.pi * root * f * time_ * (1 + 1e-4 * np.sin(time_))) for f in (1, 1.25, 1.5, 4, 9))
        beat = np.exp(-12 * (time_ % 0.5)) * rng.standard_normal(len(time_))
        mono = 0.08 * np.asarray(chord) + 0.12 * beat + 0.01 * rng.standard_normal(len(time_))
        stereo = np.clip(np.stack([mono, 0.8 * np.roll(mono, 400)], 1), -0.95, 0.95).astype(np.float32)
        mp3, flac = folder / f"{number}.mp3", folder / f"{number}.flac"
        encode(mp3, stereo, "mp3", "libmp3lame")
        soundfile.write(flac, audio.load(mp3, RATE).samples, RATE)
        pairs.append((mp3, flac))
    return [m for m, _ in pairs], [f for _, f in pairs]


def long_mp3(path: Path, hours: float) -> float:
    """Write an MP3 of that many hours by repeating the frames of a short one, with a header that says so."""
    rng = np.random.default_rng(0)
    time_ = np.arange(60 * RATE * 2) / (2 * RATE)
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_ * (1 + 0.1 * np.sin(time_))) + 0.02 * rng.standard_normal(len(time_))
    soundfile.write(
        path, tone.astype(np.float32), 2 * RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.8
    )
    data = path.read_bytes()
    tag = max(data.find(b"Xing", 0, 4096), data.find(b"Info", 0, 4096))
    frames = int.from_bytes(data[tag + 8 : tag + 12], "big")
    first = data.index(data[:2], 100)
    body, count = data[first:], round(hours * 60)
    head = bytearray(data[:first])
    head[tag + 8 : tag + 12] = (frames * count).to_bytes(4, "big")
    head[tag + 12 : tag + 16] = (len(head) + len(body) * count).to_bytes(4, "big")
    with open(path, "wb") as file:
        file.write(head)
        for _ in range(count):
            file.write(body)
    return path.stat().st_size / 1e6


MEASURE = """
import resource, sys, time
from pathlib import Path
from earmark import audio

def peak():
    # On Linux ru_maxrss starts with what the parent process had.
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)

before, start, seconds = peak(), time.perf_counter(), 0.0
with audio.Recording(sys.argv[1]) as recording:
    for block in recording.blocks(22050):
        seconds += len(block) / 22050
    print(seconds, time.perf_counter() - start, before, peak())
    print(recording.info.reader, *recording.problems, file=sys.stderr)
"""


def long_file(hours: float) -> dict[str, float]:
    """Peak memory of streaming a long file in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp3"
        megabytes = long_mp3(path, hours)
        output = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)], check=True, capture_output=True, text=True
        )
        seconds, took, before, peak = map(float, output.stdout.split())
        start = time.perf_counter()
        audio.load(path, RATE, start=seconds * 0.9, seconds=30)
        late = time.perf_counter() - start
    print(f"\nOne MP3 of {seconds / 3600:.2f} hours ({megabytes:.0f} MB, read by {output.stderr.strip()})")
    print(f"  streamed in blocks of 10 s: {took:.1f} s, peak memory {peak:.0f} MB ({before:.0f} MB before decoding)")
    print(f"  30 s from its last tenth: {late:.2f} s")
    return {"hours": seconds / 3600, "seconds": took, "peak_mb": peak, "imports_mb": before, "late_stretch_s": late}


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("EARMARK_SHARED", Path(__file__).resolve().parents[2] / "shared")
    parser.add_argument("--shared", type=Path, default=Path(default), help="folder with gtzan/ and music/")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--hours", type=float, default=10.0, help="length of the long file; 0 leaves it out")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    cores = set(range(os.cpu_count() or 1))
    if hasattr(os, "sched_setaffinity"):
        cores = set(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {max(cores)})
    print(f"Python {platform.python_version()}, {platform.machine()}, libsndfile {soundfile.__libsndfile_version__}")
    figures: dict[str, dict[str, float]] = {}
    music = sorted((options.shared / "music").glob("*.mp3"))
    clips = sorted((options.shared / "gtzan" / "audio").glob("*/*.flac"))[::10]
    with tempfile.TemporaryDirectory() as folder:
        if not music or not clips:
            print(f"{options.shared} has no music/*.mp3 and gtzan/audio/*/*.flac: three generated sounds stand in.")
            music, clips = generated(Path(folder))
        figures["mp3"] = compare("MP3 to 22.05 kHz mono", music, options.repeat, 1.7)
        figures["mp3_clock"] = by_the_clock(music, options.repeat, cores)
        figures["flac"] = compare("FLAC, 22.05 kHz mono", clips, options.repeat, None)
        figures["formats"] = formats(music[0], max(3, options.repeat // 2))
    if options.hours:
        figures["long"] = long_file(options.hours)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
