"""How long commands take to start: `earmark --help` and a cold `earmark classify` of one file.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile


def best(*words: str, rounds: int = 7) -> float:
    """Seconds of a whole process, the best of some rounds after one to warm the disk's cache."""
    program = Path(sys.executable).parent / "earmark"
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run([program, *words], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])


def main() -> None:
    """Measure and print against a bare interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    bare = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal(30 * 22050), 22050)
        found = {"earmark --help": best("--help"), "earmark classify one.wav": best("classify", str(song))}
    for name, seconds in found.items():
        print(f"{name:26s} {seconds:.2f} s   {seconds / bare:4.0f} times a bare interpreter ({bare:.2f} s)")


if __name__ == "__main__":
    main()
