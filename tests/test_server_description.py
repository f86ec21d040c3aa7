"""The description of the API: complete, and true (schemathesis); the documentation's examples run as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import earmark
from bundles import tiny_bundle
from music import RATE, piece
from serving import Server, served
from simulated_run import simulate
from sounds import by_name, make

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "api.md"
TEXT = DOCUMENT.read_text("utf-8")
SHELL = [line for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S) for line in block.splitlines() if line]
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("description")
    tiny_bundle(folder / "tiny.earmark", labels=("jazz", "blues", "middle", "treble"))
    make(folder, by_name("mp3"), piece(0, 5.0), RATE, "song")
    make(folder, by_name("mp3"), piece(1, 5.0), RATE, "other")
    (folder / "music").mkdir()
    for seed in range(2, 5):
        make(folder / "music", by_name("flac"), piece(seed, 5.0), RATE, f"piece {seed}")
    with earmark.Library(folder / "c.db") as library:
        library.scan(folder / "music", bundle=folder / "tiny.earmark", jobs=1)
    simulate(folder / "runs" / "one", per_label=5)
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    options = {"catalogue": place / "c.db", "runs": place / "runs", "max_upload": 1.0, "max_seconds": 60.0}
    with served(place, bundle=place / "tiny.earmark", **options) as running:
        yield running


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, Any]:
    answer = server.client.get("/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", SHELL)
def test_curl_examples(line: str, server: Server, place: Path) -> None:
    command = line.replace("http://127.0.0.1:8765/", server.address).replace("curl ", "curl -sS --fail-with-body ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=place, timeout=60)
    assert done.returncode == 0, (done.stdout, done.stderr)
    if "mpegurl" in line:
        assert done.stdout.startswith(b"#EXTM3U\n")
    elif "corrections" in line:
        assert done.stdout.startswith(b"path,label,")
    else:
        assert json.loads(done.stdout)


@pytest.mark.parametrize("code", PYTHON)
def test_the_client_in_python(code: str, server: Server, place: Path) -> None:
    code = code.replace("http://127.0.0.1:8765/", server.address) + "\nprint(row['label'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=place, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("jazz", "blues", "middle", "treble")


def test_the_documentation_names_every_address(description: dict[str, Any]) -> None:
    assert len(SHELL) >= 8
    assert len(PYTHON) == 1
    for path in description["paths"]:
        assert path in TEXT, path


def test_every_operation_is_described_with_problems(description: dict[str, Any]) -> None:
    names = [operation["operationId"] for path in description["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, where
            if path != "/v1/health":
                problems = operation["responses"]["421"]["content"]
                assert "application/problem+json" in problems, where
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(description)))
    assert names <= set(description["components"]["schemas"])


def test_examples_fit_their_schemas(description: dict[str, Any]) -> None:
    from pydantic import TypeAdapter

    from earmark.server import schemas

    for example, model in (
        (schemas.PREDICTION, schemas.Prediction),
        (schemas.TRACKS, schemas.TracksAnswer),
        (schemas.MATCHES, schemas.MatchesAnswer),
        (schemas.RUNS, schemas.RunsAnswer),
        (schemas.JOB, schemas.JobState),
    ):
        TypeAdapter(model).validate_python(example)


@pytest.mark.slow
def test_no_request_makes_the_server_fail(server: Server) -> None:
    """Requests made from the description, good and bad: no server error, and every answer is as described."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_url(server.address + "v1/openapi.json")
    count = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=5,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            nonlocal count
            answer = case.call(timeout=30)
            count += 1
            assert answer.status_code < 500 or answer.status_code in (501, 503), (case, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"][0] == "application/problem+json", case
                assert answer.json()["detail"], case
            else:
                case.validate_response(answer)

        check()
    assert count > 80
