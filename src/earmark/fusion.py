"""Late fusion: one answer from the saved runs of several models, weighted by what they do inside the training side.

The probabilities p of each model are combined to ``softmax(sum of w * log p)``, a weighted geometric mean whose
weights also set the temperature (a logarithmic opinion pool: Genest and Zidek, Statistical Science 1, 1986). The
weights of a fold are fitted on its *inner* clips: the part of its training clips, whole groups, that a second
training of each model did not see and that its temperature is fitted on. No tested clip has a say in anything, and no
model is trained anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earmark import __version__
from earmark.errors import InputError
from earmark.files import write_json
from earmark.leaks import suspiciously_good
from earmark.metrics import log_probabilities, softmax
from earmark.run_files import (
    CURVE_COLUMNS,
    FORMAT,
    INNER_FILE,
    Inner,
    LeakTest,
    Place,
    Predictions,
    read_inner,
    write_predictions,
    write_rows,
)
from earmark.runs import Run, evaluate_predictions, load_run

Floats = NDArray[np.float64]
Weights = Literal["inner", "other-folds", "equal"]
WEIGHTS: tuple[str, ...] = get_args(Weights)
GIVEN = "given"

_LARGEST = 20.0
_STEPS = 100
# A hundredth of a clip's worth of pull to equal weights: it decides only where the clips leave the weights open.
_PULL = 1e-2


def fit_weights(logs: Floats, targets: NDArray[np.int64]) -> Floats:
    """Weights that make the log loss of ``softmax(sum of w * logs)`` smallest, each 0 to 20.

    The loss is convex in the weights. Newton steps on those that are free, cut at the bounds, each halved until the
    loss falls.

    Parameters
    ----------
    logs
        (models, n, labels), logarithms of probabilities of clips that no model was trained on.
    targets
        (n,), their labels.

    Returns
    -------
    (models,). A tiny pull to equal weights decides where the clips do not (two models that are the same).
    """
    models, count, _ = logs.shape
    own = logs[:, np.arange(count), targets]
    equal = np.full(models, 1 / models)

    def loss(weights: Floats) -> float:
        mixed = np.tensordot(weights, logs, 1)
        top = mixed.max(axis=1)
        spread = top + np.log(np.exp(mixed - top[:, None]).sum(axis=1))
        return float((spread - weights @ own).sum() + _PULL * ((weights - equal) ** 2).sum())

    weights = equal.copy()
    now = loss(weights)
    for _ in range(_STEPS):
        p = softmax(np.tensordot(weights, logs, 1))
        means = np.einsum("nk,mnk->mn", p, logs)
        slope = (means - own).sum(axis=1) + 2 * _PULL * (weights - equal)
        curve = np.einsum("nk,ank,bnk->ab", p, logs, logs) - means @ means.T + 2 * _PULL * np.eye(models)
        # At a bound with the slope pointing beyond it, a weight stays.
        free = ~(((weights <= 0) & (slope > 0)) | ((weights >= _LARGEST) & (slope < 0)))
        if not free.any():
            break
        step = np.zeros(models)
        step[free] = np.linalg.solve(curve[np.ix_(free, free)], slope[free])
        size = 1.0
        while size > 1e-8:
            tried = np.clip(weights - size * step, 0, _LARGEST)
            then = loss(tried)
            if then < now:
                break
            size /= 2
        else:
            break
        gained, weights, now = now - then, tried, then
        if gained < 1e-12 * max(1.0, abs(now)):
            break
    return weights


def combine(logs: Floats, weights: Floats) -> Floats:
    """(models, n, labels) logarithms and (models,) weights to (n, labels) probabilities."""
    return softmax(np.tensordot(weights, logs, 1))


def fuse(
    runs: Sequence[Run],
    out: Path | str,
    *,
    weights: Weights | Sequence[float] = "inner",
    name: str = "",
    command: Sequence[str] = (),
) -> Run:
    """Fuse saved runs into one, fold by fold, and write it as a run of its own.

    Parameters
    ----------
    runs
        Two or more cross-validations of different models on the same clips and folds.
    out
        Folder to write; must not hold anything.
    weights
        ``"inner"``: fitted on each fold's inner clips; the runs must be made with calibration. ``"other-folds"``:
        fitted on what the same repeat's other folds predict, for runs without inner clips; these clips are on the
        training side, but the models that predicted them were trained on the tested clips, so it is honest but for
        that. ``"equal"``: nothing is fitted. Numbers, one per run: weights that were chosen before, of which nobody
        here can tell on what clips.
    name
        What to call the fusion; empty: the models' names.
    command
        What the user typed, for the record.

    Returns
    -------
    Run
        Its ``run.json`` tells the weights of every fold.

    Raises
    ------
    InputError
        If the runs do not belong together, lack what weights are to be fitted on, or the folder is taken.
    """
    how: str = weights if isinstance(weights, str) else GIVEN
    if how not in (*WEIGHTS, GIVEN):
        raise InputError(f"There are no weights {how!r}; choose one of {', '.join(WEIGHTS)}.")
    fixed = np.full(len(runs), 1 / len(runs)) if isinstance(weights, str) else np.array(weights, dtype=np.float64)
    if fixed.shape != (len(runs),) or not (fixed >= 0).all():
        raise InputError(f"Give one weight of 0 or more for each of the {len(runs)} runs.")
    out = Path(out)
    _check(runs)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder. Choose another one with -o.")
    inner = [_inner_of(run) for run in runs] if how == "inner" else None
    first = runs[0]
    assert first.predictions is not None
    found = first.predictions
    order = _lined_up(runs)
    logs = np.stack([log_probabilities(run.predictions.probabilities[rows]) for run, rows in order])
    probabilities = np.empty(logs.shape[1:])
    fitted: dict[Place, Floats] = {}
    places = np.stack([found.repeat, found.fold], axis=1)
    for place in sorted({(int(r), int(f)) for r, f in places}):
        tested = (places == place).all(axis=1)
        if inner is not None:
            fitted[place] = _fitted(first, [tables[place] for tables in inner])
        elif how == "other-folds":
            others = _other_folds(found, place)
            fitted[place] = fit_weights(logs[:, others], found.y_true[others].astype(np.int64))
        else:
            fitted[place] = fixed
        probabilities[tested] = combine(logs[:, tested], fitted[place])
    out.mkdir(parents=True, exist_ok=True)
    for file in ("clips.csv", "folds.csv", "thumbnails.npz"):
        if (first.folder / file).exists():
            shutil.copyfile(first.folder / file, out / file)
    write_rows(out / "curves.csv", CURVE_COLUMNS, ())
    rows = (
        (int(repeat), int(fold), clip, first.labels[int(p.argmax())], p.tolist())
        for repeat, fold, clip, p in zip(found.repeat, found.fold, found.clips, probabilities, strict=True)
    )
    write_predictions(out / "predictions.csv", first.labels, first.clips, rows)
    accuracy = float((probabilities.argmax(axis=1) == found.y_true).mean())
    bound = suspiciously_good(accuracy, bool(first.info["dataset"].get("is_gtzan")))
    told = [test for test in _leaks(runs, inner, how) if test.test != bound.test]
    write_json(out / "leaks.json", [asdict(test) for test in (*told, bound)])
    write_json(out / "run.json", _info(runs, fitted, how, name, command))
    write_json(out / "metrics.json", evaluate_predictions(load_run(out)))
    return load_run(out)


def _check(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise InputError("Fusing needs at least two runs.")
    first = runs[0]
    for run in runs:
        if run.predictions is None:
            raise InputError(f"The run {run.folder} holds no predictions, so there is nothing to fuse.")
        for what, mine, theirs in (
            ("labels", first.labels, run.labels),
            ("clips", first.info["dataset"].get("fingerprint"), run.info["dataset"].get("fingerprint")),
            ("folds", first.protocol.get("fingerprint"), run.protocol.get("fingerprint")),
            ("labelling", first.protocol.get("shuffled_labels"), run.protocol.get("shuffled_labels")),
        ):
            if mine != theirs:
                raise InputError(
                    f"{first.folder} and {run.folder} do not have the same {what}. Make both with the same dataset, "
                    "--protocol, --folds and --seeds."
                )


def _lined_up(runs: Sequence[Run]) -> list[tuple[Any, NDArray[np.intp]]]:
    """Each run with the rows of its predictions in the order of the first one's."""
    wanted = None
    lined = []
    for run in runs:
        assert run.predictions is not None
        found = run.predictions
        names = list(zip(found.repeat.tolist(), found.fold.tolist(), found.clips, strict=True))
        wanted = names if wanted is None else wanted
        place = {name: row for row, name in enumerate(names)}
        if set(place) != set(wanted):
            raise InputError(f"{runs[0].folder} and {run.folder} do not test the same clips in the same folds.")
        lined.append((run, np.array([place[name] for name in wanted], dtype=np.intp)))
    return lined


