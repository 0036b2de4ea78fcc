"""Names are text: whatever a stranger's run calls its things, no view runs it or sends it away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browser import chromium, watched_page
from dash_servers import VIEWS, Dash, serving
from made_runs import made_run
from scale import scaled

from nas.run_store.log import read_log
from nas.run_store.records import encode

HIT = "window.hit=1"
NAMES = [
    f"<script>{HIT}</script>",
    f"<img src=x onerror={HIT}>",
    f'"><img src=x onerror="{HIT}">',
    f"'><svg onload={HIT}>",
    f"</script><script>{HIT}</script>",
    f"<!--<script>{HIT}//-->",
    f"</title><script>{HIT}</script>",
    f"javascript:{HIT}",
    f"<a href=javascript:{HIT}>x</a>",
    f"{{{{constructor.constructor('{HIT}')()}}}}",
    f"${{{HIT}}}",
    f"`;{HIT};`",
    f'";{HIT};//',
    f"\\u003cscript\\u003e{HIT}\\u003c/script\\u003e",
    f"&lt;script&gt;{HIT}&lt;/script&gt;",
    f"%3Cscript%3E{HIT}%3C/script%3E",
    f"<iframe srcdoc='<script>parent.{HIT}</script>'>",
    f"<style>@import'//evil.example/{HIT}'</style>",
    f"<math><mtext><style><img src=x onerror={HIT}></style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    f"\u202e<b onmouseover={HIT}>\u2066",
    f"{{a|<img src=x onerror={HIT}>}}",
    "__proto__",
    "constructor",
    "=cmd|'/C calc'!A1",
]


def hostile_names() -> list[str]:
    """Return the corpus: each name alone, and at full scale in further disguises."""
    disguised = [
        form
        for name in NAMES
        for form in (name.upper(), f"x{name}", f"{name}x", name.replace(" ", "\t"), name * 2,
                     name.replace("<", "\uff1c"), name.replace("=", " = "))
    ]  # fmt: skip
    return [*NAMES, *disguised][: max(20, scaled(200))]


def rewritten(value: Any, name: str) -> Any:
    """Return a record whose free texts are a hostile name."""
    free = ("wiring", "family", "proposed_by", "message", "architecture_id")
    return {key: name if key in free else each for key, each in value.items()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    names = hostile_names()
    path = made_run(folder, "made", trials=len(names) + 2)
    records = list(read_log(path / "trials.log").records)
    first = {record["trial"]: record for record in records if record["kind"] == "trial_asked"}
    fails = [len(names), len(names) + 1]
    changed = []
    for record in records:
        number = record.get("trial")
        if number is None:
            changed.append(record)
        elif number in fails and record["kind"] == "trial_finished":
            told = {"reason": "crash", "message": names[number - fails[0]]}
            changed.append({"kind": "trial_failed", "trial": number, "attempt": 1, **told})
        else:
            changed.append(rewritten(record, names[number % len(names)]))
    assert len(first) == len(names) + 2
    (path / "trials.log").write_bytes(
        b"".join(encode(seq, record) for seq, record in enumerate(changed))
    )
    notes = [{"time": "2026-01-01T00:00:00Z", "kind": name, "text": name} for name in names]
    (path / "log.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    for number, name in enumerate(name for name in names if "/" not in name and len(name) < 200):
        copied = folder / name
        copied.mkdir()
        for part in ("run.yaml", "environment.json", "trials.log"):
            (copied / part).write_bytes((path / part).read_bytes())
        if number % 2:
            (copied / "run.yaml").unlink()  # its problem is told, with its name
    return folder


def addresses(runs: Path) -> list[str]:
    """Return every view of the hostile run, and the front of a run with a hostile name."""
    views = ["#/", *(f"#/run/made/{view}" for view in VIEWS if view != "trials")]
    views += [f"#/run/made/trial?trial={number}" for number in (0, 1)]
    named = sorted(path.name for path in runs.iterdir() if path.name != "made")
    views += [f"#/run/{quote(name, safe='')}/front" for name in named[:2]]
    return [*views, f"#/compare?runs={quote('made,' + named[0], safe='')}"]


def let_in(dash: Dash) -> str:
    assert dash.keys is not None
    return f"http://127.0.0.1:{dash.port}/?key={dash.keys.code}"


@pytest.mark.fault("F2", "G-S5")
def test_no_view_runs_a_name_or_asks_another_machine(runs: Path) -> None:
    with serving(runs) as dash, chromium() as browser:
        allowed = f"127.0.0.1:{dash.port}"
        with watched_page(browser.new_context(), allowed) as watched:
            dialogs: list[str] = []
            watched.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
            watched.page.goto(let_in(dash))
            # The list of runs shows names of folders, a trial that of its wiring.
            watched.page.get_by_text(NAMES[1]).first.wait_for()
            watched.page.goto(f"http://{allowed}/#/run/made/trial?trial=0")
            watched.page.get_by_text(NAMES[0]).first.wait_for()
            for address in addresses(runs):
                watched.page.goto(f"http://{allowed}/{address}")
                watched.page.wait_for_load_state("networkidle")
                watched.page.wait_for_timeout(300)  # what was fetched is drawn
                assert watched.page.evaluate("window.hit === undefined"), address
                assert watched.page.evaluate("document.querySelectorAll('script').length") == 1
                assert watched.page.url.startswith(f"http://{allowed}/#")
            # Broken runs are answered with 422, which browsers note in the console.
            noise = "Failed to load resource: the server responded with a status of 422"
            watched.complaints[:] = [each for each in watched.complaints if noise not in each]
            assert dialogs == []
