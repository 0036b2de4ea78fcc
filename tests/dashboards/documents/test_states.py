"""Documents of runs in every state: what there is, is told; what is wrong, is said in words."""

from __future__ import annotations

import errno
import json
import shlex
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from dashboard_documents import every_document, problems, types
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from made_runs import ENVIRONMENT, made_config, made_run
from noisy_runs import noisy_run, noisy_trial
from scale import scaled
from study_cases import made_study

from dashboards.documents import document, report_documents
from dashboards.documents.routes import reading_guard
from nas.errors import ConfigError, NasError, NotFoundError, RunError
from nas.run_store import Run, list_runs
from nas.run_store.records import encode

UNSHRUNKEN = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example is a folder: making it smaller takes longer than reading it."""


def documents(runs: Path, name: str) -> dict[str, Any]:
    """Return what a run's paths answer, by what stands behind its name."""
    found = dict(every_document(runs, name))
    return {path.removeprefix(f"/api/runs/{name}"): value for path, value in found.items()}


def test_a_finished_run_answers_every_path_with_its_type(tmp_path: Path) -> None:
    made_run(tmp_path)
    found = documents(tmp_path, "made")
    assert not [path for path, value in found.items() if isinstance(value, NasError)]
    assert found[""]["state"] == "finished" and found[""]["fix"] is None
    assert found[""]["trials"]["finished"] == found["/trials"]["total"] == 6


def test_the_paths_told_to_the_page_are_those_that_there_are() -> None:
    told = {path for path, name in types().paths.items() if name in types().named}
    assert told == {
        "/api/runs",
        "/api/runs/R",
        *(f"/api/runs/R/{part}" for part in ("front", "trials", "trials/N", "supernet")),
        *(f"/api/runs/R/{part}" for part in ("progress", "space", "failures", "provenance")),
        "/api/runs/R/baselines/NAME",
        "/api/compare?runs=A,B",
    }


@pytest.mark.fault("E4")
def test_a_run_without_a_record_beyond_its_first_is_empty_not_wrong(tmp_path: Path) -> None:
    Run.create(tmp_path, "young", made_config(), ENVIRONMENT).close()
    found = documents(tmp_path, "young")
    assert found[""]["state"] == "created" and found[""]["fix"] == "nas resume young"
    assert found["/front"]["points"] == [] and found["/front"]["hypervolume"] is None
    assert found["/trials"]["trial"] == [] and found["/progress"]["hypervolume"] == []
    assert isinstance(found["/trials/0"], NotFoundError)
    assert "no trials yet" in found["/trials/0"].what


def test_a_run_that_somebody_owns_is_running_and_a_report_of_it_does_not_say_who(
    tmp_path: Path,
) -> None:
    made_run(tmp_path, trials=3)
    log = tmp_path / "made" / "trials.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(True)[:-2]))  # not finished yet
    with Run.open(tmp_path / "made", write=True) as run:
        found = documents(tmp_path, "made")
        assert found[""]["state"] == found["/progress"]["state"] == "running"
        assert found["/progress"]["owner"]
        carried = report_documents(run)
    assert carried["/api/runs/made/progress"]["owner"] is None
    assert carried["/api/runs/made"]["state"] == "interrupted"
    assert documents(tmp_path, "made")[""]["fix"] == "nas resume made"


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    made_run(tmp_path)
    with Run.open(tmp_path / "made", write=True) as run:
        run.append({"kind": "run_failed", "reason": "crash", "message": "no space left"})
    found = documents(tmp_path, "made")[""]
    assert (found["state"], found["problem"]) == ("failed", "crash: no space left")


@pytest.mark.fault("B16")
@pytest.mark.parametrize("file", ["environment.json", "run.yaml", "trials.log"])
def test_a_half_copied_run_is_shown_with_what_is_missing(tmp_path: Path, file: str) -> None:
    made_run(tmp_path)
    (tmp_path / "made" / file).unlink()
    if file == "trials.log":  # without its log a folder is no run
        assert document(tmp_path, "/api/runs")["runs"] == []
        return
    (found,) = document(tmp_path, "/api/runs")["runs"]
    assert problems("/api/runs/made", found) == []
    assert (found["kind"], found["state"]) == ("search", "finished")
    assert found["problem"] == f"{file} missing; the log holds what was said there."
    assert found["fix"] == "nas doctor made --repair"
    assert problems("/api/runs/made/front", document(tmp_path, "/api/runs/made/front")) == []