def _inner_of(run: Run) -> dict[Place, Inner]:
    """The inner predictions of each fold, at the fold's temperature as those of the tested clips are."""
    path = run.folder / INNER_FILE
    if not path.exists():
        raise InputError(
            f"The run {run.folder} has no predictions of inner clips to fit weights on. Make it again with "
            "--calibrate, or choose --weights other-folds or equal."
        )
    temperatures = {(int(f["repeat"]), int(f["fold"])): float(f["temperature"]) for f in run.info["folds"]}
    tables = read_inner(path, run.labels, run.clips)
    if set(tables) != set(temperatures):
        raise InputError(f"{path} does not belong to the folds of its run. Make the run again.")
    return {place: Inner(rows.clips, rows.logs / temperatures[place]) for place, rows in tables.items()}


def _fitted(run: Run, tables: Sequence[Inner]) -> Floats:
    clips = tables[0].clips
    number = {label: k for k, label in enumerate(run.labels)}
    if any(set(table.clips) != set(clips) for table in tables):
        raise InputError("The runs divide the training clips differently inside their folds. Make both again.")
    logs = []
    for table in tables:
        place = {clip: row for row, clip in enumerate(table.clips)}
        # As for the tested clips: a model's zero must not outvote all others for ever.
        probabilities = softmax(table.logs[[place[clip] for clip in clips]])
        logs.append(log_probabilities(probabilities))
    targets = np.array([number[run.clips[clip].label] for clip in clips], dtype=np.int64)
    return fit_weights(np.stack(logs), targets)


