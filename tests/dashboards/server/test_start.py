"""How the dashboard starts: on this machine alone, behind a key, and gone without a trace."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from dash_servers import Wire
from made_runs import made_run

from dashboards.server.hosts import Hosts, is_loopback
from dashboards.server.keys import MOST_SESSIONS, SESSION_S, Keys, token_folder, write_token
from dashboards.server.pages import read_pages
from dashboards.server.start import Wishes, check_wishes, listen
from nas.cli.main import run as type_command
from nas.errors import ConfigError, EnvironmentFault


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `nas dash`; yield the process and the link that it prints."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", "dash", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def listening_addresses(port: int) -> set[str]:
    """Return the local addresses on which something listens at a port, from the kernel's tables."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, _, hexadecimal = address.partition(":")
            if state == "0A" and int(hexadecimal, 16) == port:
                found.add(host)
    return found


@pytest.mark.fault("F6", "F16", "G-S7")
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc/net/tcp here")
def test_by_default_only_this_machine_and_the_link_s_holder_get_in(tmp_path: Path) -> None:
    made_run(tmp_path / "runs")
    with started("--port", "0", folder=tmp_path) as (process, link):
        address, _, code = link.partition("/?key=")
        port = int(address.rpartition(":")[2])
        assert address == f"http://127.0.0.1:{port}" and len(code) >= 43
        assert listening_addresses(port) == {"0100007F"}
        token = tmp_path / "state" / "nas" / f"dash-{port}.token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
        wire = Wire(port)
        assert wire.ask("/api/runs").status == 401
        bearer = ("Authorization", f"Bearer {token.read_text().strip()}")
        assert [run["name"] for run in wire.ask("/api/runs", bearer).json()["runs"]] == ["made"]
        first = wire.ask(f"/?key={code}")
        assert first.headers["set-cookie"].startswith(f"nas_dash_{port}=")
        wire.close()
        secret = token.read_text().strip()
        process.send_signal(signal.SIGTERM)
        out, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out == "" and said.endswith("stopped\n")
        assert secret not in said and "The next one: http://127.0.0.1" in said
        assert not token.exists()
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["made"]


@pytest.mark.fault("F6")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none/of/that"], "There is no folder 'none/of/that'"),
        (["--host", "0.0.0.0"], "can be reached from other machines"),
        (["--host", "::"], "can be reached from other machines"),
        (["--host", "10.1.2.3", "--no-token"], "can be reached from other machines"),
        (["--host", "0.0.0.0", "--allow-remote", "--no-token"], "everybody who reaches"),
        (["--host", "203.0.113.7", "--allow-remote"], "cannot listen on 203.0.113.7"),
        (["--port", "70000"], "65535"),
    ],
)
def test_what_would_open_it_to_others_or_cannot_be_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_command(["dash", *arguments]) in (2, 3)
    said = capsys.readouterr().err
    assert told in said and "fix: " in said and "Traceback" not in said


def test_a_port_that_is_taken_is_said_and_without_one_the_next_is_used() -> None:
    with closing(listen("127.0.0.1", None)) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            EnvironmentFault, match=r"cannot listen on 127.0.0.1, port \d+: .*in use"
        ):
            listen("127.0.0.1", port)
        with closing(listen("127.0.0.1", None)) as second:
            assert second.getsockname()[1] > port


def test_a_page_that_was_not_built_is_said(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    with pytest.raises(EnvironmentFault, match=r"(?s)app\.js is missing.*make page"):
        read_pages(tmp_path)


@pytest.mark.fault("F6")
def test_loopback_needs_no_leave_and_the_rest_a_token() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.8.8.8"):
        assert is_loopback(host)
        check_wishes(Wishes(Path("runs"), host=host, with_token=False))
    for host in ("0.0.0.0", "::", "192.168.0.1", "example.com", "127.0.0.1.example.com"):
        assert not is_loopback(host)
        with pytest.raises(ConfigError, match="--allow-remote"):
            check_wishes(Wishes(Path("runs"), host=host))
        check_wishes(Wishes(Path("runs"), host=host, allow_remote=True))


def test_a_server_on_all_addresses_answers_to_the_one_that_was_reached() -> None:
    hosts = Hosts("0.0.0.0", ("Box.example",))
    assert hosts.allows("192.168.7.7:8765", "192.168.7.7")
    assert not hosts.allows("192.168.7.8:8765", "192.168.7.7")
    assert hosts.allows("box.example", "192.168.7.7") and hosts.allows("BOX.EXAMPLE:1", None)
    assert not hosts.allows("evil.example", "192.168.7.7")
    assert Hosts("::").allows("[fe80::1]:8765", "fe80::1")
    assert not Hosts("127.0.0.1").allows("127.0.0.2", "127.0.0.2")


@pytest.mark.fault("F7")
def test_a_session_ends_and_the_oldest_of_too_many_leaves() -> None:
    now = [0.0]
    keys = Keys(clock=lambda: now[0])
    first = keys.exchange(keys.code)
    assert first is not None and keys.is_session(first)
    now[0] = SESSION_S - 1
    assert keys.is_session(first)
    now[0] = SESSION_S
    assert not keys.is_session(first)
    second = keys.exchange(keys.code)
    assert second is not None
    for _ in range(MOST_SESSIONS - 1):
        keys.exchange(keys.code)
    assert keys.is_session(second)
    keys.exchange(keys.code)
    assert not keys.is_session(second)


def test_a_code_is_256_bits_works_once_and_is_no_token() -> None:
    keys, other = Keys(), Keys()
    assert len({keys.token, keys.code, other.token, other.code}) == 4
    assert len(keys.token) == len(keys.code) == 43
    code = keys.code
    assert keys.exchange("x") is None and keys.exchange(keys.token) is None
    assert keys.code == code
    assert keys.exchange(code) is not None and keys.exchange(code) is None
    assert not keys.is_token(code) and keys.is_token(keys.token) and not keys.is_token("")


def test_a_token_file_replaces_what_was_planted_and_is_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = token_folder()
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / "dash-1.token").symlink_to(victim)
    path = write_token("secret", 1)
    assert path.read_text() == "secret\n" and not path.is_symlink()
    assert victim.read_text() == "mine" and stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(victim))
    with pytest.raises(EnvironmentFault, match="XDG_STATE_HOME"):
        write_token("secret", 1)


def test_without_a_token_this_machine_gets_in_and_foreign_names_do_not(tmp_path: Path) -> None:
    made_run(tmp_path / "runs")
    with started("runs/made", "--port", "0", "--no-token", folder=tmp_path) as (process, link):
        address, _, place = link.partition("#")
        port = int(address.rstrip("/").rpartition(":")[2])
        assert place == "/run/made/front"
        wire = Wire(port)
        assert wire.ask("/api/runs/made").status == 200
        assert wire.ask("/api/runs/made", host=["evil.example"]).status == 421
        assert wire.ask("/", ("Sec-Fetch-Site", "cross-site")).status == 403
        wire.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not (tmp_path / "state").exists()


def test_an_address_family_that_is_missing_is_an_error_and_no_crash() -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        listen("::1", 0).close()
    except EnvironmentFault as error:
        assert "::1" in error.what and error.fix
