"""Viewers follow a run by its records: every one, in order, and none of them can be a burden."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dash_servers import Dash, Viewer, serving
from made_runs import ENVIRONMENT, made_config, made_run
from process_watch import wait_until

from dashboards.server.events import Streams, increment_address
from dashboards.server.folder import Folder
from dashboards.server.protocol import PatientProtocol
from dashboards.server.readings import Readings
from dashboards.server.store import Store
from nas.run_store import Run


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "runs", "live", made_config(), ENVIRONMENT) as run:
        run.append({"kind": "stage_started", "stage": "explore"})
        yield run


def ask(run: Run, number: int) -> int:
    """Add a trial."""
    return run.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}})


def test_every_viewer_is_told_of_every_record_in_order(live: Run) -> None:
    with serving(live.path.parent) as dash:
        viewers = [dash.follow("live", 0) for _ in range(5)]
        for number in range(4):
            seq = ask(live, number)
            wait_until(lambda seq=seq: all(viewer.last >= seq for viewer in viewers))
        for viewer in viewers:
            told = [data for name, data in viewer.events if name == "increment"]
            seqs = [data["seq"] for data in told]
            assert seqs == sorted(set(seqs))
            seen = [trial for data in told for trial in data["trials"]["trial"]]
            assert sorted(set(seen)) == [0, 1, 2, 3]
            assert told[-1]["run"]["state"] == "running"
            assert told[-1]["run"]["trials"]["open"] == 4
            viewer.close()


def test_a_viewer_that_comes_back_is_told_what_it_missed_and_no_more(live: Run) -> None:
    known = ask(live, 0)
    ask(live, 1)
    with serving(live.path.parent) as dash:
        viewer = dash.follow("live", 0, ("Last-Event-ID", str(known)))
        wait_until(lambda: viewer.events)
        assert viewer.events[0][1]["trials"]["trial"] == [1]
        viewer.close()


def test_the_end_of_a_run_ends_the_stream_and_a_dead_owner_is_told(live: Run) -> None:
    with serving(live.path.parent) as dash:
        viewer = dash.follow("live", 0)
        wait_until(lambda: viewer.events)
        path = live.path
        live.close()
        wait_until(lambda: viewer.events[-1][1]["run"]["state"] == "interrupted")
        with Run.open(path, write=True) as again:
            again.append({"kind": "run_finished"})
            wait_until(lambda: viewer.events[-1][0] == "end")
        assert viewer.events[-2][1]["run"]["state"] == "finished"
        viewer.close()


def test_an_unknown_run_is_refused_before_a_stream_begins(live: Run) -> None:
    with serving(live.path.parent) as dash:
        assert dash.get("/api/runs/none/events?after=0").status == 404
        assert dash.get("/api/runs/live/events", method="HEAD").status == 405


def in_loop(runs: Path, check: Any, **options: Any) -> None:
    """Run `check(streams)` in an event loop of its own."""

    async def whole() -> None:
        folder = Folder(runs)
        store = Store(folder, Readings(folder).document)
        try:
            await check(Streams(store, **options))
        finally:
            store.close()

    asyncio.run(whole())


def test_a_silent_run_still_beats_and_viewers_who_leave_are_forgotten(live: Run) -> None:
    async def check(streams: Streams) -> None:
        stream = streams.events("live", 0)
        got = [await anext(stream) for _ in range(4)]
        assert got[0].startswith(b"retry: ") and got[1].startswith(b"id: 1\nevent: increment\n")
        assert got[2] == got[3] == b": still here\n\n"
        assert streams.viewers == 1
        await stream.aclose()
        assert streams.viewers == 0

    in_loop(live.path.parent, check, heartbeat_s=0.05)


@pytest.mark.fault("F12")
def test_no_more_viewers_are_let_in_than_are_allowed(
    live: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Streams, "is_full", property(lambda streams: streams.viewers >= 2))
    with serving(live.path.parent) as dash:
        viewers = [dash.follow("live", 0) for _ in range(2)]
        wait_until(lambda: all(viewer.events for viewer in viewers))
        refused = dash.get("/api/runs/live/events?after=0")
        assert refused.status == 503 and "Close some" in refused.json()["fix"]
        viewers[0].close()
        third: list[Viewer] = []
        wait_until(lambda: _is_let_in(dash, third))
        for viewer in (*viewers[1:], *third):
            viewer.close()


def _is_let_in(dash: Dash, tried: list[Viewer]) -> bool:
    viewer = dash.follow("live", 0)
    wait_until(lambda: viewer.status)
    if viewer.status == 200:
        tried.append(viewer)
        return True
    viewer.close()
    return False


def test_viewers_of_one_state_share_one_increment(tmp_path: Path) -> None:
    made_run(tmp_path)
    made: list[str] = []

    async def check(streams: Streams) -> None:
        async def follow() -> list[bytes]:
            return [chunk async for chunk in streams.events("made", 3)]

        got = await asyncio.gather(*(follow() for _ in range(20)))
        assert all(each == got[0] for each in got) and got[0][-1].startswith(b"event: end")

    folder = Folder(tmp_path)
    readings = Readings(folder)

    def make(address: Any) -> Any:
        made.append(address.path)
        return readings.document(address)

    async def whole() -> None:
        store = Store(folder, make)
        await check(Streams(store))
        store.close()

    asyncio.run(whole())
    assert made.count(increment_address("made", 3).path) == 1


@pytest.mark.fault("F12")
def test_half_a_request_and_a_reader_who_does_not_read_are_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "head_s", 0.2)
    monkeypatch.setattr(PatientProtocol, "stalled_s", 0.2)
    with serving(tmp_path) as dash:
        for beginning in (b"", b"GET / HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP/1.1\r\n"):
            slow = socket.create_connection(("127.0.0.1", dash.port), timeout=30)
            slow.sendall(beginning)
            assert _is_cut(slow)
        kept = socket.create_connection(("127.0.0.1", dash.port), timeout=30)
        whole = f"GET /healthz HTTP/1.1\r\nHost: localhost:{dash.port}\r\n\r\n".encode()
        kept.sendall(whole)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        kept.sendall(whole[:20])
        assert _is_cut(kept)
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect(("127.0.0.1", dash.port))
            head = f"GET /elk-worker.js HTTP/1.1\r\nHost: localhost:{dash.port}\r\n"
            lazy.sendall(f"{head}{': '.join(dash.bearer)}\r\n\r\n".encode() * 8)
            wait_until(lambda: dash.server.server_state.connections)
            wait_until(lambda: not dash.server.server_state.connections)
        assert dash.get("/healthz").status == 200


def _is_cut(connection: socket.socket) -> bool:
    with connection:
        try:
            while connection.recv(4096):
                pass
            return True
        except ConnectionResetError:
            return True