def _other_folds(found: Predictions, place: Place) -> NDArray[np.bool_]:
    """Rows of the same repeat that the fold does not test; a clip that it tests is left out wherever it stands."""
    repeat, fold = place
    tested = {clip for clip, r, f in zip(found.clips, found.repeat, found.fold, strict=True) if (r, f) == place}
    others = (found.repeat == repeat) & (found.fold != fold)
    others &= np.array([clip not in tested for clip in found.clips])
    if not others.any():
        raise InputError("With one fold there are no others to fit weights on. Use inner or equal weights.")
    return np.asarray(others)


def _leaks(runs: Sequence[Run], inner: Sequence[dict[Place, Inner]] | None, how: str) -> list[LeakTest]:
    tests = []
    by_name: dict[str, list[tuple[Run, LeakTest]]] = {}
    for run in runs:
        for test in run.leaks:
            by_name.setdefault(test.test, []).append((run, test))
    for name, found in by_name.items():
        verdicts = [test.passed for _, test in found]
        passed = False if False in verdicts else None if None in verdicts else True
        sentence = " ".join(f"{run.model}: {test.sentence}" for run, test in found)
        tests.append(LeakTest(name, passed, None, None, sentence))
    title = "fusion weights are fitted inside training"
    if inner is None:
        told = "Nothing is fitted: all models weigh the same."
        if how == GIVEN:
            told = "Nothing is fitted: the weights were chosen before."
        elif how == "other-folds":
            told = "Fitted on other folds' predictions, by models whose training held the tested clips."
        tests.append(LeakTest(title, None, None, None, told))
        return tests
    run = runs[0]
    grouped = bool(run.protocol.get("grouped"))
    shared = 0
    for place, table in inner[0].items():
        tested = run.roles.get(place, {}).get("test", ())
        sides = [{run.group_of(clip) if grouped else clip for clip in side} for side in (tested, table.clips)]
        shared += len(sides[0] & sides[1])
    what = "clip or group" if grouped else "clip"
    sentence = f"{shared or 'No'} {what} that weights are fitted on is tested in the same fold."
    tests.append(LeakTest(title, not shared, float(shared), 0.0, sentence))
    return tests


def _info(
    runs: Sequence[Run], fitted: dict[Place, Floats], how: str, name: str, command: Sequence[str]
) -> dict[str, Any]:
    names = [run.model for run in runs]
    given = [own.tolist() for own in fitted.values()] if how == GIVEN else []
    identity = json.dumps([[run.info.get("identity") for run in runs], how, given])
    info = {key: runs[0].info.get(key) for key in ("dataset", "labels", "protocol", "front_end", "versions")}
    folds = []
    for row in runs[0].info["folds"]:
        own = fitted[int(row["repeat"]), int(row["fold"])]
        folds.append({**row, "initial_weights": "", "temperature": 1.0, "epochs": 0, "weights": own.tolist()})
    mean = np.mean(list(fitted.values()), axis=0)
    return {
        "format": FORMAT,
        "identity": hashlib.sha256(identity.encode()).hexdigest()[:32],
        "earmark": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "kind": "crossval",
        **info,
        "model": {
            "name": name or " + ".join(names),
            "fusion": how,
            "mean_weights": dict(zip(names, mean.tolist(), strict=True)) if len(set(names)) == len(names) else None,
            "parts": [run.info.get("model") for run in runs],
        },
        "training": {"calibrated": how not in ("equal", GIVEN), "curves": "a fusion is not trained in epochs"},
        "machine": runs[0].info.get("machine"),
        "folds": folds,
        "seconds": sum(float(run.info.get("seconds") or 0.0) for run in runs),
        "peak_memory_mb": None,
    }
