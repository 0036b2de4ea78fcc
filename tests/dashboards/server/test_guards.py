"""What is refused before anything of a run is read: foreign names, foreign sites, missing keys."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from dash_servers import VIEWS, Dash, serving
from made_runs import made_run

ROUTES = (
    "/",
    "/app.js",
    "/app.css",
    "/elk-worker.js",
    "/api/runs",
    "/api/runs/made",
    *(f"/api/runs/made/{view}" for view in VIEWS),
    "/api/runs/made/trials?after=3",
    "/api/runs/made/trials/0",
    "/api/runs/made/trials/0/files/json",
    "/api/runs/made/baselines/x",
    "/api/runs/made/events?after=1",
    "/api/compare?runs=made",
    "/nothing/of/that/name",
)
HEALTH = "/healthz"

HOSTILE_HOSTS = (
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1.evil.example",
    "127.0.0.1.evil.example:{port}",
    "localhost.evil.example",
    "evil.localhost.example:{port}",
    "evil.localhost",
    "localhost.",
    "localhost.:{port}",
    "127.0.0.1.",
    "localhost..",
    "127.1",
    "127.0.1",
    "127.0.0.2",
    "0.0.0.0",
    "0.0.0.0:{port}",
    "0",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::1%lo]",
    "::1",
    "[::1",
    "[0:0:0:0:0:0:0:1]",
    "localhost@evil.example",
    "evil.example@localhost",
    "http://localhost",
    "localhost/",
    "localhost:port",
    "localhost:",
    "localhost:999999",
    "localhost:{port}:{port}",
    "localhost, evil.example",
    "localhost evil.example",
    "lo\u00e7alhost",
    "xn--localhost-evil",
    "*",
    "",
    "-",
    "localhost#evil.example",
    "localhost\\evil.example",
    "localhost%00.evil.example",
)
CROSS_SITE = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
)
METHODS = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "GET")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    made_run(folder)
    return folder


@pytest.fixture(scope="module")
def dash(runs: Path) -> Iterator[Dash]:
    with serving(runs) as served:
        yield served


def tree_hash(folder: Path) -> str:
    """Hash every name, time and byte below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest.update(f"{path.relative_to(folder)} {status.st_mtime_ns} {status.st_mode}".encode())
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


@pytest.mark.fault("F8", "G-S1")
def test_every_hostile_name_is_refused_on_every_route(dash: Dash) -> None:
    for name, route in itertools.product(HOSTILE_HOSTS, (*ROUTES, HEALTH)):
        host = name.format(port=dash.port)
        found = dash.get(route, host=[host])
        assert found.status in (400, 403, 421), f"{host!r} {route}: {found.status}"
        assert b"nas.dash" not in found.raw and b"ok\n" not in found.raw


@pytest.mark.fault("F8")
@pytest.mark.parametrize("names", [(), ("127.0.0.1", "127.0.0.1"), ("localhost", "evil.example")])
def test_no_name_and_two_names_are_refused(dash: Dash, names: tuple[str, ...]) -> None:
    for route in (*ROUTES, HEALTH):
        assert dash.get(route, host=names).status in (400, 421)


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "LOCALHOST:9000", "[::1]:1", "127.0.0.1:80"]
)
def test_the_own_names_are_answered_whatever_port_a_tunnel_gives(dash: Dash, name: str) -> None:
    assert dash.get("/api/runs", host=[name]).status == 200
    assert dash.get(HEALTH, host=[name]).body == b"ok\n"


