"""What is told when a job ends badly, a cluster falls silent, or the user looks away."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_job_server import TOKEN, Answers, described, serving
from made_runs import made_run

from nas.cli.job_talk import follow_job, tell_end
from nas.cluster import following, submitting
from nas.cluster.following import follow
from nas.cluster.http import Endpoint
from nas.cluster.jobs import Job, find_job, read_job, stop_all
from nas.cluster.package import Package
from nas.cluster.sending import job_client, send
from nas.cluster.submitting import Submission, bring_home, submit
from nas.errors import (
    ClusterError,
    ConfigError,
    EnvironmentFault,
    InterruptedRunError,
    NotFoundError,
    RemoteJobError,
)

KEY = "nas-search-a-1"


class Words:
    """The log of a job as Ray's client hands it on, which breaks off where it is told to."""

    def __init__(self, *rounds: list[str | Exception]) -> None:
        self.rounds = list(rounds)

    async def tail_job_logs(self, key: str) -> AsyncIterator[str]:
        for each in self.rounds.pop(0) if self.rounds else []:
            if isinstance(each, Exception):
                raise each
            yield each


@pytest.fixture
def speaking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the next job that is followed say these words."""

    def prepare(*rounds: list[str | Exception]) -> None:
        monkeypatch.setattr(following, "job_client", lambda endpoint: Words(*rounds))

    return prepare


def test_lines_come_whole_and_once_though_the_connection_breaks(
    speaking: Callable[..., None],
) -> None:
    said: list[str] = []
    speaking(["on", "e\ntw", OSError("gone")], ["one\ntw", "o\nthree"])
    with serving(Answers([described(KEY, "a")])) as address:
        job = follow(Endpoint(address, TOKEN), KEY, said.append)
    assert said == ["one", "two", "three"]
    assert job.state == "succeeded"


def test_a_connection_that_closes_early_is_opened_again(
    speaking: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_CLOSED_S", 0.2)
    said: list[str] = []
    speaking(["one\n"], ["one\ntwo\n"])
    going, ended = described(KEY, "a", "RUNNING"), described(KEY, "a")
    answers = Answers([going])
    with serving(answers) as address:
        late = threading.Timer(1.0, lambda: answers.documents.update({path: (200, ended)}))
        path = f"/api/jobs/{KEY}"
        late.start()
        job = follow(Endpoint(address, TOKEN), KEY, said.append)
        late.join()
    assert said == ["one", "two"]
    assert job.state == "succeeded"


@pytest.mark.parametrize("error", [BrokenPipeError("closed"), ClusterError("It is damaged.")])
def test_what_the_reader_of_the_lines_raises_is_no_lost_connection(
    speaking: Callable[..., None], error: Exception
) -> None:
    def refuse(line: str) -> None:
        raise error

    speaking(["one\ntwo\n"], ["one\ntwo\n"])
    answers = Answers([described(KEY, "a", "RUNNING")])  # it never ends
    with serving(answers) as address, pytest.raises(type(error)):
        follow(Endpoint(address, TOKEN), KEY, refuse)


def test_jobs_that_go_on_are_stopped_before_their_cluster_ends() -> None:
    answers = Answers([described(KEY, "a", "RUNNING"), described("nas-search-b-2", "b")])
    with serving(answers) as address:
        asked = stop_all(Endpoint(address, TOKEN), patience_s=0.1)
    assert [each.run for each in asked] == ["a"]
    assert [path for how, path in answers.asked if how == "POST"] == [f"/api/jobs/{KEY}/stop"]


@pytest.mark.fault("A9")
def test_a_cluster_that_falls_silent_is_given_up(speaking: Callable[..., None]) -> None:
    with serving(Answers([described(KEY, "a", "RUNNING")])) as address:
        endpoint = Endpoint(address, TOKEN)
    speaking([OSError("gone")] * 1, *[[OSError("gone")]] * 99)
    begun = time.monotonic()
    with pytest.raises(ClusterError, match="cannot be reached") as told:
        follow(endpoint, KEY, print, patience_s=0.5)
    assert 0.5 <= time.monotonic() - begun < 30
    assert told.value.exit_code == 6


def test_a_job_that_a_new_head_forgot_is_told(speaking: Callable[..., None]) -> None:
    with serving(Answers([])) as address:
        endpoint = Endpoint(address, TOKEN)
        with pytest.raises(ClusterError, match=f"does not know the job '{KEY}'"):
            read_job(endpoint, KEY)
        with pytest.raises(NotFoundError, match="no job of a run 'a'"):
            find_job(endpoint, "a")


def test_looking_away_ends_with_130_and_leaves_the_job(
    speaking: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> Job:
        raise KeyboardInterrupt

    monkeypatch.setattr(following, "follow", interrupted)
    with pytest.raises(InterruptedRunError, match=r"goes on[^$]*nas jobs stop a") as told:
        follow_job(Endpoint("http://127.0.0.1:1", None), KEY, "a")
    assert told.value.exit_code == 130


FAR = Endpoint("http://far:8265", None, " --address http://far:8265")


def job(**fields: Any) -> Job:
    with serving(Answers([described(KEY, "a", **fields)])) as address:
        return read_job(Endpoint(address, TOKEN), KEY)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"status": "FAILED", "driver_exit_code": 4}, "ended with exit code 4"),
        ({"status": "FAILED", "driver_exit_code": -9}, "ended with signal 9"),
        ({"status": "STOPPED"}, "was stopped before it ended by itself"),
    ],
)
def test_a_job_that_failed_exits_with_7_and_says_its_own_code(
    fields: dict[str, Any], what: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = ["error: Every trial failed.", "  why: all 12 ran out of memory", "  fix: there"]
    with pytest.raises(RemoteJobError, match=f"of run 'a' {what}") as told:
        tell_end(FAR, job(**fields), said, tmp_path / "a", as_json=True)
    assert told.value.exit_code == 7
    assert told.value.why == "Every trial failed.\nwhy: all 12 ran out of memory"
    again = f"nas submit {tmp_path / 'a'} --follow --address http://far:8265"
    assert str(told.value.fix) == f"Go on (what it did is kept): {again}"
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == fields.get("driver_exit_code")
    with pytest.raises(RemoteJobError, match=r"why: said[^$]*nothing was begun[^$]*--name a "):
        tell_end(FAR, job(**fields), [], None, as_json=False)


def test_a_run_that_stays_on_the_cluster_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    metadata = {"nas_version": "1", "nas_run": "a", "nas_verb": "search", "nas_runs": "/s"}
    tell_end(FAR, job(metadata=metadata), [], None, as_json=False)
    assert capsys.readouterr().out == "run on the cluster: /s/a\n"


def test_a_search_that_ran_where_gpus_are_goes_on_there(tmp_path: Path) -> None:
    metadata = {"nas_version": "1", "nas_run": "a", "nas_verb": "search", "nas_pinned": "yes"}
    assert submitting._node(job(metadata=metadata)) == "n0de"
    assert submitting._node(job()) is None
    assert submitting._node(None) is None


@pytest.mark.parametrize(
    ("state", "code", "said", "error"),
    [
        ("FAILED", 3, "error: There is no run 'a'.\n", NotFoundError),
        ("FAILED", 1, "error: out of disk\n", ClusterError),
        ("SUCCEEDED", 0, "nas-part 1 abc\n", ClusterError),
        ("SUCCEEDED", 0, "", ClusterError),
    ],
)
def test_a_run_that_does_not_come_is_told_and_leaves_nothing(
    state: str,
    code: int,
    said: str,
    error: type[Exception],
    speaking: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    sent = described("nas-send-a-2", "a", state, driver_exit_code=code)
    monkeypatch.setattr(submitting, "send", lambda *arguments, **options: "nas-send-a-2")
    speaking([said])
    with serving(Answers([described(KEY, "a"), sent])) as address, pytest.raises(error):
        bring_home(Endpoint(address, TOKEN), "a", tmp_path / "runs" / "a")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_run_too_large_to_be_carried_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.run_store import Run
    from nas.search.driver import run_config

    home = made_run(tmp_path, name="a")
    monkeypatch.setattr(submitting, "LIMIT_BYTES", 100)
    with Run.open(home) as run:
        wanted = Submission(name="a", config=run_config(run), values=run.config, local=home)
    with (
        serving(Answers([])) as address,
        pytest.raises(ConfigError, match=r"'a' is too large to be sent[^$]*--remote-runs"),
    ):
        submit(Endpoint(address, TOKEN), wanted, carry=True)


def test_without_ray_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray.job_submission", None)
    with pytest.raises(EnvironmentFault, match=r"needs Ray[^$]*pip install 'nas\[ray\]'"):
        job_client(Endpoint("http://127.0.0.1:1", None))


def test_a_cluster_that_does_not_take_a_job_says_why() -> None:
    from nas.cluster.order import Order

    with (
        serving(Answers([])) as address,
        pytest.raises(ClusterError, match=r"did not take the job[^$]*why: "),
    ):
        send(Endpoint(address, TOKEN), Package({}), Order(verb="send", name="a", nas="1"))
