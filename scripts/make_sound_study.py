"""How recipes for the fine-tuned network hold on changed sound, by inner clips only.

    python scripts/make_sound_study.py MEL.npz AUDIO [FOLDER] [--recipes base,robust] [--seeds 0,1] [--into FILE]

MEL.npz holds the mel spectrograms of GTZAN's 1000 clips, AUDIO sound of some of them, in a folder per genre. Of the
640 clips of the fault-filtered split's training and validation sides, the clips of artists of whom there is sound are
tested, and the other artists' are learnt from; the 290 test clips have no say. The clips with sound are also heard in
the versions of `earmark robustness`. Networks are kept in FOLDER: run it again after a stop. --into puts the table of
all that was ever finished in FOLDER between the marks ``<!-- measured: sound -->`` of a file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from make_machine_study import hear
from make_study import RECIPES, changed, inner_clips
from numpy.typing import NDArray

from earmark.dataset import Dataset, load_dataset
from earmark.files import write_json
from earmark.fused_learner import WEIGHTS
from earmark.robustness.text import fill
from earmark.robustness.versions import versions
from earmark.spectrogram import MEL
from earmark.tuned_learner import FineTuneLearner
from earmark.varied_machine import VariedMachine


def divide(dataset: Dataset, files: Sequence[Path]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the artists of whom there is no sound, and of those of whom there is."""
    named = {path.stem for path in files}
    heard = {dataset.groups[row] for row, clip in enumerate(dataset.clips) if clip.id in named}
    tested = np.isin(dataset.groups, list(heard))
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def table(folder: Path) -> str:
    """Everything that was finished, mean over seeds, as Markdown."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        facts = json.loads(path.read_text("utf-8"))
        found.setdefault(facts["recipe"], []).append(facts)
    some = next(iter(found.values()))[0]
    # Level changes nothing, as it must.
    columns = [name for name in some["network"] if not name.startswith("gain")]
    lines = ["| recipe | what differs | who | " + " | ".join(columns) + " |", "|---|---|---|" + "---|" * len(columns)]
    for recipe in [name for name in RECIPES if name in found]:
        changes = ", ".join(f"`{key.removeprefix('training.')}` {value}" for key, value in RECIPES[recipe].items())
        for who in ("network", "with the machine"):
            cells = [f"{100 * np.mean([facts[who][column] for facts in found[recipe]]):.1f}" for column in columns]
            lines.append(f"| {recipe} | {changes} | {who} | " + " | ".join(cells) + " |")
    counts = sorted({len(runs) for runs in found.values()})
    return "\n".join(lines) + f"\n\nAccuracy in percent, mean over {' or '.join(map(str, counts))} seeds.\n"


def main() -> None:
    """Train, hear and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mel", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/sound-study"))
    parser.add_argument("--recipes", default="base,robust")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--into", type=Path, help="the file that gets the table")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    dataset = inner_clips(load_dataset(chosen.mel))
    assert dataset.spectrograms is not None
    clips, targets = dataset.spectrograms, dataset.targets
    rows = {clip.id: row for row, clip in enumerate(dataset.clips)}
    files = [path for path in sorted(chosen.audio.rglob("*.*")) if path.stem in rows]
    training, tested = divide(dataset, files)
    changes = versions(MEL.window_samples)
    sound = np.stack([hear(path, changes, number) for number, path in enumerate(files)])
    wanted = targets[[rows[path.stem] for path in files]]
    print(f"{len(training)} clips to learn from, {len(tested)} to test, {len(files)} of them as sound", flush=True)
    for seed in map(int, chosen.seeds.split(",")):
        for recipe in chosen.recipes.split(","):
            learner = changed(FineTuneLearner(), RECIPES[recipe])
            machine = VariedMachine(augment=learner.training.augment)
            out = chosen.folder / f"{recipe}-{seed}.json"
            if out.exists():
                continue
            network = learner.fit(
                clips[training], targets[training], len(dataset.labels), seed=seed, device=chosen.device,
                checkpoint=chosen.folder / f"{recipe}-{seed}.safetensors",
            )  # fmt: skip
            beside = machine.fit(clips[training], targets[training], len(dataset.labels), seed=seed)
            facts: dict[str, Any] = {"recipe": recipe, "seed": seed, "network": {}, "with the machine": {}}
            places = [(f"{len(tested)} clips", clips[tested], targets[tested])]
            places += [(version.name, sound[:, place], wanted) for place, version in enumerate(changes)]
            for name, pictures, right in places:
                alone = network.log_probabilities(pictures)
                both = WEIGHTS[0] * alone + WEIGHTS[1] * beside.log_probabilities(pictures)
                facts["network"][name] = float((alone.argmax(axis=1) == right).mean())
                facts["with the machine"][name] = float((both.argmax(axis=1) == right).mean())
            write_json(out, facts)
            for who in ("network", "with the machine"):
                print(f"{recipe:16s} {seed} {who:17s}" + " ".join(f"{100 * v:4.0f}" for v in facts[who].values()))
    text = table(chosen.folder)
    print(text)
    if chosen.into is not None:
        fill(chosen.into, "sound", text)


if __name__ == "__main__":
    main()
