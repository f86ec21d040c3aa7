"""Other backbones than MobileNetV2: small random ones of every kind, from a folder to a bundle without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

import tiny_backbones
from earmark.bundle import load_bundle
from earmark.cli import main
from earmark.encoder_features import WindowExtractor
from earmark.encoder_learner import EncoderTuneLearner, TuneConfig
from earmark.encoder_learning import other_backbone, prepare_encoder
from earmark.encoder_tuning import fit_encoder, fresh_network, parameter_groups
from earmark.errors import InputError, StoreError
from earmark.models import encoder_settings
from earmark.models.encoder import Encoder, WindowEncoder, load_encoder, parse_layer
from earmark.models.encoder_files import find_files
from earmark.models.encoder_network import check_graph, export_encoder_network
from earmark.models.families import FAMILIES
from earmark.predict import Classifier
from earmark.runs import load_run
from earmark.sound_input import network_input

RATE = 16000
KINDS = (*tiny_backbones.PICTURES, *tiny_backbones.SOUNDS)
# One of each way from sound to a vector, through training, bundle and hearing.
THROUGH = ("efficientnet", "convnext", "resnet", "ast", "wav2vec2", "clap", "mert")


@pytest.fixture(scope="module", autouse=True)
def short_windows() -> Any:
    """Windows of 6 s in place of 30, still of several segments: a fifth of the time."""
    before = encoder_settings.WINDOW_SECONDS
    encoder_settings.WINDOW_SECONDS = 6.0
    yield
    encoder_settings.WINDOW_SECONDS = before


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each kind of network."""
    root = tmp_path_factory.mktemp("backbones")
    made = {kind: tiny_backbones.save(kind, root / kind, licence="cc-by-nc-4.0") for kind in KINDS}
    return {**made, "mert": tiny_backbones.save_mert(root / "mert")}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two genres that anybody can tell apart, low hums and high chirps."""
    folder = tmp_path_factory.mktemp("music")
    generator = np.random.default_rng(0)
    t = np.arange(5 * RATE) / RATE
    for genre, base in (("Hum", 110), ("Chirp", 3000)):
        (folder / genre).mkdir()
        for number in range(4):
            pitch = base * generator.uniform(0.8, 1.25)
            tone = np.sin(2 * np.pi * pitch * t) * (1 + np.sin(2 * np.pi * generator.uniform(1, 4) * t))
            tone += 0.02 * generator.standard_normal(len(t))
            soundfile.write(folder / genre / f"{number}.wav", 0.3 * tone, RATE)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all, as users have it."""
    return tmp_path_factory.mktemp("cache")


