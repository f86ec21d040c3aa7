"""Live listening: whatever the blocks, the answers are those of the offline path, to the last bit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bundles import tiny_bundle
from earmark import AudioError, Classifier, InputError, Listener, Moment, Prediction
from earmark.listen import evened_out
from earmark.spectrogram import FrontEnd

RATE = 22050
WINDOW = 3.0


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Windows of 3 s, so that short sounds have several."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.earmark"
    return Classifier(tiny_bundle(path, front_end=FrontEnd(seconds=WINDOW)))


def music(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    """Tones that change and noise under them, float32 (n, channels)."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    time = np.arange(n)[:, None] / rate
    tones = rng.uniform(100, rate / 3, (1 + n // rate, channels))[np.arange(n) // rate]
    return (0.3 * np.sin(2 * np.pi * tones * time) + 0.01 * rng.standard_normal((n, channels))).astype(np.float32)


def parts(samples: NDArray[Any], sizes: list[int]) -> list[NDArray[Any]]:
    """The samples in blocks of these sizes, over and over."""
    blocks, first, turn = [], 0, 0
    while first < len(samples):
        size = sizes[turn % len(sizes)]
        blocks.append(samples[first : first + size])
        first, turn = first + size, turn + 1
    return blocks


def same(one: Prediction, other: Prediction) -> bool:
    return (
        one.probabilities == other.probabilities
        and list(one.probabilities) == list(other.probabilities)
        and one.embedding.tobytes() == other.embedding.tobytes()
        and one.timeline == other.timeline
        and one.heard == other.heard
        and one.decoded == other.decoded
        and one.problems == other.problems
        and (one.label, one.confidence, one.unsure) == (other.label, other.confidence, other.unsure)
    )


sizes = st.lists(st.integers(200, 200_000), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 16000, RATE, 44100, 48000, 44056, 96000]),
    channels=st.integers(1, 3),
    seconds=st.floats(1.1, 11),
    sizes=sizes,
    integers=st.booleans(),
    seed=st.integers(0, 5),
)
def test_blocks_of_any_size_and_rate_equal_the_file(
    rate: int, channels: int, seconds: float, sizes: list[int], integers: bool, seed: int, classifier: Classifier
) -> None:
    samples: NDArray[Any] = music(seconds, rate, channels, seed)
    if integers:
        samples = np.round(samples * 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16" if integers else "FLOAT")
    offline = classifier.classify(file, full=True)
    listener = Listener(classifier, sample_rate=rate, channels=channels, every=None)
    for block in parts(samples.reshape(-1), sizes):
        assert listener.feed(block) == []
    live = listener.finish()
    assert same(live, offline)
    assert live.declared is None


def test_samples_in_memory_give_the_same(classifier: Classifier) -> None:
    samples = music(10.0, RATE)[:, 0]
    listener = Listener(classifier, sample_rate=RATE)
    for block in parts(samples, [999, 1, 40_000]):
        listener.feed(block)
    assert same(listener.finish(), classifier.classify_samples(samples, RATE))


@settings(max_examples=10, deadline=None)
@given(sizes=sizes, every=st.sampled_from([0.37, 1.0, 2.5]), rate=st.sampled_from([RATE, 48000]))
def test_running_answers_do_not_depend_on_the_blocks_and_equal_the_recent_stretch_offline(
    sizes: list[int], every: float, rate: int, classifier: Classifier
) -> None:
    samples = music(8.0, rate)[:, 0]
    listener = Listener(classifier, sample_rate=rate, every=every)
    moments = [moment for block in parts(samples, sizes) for moment in listener.feed(block)]
    assert [m.at for m in moments] == pytest.approx([every * (k + 1) for k in range(len(moments))], abs=1e-4)
    assert 0 <= 8.0 - moments[-1].at < every + 0.1
    mono = samples if rate == RATE else soxr.resample(samples, rate, RATE, quality="HQ")
    for moment in moments:
        end = round(moment.at * RATE)
        count = min(end, round(WINDOW * RATE))
        assert moment.seconds == pytest.approx(count / RATE)
        if moment.at < 1:
            assert (moment.problem, moment.label, moment.answer) == ("too-short", None, "nothing to hear")
            continue
        stretch = classifier.classify_samples(mono[end - count : end], RATE)
        assert moment.problem is None
        assert moment.label == stretch.label
        # Resampling in one piece and as a stream agree to rounding; without it they are the same.
        offline = np.array(list(stretch.probabilities.values()))
        expected = dict(zip(stretch.probabilities, evened_out(offline, count / round(WINDOW * RATE)), strict=True))
        assert moment.probabilities == pytest.approx(expected, abs=1e-15 if rate == RATE else 1e-3)
        assert moment.unsure == (moment.confidence < classifier.bundle.unsure_below)


@given(
    weights=st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda w: sum(w) > 0.1),
    shares=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
)
def test_the_less_was_heard_the_more_even_the_probabilities(
    weights: list[float], shares: tuple[float, float]
) -> None:
    known = np.array(weights) / sum(weights)
    less, more = (evened_out(known, share) for share in sorted(shares))
    assert less.sum() == pytest.approx(1)
    assert less.max() <= more.max() + 1e-12 <= known.max() + 2e-12
    assert np.all((less[:, None] >= less - 1e-12) | (known[:, None] < known)), "the order stays"
    assert np.array_equal(evened_out(known, 1.0), known)


