"""Measure how often sound that is none of a model's genres is given one, and write docs/unknown-sounds.md.

    python scripts/measure_unknown.py [--bundle B] [--folds FOLDER --stored MEL.npz] [--songs tracks.csv] [-o FILE]

Sounds are synthesised on the spot, speech too where espeak-ng is installed. With --folds (see make_fold_bundles.py)
and --stored (spectrograms of GTZAN's clips) the candidates for a rule are compared on the development kinds. Leaving
out one genre after the other trains 50 heads on the features that ship with the package: some minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from earmark.bundle import load_bundle
from earmark.dataset import load_dataset
from earmark.files import atomic_write
from earmark.folds import make_protocol
from earmark.learners import HeadLearner
from earmark.models.config import HeadConfig
from earmark.predict import Classifier, packaged_bundle
from earmark.progress import Step
from earmark.robustness.ears import fold_bundles
from earmark.robustness.genres import leave_one_genre_out
from earmark.robustness.rules import compare_rules
from earmark.robustness.unknown import hear_songs, hear_unknown, unknown_sounds
from earmark.robustness.unknown_text import genres_table, kinds_table, rules_table, songs_table

OUT = Path(__file__).resolve().parent.parent / "docs" / "unknown-sounds.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def tell(step: Step) -> None:
    """Progress, a line for each step."""
    print(f"{step.task}: {step.done} {step.note}", flush=True)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=packaged_bundle())
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--stored", type=Path)
    parser.add_argument("--songs", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=OUT)
    chosen = parser.parse_args()
    bundle = load_bundle(chosen.bundle)
    classifier = Classifier(bundle)
    heard = hear_unknown(classifier, progress=tell)
    parts = []
    for half, what in (
        ("test", "Kinds that no rule was chosen by"),
        ("development", "Kinds that the rule was chosen by"),
    ):
        parts += [f"### {what}\n", kinds_table([kind for kind in heard if kind.half == half])]
    if chosen.songs is not None:
        parts += [
            "### Real songs, most of them of genres outside the ten\n",
            songs_table(hear_songs(classifier, chosen.songs)),
        ]
    if chosen.folds is not None and chosen.stored is not None:
        sounds = [samples for _, _, samples in unknown_sounds("development")]
        rules = compare_rules(load_dataset(chosen.stored), fold_bundles(chosen.folds), sounds, progress=tell)
        parts += ["### Candidates for a rule, on the development kinds\n", rules_table(rules)]
    dataset = load_dataset("gtzan")
    left_out = leave_one_genre_out(
        dataset, HeadLearner(HeadConfig("tl-cnn")), make_protocol(dataset, "artist5", seeds=[0]),
        temperature=bundle.temperature, progress=tell,
    )  # fmt: skip
    parts += ["### A whole genre that was never heard\n", genres_table(left_out)]
    text = chosen.output.read_text(encoding="utf-8") if chosen.output.exists() else f"{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    with atomic_write(chosen.output, "w") as handle:
        handle.write(f"{before}{BEGIN}\n{chr(10).join(parts)}{END}{rest.split(END)[1]}")
    print(chosen.output)


if __name__ == "__main__":
    main()