@pytest.mark.fault("F7", "G-S2")
def test_without_the_right_key_every_route_but_health_is_closed(dash: Dash) -> None:
    assert dash.keys is not None
    session = dash.keys.exchange(dash.keys.code)
    cookie = "nas_dash"
    wrong = (
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {dash.keys.token}x"},
        {"Authorization": f"Bearer {dash.keys.token[:-1]}"},
        {"Authorization": f"Basic {dash.keys.token}"},
        {"Authorization": f"Bearer {session}"},
        {"Authorization": f"Bearer {dash.keys.code}"},
        {"Cookie": f"{cookie}=wrong"},
        {"Cookie": f"{cookie}={dash.keys.token}"},
        {"Cookie": f"other={session}"},
        {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
    )
    for headers, route in itertools.product(wrong, ROUTES):
        found = dash.wire.ask(route, *headers.items())
        assert found.status in (401, 403), f"{headers} {route}: {found.status}"
        assert set(found.json()) == {"error", "fix"}
    for near in (
        "/heal%0Athz",
        "/%09healthz",
        "/healthz%3F",
        "/healthz%23",
        "//healthz",
        "/healthz/",
    ):
        assert dash.wire.ask(near).status == 401, near
    for headers in wrong:
        assert dash.wire.ask(HEALTH, *headers.items()).body == b"ok\n"
    assert dash.wire.ask("/api/runs", ("Cookie", f"a=b; {cookie}={session}")).status == 200


@pytest.mark.fault("F7")
def test_the_key_in_the_address_opens_nothing_but_the_start(dash: Dash) -> None:
    assert dash.keys is not None
    for route in (*ROUTES[1:], "//"):
        joint = "&" if "?" in route else "?"
        assert dash.wire.ask(f"{route}{joint}key={dash.keys.code}").status == 401
        assert dash.wire.ask(f"{route}{joint}token={dash.keys.token}").status == 401


@pytest.mark.fault("F7")
def test_a_link_lets_in_once_and_leaves_no_key_in_the_address(dash: Dash) -> None:
    assert dash.keys is not None
    link = f"/?key={dash.keys.code}"
    assert dash.wire.ask(link, method="HEAD").status == 403
    prefetch = ("Sec-Purpose", "prefetch")
    assert dash.wire.ask(link, prefetch).status == 403
    first = dash.wire.ask(link, ("Sec-Fetch-Site", "none"), ("Accept", "text/html"))
    assert (first.status, first.headers["location"], first.body) == (303, "/", b"")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert dash.keys.token not in cookie and dash.keys.code not in cookie
    session = ("Cookie", cookie.split(";")[0])
    assert dash.wire.ask("/", session).status == 200
    again = dash.wire.ask(link, ("Accept", "text/html"))
    assert again.status == 403 and "set-cookie" not in again.headers
    assert b"newest link" in again.body
    assert dash.wire.ask(link, session).headers["location"] == "/"


@pytest.mark.fault("F9", "G-S3")
def test_nothing_of_another_site_changes_anything_whatever_the_method(
    dash: Dash, runs: Path
) -> None:
    assert dash.keys is not None
    session = ("Cookie", f"nas_dash={dash.keys.exchange(dash.keys.code)}")
    before, code = tree_hash(runs), dash.keys.code
    routes = (*ROUTES, f"/?key={code}")
    for method, case, route in itertools.product(METHODS, CROSS_SITE, routes):
        headers = (*case.items(), ("Content-Type", "text/plain"), ("Content-Length", "2"))
        if method == "GET":
            headers = tuple(case.items())
        data = b"" if method == "GET" else b"{}"
        found = dash.wire.ask(route, session, *headers, method=method, data=data)
        assert found.status == 403, f"{method} {case} {route}: {found.status}"
        assert not [name for name in found.headers if name.startswith("access-control")]
    assert (tree_hash(runs), dash.keys.code) == (before, code)


@pytest.mark.fault("F9")
@pytest.mark.parametrize("method", [*METHODS[:-1], "BREW"])
def test_only_reading_is_answered_even_to_the_owner(dash: Dash, runs: Path, method: str) -> None:
    before = tree_hash(runs)
    for route in (*ROUTES, HEALTH):
        found = dash.get(route, method=method)
        assert found.status == 405 and found.headers["allow"] == "GET, HEAD"
    assert tree_hash(runs) == before


def test_a_request_of_the_page_itself_is_answered(dash: Dash) -> None:
    own = ("Origin", f"http://127.0.0.1:{dash.port}")
    assert dash.get("/api/runs", own, ("Sec-Fetch-Site", "same-origin")).status == 200


@pytest.mark.fault("F10")
def test_every_answer_carries_the_safety_headers(dash: Dash) -> None:
    asked = [dash.get(route) for route in (*ROUTES, HEALTH)]
    asked += [
        dash.wire.ask("/"),
        dash.get("/", method="POST"),
        dash.get("/", host=["evil.example"]),
    ]
    asked += [dash.get("/api/runs/%00"), dash.get("/api/runs", ("Origin", "null"))]
    asked += [dash.get("/", ("No header", "x")), dash.get("/", ("Content-Length", "x"))]
    for found in asked:
        policy = found.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert found.headers["cross-origin-opener-policy"] == "same-origin"
        assert found.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in found.headers
        assert not [name for name in found.headers if name.startswith("access-control")]


def test_a_person_gets_a_page_in_plain_words(dash: Dash) -> None:
    html = ("Accept", "text/html,application/xhtml+xml")
    pages = {
        401: dash.wire.ask("/", html),
        403: dash.get("/", html, ("Sec-Fetch-Site", "cross-site")),
        421: dash.get("/", html, host=["evil.example"]),
    }
    for status, page in pages.items():
        assert page.status == status
        assert page.headers["content-type"].startswith("text/html")
        text = page.body.decode()
        assert "<h1>" in text and "<script" not in text and "style" not in text
    assert "newest link that nas dash printed" in pages[401].body.decode()
    assert "address bar" in pages[403].body.decode()
    assert "--allow-host" in pages[421].body.decode()


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/api/runs?" + "x" * 5000, (), 414),
        ("/" + "x" * 5000, (), 414),
        ("/api/runs", (("Content-Length", "7"),), 413),
        ("/api/runs", (("Transfer-Encoding", "chunked"),), 413),
        ("/api/runs", (("X-Long", "x" * 300_000),), 400),
        ("http://evil.example/api/runs", (), 414),
        ("*", (), 414),
    ],
)
def test_too_much_is_refused_before_it_is_read(
    dash: Dash, target: str, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    assert dash.get(target, *headers).status == status