def run(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["earmark", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
    return int(left.value.code or 0)


def windows_for(encoder: Encoder) -> tuple[WindowEncoder, torch.Tensor]:
    shape = (16, 24) if encoder.sees else encoder.front_end.shape  # type: ignore[union-attr]
    generator = torch.Generator().manual_seed(0)
    if encoder.sees:
        return WindowEncoder(encoder, shape), torch.randint(0, 256, (2, *shape), generator=generator).byte()
    return WindowEncoder(encoder, shape), torch.randn(2, *shape, generator=generator)


# ---------------------------------------------------------------------- every family


def test_every_known_type_is_tried_here() -> None:
    tried = [model for model, _, _ in (*tiny_backbones.PICTURES.values(), *tiny_backbones.SOUNDS.values())]
    for family in FAMILIES.values():
        model = family.model.removesuffix("Model").removesuffix("AudioModelWithProjection")
        assert any(name.startswith(model) for name in tried), model


@pytest.mark.parametrize("kind", [*KINDS, "mert"])
def test_a_folder_becomes_one_vector_a_window(kind: str, folders: dict[str, Path]) -> None:
    encoder = load_encoder(str(folders[kind]))
    windows, numbers = windows_for(encoder)
    with torch.inference_mode():
        vectors, rows = windows(numbers), windows.summaries(numbers)
    assert vectors.shape == (2, encoder.size)
    assert rows.shape == (2, encoder.rows, encoder.size)
    assert torch.isfinite(vectors).all()
    assert float((vectors[0] - vectors[1]).abs().max()) > 1e-4, "it tells nothing apart"
    torch.testing.assert_close(encoder.pick(rows), vectors)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    again = load_encoder(str(folders[kind]))
    assert (again.fingerprint(), again.key()) == (encoder.fingerprint(), encoder.key()), "some weights are random"


@pytest.mark.parametrize("kind", ["ast", "hubert", "whisper"])
def test_layers_are_those_of_transformers(kind: str, folders: dict[str, Path]) -> None:
    last = load_encoder(str(folders[kind]))
    windows, numbers = windows_for(last)
    network: Any = last.network
    pieces = windows.pieces(numbers)
    with torch.inference_mode():
        rows = windows.summaries(numbers)
        if kind == "whisper":
            hidden = network.encoder(pieces.transpose(1, 2), output_hidden_states=True).hidden_states
        else:
            hidden = network(pieces, output_hidden_states=True).hidden_states
    means = torch.stack([layer.mean(dim=1).unflatten(0, (2, -1)).mean(dim=1) for layer in hidden], dim=1)
    torch.testing.assert_close(rows[:, :-1], means)
    for layer, wanted in (("0", means[:, 0]), ("2", means[:, 2]), ("mean", means.mean(dim=1))):
        chosen = load_encoder(str(folders[kind]), layer=parse_layer(layer))
        with torch.inference_mode():
            torch.testing.assert_close(WindowEncoder(chosen, windows.shape)(numbers), wanted)
        torch.testing.assert_close(chosen.pick(rows), wanted)
        assert chosen.key() == last.key(), "all layers come from one cache"
        assert chosen.feature != last.feature


def test_mert_is_hubert_and_none_of_its_code_is_run(folders: dict[str, Path]) -> None:
    mert, hubert = load_encoder(str(folders["mert"])), load_encoder(str(folders["hubert"]))
    sound = torch.randn(2, 24000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(mert(sound), hubert(sound))
    assert mert.front_end is not None
    assert (mert.front_end.sample_rate, mert.front_end.shape) == (24000, (2, 120000))
    assert mert.feature.startswith("mert-")


def test_weights_in_half_precision_are_computed_with_in_single(folders: dict[str, Path], tmp_path: Path) -> None:
    import transformers

    whole = transformers.ResNetModel.from_pretrained(folders["resnet"])
    whole.half().save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert {value.dtype for value in encoder.network.state_dict().values()} <= {torch.float32, torch.int64}
    windows, numbers = windows_for(encoder)
    assert windows(numbers).dtype == torch.float32


def test_a_picture_is_scaled_as_the_image_processor_says(folders: dict[str, Path]) -> None:
    colours = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def scaled(kind: str) -> torch.Tensor:
        return load_encoder(str(folders[kind]))._scaled(colours)[0, :, 5, 7]

    red, green, blue = colours[0, :, 5, 7].tolist()
    wanted = [(red - 0.485) / 0.2, (green - 0.456) / 0.3, (blue - 0.406) / 0.4]
    assert scaled("convnext").tolist() == pytest.approx(wanted)
    assert scaled("mobilevit").tolist() == pytest.approx([blue, green, red])
    # EfficientNet's processor divides twice.
    assert scaled("efficientnet").tolist() == pytest.approx([4 * (red - 0.4), 4 * (green - 0.5), 4 * (blue - 0.6)])
    assert load_encoder(str(folders["dinov2"])).picture == pytest.approx(
        encoder_settings.PictureSettings(56, 56, (0.4, 0.5, 0.6), (0.229, 0.224, 0.225))
    )


# ---------------------------------------------------------------------- through to the bundle


@pytest.fixture(scope="module")
def trained(
    folders: dict[str, Path], music: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """``earmark train`` with a backbone, once: gives the bundle."""
    out = tmp_path_factory.mktemp("bundles")

    def train(name: str) -> Path:
        path, kind = out / f"{name}.earmark", name.removeprefix("tuned-")
        words = ["train", music, "-o", path, "--backbone", folders[kind], "--cache", cache, "--folds", 2, "--jobs", 1]
        if name != kind:
            words += ["--model", "tuned", "--epochs", 2]
        else:
            layer = ["--layer", "mean"] if kind in ("wav2vec2", "mert") else []
            words += ["--model", "tl-cnn", "--epochs", 15, "--learning-rate", 0.03, *layer]
        if not path.exists():
            assert run(*words) == 0
        return path

    return train


def bundle_input(bundle: Any, path: Path) -> NDArray[Any]:
    samples, _ = soundfile.read(path, dtype="float32")
    rate = bundle.hearing.sample_rate
    if rate != RATE:
        import soxr

        samples = soxr.resample(samples, RATE, rate)
    return network_input(samples, bundle.hearing)[None]


@pytest.mark.parametrize("kind", THROUGH)
def test_a_bundle_computes_what_torch_computes(
    kind: str, trained: Callable[[str], Path], folders: dict[str, Path], music: Path
) -> None:
    bundle = load_bundle(trained(kind))
    layer = "mean" if kind in ("wav2vec2", "mert") else None
    encoder = load_encoder(str(folders[kind]), layer=layer)
    numbers = np.concatenate([bundle_input(bundle, music / genre / "1.wav") for genre in ("Hum", "Chirp")])
    # The head sees (x - mean) / deviation: two windows, of which both sides know the difference but for these two.
    _, embeddings = Classifier(bundle).window_probabilities(numbers)
    wanted = encoder.pick(WindowExtractor(encoder, bundle.hearing.shape)(numbers))
    difference = wanted[0] - wanted[1]
    ours = embeddings[0] - embeddings[1]
    clear = np.abs(difference) > 0.05 * np.abs(difference).max()
    deviation = (difference[clear] / ours[clear]).astype(float)
    again = embeddings[0][clear] * deviation - wanted[0][clear]
    np.testing.assert_allclose(again, embeddings[1][clear] * deviation - wanted[1][clear], atol=1e-3)
    assert (deviation > 0).all(), "scaled by something that is no deviation"


@pytest.mark.parametrize("kind", THROUGH)
def test_a_bundle_says_what_it_is_made_of(
    kind: str, trained: Callable[[str], Path], folders: dict[str, Path]
) -> None:
    card = load_bundle(trained(kind)).card
    encoder = load_encoder(str(folders[kind]))
    assert card.provenance["backbone"]["fingerprint"] == encoder.fingerprint()
    assert card.front_end["kind"] == ("mel" if encoder.sees else encoder.front_end.kind)  # type: ignore[union-attr]
    if kind == "mert":
        assert "does not say" in card.licence
    else:
        assert "cc-by-nc-4.0" in card.licence
        assert "forbids commercial use" in card.licence
    found = load_run(trained(kind).with_suffix(".run"))
    assert found.info["front_end"] == card.front_end
    assert str(folders[kind]) not in json.dumps(card.model_dump()["provenance"]), "a path of this machine"


@pytest.mark.timeout(300)
def test_bundles_hear_without_torch(trained: Callable[[str], Path], music: Path) -> None:
    places = [trained(name) for name in (*THROUGH, "tuned-resnet", "tuned-wav2vec2")]
    script = """
import json, sys
for name in ("torch", "transformers", "onnx", "sklearn", "librosa"):
    sys.modules[name] = None
from pathlib import Path
from earmark.predict import Classifier
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.earmark")):
    hears = Classifier(path)
    answers = [hears.classify(song, windows=1) for song in sorted(Path(sys.argv[2]).glob("*/*.wav"))]
    found[path.stem] = [[a.label, a.confidence, a.path.split("/")[-2]] for a in answers]
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(places[0].parent), str(music)], capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(places)
    for name, answers in found.items():
        right = [label == genre for label, _, genre in answers]
        if not name.startswith("tuned"):
            assert np.mean(right) >= 0.85, f"{name} cannot tell hums from chirps that it was trained on"
        assert len({(label, round(confidence, 9)) for label, confidence, _ in answers}) > 1, f"{name} hears nothing"


def test_a_graph_that_computes_something_else_makes_no_bundle(folders: dict[str, Path]) -> None:
    seen = [fresh_network(tune_learner(folders["resnet"]), (16, 24), 2, seed).eval() for seed in (0, 1)]
    graph = export_encoder_network(seen[0])
    check_graph(graph, seen[0])
    with pytest.raises(StoreError, match="differs from the network"):
        check_graph(graph, seen[1])


def test_whoever_looks_on_gets_a_picture_of_a_window_that_is_only_heard(
    trained: Callable[[str], Path], music: Path
) -> None:
    from earmark.library.worker import Task, hear

    hears = Classifier(trained("wav2vec2"))
    seen: list[NDArray[np.uint8]] = []
    hears.classify(music / "Hum" / "0.wav", on_window=lambda _, picture: seen.append(picture))
    assert [picture.shape for picture in seen] == [hears.bundle.front_end.shape]
    assert seen[0].dtype == np.uint8
    assert seen[0][:20].mean() > seen[0][60:].mean(), "a hum is low"
    outcome = hear(hears, Task(str(music / "Hum" / "0.wav"), look=True))
    assert outcome.reason is None
    assert outcome.timbre
    assert outcome.print


def test_crossval_goes_on_from_what_was_heard(
    folders: dict[str, Path],
    music: Path,
    cache: Path,
    trained: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    trained("wav2vec2")
    # Another layer of a backbone whose vectors are in the cache: nothing is heard again.
    monkeypatch.setattr(WindowExtractor, "__call__", lambda *_: pytest.fail("a window was encoded again"))
    words = ["crossval", music, "-o", tmp_path / "run", "--backbone", folders["wav2vec2"], "--layer", 1]
    options = ["--cache", cache, "--model", "tl-cnn", "--epochs", 10, "--folds", 2, "--jobs", 1]
    assert run(*words, *options, "--no-calibrate") == 0
    found = load_run(tmp_path / "run")
    assert found.model.endswith("-layer1+tl-cnn")
    assert {test.test: test.passed for test in found.leaks}["nothing is fitted outside training"] is True
    assert found.info["model"]["backbone"]["layer"] == 1


# ---------------------------------------------------------------------- fine-tuning


def tune_learner(folder: Path, *, epochs: int = 2) -> EncoderTuneLearner:
    encoder = load_encoder(str(folder))
    settings = TuneConfig(epochs=epochs, batch_size=4)
    return EncoderTuneLearner(encoder.describe(), str(folder), "numbers", encoder.feature, training=settings)


def two_kinds(encoder_shape: tuple[int, ...], seen: bool) -> tuple[NDArray[Any], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    targets = np.arange(8) % 2
    numbers = generator.standard_normal((8, *encoder_shape)).astype(np.float32)
    numbers[..., ::2] += 3 * targets.reshape(-1, *[1] * len(encoder_shape)) * numbers.std()
    if seen:
        return np.clip(numbers * 30 + 100, 0, 255).astype(np.uint8), targets
    return numbers, targets


@pytest.mark.parametrize("kind", ["resnet", "ast"])
def test_fine_tuning_learns_and_a_killed_training_ends_the_same(
    kind: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("earmark.encoder_tuning.CHECKPOINT_SECONDS", 0.0)
    learner = tune_learner(folders[kind], epochs=4)
    seen = kind == "resnet"
    features, targets = two_kinds((16, 24) if seen else (3, 200, 32), seen)
    whole = fit_encoder(learner, features, targets, 2, seed=1, validation=(features, targets))
    assert whole.curves[-1].train_loss < whole.curves[0].train_loss
    assert whole.initial_weights == learner.expected_initial_weights(features, 2, 1)
    assert whole.final_weights != whole.initial_weights

    def kill(step: Any) -> None:
        if step.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_encoder(learner, features, targets, 2, seed=1, checkpoint=tmp_path / "kept", progress=kill)
    resumed = fit_encoder(learner, features, targets, 2, seed=1, checkpoint=tmp_path / "kept")
    assert resumed.final_weights == whole.final_weights
    other = fit_encoder(learner, features, targets, 2, seed=2)
    assert other.final_weights != whole.final_weights


@pytest.mark.parametrize("kind", ["resnet", "efficientnet", "swin", "ast", "hubert", "clap", "whisper"])
def test_learning_rates_rise_from_the_first_layer_to_the_last(kind: str, folders: dict[str, Path]) -> None:
    learner = tune_learner(folders[kind])
    encoder = load_encoder(str(folders[kind]))
    shape = (16, 24) if encoder.sees else encoder.front_end.shape  # type: ignore[union-attr]
    network = fresh_network(learner, shape, 2, 0)
    groups = parameter_groups(network, learner.training)
    rates = [group["lr"] for group in groups if group["lr"] != learner.training.head_rate]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(1e-5)
    assert rates[-1] == pytest.approx(1e-4)
    assert len(set(rates)) >= 3
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) == trained
    assert all(p.ndim > 1 for group in groups if group["weight_decay"] for p in group["params"])


def test_normalisation_keeps_its_statistics(folders: dict[str, Path]) -> None:
    learner = tune_learner(folders["resnet"])
    features, targets = two_kinds((16, 24), True)
    before = load_encoder(str(folders["resnet"])).state_dict()
    after = fit_encoder(learner, features, targets, 2, seed=0).network.windows.encoder.state_dict()
    statistics = [name for name in before if "running_" in name]
    assert statistics
    assert all(torch.equal(before[name], after[name]) for name in statistics)


# ---------------------------------------------------------------------- which backbone


def test_mobilenet_stays_the_default(tmp_path: Path, folders: dict[str, Path], monkeypatch: Any) -> None:
    from transformers import MobileNetV2Config

    monkeypatch.delenv("EARMARK_BACKBONE", raising=False)
    MobileNetV2Config().save_pretrained(tmp_path / "usual")
    assert other_backbone(None, "tl-cnn") is None
    assert other_backbone(str(tmp_path / "usual"), "tl-cnn") is None
    assert other_backbone("google/mobilenet_v2_1.0_224", "tl-cnn-gru") is None
    assert other_backbone(str(folders["convnext"]), "mfcc-svm") is None
    narrower = other_backbone(str(folders["mobilenet_v2"]), "tl-cnn")
    assert narrower is not None
    monkeypatch.setenv("EARMARK_BACKBONE", str(folders["convnext"]))
    named = other_backbone(None, "tl-cnn")
    assert named is not None
    assert named.kind == "convnext"
    monkeypatch.setenv("EARMARK_BACKBONE", str(tmp_path / "nowhere"))
    assert other_backbone(None, "tl-cnn") is None, "the package's own features need no weights"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ('---\nlanguage: en\nlicense: "apache-2.0"\n---\n', "apache-2.0"),
        ("---\nlicense: other\nlicense_name: own-terms\n---\n", "own-terms"),
        ("license: mit\n", ""),
        ("---\ntags: [a]\n---\nlicense: mit\n", ""),
    ],
)
def test_the_licence_is_that_of_the_cards_header(card: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    (tmp_path / "README.md").write_text(card)
    assert find_files(str(tmp_path)).licence == licence


def test_settings_may_lie_in_the_file_of_a_whole_processor(tmp_path: Path, folders: dict[str, Path]) -> None:
    config = (folders["clap"] / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    inner = json.loads((folders["clap"] / "preprocessor_config.json").read_text())
    (tmp_path / "processor_config.json").write_text(json.dumps({"feature_extractor": inner, "tokenizer": {}}))
    assert find_files(str(tmp_path)).preprocessing == inner


# ---------------------------------------------------------------------- what cannot be done


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Path:
    """Folders with something wrong."""
    tmp_path = tmp_path_factory.mktemp("broken")

    def copy(kind: str, name: str, **config: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for path in folders[kind].iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        found = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**found, **config}))
        return folder

    (copy("hubert", "pickled") / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    (copy("hubert", "no-weights") / "model.safetensors").unlink()
    (copy("hubert", "torn") / "model.safetensors").write_bytes(b"no tensors at all")
    copy("hubert", "text", model_type="bert")
    copy("hubert", "own-code", model_type="musicnet", auto_map={"AutoModel": "modeling.Music"})
    copy("hubert", "deeper", num_hidden_layers=4)
    copy("hubert", "wider", hidden_size=32)
    copy("mert", "cqt-mert", feature_extractor_cqt=True)
    (copy("clap", "odd-settings") / "preprocessor_config.json").write_text('{"hop_length": "many"}')
    (copy("resnet", "odd-size") / "preprocessor_config.json").write_text('{"size": {"height": 3, "width": 3}}')
    (copy("resnet", "no-json") / "config.json").write_text("{")
    (tmp_path / "file.bin").write_bytes(b"a file")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--backbone", "./nothing"], "it has no config.json"),
        (["--backbone", "./file.bin"], "it has no config.json"),
        (["--backbone", "nobody/nothing"], "cannot be fetched from the Hugging Face hub"),
        (["--backbone", "nobody/nothing@refs/pr/1"], "cannot be fetched from the Hugging Face hub"),
        (["--backbone", "./text"], "a model of the type 'bert', which cannot be a backbone"),
        (["--backbone", "./own-code"], "code of its own, which Earmark never runs"),
        (["--backbone", "./cqt-mert"], "MERT with feature_extractor_cqt"),
        (["--backbone", "./pickled"], "reads no pickled ones"),
        (["--backbone", "./no-weights"], "there is no model.safetensors"),
        (["--backbone", "./torn"], "cannot be loaded"),
        (["--backbone", "./deeper"], "is missing or has another shape"),
        (["--backbone", "./wider"], "cannot be loaded"),
        (["--backbone", "./odd-settings"], "make no sense"),
        (["--backbone", "./odd-size"], "make no sense"),
        (["--backbone", "./no-json"], "cannot be read"),
        (["--backbone", "HUBERT", "--layer", "9"], "layers 0 to 2, not 9"),
        (["--backbone", "HUBERT", "--layer", "first"], "one of mean and last"),
        (["--backbone", "RESNET", "--layer", "1"], "no layers of one width"),
        (["--layer", "1"], "leave --layer out"),
        (["--model", "tuned"], "needs --backbone"),
        (["--backbone", "RESNET", "--model", "tuned", "--epochs", "0"], "at least one epoch"),
        (["--backbone", "RESNET", "--model", "tuned", "--learning-rate", "0"], "above 0"),
        (["--backbone", "RESNET", "--kind", "cqt"], "no front end 'cqt'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    words: list[str], sentence: str, broken: Path, folders: dict[str, Path], capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(broken)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("EARMARK_CACHE", str(broken / "cache"))
    monkeypatch.delenv("EARMARK_BACKBONE", raising=False)
    places = {"HUBERT": str(folders["hubert"]), "RESNET": str(folders["resnet"])}
    # Both commands read these options alike; each sentence is asked of one of them.
    command = "train" if len(sentence) % 2 else "crossval"
    assert run(command, "gtzan", *(places.get(word, word) for word in words)) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("earmark: ")
    assert errors.count("\n") == 1, errors
    assert sentence in errors


def test_the_packages_own_features_are_no_sound(folders: dict[str, Path], capsys: Any, tmp_path: Path) -> None:
    for kind, sentence in (
        ("hubert", "needs the sound files of GTZAN"),
        ("resnet", "neither sound nor spectrograms"),
    ):
        for model in ("tl-cnn", "tuned"):
            words = ["--backbone", folders[kind], "--model", model, "--cache", tmp_path]
            assert run("crossval", "gtzan", "-o", tmp_path / "run", *words) == 2
            assert sentence in capsys.readouterr().err


def test_commands_for_mobilenet_take_no_other(folders: dict[str, Path], capsys: Any) -> None:
    assert run("model", "summary", "--backbone", folders["convnext"]) == 2
    assert "this needs a MobileNetV2" in capsys.readouterr().err


def test_one_bad_file_costs_one_file(folders: dict[str, Path], music: Path, cache: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(music, tmp_path / "music")
    (tmp_path / "music" / "Hum" / "broken.wav").write_bytes(b"this is no sound")
    for model in ("tl-cnn", "tuned"):
        prepared = prepare_encoder(
            tmp_path / "music", find_files(str(folders["ast"])), model, cache=cache, jobs=1
        )  # fmt: skip
        assert [failure.clip for failure in prepared.failures] == ["Hum/broken"]
        assert len(prepared.dataset) == 8
        assert len(prepared.dataset.features[prepared.learner.feature]) == 8


def test_the_hub_sentence_names_the_way_to_safetensors(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mert_model"}')
    monkeypatch.setattr("earmark.models.encoder_files._fetch", lambda named: tmp_path)
    with pytest.raises(InputError, match=r"--backbone m-a-p/MERT-v1-95M@refs/pr/NUMBER"):
        load_encoder("m-a-p/MERT-v1-95M@main")
