"""How long commands take to start: `earmark --help` and a cold `earmark classify` of one file.

    python benchmarks/startup.py

By the clock, and in time of the processor, which other work on the machine disturbs less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile


def best(*command: str | Path, rounds: int = 7) -> tuple[float, float]:
    """Seconds of a whole process by the clock and on the processor: the best of some rounds after one to warm up."""
    clock, processor = [], []
    for _ in range(rounds + 1):
        began, before = time.perf_counter(), os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        clock.append(time.perf_counter() - began)
        used = after.children_user + after.children_system - before.children_user - before.children_system
        processor.append(used)
    return min(clock[1:]), min(processor[1:])


def main() -> None:
    """Measure and print against a bare interpreter."""
    earmark = Path(sys.executable).parent / "earmark"
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.wav"
        soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal(30 * 22050), 22050)
        found = {
            "a bare interpreter": best(sys.executable, "-c", ""),
            "earmark --help": best(earmark, "--help"),
            "earmark classify one.wav": best(earmark, "classify", song),
        }
    for name, (clock, processor) in found.items():
        print(f"{name:26s} {clock:.2f} s by the clock, {processor:.2f} s of the processor")


if __name__ == "__main__":
    main()
