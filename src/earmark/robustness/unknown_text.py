"""What is found about unknown sounds as Markdown, made from the numbers and never by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from earmark.metrics import Interval
from earmark.robustness.genres import GenreOut
from earmark.robustness.rules import Rule
from earmark.robustness.unknown import KindHeard, Song, together
from earmark.train_novelty import REFUSED

COVERAGES = (0.9, 0.7, 0.5, 0.3)


def kinds_table(kinds: Sequence[KindHeard]) -> str:
    """False accepts by kind, and their sum."""
    lines = [
        "| kind | sounds | named by confidence alone | named (95 %, Wilson) | most probable | why unsure |",
        "|---|---|---|---|---|---|",
    ]
    for kind in [*kinds, together(kinds, "**all**")]:
        genres = ", ".join(f"{name} {times}" for name, times in kind.answers.most_common(2))
        doubts = ", ".join(f"{name} {times}" for name, times in kind.doubts.most_common())
        alone, named = f"{100 * kind.confident / kind.sounds:.0f} %", _share(kind.interval())
        lines.append(f"| {kind.name} | {kind.sounds} | {alone} | {named} | {genres} | {doubts} |")
    return "\n".join(lines) + "\n"


def songs_table(songs: Sequence[Song]) -> str:
    """What real songs were heard as."""
    lines = ["| song | genre by its source | answer | most probable |", "|---|---|---|---|"]
    for song in songs:
        answer = song.label if song.doubt is None else f"unsure: {song.doubt}"
        title = song.title.replace("|", "\\|")
        lines.append(f"| {title} | {song.tag} | {answer} | {song.label} {100 * song.confidence:.0f} % |")
    return "\n".join(lines) + "\n"


def rules_table(rules: Sequence[Rule]) -> str:
    """The candidates, best first."""
    lines = [
        f"| what is looked at | told apart (area under the curve) | accepted where {100 * REFUSED:.0f} % of known "
        "music is refused |",
        "|---|---|---|",
    ]
    for rule in sorted(rules, key=lambda rule: (rule.accepted, -rule.auroc)):
        lines.append(f"| {rule.name} | {rule.auroc:.3f} | {100 * rule.accepted:.1f} % |")
    return "\n".join(lines) + "\n"


def genres_table(found: Sequence[GenreOut]) -> str:
    """How much of a left-out genre is accepted, at several coverages of the known ones."""
    heads = " | ".join(f"at {100 * coverage:.0f} % coverage" for coverage in COVERAGES)
    lines = [f"| genre left out | clips | told apart | {heads} |", f"|---|---|---|{'---|' * len(COVERAGES)}"]
    for one in found:
        cells = " | ".join(_share(one.accepted(coverage, novelty=True)) for coverage in COVERAGES)
        lines.append(f"| {one.genre} | {len(one.unknown)} | {one.auroc():.2f} | {cells} |")
    for name, novelty in (("**mean**, with the distances", True), ("**mean**, confidence alone", False)):
        means = [np.mean([one.accepted(c, novelty=novelty).value for one in found]) for c in COVERAGES]
        area = np.mean([one.auroc() for one in found])
        shares = " | ".join(f"{100 * mean:.0f} %" for mean in means)
        lines.append(f"| {name} | {sum(len(one.unknown) for one in found)} | {area:.2f} | {shares} |")
    return "\n".join(lines) + "\n"


def _share(found: Interval) -> str:
    return f"{100 * found.value:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f})"