def heard(listener: Listener, *sounds: NDArray[Any]) -> list[Moment]:
    return [moment for sound in sounds for block in parts(sound, [1000]) for moment in listener.feed(block)]


def test_silence_is_nothing_to_hear_and_a_pause_begins_anew(classifier: Classifier) -> None:
    low = (0.3 * np.sin(2 * np.pi * 150 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    high = (0.3 * np.sin(2 * np.pi * 6000 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    hush = (1e-5 * np.random.default_rng(0).standard_normal(4 * RATE)).astype(np.float32)
    moments = heard(Listener(classifier, sample_rate=RATE), hush, low, hush, high)
    answers = [moment.answer for moment in moments]
    assert answers[:4] == ["nothing to hear"] * 4
    assert answers[4:8] == ["bass"] * 4
    assert [m.seconds for m in moments[4:8]] == pytest.approx([1, 2, 3, 3], abs=0.11)
    assert answers[8] == "bass", "a second of silence is no pause"
    assert answers[9:12] == ["nothing to hear"] * 3
    assert answers[12:] == ["treble"] * 2, "what was before the pause does not speak any more"
    for moment in moments[:4]:
        assert (moment.problem, moment.unsure, moment.probabilities) == ("silent", True, {})


def test_a_span_follows_faster(classifier: Classifier) -> None:
    low = (0.3 * np.sin(2 * np.pi * 150 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    high = (0.3 * np.sin(2 * np.pi * 6000 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    slow = heard(Listener(classifier, sample_rate=RATE), low, high)
    fast = heard(Listener(classifier, sample_rate=RATE, span=1.0), low, high)
    assert fast[4].label == "treble" != slow[4].label
    assert {m.seconds for m in fast} == {1.0}


def test_catching_up_skips_answers_and_nothing_else(classifier: Classifier) -> None:
    samples = music(7.5, RATE)[:, 0]
    every = Listener(classifier, sample_rate=RATE)
    jumping = Listener(classifier, sample_rate=RATE)
    moments = every.feed(samples)
    assert len(moments) == 7
    assert jumping.feed(samples, latest=True) == moments[-1:]
    assert jumping.feed(samples[:100], latest=True) == []
    every.feed(samples[:100])
    assert every.timeline == jumping.timeline
    assert len(every.timeline) == 2
    assert every.now() == jumping.now()
    assert same(every.finish(), jumping.finish())


def test_a_finished_or_reset_listener_begins_anew(classifier: Classifier) -> None:
    first, second = music(5.0, RATE, seed=1)[:, 0], music(4.0, RATE, seed=2)[:, 0]
    listener = Listener(classifier, sample_rate=48000)
    fresh = Listener(classifier, sample_rate=48000)
    listener.feed(first)
    listener.finish()
    assert (listener.seconds, listener.timeline) == (0.0, ())
    listener.feed(first)
    listener.reset()
    assert listener.feed(second) == fresh.feed(second)
    assert same(listener.finish(), fresh.finish())


def test_a_closed_listener_takes_no_more(classifier: Classifier) -> None:
    with Listener(classifier, sample_rate=RATE) as listener:
        listener.feed(music(2.0, RATE))
        assert listener.now().label is not None
    assert listener.now().problem == "too-short"
    with pytest.raises(InputError, match="closed"):
        listener.feed(music(1.0, RATE))


def test_interleaved_blocks_may_end_within_a_frame(classifier: Classifier) -> None:
    samples = music(3.5, RATE, channels=2)
    whole, torn = (Listener(classifier, sample_rate=RATE, channels=2) for _ in range(2))
    moments = whole.feed(samples)
    assert heard(torn, *parts(samples.reshape(-1), [777])) == moments
    assert same(whole.finish(), torn.finish())


def test_too_little_and_silence_are_errors_at_the_end_like_for_files(classifier: Classifier) -> None:
    listener = Listener(classifier, sample_rate=RATE)
    assert listener.now().problem == "too-short"
    listener.feed(music(0.5, RATE))
    with pytest.raises(AudioError, match=r"0\.5 s") as short:
        listener.finish()
    assert short.value.problem == "too-short"
    listener.feed(np.zeros(5 * RATE, np.int16))
    with pytest.raises(AudioError, match="silent") as silent:
        listener.finish()
    assert silent.value.problem == "silent"


def test_values_that_are_no_numbers_are_repaired_and_said(classifier: Classifier) -> None:
    samples = music(4.0, RATE)[:, 0]
    samples[5000:5100] = np.nan
    samples[6000] = np.inf
    listener = Listener(classifier, sample_rate=44100)
    moments = heard(listener, samples)
    assert all(np.isfinite(list(m.probabilities.values())).all() for m in moments)
    assert listener.finish().problems == ("not-finite",)


def test_room_is_bounded(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    from earmark import hearing

    monkeypatch.setattr(hearing, "MOST_POINTS", 5)
    listener = Listener(classifier, sample_rate=RATE, every=None)
    minute = music(60.0, RATE)[:, 0]

    def room() -> int:
        state = {name: value for name, value in vars(listener).items() if name not in ("classifier", "_converter")}
        return len(pickle.dumps(state))

    listener.feed(minute)
    before = room()
    for _ in range(3):
        listener.feed(minute)
    assert room() - before < 100
    answer = listener.finish()
    assert len(answer.timeline) == 5
    assert answer.timeline[-1].start == pytest.approx(237)
    whole = classifier.classify_samples(np.tile(minute, 4), RATE)
    assert answer.probabilities == whole.probabilities


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_rate": 10}, "sample rate"),
        ({"channels": 0}, "channels"),
        ({"every": 0.01}, "every"),
        ({"span": 0.5}, "1 to 3 seconds"),
        ({"span": 31.0}, "1 to 3 seconds"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str, classifier: Classifier) -> None:
    with pytest.raises(InputError, match=words):
        Listener(classifier, **options)


@pytest.mark.parametrize(
    "block", [np.zeros(4, np.uint8), np.zeros((2, 3), np.float32), np.zeros((1, 1, 2), np.float32), np.array(["a"])]
)
def test_blocks_that_are_no_sound_are_refused(block: NDArray[Any], classifier: Classifier) -> None:
    with pytest.raises(InputError, match="block"):
        Listener(classifier, channels=2).feed(block)


@pytest.mark.shared
def test_real_music_live_and_offline(shared: Path) -> None:
    """The model in the package, a real song at 44.1 kHz in stereo, in the blocks of a sound card."""
    song = next(iter(sorted((shared / "music").glob("*.mp3"))))
    samples, rate = soundfile.read(song, dtype="float32")
    listener = Listener(sample_rate=rate, channels=samples.shape[1], every=5.0)
    moments = [moment for block in parts(samples, [1024]) for moment in listener.feed(block)]
    assert [round(m.at) for m in moments[:5]] == [5, 10, 15, 20, 25]
    assert all(m.problem is None for m in moments)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    assert same(listener.finish(), listener.classifier.classify(file, full=True))