@pytest.mark.fault("B16")
@pytest.mark.parametrize("file", ["environment.json", "run.yaml"])
def test_what_a_half_copied_run_did_not_record_makes_it_unreadable(
    tmp_path: Path, file: str
) -> None:
    made_run(tmp_path)
    log = tmp_path / "made" / "trials.log"
    first, *others = Run.open(tmp_path / "made").records()
    bare = {key: each for key, each in first.items() if key not in ("config", "environment")}
    log.write_bytes(b"".join(encode(seq, each) for seq, each in enumerate([bare, *others])))
    (tmp_path / "made" / file).unlink()
    (found,) = document(tmp_path, "/api/runs")["runs"]
    assert problems("/api/runs/made", found) == []
    assert (found["kind"], found["state"]) == ("unreadable", "damaged")
    assert file in found["problem"] and "Copy the folder again" in found["fix"]
    with pytest.raises(RunError, match=file):
        document(tmp_path, "/api/runs/made/front")


def test_a_damaged_record_is_named_and_nothing_is_skipped(tmp_path: Path) -> None:
    made_run(tmp_path)
    log = tmp_path / "made" / "trials.log"
    lines = log.read_bytes().splitlines(True)
    lines[3] = lines[3].replace(b"trial", b"tr1al", 1)
    log.write_bytes(b"".join(lines))
    (found,) = document(tmp_path, "/api/runs")["runs"]
    assert "Record 3" in found["problem"] and "nas doctor made --repair" in found["fix"]


def test_a_run_of_a_newer_version_says_so(tmp_path: Path) -> None:
    made_run(tmp_path)
    file = tmp_path / "made" / "environment.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": "nas.run/9"}))
    (found,) = document(tmp_path, "/api/runs")["runs"]
    (listed,) = list_runs(tmp_path)
    assert problems("/api/runs/made", found) == []
    assert (found["state"], found["problem"]) == (listed.state, listed.problem)
    assert listed.state == "newer" and "nas.run/9" in found["problem"]
    assert "Update nas" in found["fix"]


def test_what_is_no_plain_file_is_refused_in_words_without_a_path(tmp_path: Path) -> None:
    made_run(tmp_path / "runs")
    (tmp_path / "runs" / "made" / "log.jsonl").mkdir()
    found = documents(tmp_path / "runs", "made")
    assert found["/progress"]["notes"] == []  # notes are talk
    config = tmp_path / "runs" / "made" / "run.yaml"
    config.rename(tmp_path / "kept.yaml")
    config.symlink_to(tmp_path / "kept.yaml")
    (found,) = document(tmp_path / "runs", "/api/runs")["runs"]
    assert "not a regular file" in found["problem"] and str(tmp_path) not in str(found)


def test_a_fault_of_the_disk_is_told_as_one() -> None:
    expected = pytest.raises(RunError, match="'made' cannot be read: Input/output error")
    with expected, reading_guard("made"):
        raise OSError(errno.EIO, "Input/output error")


def test_commands_to_type_start_nothing_that_a_folder_is_called(tmp_path: Path) -> None:
    name = "a;touch x $(id)"
    made_run(tmp_path, "made").rename(tmp_path / name)
    told = document(tmp_path, f"/api/runs/{quote(name)}/provenance")
    trial = document(tmp_path, f"/api/runs/{quote(name)}/trials/0")
    for command in (told["command"], *told["commands"].values(), *trial["commands"].values()):
        words = shlex.split(command)
        assert words[0] == "nas" and not {"touch", "x", "$(id)"} & set(words), command


def test_a_study_has_its_overview_and_says_where_the_rest_is(tmp_path: Path) -> None:
    made_study(tmp_path, {"chain": [0.1, 0.2], "dense": [0.3, 0.1]}).close()
    found = documents(tmp_path, "made")
    assert found[""]["kind"] == "study" and found[""]["data"] == "digits"
    for part in ("front", "trials", "space", "supernet"):
        assert isinstance(found[f"/{part}"], RunError)
    assert "is a study" in found["/front"].what and "tables.md" in found["/front"].fix
    assert "no front" in found["/api/compare?runs=made"]["why_not"]
    with Run.open(tmp_path / "made") as run:
        assert "/api/runs/made/provenance" in report_documents(run)


def test_names_and_numbers_from_outside_reach_no_file(tmp_path: Path) -> None:
    made_run(tmp_path / "runs")
    made_run(tmp_path / "elsewhere", name="other")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere" / "other")
    runs = tmp_path / "runs"
    for name in ("link", "..", "../elsewhere/other", "..%2Felsewhere%2Fother", "", ".", "a\x00b"):
        with pytest.raises(NotFoundError):
            document(runs, f"/api/runs/{name}/front")
    for path in ("/api/runs/made/trials/-1", "/api/runs/made/trials/1e3", "/api/runs/made/nothing"):
        with pytest.raises(NotFoundError, match="nothing at"):
            document(runs, path)
    with pytest.raises(ConfigError, match=r"'x' is no number of a record"):
        document(runs, "/api/runs/made/trials?after=x")
    with pytest.raises(ConfigError, match="0 runs cannot be compared"):
        document(runs, "/api/compare?runs=")
    with pytest.raises(NotFoundError, match="no objective 'speed'"):
        document(runs, "/api/runs/made/space?objective=speed")
    with pytest.raises(NotFoundError, match="no network 'x' beside its front"):
        document(runs, "/api/runs/made/baselines/x")


