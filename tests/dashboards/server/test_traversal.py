"""No address and nothing planted in a folder leads to a byte outside of it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from dash_servers import VIEWS, serving
from made_runs import made_run

CANARY = b"canary-of-a-file-outside"

UPS = (
    "..",
    "...",
    ".",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e",
    "..%00",
    "%00",
    "..%2f",
    "..%2f..",
    "%2e%2e%2f",
    "%2e%2e%2f%2e%2e",
    "..%5c",
    "..\\",
    "..%5c..",
    "%252e%252e",
    "%252e%252e%252f",
    "..%252f",
    "..%c0%af",
    "%c0%ae%c0%ae",
    "%c0%ae%c0%ae%c0%af",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "%ef%bc%8e%ef%bc%8e",
    "%e2%80%a5",
    "..;",
    "..;x=1",
    "~",
    "~root",
    "file:%2f%2f",
    "%2f",
    "%2f%2f",
    "%5c%5c",
    "",
)
ENDS = (
    "canary",
    "etc%2fpasswd",
    "secret%2fcanary",
    "secret",
    "trials.log",
    "run.yaml",
    "linked",
    "linked%2ftrials.log",
)
PLACES = (
    "/{bad}",
    "/api/{bad}",
    "/api/runs/{bad}",
    "/api/runs/{bad}/front",
    "/api/runs/made/{bad}",
    "/api/runs/made/trials/{bad}",
    "/api/runs/made/trials/0/files/{bad}",
    "/api/runs/made/baselines/{bad}",
    "/api/compare?runs=made,{bad}",
)


def corpus() -> list[str]:
    """Return paths that a careless server would follow."""
    pieces = [f"{up}/{end}" for up, end in itertools.product(UPS, ENDS)]
    pieces += [f"{up}%2f{end}" for up, end in itertools.product(UPS, ENDS)]
    pieces += [f"{up}/{up}/{up}/{end}" for up, end in itertools.product(UPS, ENDS)]
    return sorted({*pieces, *UPS, *ENDS})


@pytest.mark.fault("F1", "G-S4")
def test_no_path_of_the_corpus_gives_a_byte_from_outside(tmp_path: Path) -> None:
    runs, secret = tmp_path / "runs", tmp_path / "secret"
    made_run(runs)
    secret.mkdir()
    (secret / "canary").write_bytes(CANARY)
    (tmp_path / "canary").write_bytes(CANARY)
    paths = corpus()
    assert len(paths) >= 500
    with serving(runs) as dash:
        for number, bad in enumerate(paths):
            # Every path at every third place: each pair of a trick and an end is at all of them.
            for place in PLACES[number % 3 :: 3]:
                found = dash.get(place.format(bad=bad).encode())
                assert found.status in (200, 400, 404), (place, bad)
                assert CANARY not in found.body and b"root:" not in found.body
                is_page = place.format(bad=bad) == "/"
                if found.status == 200 and not is_page:
                    assert found.headers["content-type"] == "application/json"


@pytest.mark.fault("F11")
def test_links_and_pipes_in_a_run_are_never_followed(tmp_path: Path) -> None:
    runs, outside = tmp_path / "runs", tmp_path / "outside"
    made_run(outside, "canary_run")
    for name in ("linked_log", "piped_log", "linked_config", "linked_notes", "linked_files"):
        made_run(runs, name, trials=2)
    (tmp_path / "canary").write_bytes(CANARY)
    (runs / "linked").symlink_to(outside / "canary_run")
    (runs / "up").symlink_to("..")
    _replace(runs / "linked_log" / "trials.log", outside / "canary_run" / "trials.log")
    (runs / "piped_log" / "trials.log").unlink()
    os.mkfifo(runs / "piped_log" / "trials.log")
    _replace(runs / "linked_config" / "run.yaml", tmp_path / "canary")
    _replace(runs / "linked_notes" / "log.jsonl", tmp_path / "canary")
    for file in (runs / "linked_files" / "architectures").iterdir():
        _replace(file, tmp_path / "canary")
    with serving(runs) as dash:
        told = {run["name"]: run["kind"] for run in dash.get("/api/runs").json()["runs"]}
        assert not {"linked", "up"} & set(told)
        assert told["linked_log"] == told["piped_log"] == told["linked_config"] == "unreadable"
        for name in (*told, "linked", "up"):
            for part in ("", *(f"/{view}" for view in VIEWS), "/trials/0", "/trials/0/files/json"):
                found = dash.get(f"/api/runs/{name}{part}")
                assert found.status in (200, 404, 422), (name, part)
                assert CANARY not in found.body and b"canary_run" not in found.body
        assert dash.get("/api/runs/linked").status == dash.get("/api/runs/up").status == 404


def _replace(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
