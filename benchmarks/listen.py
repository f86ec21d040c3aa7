"""Live listening: what an answer costs, how late it comes, and how soon it agrees with the whole.

    python benchmarks/listen.py [--seconds 60] [--music FOLDER] [--json FILE]

Cost: a second of sound through the listener, update included, against the offline path run anew for every second, on
the last 30 s and on all of the song so far. The three take turns in one process, on one thread.

Latency: sound arrives at the pace of a sound card, in blocks of 20 ms; an answer is as late as it comes after the
block that holds its last sample. Sound waits up to a second more for the next answer to fall due.

With --music, a folder of songs: how many answers from 1, 3, 5, 10 and 20 s name what 30 s of the song are named, how
certain they are of that name on average, how likely the 30 s make it, how many say "unsure"; and the exponent by
which short stretches have to be evened out (earmark.listen.SHORTNESS), fitted to what the 30 s say, without labels.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from earmark.audio import find_audio, load
from earmark.errors import AudioError
from earmark.listen import SHORTNESS, Listener, evened_out
from earmark.predict import Classifier

RATE, CHANNELS, BLOCK = 44100, 2, 0.02
AFTER = (1, 3, 5, 10, 20)
PACED_SECONDS = 40


def song(seconds: int) -> NDArray[np.int16]:
    """Two chords a second and noise, (n, 2)."""
    rng = np.random.default_rng(0)
    time_ = np.arange(RATE // 2) / RATE
    parts = []
    for _ in range(2 * seconds):
        pitches = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
        chord = np.sin(2 * np.pi * pitches[:, None] * time_).sum(axis=0) * np.exp(-3 * time_)
        parts.append(0.2 * chord + 0.02 * rng.standard_normal(len(time_)))
    mono = np.concatenate(parts)
    return np.repeat((mono * 32767).astype(np.int16)[:, None], 2, axis=1)


def wav(samples: NDArray[np.int16]) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file


def cost(classifier: Classifier, seconds: int) -> dict[str, float]:
    """Median milliseconds of processor time per second of sound."""
    sound = song(seconds)
    listener = Listener(classifier, sample_rate=RATE, channels=CHANNELS)
    spent: dict[str, list[float]] = {"listener": [], "offline, last 30 s": [], "offline, all so far": []}
    size = round(BLOCK * RATE)
    for second in range(seconds):
        piece = sound[second * RATE : (second + 1) * RATE]
        end = (second + 1) * RATE
        recent, whole = wav(sound[max(0, end - 30 * RATE) : end]), wav(sound[:end])

        def live(piece: NDArray[np.int16] = piece) -> None:
            for first in range(0, RATE, size):
                listener.feed(piece[first : first + size])

        def anew(file: io.BytesIO) -> None:
            classifier.classify(file, full=True)

        ways = (live, partial(anew, recent), partial(anew, whole))
        for name, way in zip(spent, ways, strict=True):
            begun = time.process_time()
            way()
            # Until a window is full, all three have less to do.
            if second >= 30:
                spent[name].append(1000 * (time.process_time() - begun))
    return {name: float(np.median(values)) for name, values in spent.items()}


def latency(classifier: Classifier, seconds: int) -> dict[str, float]:
    """Milliseconds from a sound's arrival to the answer that rests on it."""
    sound, size = song(seconds), round(BLOCK * RATE)
    listener = Listener(classifier, sample_rate=RATE, channels=CHANNELS)
    late = []
    begun = time.perf_counter()
    for first in range(0, len(sound), size):
        arrival = begun + (first + size) / RATE
        time.sleep(max(0.0, arrival - time.perf_counter()))
        for moment in listener.feed(sound[first : first + size]):
            late.append(1000 * (time.perf_counter() - begun - moment.at))
    return {"p50": float(np.median(late)), "p95": float(np.quantile(late, 0.95)), "most": max(late)}


def agreement(classifier: Classifier, folder: Path, stretches: int = 4) -> dict[str, Any]:
    """What stretches of songs say beside what 30 s of the same songs say."""
    rate, unsure_below = classifier.bundle.front_end.sample_rate, classifier.bundle.unsure_below
    raw, whole, lengths = [], [], []

    def hear(samples: NDArray[np.float32]) -> list[float]:
        return list(classifier.classify_samples(samples, rate).timeline[0].probabilities.values())

    for path in find_audio(folder):
        try:
            samples = load(path, rate, seconds=30.0).samples
            answer = hear(samples)
        except AudioError:
            continue
        for after in AFTER:
            for first in np.linspace(0, len(samples) - after * rate, stretches).astype(int):
                raw.append(hear(samples[first : first + after * rate]))
                whole.append(answer)
                lengths.append(after)
    said, truth, seconds = np.array(raw), np.array(whole), np.array(lengths)

    def loss(exponent: float) -> float:
        evened = np.exp(np.log(np.maximum(said, 1e-12)) * ((seconds / 30) ** exponent)[:, None])
        evened /= evened.sum(axis=1, keepdims=True)
        return -float((truth * np.log(evened)).sum(axis=1).mean())

    best = min(np.arange(0, 1.01, 0.05), key=loss)
    evened = np.stack([evened_out(p, s / 30) for p, s in zip(said, seconds, strict=True)])
    named = said.argmax(axis=1)
    figures: dict[str, Any] = {"exponent": float(best), "songs": len(said) // len(AFTER) // stretches}
    print(f"\n{figures['songs']} songs; fitted exponent {best:.2f} (used: {SHORTNESS})")
    for after in AFTER:
        rows = seconds == after
        figures[f"{after} s"] = row = {
            "same": float((named == truth.argmax(axis=1))[rows].mean()),
            "certain": float(evened.max(axis=1)[rows].mean()),
            "certain if not evened out": float(said.max(axis=1)[rows].mean()),
            "borne out": float(truth[np.arange(len(truth)), named][rows].mean()),
            "unsure": float((evened.max(axis=1) < unsure_below)[rows].mean()),
        }
        print(f"from {after:2d} s   " + ", ".join(f"{name} {value:.0%}" for name, value in row.items()))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120, help="of sound to work through for the cost")
    parser.add_argument("--music", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    classifier = Classifier()
    classifier.classify(wav(song(2)), full=True)
    figures: dict[str, Any] = {"cost_ms": cost(classifier, max(31, options.seconds))}
    mine = figures["cost_ms"]["listener"]
    print("processor time for each second of sound, 44.1 kHz stereo:")
    for name, spent in figures["cost_ms"].items():
        print(f"{name:22s} {spent:8.1f} ms   {spent / mine:5.1f} times the listener's")
    figures["latency_ms"] = latency(classifier, PACED_SECONDS)
    late = figures["latency_ms"]
    print(f"\nlatency: p50 {late['p50']:.0f} ms, p95 {late['p95']:.0f} ms, at most {late['most']:.0f} ms;")
    print(f"with the wait for the next second, sound is in an answer within {1000 + late['p95']:.0f} ms (p95)")
    if options.music:
        figures["agreement"] = agreement(classifier, options.music)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
