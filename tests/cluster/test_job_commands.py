"""`nas submit` and `nas jobs` against servers that answer, refuse, lie or are not there."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from cluster_job_server import TOKEN, Answers, described, serving
from hypothesis import given
from hypothesis import strategies as st
from made_runs import made_run

from nas.cli.main import run
from nas.cluster.jobs import entrypoint

pytestmark = pytest.mark.usefixtures("_own_state")


@pytest.fixture
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _logging_as_before: None) -> None:
    """No cluster, no token and no runs but this test's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    return TOKEN


JOBS = [
    described("nas-search-b-2", "b", "RUNNING", start_time=1795285690000),
    described("nas-search-a-1", "a", "FAILED", driver_exit_code=4, end_time=1795285700000),
    described("raysubmit_1", "x", metadata={}),
    described("odd", "x", "UNHEARD"),
    {"type": "DRIVER", "submission_id": None, "metadata": None},
]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    caught = capsys.readouterr()
    assert "Traceback" not in caught.err
    return caught.out + caught.err


def test_jobs_are_listed_found_and_stopped_by_the_name_of_their_run(
    token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = Answers(JOBS)
    with serving(answers) as address:
        to = ["--address", address]
        assert run(["jobs", *to]) == 0
        lines = said(capsys).splitlines()
        assert [line.split()[:2] for line in lines[1:]] == [["a", "failed"], ["b", "running"]]
        assert run(["jobs", "status", "a", *to, "--json"]) == 0
        document = json.loads(said(capsys))
        assert (document["job"], document["exit_code"]) == ("nas-search-a-1", 4)
        assert run(["jobs", "logs", "b", *to]) == 0
        assert said(capsys) == "one?[2J\ntwo\n"
        assert run(["jobs", "stop", "nas-search-b-2", *to]) == 0
        assert "asked the job of run 'b' to stop" in said(capsys)
        assert ("POST", "/api/jobs/nas-search-b-2/stop") in answers.asked
        assert run(["jobs", "status", "c", *to]) == 3
        assert "no job of a run 'c'" in said(capsys)
        assert run(["jobs", *to, "status", "a"]) == 2
        assert "Write --address and --token-file behind 'status'." in said(capsys)


def test_a_log_that_is_too_long_is_not_shown_as_an_empty_one(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nas.cluster.http._LARGEST_ANSWER", 4096)
    answers = Answers(JOBS)
    answers.documents["/api/jobs/nas-search-b-2/logs"] = (200, {"logs": "word " * 1000})
    with serving(answers) as address:
        assert run(["jobs", "logs", "b", "--address", address]) == 6
    assert "nas jobs logs RUN --follow" in said(capsys)


def test_a_cluster_that_is_not_there_exits_with_6(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for command in (["jobs", "list"], ["submit", "tiny_exhaustive"]):
        assert run([*command, "--address", f"http://127.0.0.1:{port}"]) == 6
        text = said(capsys)
        assert f"error: The cluster at http://127.0.0.1:{port} cannot be reached." in text
        assert "where: --address" in text
        assert "why: ConnectionRefusedError" in text
        assert "nas cluster up" in text


@pytest.mark.fault("F13", "F7")
def test_a_token_that_is_missing_or_wrong_is_told_and_never_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Answers(JOBS)) as address:
        assert run(["jobs", "list", "--address", address]) == 6
        assert "refuses requests without a token" in said(capsys)
        (tmp_path / "token").write_text("not-the-token\n")
        wrong = ["--token-file", str(tmp_path / "token")]
        assert run(["--debug", "jobs", "list", "--address", address, *wrong]) == 6
        text = capsys.readouterr().err
        assert "refuses this token" in text
        assert "not-the-token" not in text
        (tmp_path / "token").write_text("two words\n")
        assert run(["jobs", "list", "--address", address, *wrong]) == 2
        assert "holds no token" in said(capsys)
        assert run(["jobs", "list", "--address", address, "--token-file", "nowhere"]) == 2
        assert "cannot be read" in said(capsys)


@pytest.mark.fault("F7")
@pytest.mark.parametrize("value", ["two words", "line\nbreak", "tök€n-of-mine"])
def test_a_token_of_the_environment_that_is_none_is_told_and_never_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", value)
    assert run(["jobs", "list", "--address", "http://127.0.0.1:1"]) == 2
    text = said(capsys)
    assert "RAY_AUTH_TOKEN in the environment holds no token" in text
    assert value not in text


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/ü", f"http://{'a' * 80}:80"])
def test_an_address_that_cannot_be_one_is_told(
    capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert run(["jobs", "list", "--address", address]) == 6
    assert "cannot be reached" in said(capsys)


def test_a_head_that_is_gone_with_its_token_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = {
        "address": "http://127.0.0.1:9",
        "folder": str(tmp_path / "cleared"),
        "keeper": {"pid": 1, "started": "long ago"},
        "machine": "before it was started anew",
        "since": "2026-01-01T00:00:00+00:00",
        "ray": "2.60.0",
    }
    (tmp_path / "state" / "nas").mkdir(parents=True)
    (tmp_path / "state" / "nas" / "cluster.json").write_text(json.dumps(note))
    assert run(["jobs", "list"]) == 6
    text = said(capsys)
    assert "The local head at http://127.0.0.1:9 is gone" in text
    assert "fix: Start another one, then submit the run again: nas cluster up" in text


@pytest.mark.fault("F13")
def test_a_ray_without_tokens_is_refused(token: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Answers([], version="2.53.9")) as address:
        assert run(["jobs", "list", "--address", address]) == 2
    assert "Ray 2.53.9 is too old: at least 2.54 is needed." in said(capsys)


def test_what_is_no_ray_is_told(token: str, capsys: pytest.CaptureFixture[str]) -> None:
    answers = Answers(JOBS)
    for status, body in ((200, b"<html>"), (200, {"ray_version": 3}), (404, {})):
        answers.documents["/api/version"] = (status, body)
        with serving(answers) as address:
            assert run(["jobs", "list", "--address", address]) == 6
        assert "is no Ray" in said(capsys)
    answers.documents["/api/version"] = (200, {"ray_version": "2.60.0"})
    answers.documents["/api/jobs/"] = (500, b"Traceback\nOops")
    with serving(answers) as address:
        assert run(["jobs", "list", "--address", address]) == 6
    text = capsys.readouterr().err
    assert "answered 500" in text
    assert "why: Oops" in text


@pytest.mark.parametrize(
    "address", ["ray://h:1", "h:8265", "http://", "http://a:b", "http://u:p@h", "file:///x", "auto"]
)
def test_an_address_of_another_kind_is_refused(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["jobs", "list", "--address", address]) == 2
    assert "is not the address of a job server" in said(capsys)


def test_without_a_cluster_the_way_to_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs"]) == 2
    assert "No cluster is named, and none runs here." in said(capsys)
    assert run(["cluster", "status"]) == 0
    assert "there is no local cluster" in said(capsys)
    assert run(["cluster", "down"]) == 0
    assert "there is no local cluster" in said(capsys)


def test_a_run_that_is_being_searched_there_is_not_searched_twice(
    token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Answers(JOBS)) as address:
        assert run(["submit", "tiny_exhaustive", "--name", "b", "--address", address]) == 2
    text = said(capsys)
    assert "Run 'b' is being searched on the cluster already, by job nas-search-b-2." in text
    assert f"Look on: nas jobs logs b --follow --address {address}, or stop it: nas jobs" in text


def test_a_run_that_is_only_there_is_told_how_to_come_here(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["submit", "nothing", "--follow"]) == 3
    assert "A run that is only on the cluster: nas jobs fetch RUN" in said(capsys)
    assert run(["submit", "tiny_exhaustive", "--set", "search.sampler=nsga"]) == 3
    assert "only on the cluster" not in said(capsys)  # the search is here, its sampler is not


def test_a_run_keeps_its_config_when_it_is_submitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made_run(tmp_path / "runs")
    assert run(["submit", "made", "--seed", "4", "--set", "preset=full"]) == 2
    assert "A run keeps its config: seed, set cannot be changed." in said(capsys)


def test_places_on_the_cluster_are_absolute(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["submit", "tiny_exhaustive", "--remote-runs", "here"]) == 2
    assert "'here' is no absolute path" in said(capsys)
    assert run(["submit", "tiny_exhaustive", "--remote-data", "here"]) == 2
    assert "'here' is no absolute path" in said(capsys)
    assert run(["submit", "tiny_exhaustive", "--remote-data", "/x", "--data", "digits"]) == 2
    assert "given twice" in said(capsys)


def test_a_manifest_is_printed_and_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["submit", "tiny_exhaustive", "--name", "far", "--remote-runs", "/shared/mine"]
    assert run([*words, "--render", "slurm", "--nodes", "3"]) == 0
    caught = capsys.readouterr()
    assert "#SBATCH --nodes=3" in caught.out
    assert "the run will be /shared/mine/far" in caught.err
    for files, way_out in (
        (["--data", "x.npz"], "--remote-data PATH"),
        (["--set", "plugins=[this]"], "--remote-modules DIR"),
    ):
        assert run([*words, *files, "--render", "slurm"]) == 2
        assert "a manifest carries no files." in (text := said(capsys))
        assert way_out in text
    assert run([*words, "--render", "abacus"]) == 3


@pytest.mark.fault("F1", "F17")
@pytest.mark.parametrize("name", ["$(touch x)", "a;touch x", "`touch x`", "../x", "a b", "A", ""])
def test_a_name_is_a_slug_or_nothing_is_sent(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["submit", "tiny_exhaustive", "--name", name]) == 2
    assert "is not a name for a run" in said(capsys)
    assert not (tmp_path / "x").exists()


@pytest.mark.fault("F17")
@given(name=st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_whatever_a_run_is_called_a_shell_reads_one_word(name: str) -> None:
    assert shlex.split(entrypoint("search", name)) == [
        *("exec", "python", "nas_submission/begin.py", "search", name)
    ]


@pytest.mark.fault("F17")
def test_a_real_shell_starts_nothing_that_stands_in_a_name(tmp_path: Path) -> None:
    name = "$(touch x)`touch x`;touch x|touch x&touch x\n>x"
    words = entrypoint("search", name).replace("python", "echo", 1)
    done = subprocess.run(["/bin/sh", "-c", words], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == f"nas_submission/begin.py search {name}\n"
    assert list(tmp_path.iterdir()) == []
