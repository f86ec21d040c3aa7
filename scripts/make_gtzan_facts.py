"""Make the tables of facts about GTZAN that ship with the package.

    python scripts/make_gtzan_facts.py [FOLDER]

FOLDER holds ``index.csv`` (id, genre, artist, title, fault_filtered) and ``mel.npz`` (mel spectrograms of the 1000
clips); without it, ``gtzan`` in $EARMARK_SHARED or in ``../shared`` beside the checkout. Written are
``facts.csv`` (id, artist, title, place in the fault-filtered split) and ``repeats.csv`` (pairs of clips that share a
recording, found from sound) in ``src/earmark/gtzan``. The same input gives the same bytes.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np

from earmark.files import atomic_write
from earmark.front_end import MEL
from earmark.recordings import find_repeats

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src" / "earmark" / "gtzan"


def main() -> None:
    shared = Path(os.environ.get("EARMARK_SHARED", ROOT.parent / "shared")) / "gtzan"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared
    with open(folder / "index.csv", newline="", encoding="utf-8") as handle:
        rows = sorted(csv.DictReader(handle), key=lambda row: row["id"])
    with np.load(folder / "mel.npz", allow_pickle=False) as arrays:
        mel, ids = arrays["mel"], [str(name) for name in arrays["ids"]]
    if [row["id"] for row in rows] != ids:
        sys.exit(f"{folder}: index.csv and mel.npz do not name the same clips")
    columns = ("id", "artist", "title", "fault_filtered")
    _write("facts.csv", columns, [[row[column].strip() for column in columns] for row in rows])
    repeats = [
        [
            ids[pair.first],
            ids[pair.second],
            f"{pair.score:.3f}",
            f"{pair.offset:.2f}",
            f"{pair.overlap:.2f}",
            f"{pair.speed:.3f}",
        ]
        for pair in find_repeats(mel, MEL)
    ]
    # By the rounded score, so that the last bits of another machine's arithmetic do not change the order.
    repeats.sort(key=lambda row: (-float(row[2]), row[0], row[1]))
    _write("repeats.csv", ("first", "second", "score", "offset", "overlap", "speed"), repeats)
    sys.stdout.write(f"{len(rows)} clips, {len(repeats)} pairs written to {TARGET}\n")


def _write(name: str, header: tuple[str, ...], rows: list[list[str]]) -> None:
    with atomic_write(TARGET / name, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
