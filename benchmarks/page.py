"""Measure the page: bytes in all, and the first paint from the loopback interface in a headless Chromium.

python benchmarks/page.py [--times 9]

Needs chromium, chromium-driver and selenium (`make test-browser` installs them). Limits: 300 kB, and 0.5 s at the
median. Every load is the first of a new profile, so nothing comes from a cache.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

MOST_BYTES, MOST_SECONDS = 300_000, 0.5

# The Performance API counts bodies as they were sent; first paint counts from the start of the navigation.
SCRIPT = """
const done = arguments[arguments.length - 1];
const look = () => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const shown = document.querySelector('.zone');
  if (!paint || !shown) { setTimeout(look, 20); return; }
  const parts = [...performance.getEntriesByType('resource'), performance.getEntriesByType('navigation')[0]];
  const page = parts.filter(p => !p.name.includes('/v1/'));
  done({
    paint: paint.startTime / 1000,
    bytes: page.reduce((sum, p) => sum + p.encodedBodySize, 0),
    files: page.length,
    foreign: parts.filter(p => new URL(p.name).origin !== location.origin).length,
  });
};
look();
"""


def main() -> None:
    """Load the page several times and print the figures; exit 1 if a limit is passed."""
    tests = Path(__file__).resolve().parent.parent / "tests"
    sys.path[:0] = [str(tests), str(tests / "browser")]
    from chromium import chromium, missing

    from serving import Process

    parser = argparse.ArgumentParser(description="Measure the page's size and first paint.")
    parser.add_argument("--times", type=int, default=9)
    times = parser.parse_args().times
    reason = missing()
    if reason is not None:
        print(f"page: left out, {reason}")
        return
    loads = []
    with tempfile.TemporaryDirectory() as folder, Process(Path(folder), "--jobs", "1") as running:
        for number in range(times):
            place = Path(folder) / str(number)
            with chromium(place, microphone=place / "none.wav") as browser:
                browser.get(running.address)
                loads.append(browser.execute_async_script(SCRIPT))
    paints = sorted(load["paint"] for load in loads)
    size, files = max(load["bytes"] for load in loads), loads[0]["files"]
    fast, small = statistics.median(paints) <= MOST_SECONDS, size <= MOST_BYTES
    print(f"page: {size / 1000:.0f} kB in {files} files (limit {MOST_BYTES / 1000:.0f} kB), none from elsewhere")
    print(
        f"first paint: {statistics.median(paints):.3f} s at the median of {times} new profiles, "
        f"{paints[0]:.3f} to {paints[-1]:.3f} s (limit {MOST_SECONDS} s)"
    )
    if not (fast and small and not any(load["foreign"] for load in loads)):
        sys.exit("A limit was passed.")


if __name__ == "__main__":
    main()
