"""``earmark train``, ``crossval``, ``reproduce`` and ``model``: learning and measuring."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli.chosen_model import head_training, tuned_network
from earmark.cli.console import SOME_FAILED, console, progress_bar

if TYPE_CHECKING:
    from earmark.extract import Failure
    from earmark.learners import Learner
    from earmark.reproduce import Reproduction
    from earmark.runs import Run

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A folder with a folder of sound per genre, a CSV manifest, an .npz archive, or the word gtzan.",
        show_default=False,
    ),
]
Epochs = Annotated[int, typer.Option(help="Passes over the training clips.")]
BatchSize = Annotated[int, typer.Option(help="Clips per step.")]
LearningRate = Annotated[float, typer.Option(help="Of Adam.")]
Jobs = Annotated[int | None, typer.Option(help="Worker processes.  [default: one per processor]", show_default=False)]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda or mps.  [default: a GPU where there is one]", show_default=False)
]
BackboneFolder = Annotated[
    str | None,
    typer.Option(
        "--backbone", help="Folder or hub name of MobileNetV2's weights; else EARMARK_BACKBONE, else the hub."
    ),
]
AnyBackbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        help="Folder or hub name (owner/name or owner/name@revision) of a transformers model that sees or hears; "
        "docs/backbones.md lists them.  [default: MobileNetV2, from EARMARK_BACKBONE or the hub]",
        show_default=False,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        help="Of a backbone with layers of one width (AST, MERT, HuBERT ...): a number, mean, or last.  "
        "[default: last]",
        show_default=False,
    ),
]
UsualEpochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        help="Passes over the training clips.  [default: 100; tuned-gru: 40; tuned: 10]",
        show_default=False,
    ),
]
UsualBatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", help="Clips per step.  [default: 128; tuned-gru: 32; tuned: 8]", show_default=False),
]
UsualLearningRate = Annotated[
    float | None,
    typer.Option("--learning-rate", help="Of Adam.  [default: 0.001; tuned: 0.0001]", show_default=False),
]
Kind = Annotated[str, typer.Option(help="How sound becomes a picture: mel, or stft as in the report.")]
Cache = Annotated[Path | None, typer.Option(help="Where computed features are kept.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command()(crossval)
    app.command()(reproduce)
    model = typer.Typer(help="Look at the networks.", no_args_is_help=True, rich_markup_mode=None)
    model.command("summary")(model_summary)
    app.add_typer(model, name="model")


def crossval(
    dataset: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the run.")] = Path("runs/crossval"),
    model: Annotated[
        str,
        typer.Option(
            help="What to train; a wrong name lists them. tuned-gru+musical is what ships; tuned: all of another "
            "--backbone."
        ),
    ] = "tl-cnn-gru",
    protocol: Annotated[
        str | None,
        typer.Option(
            help="artist5, random10, fault-filtered, holdout, leave-one-group-out, or a CSV of clip and fold.  "
            "[default: artist5 where groups are known]",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds.", show_default=False)] = None,
    seeds: Annotated[str, typer.Option(help="One repeat per seed, for example 0,1,2.")] = "0",
    epochs: UsualEpochs = None,
    batch_size: UsualBatchSize = None,
    learning_rate: UsualLearningRate = None,
    calibrate: Annotated[bool, typer.Option(help="Fit a temperature inside each fold's training clips.")] = True,
    leak_tests: Annotated[bool, typer.Option(help="Test the run for leaks.")] = True,
    kind: Kind = "mel",
    backbone: AnyBackbone = None,
    layer: Layer = None,
    cache: Cache = None,
    jobs: Jobs = None,
    device: Device = None,
) -> None:
    """Cross-validate a model and write a run with its report page."""
    from earmark import crossval as engine
    from earmark.encoder_learning import other_backbone, prepare_encoder
    from earmark.folds import make_protocol
    from earmark.fused_learner import tuned_names
    from earmark.learners import make_learner
    from earmark.prepare import prepare
    from earmark.training import pick_device

    learner: Learner
    other = other_backbone(backbone, model)
    if other is None and model in tuned_names():
        learner = tuned_network(model, epochs, batch_size, learning_rate, layer, backbone, kind)
    elif other is None:
        learner = make_learner(model, head_training(epochs, batch_size, learning_rate, layer))
    chosen = pick_device(device)
    with progress_bar() as progress:
        if other is not None:
            prepared = prepare_encoder(
                dataset, other, model, layer=layer, epochs=epochs, batch_size=batch_size,
                learning_rate=learning_rate, kind=kind, cache=cache, jobs=jobs, device=chosen, progress=progress,
            )  # fmt: skip
            data, learner, failures = prepared.dataset, prepared.learner, prepared.failures
        else:
            data, failures = prepare(
                dataset, feature=learner.feature, kind=kind, backbone=backbone, cache=cache, jobs=jobs,
                device=chosen, progress=progress,
            )  # fmt: skip
        run = engine.crossval(
            data, learner, make_protocol(data, protocol, folds=folds, seeds=whole_numbers(seeds)), output, jobs=jobs,
            device=chosen, calibrate=calibrate, leak_tests=leak_tests, command=sys.argv, progress=progress,
        )  # fmt: skip
        page = _report(run)
    show_run(run, page)
    _leave(failures)


def train(
    dataset: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")] = Path("my.earmark"),
    model: Annotated[
        str,
        typer.Option(
            help="tl-cnn or tl-cnn-gru; tuned-gru or tuned-gru+musical, as ships; tuned: all of another --backbone."
        ),
    ] = "tl-cnn-gru",
    protocol: Annotated[
        str | None, typer.Option(help="For the cross-validation that comes first.", show_default=False)
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Its number of folds.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of first weights, order and folds.")] = 0,
    epochs: UsualEpochs = None,
    batch_size: UsualBatchSize = None,
    learning_rate: UsualLearningRate = None,
    kind: Kind = "mel",
    backbone: AnyBackbone = None,
    layer: Layer = None,
    cache: Cache = None,
    jobs: Jobs = None,
    device: Device = None,
) -> None:
    """Cross-validate, then train on all clips and write a bundle that hears without torch."""
    from earmark import train as engine
    from earmark.encoder_learning import other_backbone, prepare_encoder, train_encoder
    from earmark.folds import make_protocol
    from earmark.fused_learner import tuned_names
    from earmark.learners import HeadLearner
    from earmark.models.backbone import load_backbone
    from earmark.models.config import HeadConfig
    from earmark.prepare import prepare
    from earmark.training import pick_device

    learner: Learner
    other = other_backbone(backbone, model)
    if other is None and model in tuned_names():
        learner = tuned_network(model, epochs, batch_size, learning_rate, layer, backbone, kind)
    elif other is None:
        training = head_training(epochs, batch_size, learning_rate, layer)
        learner = HeadLearner(HeadConfig(model), training)  # type: ignore[arg-type]
    chosen = pick_device(device)
    with progress_bar() as progress:
        if other is not None:
            prepared = prepare_encoder(
                dataset, other, model, layer=layer, epochs=epochs, batch_size=batch_size,
                learning_rate=learning_rate, kind=kind, cache=cache, jobs=jobs, device=chosen, progress=progress,
            )  # fmt: skip
            data, failures = prepared.dataset, prepared.failures
        else:
            loaded = load_backbone(backbone)
            data, failures = prepare(
                dataset, feature=learner.feature, kind=kind, backbone=loaded, cache=cache, jobs=jobs, device=chosen,
                progress=progress,
            )  # fmt: skip
        given = protocol is not None or folds is not None
        dealt = make_protocol(data, protocol, folds=folds, seeds=[seed]) if given else None
        if other is not None:
            bundle, run = train_encoder(
                prepared, output, protocol=dealt, seed=seed, jobs=jobs, device=chosen, command=sys.argv,
                progress=progress,
            )  # fmt: skip
        else:
            bundle, run = engine.train(
                data, output, backbone=loaded, learner=learner, seed=seed, jobs=jobs, device=chosen,
                command=sys.argv, protocol=dealt, progress=progress,
            )  # fmt: skip
        page = _report(run)
    show_run(run, page)
    size = output.stat().st_size / 1e6
    out = console()
    out.print(f"Bundle {output} ({size:.1f} MB), unsure below {bundle.unsure_below:.2f}.", soft_wrap=True)
    out.print(f"Next: earmark classify SONG... --bundle {output}", soft_wrap=True)
    _leave(failures)


def reproduce(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Like crossval's; the real GTZAN's features by default.")
    ] = "gtzan",
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the three runs.")] = Path("runs/report"),
    seed: Annotated[int, typer.Option(help="Of folds and first weights.")] = 0,
    epochs: Epochs = 100,
    batch_size: BatchSize = 128,
    learning_rate: LearningRate = 1e-3,
    kind: Kind = "stft",
    backbone: BackboneFolder = None,
    cache: Cache = None,
    jobs: Jobs = None,
    device: Device = None,
) -> None:
    """Train the report's three systems and print its table with our figures beside it."""
    from earmark import reproduce as engine
    from earmark.models.config import TrainingConfig
    from earmark.prepare import prepare
    from earmark.training import pick_device

    chosen = pick_device(device)
    with progress_bar() as progress:
        data, failures = prepare(
            dataset, kind=kind, backbone=backbone, cache=cache, jobs=jobs, device=chosen, progress=progress
        )
        found = engine.reproduce(
            data, output, training=TrainingConfig(epochs, batch_size, learning_rate), seed=seed, jobs=jobs,
            device=chosen, command=sys.argv, progress=progress,
        )  # fmt: skip
        pages = [_report(run) for run in found.runs]
    _show_reproduction(found, data.name, pages)
    _leave(failures)


