"""How many varied versions of its clips the machine on musical features should learn from, by inner clips only.

    python scripts/make_machine_study.py MEL.npz AUDIO [--into docs/study.md]

MEL.npz holds the mel spectrograms of GTZAN's 1000 clips, AUDIO sound of some of them, in a folder per genre. Four
folds by artist, dealt twice, on the 640 clips of the fault-filtered split's training and validation sides; the 290
test clips have no say. Those of the 640 whose sound is at hand are also heard in the versions of `earmark
robustness`, each by the machine that does not know it. --into puts the table between the marks ``<!-- measured:
machine -->`` of a file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from make_study import INNER_FOLDS, inner_clips
from numpy.typing import NDArray

from earmark.audio import load
from earmark.dataset import load_dataset
from earmark.folds import GROUPED, make_protocol
from earmark.models.convnet_config import AugmentConfig
from earmark.robustness.text import fill
from earmark.robustness.versions import Version, versions
from earmark.spectrogram import MEL, fit_window, spectrogram
from earmark.varied_machine import VariedMachine

STRONGER = replace(AugmentConfig(), amount=1.0, noise=0.4, band_limit=0.4, stretch=0.08, pitch=2.0)
DISTORTED = replace(STRONGER, distortion=0.3)
SEEDS = (0, 1)
MACHINES = {
    "none": VariedMachine(versions=0),
    "1": VariedMachine(versions=1),
    "**2**": VariedMachine(versions=2),
    "4": VariedMachine(versions=4),
    "1, more noise and limits": VariedMachine(versions=1, augment=STRONGER),
    "2, more noise and limits": VariedMachine(versions=2, augment=STRONGER),
    "4, more noise and limits": VariedMachine(versions=4, augment=STRONGER),
    "4, and distorted": VariedMachine(versions=4, augment=DISTORTED),
    "8, and distorted": VariedMachine(versions=8, augment=DISTORTED),
}
SHOWN = (
    "clean", "clipped 12 dB", "MP3 64 kbit/s", "Opus 24 kbit/s", "up to 8 kHz", "up to 4 kHz", "noise, 20 dB",
    "bright, +6 dB", "dull, −6 dB", "speed −4 %", "speed +4 %",
)  # fmt: skip


def hear(path: Path, changes: Sequence[Version], number: int) -> NDArray[np.uint8]:
    """A clip's sound in every version, uint8 (versions, bins, columns)."""
    samples = load(path, MEL.sample_rate).samples
    changed = (change.change(samples, MEL.sample_rate, np.random.default_rng([0, number])) for change in changes)
    return np.stack([spectrogram(fit_window(found.astype(np.float32), MEL), MEL) for found in changed])


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mel", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--into", type=Path, help="the file that gets the table")
    chosen = parser.parse_args()
    dataset = inner_clips(load_dataset(chosen.mel))
    assert dataset.spectrograms is not None
    protocol = make_protocol(dataset, GROUPED, folds=INNER_FOLDS, seeds=SEEDS)
    row_of = {clip.id: row for row, clip in enumerate(dataset.clips)}
    files = [path for path in sorted(chosen.audio.rglob("*.*")) if path.stem in row_of]
    heard_rows = np.array([row_of[path.stem] for path in files])
    changes = [version for version in versions(MEL.window_samples) if version.name in SHOWN]
    sound = np.stack([hear(path, changes, number) for number, path in enumerate(files)])
    lines = [
        f"| varied versions | {len(dataset.clips)} clips | "
        + " | ".join(version.name for version in changes)
        + " | all but clean |",
        "|---|---|" + "---|" * len(changes) + "---|",
    ]
    for name, machine in MACHINES.items():
        right, total = 0, 0
        held = np.zeros(len(changes))
        for fold in protocol.folds:
            fitted = machine.fit(
                dataset.spectrograms[fold.train], dataset.targets[fold.train], len(dataset.labels), seed=fold.seed
            )
            answers = fitted.log_probabilities(dataset.spectrograms[fold.test]).argmax(axis=1)
            right, total = right + int((answers == dataset.targets[fold.test]).sum()), total + len(answers)
            asked = np.isin(heard_rows, fold.test)
            for place in range(len(changes)):
                found = fitted.log_probabilities(sound[asked, place]).argmax(axis=1)
                held[place] += (found == dataset.targets[heard_rows[asked]]).sum()
        shares = 100 * held / (len(files) * len(SEEDS))
        cells = [f"{100 * right / total:.1f}", *(f"{share:.0f}" for share in shares), f"{shares[1:].mean():.1f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    text = (
        "\n".join(lines)
        + f"\n\nAccuracy in percent, mean over {len(SEEDS)} deals; all columns but the first are of the {len(files)} "
        "with sound.\n"
    )
    if chosen.into is not None:
        fill(chosen.into, "machine", text)


if __name__ == "__main__":
    main()
