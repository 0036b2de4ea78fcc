"""Files that a child process makes: one at a time, bounded, kept, and never in a run."""

from __future__ import annotations

import asyncio
import sys
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from dash_servers import serving
from made_runs import made_config, made_run
from process_watch import all_end

from dashboards.server import exports
from dashboards.server.exports import Exports, card_of, check_no_code
from nas.errors import EnvironmentFault, NotFoundError, RunError
from nas.foreign_code import NO_CODE
from nas.run_store import Run
from nas.search.take_home.origins import TRAINED_RECORD
from nas.space import load_space

MAKE = """
import os, pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
with (folder / "calls").open("a") as calls:
    calls.write(f"{os.environ['TMPDIR']} {' '.join(sys.argv[2:])}\\n")
output = sys.argv[sys.argv.index("--output") + 1]
assert not (folder / "busy").exists()
(folder / "busy").touch()
with zipfile.ZipFile(output, "w") as archive:
    archive.writestr("README.md", "# a card")
(folder / "busy").unlink()
"""


def child(code: str, *arguments: str) -> tuple[str, ...]:
    """Return a command that stands in the place of `nas arch export`."""
    return (sys.executable, "-I", "-c", code, *arguments)


def with_exports(made: Exports, use: Callable[[Exports], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        try:
            return await use(made)
        finally:
            made.close()

    return asyncio.run(whole())


def test_files_are_made_one_at_a_time_kept_and_removed_with_the_server(tmp_path: Path) -> None:
    run = tmp_path / "a run:$(touch x)"

    async def use(made: Exports) -> list[Path]:
        asked = [
            made.archive(run, trial, form, "s") for trial in (1, 2) for form in ("onnx", "card")
        ]
        found = await asyncio.gather(*asked)
        assert await made.archive(run, 1, "onnx", "s") == found[0]
        assert await made.archive(run, 1, "onnx", "grown") != found[0]
        assert card_of(found[1]) == b"# a card"
        assert all(path.parent.stat().st_mode & 0o777 == 0o700 for path in found)
        return found

    found = with_exports(Exports(command=child(MAKE, str(tmp_path))), use)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 5
    assert calls[0].endswith(f"-- {run}:1") and "--format onnx" in calls[0]
    assert calls[1].endswith(f"-- {run}:1") and "--format json" in calls[1]
    assert not any(path.exists() for path in found) and not found[0].parent.exists()
    assert not (tmp_path / "x").exists()


def test_what_the_export_says_is_told_without_its_places(tmp_path: Path) -> None:
    said = "error: It has no weights.\n  where: /secret\n  fix: Train it."
    code = f"import sys; sys.exit(print({said!r}, file=sys.stderr) or 2)"
    made = Exports(command=child(code))
    with pytest.raises(RunError, match="It has no weights") as refused:
        with_exports(made, lambda made: made.archive(tmp_path, 1, "onnx", 0))
    assert refused.value.fix == "Train it." and "/secret" not in str(refused.value)


def test_a_child_that_takes_too_long_is_ended_with_its_own_children(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, subprocess, sys, time\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "half = pathlib.Path(os.environ['TMPDIR']) / 'half'\n"
        "half.mkdir()\n"
        "(half / 'network.onnx').write_bytes(b'half')\n"
        f"pathlib.Path({str(tmp_path / 'pids')!r}).write_text(f'{{os.getpid()}} {{other.pid}}')\n"
        f"pathlib.Path({str(tmp_path / 'place')!r}).write_text(str(half.parent))\n"
        "time.sleep(600)\n"
    )
    made = Exports(longest_s=2.0, command=child(code))

    async def use(made: Exports) -> None:
        with pytest.raises(EnvironmentFault, match=r"not finished within 2 s"):
            await made.archive(tmp_path, 1, "onnx", 0)
        place = Path((tmp_path / "place").read_text())
        assert place.stat().st_mode & 0o777 == 0o700 and not list(place.iterdir())

    with_exports(made, use)
    assert all_end(map(int, (tmp_path / "pids").read_text().split()))


def test_a_file_that_would_fill_the_disk_ends_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "LARGEST", 1 << 16)
    code = (
        "import sys, time; time.sleep(0.5)\n"
        "open(sys.argv[sys.argv.index('--output') + 1], 'wb').write(bytes(1 << 20))\n"
    )
    with pytest.raises(RunError, match="could not be exported"):
        with_exports(
            Exports(command=child(code)), lambda made: made.archive(tmp_path, 1, "onnx", 0)
        )


def test_too_many_that_wait_are_sent_away(tmp_path: Path) -> None:
    async def use(made: Exports) -> list[Any]:
        asked = [made.archive(tmp_path, trial, "onnx", 0) for trial in range(12)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = with_exports(Exports(command=child("import sys; sys.exit(3)")), use)
    refused = [each for each in found if isinstance(each, EnvironmentFault)]
    assert len(refused) == 12 - exports.MOST_WAITING
    assert all("Too many files" in str(each) for each in refused)


def test_a_card_that_is_missing_is_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("other", "x")
    with pytest.raises(RunError, match="no model card"):
        card_of(tmp_path / "a.zip")


def test_no_code_of_a_run_is_started_from_the_browser(tmp_path: Path) -> None:
    (tmp_path / "evil_plugin.py").write_text("raise SystemExit('started')")
    config = made_config()
    made_run(tmp_path, "coded", trials=2, config={**config, "plugins": ["evil_plugin"]})
    space = {**config["space"], "plugins": ["evil_plugin"]}
    made_run(tmp_path, "spaced", trials=2, config={**config, "space": space})
    before = sorted(path for path in tmp_path.rglob("*"))
    with serving(tmp_path) as dash:
        for name in ("coded", "spaced"):
            refused = dash.get(f"/api/runs/{name}/trials/0/files/onnx")
            assert refused.status == 422
            assert "starts no code of a run" in refused.json()["error"]
        assert dash.get("/api/runs/coded/trials/7/files/onnx").status == 404
    assert sorted(path for path in tmp_path.rglob("*")) == before
    check_no_code(config)
    with pytest.raises(RunError, match="names plugins"):
        check_no_code({"plugins": ["x"]})


def test_what_a_run_calls_its_data_starts_no_code_nor_does_the_folder_we_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    code = f"open({str(started)!r}, 'w')\ndef data(): ...\n"
    (tmp_path / "evil.py").write_text(code)
    (tmp_path / "nas.py").write_text(code)
    folder = made_run(tmp_path, config={**made_config(), "data": f"{tmp_path}/evil.py:data"})
    with Run.open(folder, write=True) as run:
        run.append({"kind": TRAINED_RECORD, "trial": 0, "weights": "0" * 64})
    monkeypatch.chdir(tmp_path)
    with serving(tmp_path) as dash:
        refused = dash.get("/api/runs/made/trials/0/files/source")
    assert refused.status == 422
    assert "no code of a run is started" in refused.json()["error"]
    assert not started.exists()


def test_plugins_of_a_space_in_a_file_are_no_way_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "space.yaml"
    file.write_text("schema: nas.space/1\nkind: stages\nname: x\nplugins: [antigravity]\n")
    monkeypatch.setenv(NO_CODE, "1")
    with pytest.raises(RunError, match="needs the plugin 'antigravity'"):
        load_space(str(file))


def test_a_trial_that_is_missing_is_not_found(tmp_path: Path) -> None:
    code = "import sys; sys.exit(print('error: There is no trial 7.', file=sys.stderr) or 3)"
    with pytest.raises(NotFoundError, match="no trial 7"):
        with_exports(
            Exports(command=child(code)), lambda made: made.archive(tmp_path, 7, "onnx", 0)
        )
    assert not list(tmp_path.iterdir())