# ---------------------------------------------------------------- every prefix, every odd record


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with failures, a later measurement and constraints."""
    root = tmp_path_factory.mktemp("whole")
    made_run(root, trials=4)
    trials = [noisy_trial(0.5 - 0.01 * n, 1.0 + 0.1 * n) for n in range(4)]
    noisy_run(root, trials, upper=1.25, name="bounded").close()
    with Run.open(root / "bounded", write=True) as run:
        run.append({"kind": "batch_proposed", "batch": 1, "entries": [], "exhausted": False})
        run.append({"kind": "trial_asked", "trial": 4, "attempt": 1, "decisions": {"n": 4}})
        run.append({"kind": "trial_failed", "trial": 4, "attempt": 1, "reason": "oom"})
        run.append({"kind": "trial_unmeasured", "trial": 0, "reason": "busy", "message": "no"})
        run.note("gate_options", choices={"n": {"kind": "one_of", "options": ["1", "2"]}})
        run.note("gates", stage="relax", epoch=1, gates={"n": [0.5, 0.5]})
    return root


@settings(max_examples=scaled(100), phases=UNSHRUNKEN)
@given(data=st.data())
def test_every_prefix_of_a_log_gives_documents_or_an_error_in_words(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["made", "bounded"]))
    root = tmp_path_factory.mktemp("cut")
    shutil.copytree(whole / name, root / name)
    log = root / name / "trials.log"
    text = log.read_bytes()
    borders = [place + 1 for place, byte in enumerate(text) if byte == ord("\n")]
    cut = data.draw(st.sampled_from(borders) | st.integers(0, len(text)))
    log.write_bytes(text[:cut])
    # The trials of `bounded` have no architectures.
    for path, found in every_document(root, name, odd=name == "bounded"):
        assert isinstance(found, NotFoundError) or not isinstance(found, NasError), path
    shutil.rmtree(root)


@settings(max_examples=scaled(100), phases=UNSHRUNKEN)
@given(data=st.data())
def test_records_that_are_whole_and_odd_are_an_error_in_words(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Checksums keep accidents out, not strangers: any field may be missing or of any type."""
    name = data.draw(st.sampled_from(["made", "bounded"]))
    root = tmp_path_factory.mktemp("odd")
    shutil.copytree(whole / name, root / name)
    log = root / name / "trials.log"
    lines = log.read_bytes().splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    record = json.loads(lines[place].split(b" ", 3)[3])
    field = data.draw(st.sampled_from([key for key in record if key != "kind"] or ["stage"]))
    odd = st.sampled_from([None, -1, 1e300, "text", [], [[]], {}, {"value": None}, True])
    if data.draw(st.booleans()):
        record.pop(field, None)
    else:
        record[field] = data.draw(odd)
    lines[place] = encode(place, record).rstrip(b"\n")
    log.write_bytes(b"\n".join(lines) + b"\n")
    for _ in every_document(root, name, odd=True):
        pass  # a document of its type, or an error of nas
    shutil.rmtree(root)


@settings(max_examples=scaled(100), phases=UNSHRUNKEN)
@given(
    notes=st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            [
                b'{"kind": "epoch", "stage": "relax", "epoch": 1, "loss": "NaN"}',
                b'{"kind": "epoch", "stage": 3, "epoch": 1, "loss": NaN}',
                b'{"kind": "alarm", "stage": "relax", "epoch": 1, "alarm": {"a": 1}}',
                b'{"kind": "gate_options", "choices": [1]}',
                b'{"kind": "gate_options", "choices": {"a": {"options": [1, 2]}}}',
                b'{"kind": "gates", "epoch": 1, "gates": {"a": [0.5]}}',
                b'{"kind": "gates", "epoch": 2, "gates": {"a": [0.5, null]}}',
                b'{"kind": "gates", "epoch": 3, "gates": {"a": [0.25, 0.75]}}',
                b'{"kind": "workers", "workers": "many"}',
                b"{}",
                b"[]",
                b"\xff",
            ]
        ),
        max_size=6,
    )
)
def test_notes_are_talk_and_break_no_document(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, notes: list[bytes]
) -> None:
    root = tmp_path_factory.mktemp("notes")
    shutil.copytree(whole / "made", root / "made")
    (root / "made" / "log.jsonl").write_bytes(b"\n".join(notes))
    for path, found in every_document(root, "made"):
        assert not isinstance(found, NasError), path
    shutil.rmtree(root)
