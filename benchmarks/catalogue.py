"""A catalogue of 100,000 tracks: search, summaries, and a scan in which nothing changed; time and memory.

    python benchmarks/catalogue.py [--tracks 100000] [--folder FOLDER] [--json FILE]

Rows are written as a scan writes them, with random embeddings; the files are hard links to small ones, so that
the scan has 100,000 names to look at. Every figure is taken in a process of its own, with its peak memory, by the
clock and in time of the processor: on a machine that others use as well, only the second says something.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from earmark.bundle import load_bundle
from earmark.library.details import Details
from earmark.library.ledger import Ledger
from earmark.library.prints import Print
from earmark.library.timbre import SIZE
from earmark.library.track import FileState
from earmark.library.worker import Outcome, Seen
from earmark.predict import packaged_bundle

PER_FOLDER = 100


def fill(folder: Path, count: int) -> None:
    """Write the catalogue `c.db` and the files below `music`."""
    import soundfile

    bundle = load_bundle(packaged_bundle())
    labels, size = bundle.labels, bundle.embedding_size
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "sound.flac", rng.normal(0, 0.1, 22050), 22050)
    sound = (folder / "sound.flac").read_bytes()
    centres = rng.normal(size=(len(labels), size)).astype(np.float32)
    with Ledger(folder / "c.db", create=True) as ledger:
        number = ledger.use_bundle(bundle)
        ledger._connection.execute("PRAGMA synchronous = OFF")
        for i in range(count):
            place = folder / "music" / f"artist {i // PER_FOLDER:04}"
            path = place / f"{i:06}.flac"
            if i % PER_FOLDER == 0:
                place.mkdir(parents=True)
                path.write_bytes(sound)
                first, state = path, FileState.of(path.stat())
            else:
                path.hardlink_to(first)
            probabilities = rng.dirichlet(np.full(len(labels), 0.3))
            order = np.argsort(-probabilities)
            row = {
                "label": labels[order[0]],
                "confidence": float(probabilities[order[0]]),
                "unsure": bool(probabilities[order[0]] < bundle.unsure_below),
                "probabilities": {labels[k]: float(probabilities[k]) for k in order},
                "heard": [[0.0, 30.0], [105.0, 135.0], [210.0, 240.0]],
                "decoded": 90.0,
                "declared": 180.0 + i % 200,
                "problems": [],
            }
            embedding = centres[order[0]] + rng.normal(size=size).astype(np.float32)
            signs = np.sign(rng.normal(size=(16, 97))).astype(np.int8)
            details = Details(f"Artist {i // PER_FOLDER}", f"Title {i}", f"Album {i // 12}", 1950 + i % 70, "Music")
            seen = Seen(i.to_bytes(16), details)
            vector, print_ = embedding.astype(np.float32).tobytes(), Print(85.0, signs).pack()
            timbre = rng.normal(size=SIZE).astype(np.float32).tobytes()
            outcome = Outcome(str(path), row, vector, timbre, print_, seen=seen)
            ledger.write(outcome, state, bundle=number, windows=3)
        ledger.note_root(str(folder / "music"))


MEASURES = {
    "similar, first time (index made)": "library.similar(seed, n=20)",
    "similar, in a new process": "library.similar(seed, n=20)",
    "similar, again": "library.similar(seed, n=20); begin(); library.similar(other, n=20)",
    "similar, 50 seeds": "library.similar(seed); begin(); library.similar(*many, n=20)",
    "mood": "library.playlist(mood='jazz:0.7,blues:0.3', n=25)",
    "stats": "library.stats()",
    "page, first": "library.page()",
    "page, deep": "library.page(offset=options_deep)",
    "page, one genre, certain": "library.page(label='jazz', unsure=False)",
    "page, by artist, deep": "library.page(sort='artist', offset=options_deep)",
    "page, by confidence": "library.page(sort='confidence', descending=True)",
    "page, by year": "library.page(sort='year', descending=True)",
    "search, one track": "library.page(search='title 4242')",
    "search, most tracks, by artist": "library.page(search='artist', sort='artist')",
    "correct": "library.correct(seed, 'jazz')",
    "all tracks": "sum(1 for _ in library.tracks())",
    "scan, nothing changed": "print(library.scan(music, jobs=1))",
    "map": "library.map_page()",
}
_SCRIPT = """
import resource, sys, time
from earmark.library.library import Library
music = sys.argv[2]
seed, other = music + '/artist 0000/000005.flac', music + '/artist 0001/000150.flac'
many = [f'{music}/artist 0000/{i:06}.flac' for i in range(50)]
options_deep = int(sys.argv[3]) * 9 // 10
def begin():
    global begun, busy
    begun, busy = time.perf_counter(), time.process_time()
with Library(sys.argv[1], create=False) as library:
    begin()
    %s
    spent, busy = time.perf_counter() - begun, time.process_time() - busy
print(spent, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measure(folder: Path, statement: str, tracks: int) -> tuple[float, float, float]:
    """Seconds of a statement on the catalogue, those of the processor, and the peak memory of its process in MB."""
    command = [sys.executable, "-c", _SCRIPT % statement, str(folder / "c.db"), str(folder / "music"), str(tracks)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    spent, busy, memory = map(float, done.stdout.splitlines()[-1].split())
    return spent, busy, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the catalogue here and use it again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"tracks": options.tracks}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "c.db").exists():
            begun = time.perf_counter()
            fill(folder, options.tracks)
            print(f"{options.tracks} tracks written in {time.perf_counter() - begun:.0f} s")
        size = (folder / "c.db").stat().st_size / 1e6
        print(f"catalogue: {size:.0f} MB")
        for name, statement in MEASURES.items():
            spent, busy, memory = measure(folder, statement, options.tracks)
            figures[name] = {"seconds": spent, "processor": busy, "memory_mb": memory}
            print(f"{name:36s} {1000 * spent:9.1f} ms, processor {1000 * busy:9.1f} ms, peak {memory:4.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