def model_summary(
    model: Annotated[str, typer.Option(help="tl-cnn or tl-cnn-gru.")] = "tl-cnn-gru",
    labels: Annotated[int, typer.Option(help="Number of genres.")] = 10,
    backbone: BackboneFolder = None,
    format_: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Print the layer table of the report's section 3.1, computed from the live network."""
    from earmark.errors import InputError
    from earmark.models.backbone import FEATURES, load_backbone
    from earmark.models.config import HeadConfig
    from earmark.models.heads import new_head
    from earmark.models.summary import summarise

    if format_ not in ("table", "json"):
        raise InputError(f"There is no format {format_!r} here; choose table or json.")
    if labels < 1:
        raise InputError(f"A model needs at least one genre, not {labels}.")
    head = new_head(HeadConfig(model), FEATURES, labels, seed=0)  # type: ignore[arg-type]
    loaded = load_backbone(backbone)
    found, weights = summarise(loaded, head), loaded.fingerprint()
    if format_ == "json":
        import json

        typer.echo(json.dumps(found.to_dict() | {"weights": weights}, indent=2))
        return
    from rich.table import Table

    table = Table(title=f"{model}: {labels} genres", title_justify="left")
    table.add_column("Layer (type)")
    table.add_column("Output shape")
    table.add_column("Params", justify="right")
    for layer in found.layers:
        shape = f"(None, {', '.join(map(str, layer.shape))})"
        table.add_row(f"{layer.name} ({layer.kind})", shape, f"{layer.values:,}")
    out = console()
    out.print(table)
    out.print(f"Total params: {found.total:,}")
    out.print(f"Trainable params: {found.trainable:,}")
    out.print(f"Non-trainable params: {found.frozen:,}")
    out.print(f"Fingerprint of the backbone's weights: {weights}")


def whole_numbers(text: str) -> list[int]:
    """The seeds that a user typed, for example ``0,1,2``."""
    from earmark.errors import InputError

    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"--seeds takes whole numbers with commas between, not {text!r}.") from error


