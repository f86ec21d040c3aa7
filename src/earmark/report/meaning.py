"""What a run's number means, in sentences: its protocol, its warnings, where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.folds import FAULT_FILTERED, GROUPED, HOLDOUT, LEAVE_ONE_OUT, RANDOM
from earmark.leaks import GTZAN_CEILING
from earmark.report.charts import Mark
from earmark.report.page import Facts, Note
from earmark.report.words import count, duration, listed, pct, thousands, when
from earmark.runs import Run

# What others reach on GTZAN, for orientation; splits and seeds differ from ours, so only the size compares.
ANCHORS: Mapping[str, tuple[tuple[float, str], ...]] = {
    "random10": ((0.883, "PaSST, frozen"), (0.920, "Choi + SVM")),
    "artist5": ((0.579, "MFCC + SVM"), (0.863, "Choi + SVM")),
    "fault-filtered": ((0.534, "MFCC + SVM"), (0.772, "MusiCNN + SVM"), (0.838, "MuQ"), (0.917, "MERT-v2")),
}
SOURCES = (
    "Choi: a convnet pretrained on music tagging, its features in a support vector machine. "
    "Others' figures are for orientation: their splits and seeds differ."
)

FEW_GROUPS = 20


def is_gtzan(run: Run) -> bool:
    """Whether the run is about GTZAN: as it says itself, or else by name."""
    said = run.info["dataset"].get("is_gtzan")
    return run.dataset.lower().startswith("gtzan") if said is None else bool(said)


def group_noun(run: Run) -> tuple[str, str]:
    """``("artist", "artists")`` where the clips name artists, else ``("group", "groups")``."""
    named = any(clip.artist for clip in run.clips.values())
    return ("artist", "artists") if named else ("group", "groups")


def dealing(run: Run) -> str:
    """How the clips were dealt, in a few words: ``5 random folds``, and not ``random10`` where there were five."""
    name, folds = str(run.protocol["name"]), int(run.protocol.get("folds") or 1)
    noun = group_noun(run)[0]
    words = {
        RANDOM: count(folds, "random fold"),
        GROUPED: f"{count(folds, 'fold')} by {noun}",
        FAULT_FILTERED: "the fault-filtered split",
        HOLDOUT: f"one split by {noun}" if run.protocol.get("grouped") else "one random split",
        LEAVE_ONE_OUT: f"each of {count(folds, noun, f'{noun}s')} left out once",
    }
    repeats = int(run.protocol.get("repeats") or 1)
    told = words.get(name, f"{count(folds, 'fold')} of {name}" if folds > 1 else name)
    return told + (f", {count(repeats, 'seed')}" if repeats > 1 else "")


def headline(run: Run, metrics: Mapping[str, Any]) -> str:
    """The result in one sentence that needs no other."""
    clips = metrics["clips"]
    right = round(metrics["accuracy"]["value"] * clips)
    begin = f"Of {thousands(clips)} clips, {thousands(right)} were given their genre"
    if metrics["repeats"] > 1:
        begin = (
            f"On average over {metrics['repeats']} seeds, {thousands(right)} of {thousands(clips)} clips "
            "were given their genre"
        )
    protocol = run.protocol
    if protocol.get("shuffled_labels"):
        return f"{begin}, where the genres had been dealt to the clips at random."
    if protocol.get("one_model"):
        return f"{begin}, by a model that had been trained on most of them before."
    if protocol.get("grouped"):
        return f"{begin}, each by a model that had heard nothing else by the same {group_noun(run)[0]}."
    return f"{begin}, each by a model that had not heard that clip, but may have heard others by the same artist."


def marks(run: Run, metrics: Mapping[str, Any]) -> list[Mark]:
    """Where the result stands: chance, other systems under the same protocol, the ceiling."""
    value = metrics["accuracy"]["value"]
    largest = max(row["support"] for row in metrics["per_label"]) / metrics["predictions"]
    found = [Mark(value, "this run", strong=True), Mark(largest, "guessing", f"{pct(largest, 0)}%")]
    if is_gtzan(run):
        found += [Mark(v, name, f"{pct(v)}%") for v, name in ANCHORS.get(str(run.protocol["name"]), ())]
        found.append(Mark(GTZAN_CEILING, "leak suspected", f"above {pct(GTZAN_CEILING)}%"))
    return found


def meaning(run: Run, metrics: Mapping[str, Any] | None) -> list[Note]:
    """What the protocol measures, and every reason to read the number with care."""
    notes = []
    protocol, name = run.protocol, str(run.protocol["name"])
    if protocol.get("shuffled_labels"):
        notes.append(
            Note(
                "The genres were dealt to the clips at random before training. There is nothing to learn, so "
                "anything "
                "clearly above guessing would show that test clips leak into training.",
                "A control, not a result.",
                "bad",
            )
        )
    if protocol.get("one_model"):
        notes.append(
            Note(
                "One model was kept from fold to fold, so after the first fold it is tested on clips that it was "
                "trained on before. On GTZAN this mistake turned 72.6 into 96.2. The number says nothing about "
                "new music.",
                "Not a cross-validation.",
                "bad",
            )
        )
    if metrics is not None and is_gtzan(run) and metrics["accuracy"]["value"] > GTZAN_CEILING:
        notes.append(
            Note(
                f"Accuracy is above {pct(GTZAN_CEILING)}%. GTZAN holds wrong labels and repeated recordings, "
                "and a system "
                "that hears perfectly would not score more. Look for clips, artists or recordings that are on both "
                "sides, or for a model that knew the test clips.",
                "A leak is suspected.",
                "bad",
            )
        )
    failed = [test.test for test in run.leaks if test.passed is False]
    if failed:
        notes.append(
            Note(
                f"{listed([f'“{name}”' for name in failed])}. Until that is explained, do not quote this number.",
                f"{count(len(failed), 'leak test')} failed:",
                "bad",
            )
        )
    notes.append(_protocol_note(run, name))
    if metrics is not None:
        notes += _interval_notes(run, metrics)
    if run.kind == "crossval" and not run.leaks:
        notes.append(Note("Run again with leak tests before quoting the number.", "No leak test was run.", "warn"))
    return notes


def _protocol_note(run: Run, name: str) -> Note:
    noun, nouns = group_noun(run)
    folds, repeats = run.protocol.get("folds"), run.protocol.get("repeats", 1)
    dealt = f"{folds} folds" if folds and folds > 1 else "one split"
    if repeats and repeats > 1:
        dealt += f", dealt {repeats} times with different seeds"
    if name == "fault-filtered":
        return Note(
            "GTZAN without its repeated, mislabelled and distorted clips, split so that no artist is on two sides "
            "(Kereliuk, Sturm and Larsen, 2015): 443 clips train, 197 validate, 290 are tested. Honest about new "
            "artists. It is one fixed split with few clips per genre, so its interval is wide.",
            "Fault-filtered split.",
            "good",
        )
    if run.protocol.get("grouped"):
        return Note(
            f"Clips were dealt in {dealt} so that all clips of one {noun} stay on one side. The number says how "
            "well the "
            f"model does on {nouns} that it has never heard, which is what it meets in a real library. It is "
            "lower than "
            "figures from random folds, and it is the one to quote.",
            f"Grouped by {noun}.",
            "good",
        )
    if name.startswith("random"):
        text = (
            f"Clips were dealt at random in {dealt}, so clips of one artist, even of one recording, stand on "
            "both sides, "
            "and part of what is measured is memory of artists. The literature mostly does it this way; compare "
            "with it, "
            "but do not promise it to anyone."
        )
        if is_gtzan(run):
            text += " With the same features and classifier, 92.0 in random folds became 86.3 grouped by artist."
        return Note(text, "Optimistic by construction.", "warn")
    described = run.protocol.get("description")
    text = f"{described[0].upper()}{described[1:]}. " if described else f"Clips were dealt as {name} says ({dealt}). "
    return Note(
        text + "Nothing keeps clips of one artist on one side, so the number may be optimistic for new artists.",
        "Groups are not kept apart.",
        "warn",
    )


def _interval_notes(run: Run, metrics: Mapping[str, Any]) -> list[Note]:
    if metrics["accuracy"]["low"] is None:
        return [
            Note(
                "All clips belong to one group, which says nothing about others.", "No interval is possible.", "warn"
            )
        ]
    unit = group_noun(run)[1]
    if metrics["groups"] < FEW_GROUPS:
        return [
            Note(
                f"The intervals rest on {count(metrics['groups'], unit[:-1])} only and are narrower than they "
                "should be.",
                "Few groups.",
                "warn",
            )
        ]
    return []


def facts(run: Run) -> list[Facts]:
    """Everything that ``run.json`` says, for the collapsible part."""
    info = run.info
    folds = info.get("folds", [])
    memory = info.get("peak_memory_mb")
    first = [
        ("command", " ".join(map(str, info.get("command", []))) or "–"),
        ("made", when(str(info.get("created", "–")))),
        ("by", f"earmark {info.get('earmark', '–')}, run format {info['format']}"),
        ("time", duration(info.get("seconds"))),
        ("peak memory", "–" if memory is None else f"{memory:,.0f} MB"),
        (
            "fresh weights",
            f"{len({row.get('initial_weights') for row in folds if row.get('initial_weights')})} different in "
            f"{count(len(folds), 'fold')}",
        ),
    ]
    groups = [Facts("The run", first)]
    for key, title in (
        ("dataset", "Data"),
        ("protocol", "Protocol and seeds"),
        ("model", "Model"),
        ("training", "Training"),
        ("front_end", "Front end"),
        ("machine", "Machine"),
        ("versions", "Versions"),
    ):
        rows = list(flatten(info.get(key) or {}))
        if rows:
            groups.append(Facts(title, rows))
    return groups


def flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested dictionary as rows ``("part.name", "value")``; long values are cut."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(item, Mapping):
            rows += flatten(item, f"{name}, ")
        elif isinstance(item, list):
            rows.append((name, ", ".join(map(str, item[:40])) + (" …" if len(item) > 40 else "") or "–"))
        elif isinstance(item, bool):
            rows.append((name, "yes" if item else "no"))
        else:
            rows.append((name, "–" if item is None else str(item)))
    return rows
