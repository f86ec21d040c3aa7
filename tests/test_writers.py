"""Every format says the same about every file, good or bad, whatever its name."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from typing import Any

import pyarrow.parquet as pq
import pytest

from earmark.doubt import Doubt
from earmark.errors import InputError, MissingExtraError
from earmark.library.text import TableWriter, bar, bars, clock, draw_timeline, heard_part, hours
from earmark.library.worker import Outcome
from earmark.library.writers import open_writer

LABELS = ("blues", "jazz", "rock")
ODD = 'a\nb,"c" \udcff\' ü.mp3'


def row(
    probabilities: dict[str, float], *, doubt: Doubt | None = None, windows: int = 2, declared: float = 240.0
) -> Any:
    starts = [i * (declared - 30) / max(1, windows - 1) for i in range(windows)]
    return {
        "path": "what the worker called it",
        "label": next(iter(probabilities)),
        "confidence": next(iter(probabilities.values())),
        "unsure": doubt is not None,
        "doubt": None if doubt is None else str(doubt),
        "probabilities": probabilities,
        "heard": [[start, start + 30.0] for start in starts],
        "decoded": 30.0 * windows,
        "declared": declared,
        "problems": ["wrong-suffix"],
        "timeline": [{"start": s, "seconds": 30.0, "probabilities": probabilities} for s in starts],
    }


OUTCOMES = [
    Outcome("good.mp3", row({"jazz": 0.7, "blues": 0.2, "rock": 0.1})),
    Outcome(ODD, row({"rock": 0.4, "jazz": 0.35, "blues": 0.25}, doubt=Doubt.BETWEEN)),
    Outcome("bad.mp3", problem="empty", reason="bad.mp3 is empty."),
]


def written(form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    writer = open_writer(form, stream, LABELS, bundle="abc", **options)
    for outcome in OUTCOMES:
        writer.write(outcome)
    writer.finish()
    return stream.getvalue()


def test_json_lines_hold_one_file_each_and_give_every_path_back() -> None:
    lines = written("jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [os.fsencode(r["path"]) for r in rows] == [os.fsencode(o.path) for o in OUTCOMES]
    assert rows[0]["probabilities"] == {"jazz": 0.7, "blues": 0.2, "rock": 0.1}
    assert rows[0]["heard"] == [[0.0, 30.0], [210.0, 240.0]]
    assert rows[0]["bundle"] == "abc"
    assert "timeline" not in rows[0]
    assert rows[2] == {"path": "bad.mp3", "problem": "empty", "reason": "bad.mp3 is empty."}


def test_json_is_one_list_of_the_same_rows() -> None:
    assert json.loads(written("json")) == [json.loads(line) for line in written("jsonl").splitlines()]
    stream = io.BytesIO()
    open_writer("json", stream, LABELS).finish()
    assert json.loads(stream.getvalue()) == []


def test_top_k_and_timeline_are_obeyed() -> None:
    rows = [json.loads(line) for line in written("jsonl", top_k=1, timeline=True).splitlines()]
    assert rows[1]["probabilities"] == {"rock": 0.4}
    assert [point["start"] for point in rows[1]["timeline"]] == [0.0, 210.0]


def test_csv_has_one_row_per_file_and_a_column_per_genre() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", top_k=2).decode("utf-8"), newline="")))
    assert [r["path"] for r in rows] == ["good.mp3", ODD.replace("\udcff", "\\xff"), "bad.mp3"]
    assert [r["label"] for r in rows] == ["jazz", "rock", ""]
    assert float(rows[0]["p:jazz"]) == pytest.approx(0.7)
    assert rows[0]["p:rock"] == "", "beyond top_k"
    assert rows[0]["heard"] == "0-30 210-240"
    assert [r["unsure"] for r in rows] == ["false", "true", ""]
    assert [r["doubt"] for r in rows] == ["", "between genres", ""]
    assert rows[2]["problem"] == "empty"


def test_parquet_has_typed_columns() -> None:
    table = pq.read_table(io.BytesIO(written("parquet")))
    rows = table.to_pylist()
    assert [r["label"] for r in rows] == ["jazz", "rock", None]
    assert rows[1]["unsure"] is True
    assert [r["doubt"] for r in rows] == [None, "between genres", None]
    assert rows[0]["p:jazz"] == pytest.approx(0.7)
    assert rows[0]["heard"][1] == {"start": 210.0, "end": 240.0}
    assert rows[2]["reason"] == "bad.mp3 is empty."


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=re.escape("earmark[parquet]")):
        open_writer("parquet", io.BytesIO(), LABELS)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="jsonl"):
        open_writer("xml", io.BytesIO(), LABELS)


def table(outcomes: list[Outcome], **options: Any) -> list[str]:
    stream = io.StringIO()
    writer = TableWriter(stream, LABELS, **options)
    for outcome in outcomes:
        writer.write(outcome)
    writer.finish()
    return stream.getvalue().splitlines()


def test_the_table_has_one_line_per_track_that_was_heard() -> None:
    lines = table(OUTCOMES)
    assert len(lines) == 3
    assert lines[0].split() == ["GENRE", "NEXT", "HEARD", "TRACK"]
    assert lines[1].split()[:2] == ["jazz", "70%"]
    assert "blues 20%, rock 10%" in lines[1]
    assert "1:00 of 4:00" in lines[1]
    assert lines[1].endswith("good.mp3")
    assert lines[2].startswith("unsure")
    assert "rock 40%, jazz 35%" in lines[2], "an unsure track names its candidates"
    assert lines[2].endswith(r"a\nb,\"c\" \xff' ü.mp3".replace('\\"', '"')), "odd names stay on one line"


def test_the_table_says_what_is_like_nothing_that_was_learnt() -> None:
    strange, faint = (row({"rock": 0.9, "jazz": 0.06, "blues": 0.04}, doubt=d) for d in (Doubt.STRANGE, Doubt.FAINT))
    lines = table([Outcome("hum.wav", strange), Outcome("hiss.wav", faint), OUTCOMES[0]])
    assert "unlike anything learnt" in lines[1] and "rock" not in lines[1]
    assert "hardly any sound" in lines[2] and "rock" not in lines[2]
    assert len({line.index("1:00 of 4:00") for line in lines[1:]}) == 1, "the columns stay in line"


def test_the_table_leaves_out_genres_of_no_probability() -> None:
    lines = table([Outcome("a.wav", row({"rock": 0.99, "jazz": 0.006, "blues": 0.004}))])
    assert "jazz 1%  " in lines[1] and "blues" not in lines[1]


def test_the_table_can_show_one_genre_only() -> None:
    lines = table(OUTCOMES, top_k=1)
    assert lines[0].split() == ["GENRE", "HEARD", "TRACK"]
    assert lines[2].split()[:2] == ["unsure", "40%"]


def test_which_part_was_heard() -> None:
    assert heard_part(row({"jazz": 1.0}, windows=3)) == "1:30 of 4:00"
    assert heard_part(row({"jazz": 1.0}, windows=1, declared=30.0)) == "all of 0:30"
    overlapping = row({"jazz": 1.0}) | {"heard": [[0.0, 30.0], [15.0, 45.0]], "declared": None}
    assert heard_part(overlapping) == "all of 0:45"
    assert clock(3671) == "1:01:11"


@pytest.mark.parametrize(
    ("windows", "seconds", "said"),
    [
        (3, 3899.0, "1:30 of 1:04:59"),
        (3, 38985.0, "1:30 of 10.8 h"),
        (100, 5400.0, "50:00 of 1.5 h"),
        (140, 5400.0, "1.2 of 1.5 h"),
        (180, 5400.0, "all of 1:30:00"),
        (3, 360_000.0, "1:30 of 100.0 h"),
    ],
)
def test_long_tracks_stay_in_their_column(windows: int, seconds: float, said: str) -> None:
    heard = [[30.0 * i, 30.0 * i + 30] for i in range(windows)]
    long = row({"jazz": 1.0}) | {"heard": heard, "declared": seconds}
    assert heard_part(long) == said
    lines = table([Outcome("mix.mp3", long), OUTCOMES[0]])
    assert len({line.rindex("  ") for line in lines}) == 1, "the columns stay in line"


def test_hours_and_minutes() -> None:
    assert [hours(number) for number in (0.0, 0.05, 0.75, 1.0, 1234.56)] == [
        "0 min", "3 min", "45 min", "1.0 h", "1,234.6 h"
    ]  # fmt: skip


def test_the_timeline_shows_what_is_heard_when() -> None:
    first, second = {"jazz": 0.9, "rock": 0.1, "blues": 0.0}, {"jazz": 0.1, "rock": 0.9, "blues": 0.0}
    points = [{"start": 0.0, "seconds": 30.0, "probabilities": first}] * 2
    points = [{"start": 30.0 * i, "seconds": 30.0, "probabilities": p} for i, p in enumerate([first, first, second])]
    lines = draw_timeline(points, width=40)
    assert [line.split("|")[0].strip() for line in lines[:2]] == ["jazz", "rock"], "blues never matters"
    jazz, rock = (line.split("|")[1] for line in lines[:2])
    assert len(jazz) == len(rock)
    third = len(jazz) // 3
    assert set(jazz[: 2 * third]) == {"█"}
    assert set(jazz[2 * third + 1 :]) == {" "}
    assert set(rock[2 * third + 1 :]) == {"█"}
    assert lines[-1].split() == ["0:00", "0:45", "1:30"]
    assert all(line.isascii() for line in draw_timeline(points, solid=False))
    assert draw_timeline([]) == []


def test_bars_are_as_long_as_their_share() -> None:
    assert [len(bar(share, 8)) for share in (0, 0.5, 1, 2)] == [0, 4, 8, 8]
    assert bar(0.25, 8, solid=False) == "##"
    lines = bars([("jazz", 10, "10"), ("rock", 5, "5")], width=40).plain.splitlines()
    assert lines[0].count("█") == 2 * lines[1].count("█")