def _report(run: Run) -> Path:
    from earmark.report import write_report

    return write_report(run)


def show_run(run: Run, page: Path) -> None:
    """Print scores, leak tests and where the report is."""
    from rich.table import Table

    from earmark.report.meaning import dealing

    metrics: Any = run.metrics
    out = console()
    accuracy, f1 = metrics["accuracy"], metrics["macro_f1"]
    out.print(
        f"[bold]{run.model}[/] on {run.dataset}, {dealing(run)}: accuracy [bold]{accuracy['value']:.3f}[/] "
        f"({accuracy['low']:.3f} to {accuracy['high']:.3f}), macro F1 {f1['value']:.3f}",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    for name in ("genre", "precision", "recall", "F1", "clips"):
        table.add_column(name, justify="left" if name == "genre" else "right")
    for row in metrics["per_label"]:
        scores = (row[key] for key in ("precision", "recall", "f1"))
        table.add_row(
            row["label"], *(f"{s['value'] if isinstance(s, dict) else s:.2f}" for s in scores), str(row["support"])
        )
    out.print(table)
    marks = {True: "[green]passed[/]", False: "[red]FAILED[/]", None: "[dim]told[/]  "}
    for test in run.leaks:
        out.print(f"{marks[test.passed]}  {test.sentence}", soft_wrap=True)
    out.print(f"Report: {page}", soft_wrap=True)


def _show_reproduction(found: Reproduction, name: str, pages: Sequence[Path]) -> None:
    from rich.table import Table

    from earmark.reproduce import SYSTEMS

    table = Table(title=f"F1 per genre and accuracy on {name}: the report's figure, then ours", title_justify="left")
    table.add_column("")
    for system in SYSTEMS:
        table.add_column(f"{system.name}\nreport  ours", justify="right")
    for row in found.rows():
        last = row["name"] == "accuracy"
        cells = [
            f"{'  – ' if theirs is None else format(theirs, '.2f')}  [bold]{ours:.2f}[/]"
            for theirs, ours in row["systems"]
        ]
        if last:
            table.add_section()
        table.add_row(row["name"], *cells)
    table.add_row("95 % interval", *(f"{low:.2f} to {high:.2f}" for low, high in found.intervals()))
    out = console()
    out.print(table)
    for run, page in zip(found.runs, pages, strict=True):
        failed = [test.test for test in run.leaks if test.passed is False]
        told = f"  [red]leak test failed: {', '.join(failed)}[/]" if failed else ""
        out.print(f"Report: {page}{told}", soft_wrap=True)


def _leave(failures: Sequence[Failure]) -> None:
    if not failures:
        return
    for failure in failures:
        sys.stderr.write(f"left out {failure.clip}: {failure.message}\n")
    raise typer.Exit(SOME_FAILED)
