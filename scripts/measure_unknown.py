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
from earmark.folds import make_protocol
from earmark.learners import HeadLearner
from earmark.models.config import HeadConfig
from earmark.predict import Classifier, packaged_bundle
from earmark.progress import Step
from earmark.robustness.ears import fold_bundles
from earmark.robustness.genres import leave_one_genre_out
from earmark.robustness.rules import compare_rules
from earmark.robustness.text import fill
from earmark.robustness.unknown import hear_songs, hear_unknown, unknown_sounds
from earmark.robustness.unknown_text import genres_table, kinds_table, rules_table, songs_table

OUT = Path(__file__).resolve().parent.parent / "docs" / "unknown-sounds.md"


SECTIONS = ("kinds", "songs", "rules", "genres")


def tell(step: Step) -> None:
    """Progress, a line for each step."""
    print(f"{step.task}: {step.done} {step.note}", flush=True)


def section(name: str, chosen: argparse.Namespace) -> str | None:
    """The text of one section; None where what it needs was not given."""
    classifier = Classifier(load_bundle(chosen.bundle))
    if name == "kinds":
        heard = hear_unknown(classifier, progress=tell)
        test, development = ([kind for kind in heard if kind.half == half] for half in ("test", "development"))
        return (
            f"### Kinds that no rule was chosen by\n\n{kinds_table(test)}\n"
            f"### Kinds that the rule was chosen by\n\n{kinds_table(development)}"
        )
    if name == "songs":
        if chosen.songs is None:
            return None
        songs = songs_table(hear_songs(classifier, chosen.songs))
        return f"### Real songs, most of them of genres outside the ten\n\n{songs}"
    if name == "rules":
        if chosen.folds is None or chosen.stored is None:
            return None
        sounds = [samples for _, _, samples in unknown_sounds("development")]
        rules = compare_rules(load_dataset(chosen.stored), fold_bundles(chosen.folds), sounds, progress=tell)
        return f"### Candidates for a rule, on the development kinds\n\n{rules_table(rules)}"
    dataset = load_dataset("gtzan")
    found = leave_one_genre_out(
        dataset, HeadLearner(HeadConfig("tl-cnn")), make_protocol(dataset, "artist5", seeds=[0]),
        temperature=classifier.bundle.temperature, progress=tell,
    )  # fmt: skip
    return f"### A whole genre that was never heard\n\n{genres_table(found)}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=packaged_bundle())
    parser.add_argument("--folds", type=Path)
    parser.add_argument("--stored", type=Path)
    parser.add_argument("--songs", type=Path)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="measure only these sections")
    parser.add_argument("-o", "--output", type=Path, default=OUT)
    chosen = parser.parse_args()
    for name in chosen.only:
        text = section(name, chosen)
        if text is not None:
            fill(chosen.output, name, text)
    print(chosen.output)


if __name__ == "__main__":
    main()
