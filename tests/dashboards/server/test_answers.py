"""What the server answers is what the documents say, never older than the run, and small."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dash_servers import VIEWS, Dash, serving
from made_runs import ENVIRONMENT, made_config, made_run

from dashboards.documents import document
from dashboards.server.folder import LARGEST
from nas.run_store import Run

PATHS = (
    "/api/runs",
    "/api/runs/made",
    *(f"/api/runs/made/{view}" for view in VIEWS),
    "/api/runs/made/trials?after=4",
    "/api/runs/made/trials/2",
    "/api/compare?runs=made,other",
)
GZIP = ("Accept-Encoding", "gzip, br")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    made_run(folder)
    shutil.copytree(folder / "made", folder / "other")
    return folder


@pytest.fixture(scope="module")
def dash(runs: Path) -> Iterator[Dash]:
    with serving(runs) as served:
        yield served


@pytest.mark.parametrize("path", PATHS)
def test_every_document_is_the_one_that_is_made_of_the_run(
    dash: Dash, runs: Path, path: str
) -> None:
    found = dash.get(path)
    assert found.status == 200
    assert found.headers["content-type"] == "application/json"
    assert found.json() == json.loads(json.dumps(document(runs, path)))


@pytest.mark.parametrize("path", [*PATHS, "/", "/app.js", "/app.css", "/elk-worker.js"])
def test_an_answer_is_sent_small_and_only_once(dash: Dash, path: str) -> None:
    plain, packed = dash.get(path), dash.get(path, GZIP)
    assert packed.body == plain.body
    assert packed.headers["etag"] == plain.headers["etag"]
    if len(plain.raw) > 1024:
        assert packed.headers["content-encoding"] == "gzip"
        assert len(packed.raw) < len(plain.raw)
    assert "content-encoding" not in plain.headers
    known = dash.get(path, ("If-None-Match", f'"x", {plain.headers["etag"]}'))
    assert (known.status, known.raw) == (304, b"")
    assert dash.get(path, ("If-None-Match", 'W/"other"')).status == 200
    head = dash.get(path, method="HEAD")
    assert (head.status, head.headers["etag"], head.raw) == (200, plain.headers["etag"], b"")


def test_the_answer_changes_with_the_run_and_with_the_folder(tmp_path: Path) -> None:
    made_run(tmp_path, "first")
    with serving(tmp_path) as dash:
        before = [dash.get(path) for path in ("/api/runs", "/api/runs/first")]
        with Run.open(tmp_path / "first", write=True) as run:
            run.append({"kind": "run_resumed"})
            grown = [dash.get(path) for path in ("/api/runs", "/api/runs/first")]
            assert grown[1].json()["state"] == "running"
            assert grown[1].json()["seq"] == before[1].json()["seq"] + 1
        for old, new in zip(before, grown, strict=True):
            assert old.headers["etag"] != new.headers["etag"]
        # The owner is gone, and not a byte of the log has changed.
        assert dash.get("/api/runs/first").json()["state"] == "interrupted"
        made_run(tmp_path, "second")
        listed = [run["name"] for run in dash.get("/api/runs").json()["runs"]]
        assert sorted(listed) == ["first", "second"]
        shutil.rmtree(tmp_path / "first")
        assert [run["name"] for run in dash.get("/api/runs").json()["runs"]] == ["second"]
        assert dash.get("/api/runs/first").status == 404
        shutil.rmtree(tmp_path / "second")
        made_run(tmp_path, "second", trials=3)
        assert dash.get("/api/runs/second").json()["trials"]["finished"] == 3


def test_a_run_that_cannot_be_read_is_listed_with_the_way_out(tmp_path: Path) -> None:
    made_run(tmp_path, "whole")
    for name in ("damaged", "newer", "half", "huge"):
        shutil.copytree(tmp_path / "whole", tmp_path / name)
    log = tmp_path / "damaged" / "trials.log"
    log.write_bytes(log.read_bytes().replace(b"trial_finished", b"trial_finishee", 1))
    environment = tmp_path / "newer" / "environment.json"
    environment.write_text(environment.read_text().replace("nas.run/2", "nas.run/7"))
    (tmp_path / "half" / "run.yaml").unlink()
    with (tmp_path / "huge" / "trials.log").open("r+b") as file:
        file.truncate(LARGEST["trials.log"] + 1)  # a hole: it takes no space on the disk
    with serving(tmp_path) as dash:
        told = {run["name"]: run for run in dash.get("/api/runs").json()["runs"]}
        assert told["whole"]["kind"] == "search"
        for name, word in {
            "damaged": "Record",
            "newer": "nas.run/7",
            "huge": "reads up to",
        }.items():
            assert told[name]["kind"] == "unreadable" and told[name]["fix"]
            assert word in told[name]["problem"]
            assert dash.get(f"/api/runs/{name}").json() == told[name]
            refused = dash.get(f"/api/runs/{name}/front")
            assert refused.status == 422 and refused.json()["fix"]
            assert str(tmp_path) not in refused.body.decode()
        assert told["half"]["fix"] == "nas doctor half --repair"
        assert "run.yaml missing" in told["half"]["problem"]
        assert dash.get("/api/runs/half/front").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs/none",
        "/api/runs/made/none",
        "/api/runs/made/trials/99",
        "/api/runs/made/trials/-1",
        "/api/runs/made/trials/1e3",
        "/api/runs/made/trials/0/files/exe",
        "/api/runs/made/baselines/none",
        "/api/runs/made/trials?after=x",
        "/api/runs/made/",
        "/api/runs/",
        "/api/compare",
        "/api/compare?runs=none",
        f"/api/runs?{'&'.join(['a=1'] * 40)}",
        f"/api/compare?runs={','.join('abcdefghijklmnopqrstuvwxyz')}",
        "/docs",
        "/openapi.json",
        "/index.html",
        "/API/runs",
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(dash: Dash, path: str) -> None:
    found = dash.get(path)
    assert found.status == 404
    assert found.json()["error"].endswith(".") and found.json()["fix"]


def test_an_error_of_ours_is_no_traceback(dash: Dash, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboards.server import readings

    def fail(*arguments: object) -> None:
        raise KeyError("secret of the implementation")

    monkeypatch.setattr(readings, "document", fail)
    found = dash.get("/api/runs/made/space?fresh")
    if found.status == 200:  # it was kept
        found = dash.get("/api/runs/made/trials?after=0")
    assert found.status == 500
    assert "secret" not in found.body.decode() and "terminal" in found.json()["error"]


def test_an_empty_folder_and_none_at_all_have_no_runs(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with serving(folder) as dash:
            assert dash.get("/api/runs").json()["runs"] == []


def test_a_run_without_trials_has_every_document(tmp_path: Path) -> None:
    Run.create(tmp_path, "empty", made_config(), ENVIRONMENT).close()
    with serving(tmp_path) as dash:
        for view in VIEWS:
            assert dash.get(f"/api/runs/empty/{view}").status == 200, view


@pytest.mark.parametrize("form", ["json", "text", "dot", "graphml", "svg"])
def test_a_light_file_is_a_download_with_a_plain_name(dash: Dash, form: str) -> None:
    found = dash.get(f"/api/runs/made/trials/1/files/{form}")
    assert found.status == 200 and len(found.body) > 200
    named = found.headers["content-disposition"]
    assert named.startswith('attachment; filename="made-trial-1.')
    assert found.headers["x-content-type-options"] == "nosniff"
