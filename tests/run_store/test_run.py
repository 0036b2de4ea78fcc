"""A run folder: whole or not at all, one owner, readable by everybody, everywhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_store.forked import in_child

from nas.errors import ConfigError, EnvironmentFault, NotFoundError, RunError
from nas.run_store import Run, examine, list_runs, remove_run, repair, request_stop
from nas.run_store.creation import fill_folder
from nas.run_store.layout import LOG, config_text, read_config
from nas.run_store.log import scan_log
from nas.run_store.records import encode

CONFIG = {"schema": "nas.search/1", "space": "tiny", "answer": "no", "rate": 1e-3, "none": None}
ENVIRONMENT = {"python": "3.11.7", "device": "cpu"}
ASKED = {"kind": "trial_asked", "trial": 0, "attempt": 1, "decisions": {"a": [1]}}
FINISHED = {
    "kind": "trial_finished",
    "trial": 0,
    "attempt": 1,
    "values": {"error": {"value": 0.25}},
}

BOMB = b"".join(
    b"%c: &%c [%s]\n"
    % (level, level, b", ".join([b"*%c" % (level - 1) if level > 97 else b"x"] * 9))
    for level in range(97, 107)
)
"""Half a kilobyte of YAML that stands for three thousand million values."""


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(name="run_path")
def _run_path(tmp_path: Path) -> Path:
    with Run.create(tmp_path, "mine", CONFIG, ENVIRONMENT) as run:
        run.append(ASKED)
        run.append(FINISHED)
    return tmp_path / "mine"


def test_a_new_run_is_whole_private_and_owned(tmp_path: Path) -> None:
    with Run.create(tmp_path / "deep" / "runs", "mine", CONFIG, ENVIRONMENT) as run:
        assert run.writable
        assert (run.name, run.config, run.environment) == ("mine", CONFIG, ENVIRONMENT)
        assert list(run.config) == list(CONFIG)
        assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
        assert {file.name for file in run.path.iterdir()} == {
            "run.yaml",
            "environment.json",
            "trials.log",
            "lock",
        }
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in run.path.iterdir())
        assert run.state() == "created"
        assert [record["kind"] for record in run.records()] == ["run_created"]
        with pytest.raises(RunError, match=r"Run 'mine' is in use by pid"):
            Run.open(run.path, write=True)
    assert names_in(tmp_path / "deep" / "runs") == ["mine"]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["no", "1e-3", "010", "12:30", "~", "a: b", "# x", "- y", "=", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_every_config_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("config")
    (folder / "run.yaml").write_bytes(config_text(config).encode())
    assert read_config(folder) == config


@pytest.mark.fault("F1", "B13")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "/etc",
        "a/b",
        "A",
        "ü",
        "a b",
        "-a",
        "_a",
        "a" * 65,
        "a\n",
        "a\x00",
        ".a",
        "%2e",
        "\u2024",
        "a\\b",
        "$(touch x)",
        "<b>",
    ],
)
def test_a_name_that_is_not_a_slug_is_refused_and_nothing_written(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigError, match=r"(?s)is not a name for a run.*--name my-run-1") as info:
        Run.create(tmp_path, name, CONFIG, ENVIRONMENT)
    assert "\n" not in info.value.what
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_refused_and_the_old_run_kept(run_path: Path) -> None:
    before = (run_path / "trials.log").read_bytes()
    taken = r"(?s)name 'mine' is taken.*nas resume \S*/mine`.*nas runs rm \S*/mine`"
    with pytest.raises(RunError, match=taken):
        Run.create(run_path.parent, "mine", {}, {})
    (run_path.parent / "link").symlink_to("nowhere")
    with pytest.raises(RunError, match="name 'link' is taken"):
        Run.create(run_path.parent, "link", {}, {})
    assert (run_path / "trials.log").read_bytes() == before


def test_a_name_taken_by_somebody_faster_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_slowly(*arguments: Any) -> None:
        with monkeypatch.context() as rival:
            rival.setattr("nas.run_store.run.fill_folder", fill_folder)
            Run.create(tmp_path, "mine", CONFIG, {}).close()
        fill_folder(*arguments)

    monkeypatch.setattr("nas.run_store.run.fill_folder", fill_slowly)
    with pytest.raises(RunError, match="name 'mine' is taken"):
        Run.create(tmp_path, "mine", {}, {})
    assert names_in(tmp_path) == ["mine"]
    assert Run.open(tmp_path / "mine").config == CONFIG


def test_config_and_environment_must_be_plain_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"(?s)config of a run cannot be kept.*plain values"):
        Run.create(tmp_path, "mine", {"rate": float("nan")}, {})
    with pytest.raises(RunError, match=r"(?s)environment of a run cannot be kept.*plain values"):
        Run.create(tmp_path, "mine", {}, {"device": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_does_not_exist_lists_near_names(run_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"(?s)no run 'mime'.*Did you mean 'mine'\?") as info:
        Run.open(run_path.parent / "mime")
    assert info.value.exit_code == 3
    with pytest.raises(NotFoundError, match=r"(?s)There is no run 'x'.*nas runs list"):
        Run.open(run_path.parent / "no" / "x")


def test_a_folder_that_is_not_a_run_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        for write in (False, True):
            with pytest.raises(RunError, match=r"(?s)is not a run folder.*run.yaml") as info:
                Run.open(path, write=write)
            assert info.value.exit_code == 2
    assert names_in(tmp_path) == ["file"]


@pytest.mark.fault("B16")
@pytest.mark.parametrize("name", ["run.yaml", "environment.json"])
def test_a_half_copied_run_is_read_from_its_log_and_owned_once_it_is_repaired(
    run_path: Path, name: str
) -> None:
    whole = (run_path / name).read_bytes()
    (run_path / name).unlink()
    run = Run.open(run_path)
    assert (run.config, run.environment, run.name) == (CONFIG, ENVIRONMENT, "mine")
    assert run.table().trials[0].value("error") == 0.25
    lacking = rf"(?s)'mine' is incomplete: {name} missing.*doctor .*mine --repair.*Reading works"
    with pytest.raises(RunError, match=lacking):
        Run.open(run_path, write=True)
    assert [each.name for each in list_runs(run_path.parent)] == ["mine"]
    (finding,) = examine(run_path)
    assert (finding.what, finding.lost) == (
        f"{name} is missing; the log holds what it said.",
        "nothing",
    )
    assert repair(run_path) == [f"Wrote {name} again from the log."]
    assert (run_path / name).read_bytes() == whole
    Run.open(run_path, write=True).close()


@pytest.mark.fault("B16")
def test_without_its_log_or_with_a_log_that_recorded_less_a_half_copied_run_is_refused(
    run_path: Path,
) -> None:
    log = run_path / "trials.log"
    first, *others = scan_log(log).records
    bare = {key: first[key] for key in ("kind", "schema", "name", "created", "config_sha256")}
    log.write_bytes(b"".join(encode(seq, each) for seq, each in enumerate([bare, *others])))
    Run.open(run_path, write=True).close()
    (run_path / "run.yaml").unlink()
    for write in (False, True):
        with pytest.raises(RunError, match=r"(?s)incomplete: run.yaml missing.*completely\.$"):
            Run.open(run_path, write=write)
    (finding,) = examine(run_path)
    assert (finding.what, finding.lost) == (
        "run.yaml is missing, and the log does not hold what it said.",
        "what run.yaml said",
    )
    for false in ({"schema": 7}, {"schema": "nas.run/9"}, {"schema": None}):
        tampered = {**first, **false}
        log.write_bytes(encode(0, tampered))
        (run_path / "environment.json").unlink(missing_ok=True)
        with pytest.raises(RunError, match=r"environment.json is damaged|format nas.run/9"):
            Run.open(run_path)
    log.unlink()
    (run_path / "environment.json").write_text("{}")
    for visit in (Run.open, examine, repair):
        with pytest.raises(RunError, match=r"incomplete: run.yaml, trials.log missing"):
            visit(run_path)
    (summary,) = list_runs(run_path.parent)
    assert summary.state == "damaged" and "trials.log missing" in str(summary.problem)


def edit_environment(path: Path, **fields: Any) -> None:
    file = path / "environment.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


@pytest.mark.fault("B14")
def test_a_newer_format_is_refused_with_both_versions(run_path: Path) -> None:
    edit_environment(run_path, schema="nas.run/7")
    for write in (False, True):
        with pytest.raises(RunError, match=r"(?s)format nas.run/7; .* nas.run/2.*Update nas"):
            Run.open(run_path, write=write)
    edit_environment(run_path, schema="other/1")
    with pytest.raises(RunError, match="'mine' is not a run of nas: its schema is 'other/1'"):
        Run.open(run_path)
    for damage in ('{"schema": "nas.run/2", "environment": [1]}', "[1]", '{"schema": "nas.run/x"}'):
        (run_path / "environment.json").write_text(damage)
        with pytest.raises(RunError, match=r"environment.json is damaged: (Type|Value)Error"):
            Run.open(run_path)
    (run_path / "environment.json").write_text("[")
    with pytest.raises(RunError, match=r"environment.json is damaged: JSONDecodeError"):
        Run.open(run_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a: [", r"run.yaml is damaged"),
        (b"a: 1\na: 2\n", r"run.yaml is damaged.*duplicate"),
        (b"- a\n", r"it is not a mapping"),
        (b"\xff\xfe\x00", r"run.yaml is damaged"),
        (b"a: !!python/object:os.system x\n", r"run.yaml is damaged"),
        (BOMB, r"run.yaml is damaged.*repeats itself"),
        (b"a: &a [*a]\n", r"run.yaml is damaged.*repeats itself"),
        (b"#" * ((1 << 20) + 1), r"it has 1048577 bytes, more than 1048576"),
    ],
)
def test_a_damaged_config_is_named(run_path: Path, data: bytes, reason: str) -> None:
    (run_path / "run.yaml").write_bytes(data)
    with pytest.raises(RunError, match=rf"(?s){reason}"):
        Run.open(run_path)


@pytest.mark.fault("C10")
def test_an_edited_config_may_be_read_but_not_written_and_comments_are_no_edit(
    run_path: Path,
) -> None:
    file = run_path / "run.yaml"
    original = file.read_text()
    file.write_text("# my notes\n" + original)
    Run.open(run_path, write=True).close()
    file.write_text(original.replace("tiny", "huge"))
    assert Run.open(run_path).config["space"] == "huge"
    with pytest.raises(
        RunError, match=r"(?s)run.yaml of run 'mine' was changed.*Undo the change \(nas doctor"
    ):
        Run.open(run_path, write=True)
    file.write_text(original)
    Run.open(run_path, write=True).close()


def test_a_reader_writes_nothing_at_all(run_path: Path) -> None:
    run = Run.open(str(run_path))
    writes: list[Callable[[], object]] = [
        lambda: run.append(ASKED),
        lambda: run.write_view("front.json", b""),
        lambda: run.write_architectures(),
        lambda: run.note("talk"),
        lambda: run.weights.put({"a": np.zeros(1)}),
    ]
    for write in writes:
        with pytest.raises(RunError, match=r"(?s)'mine' was opened for reading.*write=True"):
            write()
    assert not run.writable


@pytest.mark.fault("A3")
def test_a_result_said_twice_is_written_once_and_a_contradiction_not_at_all(
    run_path: Path,
) -> None:
    with Run.open(run_path, write=True) as run:
        before = (run_path / "trials.log").read_bytes()
        assert run.append(FINISHED) == 2
        with pytest.raises(RunError, match="contradicts it"):
            run.append({**FINISHED, "values": {"error": {"value": 0.5}}})
        assert (run_path / "trials.log").read_bytes() == before
        assert run.append({"kind": "verdict", "pair": (1, 2)}) == 3
        assert run.table().verdicts == [{"kind": "verdict", "pair": [1, 2]}]
        assert run.records()[3] == run.table().verdicts[0]


def test_a_reader_follows_a_running_search_without_a_lock(run_path: Path) -> None:
    reader = Run.open(run_path)
    assert reader.state() == "interrupted"
    with Run.open(run_path, write=True) as owner:
        assert reader.state() == "running"
        assert reader.owner() is not None
        for trial in range(1, 4):
            owner.append({**ASKED, "trial": trial})
            assert [t.number for t in reader.table().stale()] == list(range(1, trial + 1))
        owner.append({"kind": "run_finished"})
    assert reader.state() == "finished"
    assert len(reader.table().finished()) == 1


def test_the_log_is_read_once_and_followed(run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets: list[int] = []
    scan = scan_log

    def counted(path: Path, *, offset: int = 0, seq: int = 0) -> Any:
        offsets.append(offset)
        return scan(path, offset=offset, seq=seq)

    log = run_path / LOG
    reader = Run.open(run_path)
    with Run.open(run_path, write=True) as owner:
        monkeypatch.setattr("nas.run_store.run.scan_log", counted)
        before = len(owner.records())
        owner.append({**ASKED, "trial": 7})
        assert owner.records()[-1]["kind"] == "trial_asked"
        whole = log.stat().st_size
        assert reader.records() == owner.records()
        owner.append({**FINISHED, "trial": 7})
        assert [len(each.records()) - before for each in (owner, reader)] == [2, 2]
    assert reader.table().finished()[-1].number == 7
    assert offsets.count(0) == 1  # by the reader; the owner knows it
    assert owner.records() == reader.records()
    os.truncate(log, whole)  # as a repair does
    assert len(reader.records()) == before + 1 and reader.table().trials[7].state == "asked"


@pytest.mark.fault("A1", "A6")
def test_a_resumed_run_knows_exactly_the_trials_to_ask_again(run_path: Path) -> None:
    with Run.open(run_path, write=True) as run:
        run.append({**ASKED, "trial": 1})
    with Run.open(run_path, write=True) as run:
        (stale,) = run.stale_trials()
        run.append({**ASKED, "trial": stale.number, "attempt": stale.attempt + 1})
        with pytest.raises(RunError, match="comes too late"):
            run.append({**FINISHED, "trial": 1})
        run.append({**FINISHED, "trial": 1, "attempt": 2})
        assert run.stale_trials() == []


def test_a_copied_and_renamed_run_opens_anywhere(run_path: Path, tmp_path: Path) -> None:
    with Run.open(run_path, write=True) as run:
        sha = run.weights.put({"a": np.arange(3)})
    shutil.copytree(run_path, tmp_path / "elsewhere" / "Copy of mine")
    with Run.open(tmp_path / "elsewhere" / "Copy of mine", write=True) as copy:
        assert copy.name == "mine"
        assert copy.weights.get(sha)["a"].tolist() == [0, 1, 2]
        copy.append({"kind": "verdict"})


def test_views_are_plain_names_and_never_the_runs_own_files(run_path: Path) -> None:
    with Run.open(run_path, write=True) as run:
        assert run.read_view("front.json") is None
        run.write_view("front.json", b"[]")
        assert run.read_view("front.json") == b"[]"
        for name in ("trials.log", "run.yaml", "../x", "a/b", ".tmp-x", "weights", ""):
            with pytest.raises(RunError, match=r"(?s)cannot be the name of a view.*front.json"):
                run.write_view(name, b"")


def test_notes_may_be_lost_but_never_disturb(run_path: Path) -> None:
    with Run.open(run_path, write=True) as run:
        assert run.notes() == []
        run.note("epoch", loss=0.5, where=Path("x"))
        with (run_path / "log.jsonl").open("a") as file:
            file.write("half a li\n[1]\n")
        run.note("epoch", loss=0.4)
        assert [note["loss"] for note in run.notes()] == [0.5, 0.4]
        (run_path / "log.jsonl").unlink()
        (run_path / "log.jsonl").mkdir()
        run.note("epoch", loss=0.3)


def test_a_stop_request_reaches_the_owner_and_is_gone_after_reopening(run_path: Path) -> None:
    with pytest.raises(RunError, match=r"(?s)'mine' is not running.*nas runs show \S*/mine`"):
        request_stop(run_path)
    with pytest.raises(NotFoundError, match="no run 'nine'"):
        request_stop(run_path.parent / "nine")
    with Run.open(run_path, write=True) as run:
        assert not run.stop_requested()
        assert request_stop(run_path).pid == os.getpid()
        assert run.stop_requested()
    with Run.open(run_path, write=True) as run:
        assert not run.stop_requested()


@pytest.mark.fault("B1")
def test_a_full_disk_is_found_before_computing_and_leaves_no_run(tmp_path: Path) -> None:
    def create() -> None:
        with pytest.raises(EnvironmentFault, match=r"(?s)disk full: cannot write to the folder"):
            Run.create(tmp_path / "runs", "mine", CONFIG, {})

    assert in_child(create, largest_file=100) == 0
    assert list((tmp_path / "runs").iterdir()) == []
    Run.create(tmp_path / "runs", "mine", CONFIG, {}).close()

    def reopen() -> None:
        with pytest.raises(EnvironmentFault, match="disk full"):
            Run.open(tmp_path / "runs" / "mine", write=True)
        assert Run.open(tmp_path / "runs" / "mine").state() == "created"

    assert in_child(reopen, largest_file=100) == 0


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match=r"(?s)Cannot make the folder of runs runs"):
        Run.create(tmp_path / "file" / "runs", "mine", {}, {})


@pytest.mark.fault("B15")
def test_links_in_a_run_folder_are_not_followed(run_path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    for name in ("log.jsonl", "front.json", "stop", ".tmp-x"):
        (run_path / name).symlink_to(outside)
    (tmp_path / "folder").mkdir()
    (run_path / "architectures").symlink_to(tmp_path / "folder")
    with Run.open(run_path, write=True) as run:
        assert not (run_path / ".tmp-x").is_symlink()
        run.note("talk")
        run.write_view("front.json", b"[]")
        run.append({**ASKED, "trial": 1, "architecture": {}, "architecture_id": "s1-1"})
        with pytest.raises(RunError, match="'architectures' is not a folder"):
            run.write_architectures()
    assert outside.read_bytes() == b"mine"
    assert list((tmp_path / "folder").iterdir()) == []


def test_runs_are_listed_oldest_first_with_their_state_and_damage(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    Run.create(tmp_path, "zebra", {}, {}).close()
    time.sleep(0.002)
    with Run.create(tmp_path, "ant", {}, {}) as run:
        run.append(ASKED)
        run.append(FINISHED)
        run.append({"kind": "run_finished"})
    time.sleep(0.002)
    Run.create(tmp_path, "broken", {}, {}).close()
    (tmp_path / "broken" / "environment.json").write_text("x")
    (tmp_path / "not-a-run").mkdir()
    summaries = list_runs(tmp_path)
    assert [(s.name, s.state, s.finished) for s in summaries] == [
        ("broken", "damaged", 0),
        ("zebra", "created", 0),
        ("ant", "finished", 1),
    ]
    assert "environment.json is damaged" in str(summaries[0].problem)


def test_only_a_free_run_is_removed_and_nothing_else(run_path: Path) -> None:
    with (
        Run.open(run_path, write=True),
        pytest.raises(RunError, match="'mine' is in use"),
    ):
        remove_run(run_path)
    (run_path.parent / "data").mkdir()
    (run_path.parent / "data" / "precious").touch()
    with pytest.raises(RunError, match="'data' is not a run folder"):
        remove_run(run_path.parent / "data")
    (run_path.parent / "link").symlink_to(run_path)
    with pytest.raises(RunError, match=r"(?s)'link' is a link, not a run folder.*by hand"):
        remove_run(run_path.parent / "link")
    with pytest.raises(NotFoundError, match="no run 'min'"):
        remove_run(run_path.parent / "min")
    (run_path / "away").symlink_to(run_path.parent / "data")
    remove_run(run_path)
    assert names_in(run_path.parent) == ["data", "link"]
    assert (run_path.parent / "data" / "precious").exists()


def test_a_run_that_cannot_be_removed_is_named(
    run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(EnvironmentFault, match="Cannot remove the run mine: Operation not"):
        remove_run(run_path)
    with pytest.raises(EnvironmentFault, match="Cannot create the run other: Operation not"):
        Run.create(run_path.parent, "other", {}, {})
