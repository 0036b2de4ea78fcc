"""`nas search` and what follows it: front, resume, report, rank, doctor, on one small real run."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run
from report_pages import carried

from nas.cli.search_progress import StageDisplay
from nas.run_store import Run
from nas.search.progress import StageProgress
from nas.space import load_space

Nas = Callable[..., Any]
Searched = tuple[Path, str, str]

COMPUTED = (
    "--preset=smoke",
    "--executor=inline",
    "--set=objectives=[macs, parameters]",
    "--set=confirm.enabled=false",
    "--set=search.batch=4",
)
"""Options of a search that trains nothing."""

POINT = {
    "trial",
    "architecture",
    "wiring",
    "objectives",
    "error_inherited",
    "error_confirmed_mean",
    "error_confirmed_std",
    "parameters",
    "macs",
    "latency_ms",
    "latency_iqr_ms",
}


@pytest.fixture
def copied(searched: Searched, nas: Nas) -> Path:
    """A copy of the real run under `runs/`, to be changed."""
    shutil.copytree(searched[0], "runs/real")
    return Path("runs/real").absolute()


class TestSearch:
    def test_it_prints_front_baselines_classifiers_stamp_and_report(
        self, searched: Searched
    ) -> None:
        path, out, _ = searched
        assert "P(front)  inherited error %  " in out
        assert "validation error % (A)  test error % (B)" in out
        assert "baseline" in out
        assert "random-0" in out
        assert "1-nearest-neighbour" in out
        assert "SVC" in out
        assert "best on validation: trial " in out
        assert "no claim: 2 seeds, a claim takes 5" in out
        assert "points of the front that are not named here have no test error" in out
        assert "1 seed A rank on validation, 2 seeds B judge on test" in out
        assert " ± " in out
        assert "\nsmoke, not evidence\n" in out
        assert out.endswith(f"report: {path / 'report.html'}\n")
        assert (path / "report.html").is_file()

    def test_it_shows_progress_and_what_to_type_next(self, searched: Searched) -> None:
        path, _, err = searched
        assert "training the supernet: 1/1 epochs" in err
        assert "exploring: 8/8 trials" in err
        assert "retraining the shortlist and its rivals: 3/3 trainings" in err
        assert "testing the named networks: 6/6 trainings" in err
        for command in ("front", "resume", "report"):
            assert f"nas {command} {path}" in err
        assert f"--trials +100; nas report {path}; nas arch show {path}:" in err

    def test_the_same_seed_gives_the_same_json(self, nas: Nas) -> None:
        documents = [
            nas("search", "tiny_exhaustive", *COMPUTED, "--trials=6", f"--name={name}", "--json")
            for name in ("one", "two")
        ]
        first, second = (answer.document for answer in documents)
        assert first["schema"] == "nas.front/1"
        assert first["state"] == "finished"
        assert first["path"] == str(Path("runs/one").absolute())
        assert first["points"] == second["points"]
        assert first["points"]

    def test_a_file_of_ones_own_space_or_config_works(self, nas: Nas) -> None:
        declaration = load_space("tiny_exhaustive").to_dict()
        from nas.config_files import dump_yaml

        Path("own.yaml").write_text(dump_yaml({"schema": "nas.space/1", **declaration}))
        Path("search.yaml").write_text("schema: nas.search/1\nspace: own.yaml\nseed: 5\n")
        for source in ("./own.yaml", "search.yaml"):
            answer = nas("search", source, *COMPUTED, "--trials=3", "--json")
            assert answer.code == 0, answer.err
            assert Path(answer.document["path"]).name.startswith("tiny_exhaustive-digits-2")
            shutil.rmtree("runs")

    def test_a_time_limit_leaves_a_run_to_go_on_with(self, nas: Nas) -> None:
        options = (*COMPUTED, "--trials=8", "--time=0.001", "--name=late")
        answer = nas("search", "tiny_exhaustive", *options)
        assert answer.code == 0, answer.err
        assert "not finished; go on with: nas resume late" in answer.err
        assert nas("runs", "show", "late", "--json").document["state"] == "interrupted"
        answer = nas("resume", "late", "--trials=9", "--json")
        assert answer.code == 0, answer.err
        assert answer.document["state"] == "finished"

    def test_ctrl_c_saves_and_says_how_to_resume(
        self, nas: Nas, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        show = StageDisplay.show

        def interrupt(display: StageDisplay, told: StageProgress) -> None:
            show(display, told)
            if told.stage == "explore" and told.done >= 4:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(StageDisplay, "show", interrupt)
        options = (*COMPUTED, "--trials=12", "--name=cut", "--runs=elsewhere")
        answer = nas("search", "tiny_exhaustive", *options)
        path = Path("elsewhere/cut").absolute()
        assert answer.code == 130
        assert "interrupted by SIGINT; its state is saved" in answer.err
        assert f"fix: Go on with: nas resume {path}\n" in answer.err
        assert (path / "report.html").is_file()
        monkeypatch.setattr(StageDisplay, "show", show)
        whole = nas("resume", path, "--json").document
        straight = nas("search", "tiny_exhaustive", *COMPUTED, "--trials=12", "--json").document
        assert whole["points"] == straight["points"]

    def test_a_budget_nothing_meets_exits_with_5(self, nas: Nas) -> None:
        budget = "--set=constraints={macs: {max: 10}}"
        answer = nas("search", "tiny_exhaustive", *COMPUTED, budget, "--trials=4")
        assert answer.code == 5
        assert "keeps the constraints macs <= 10" in answer.err

    def test_a_dry_run_tells_what_it_takes_and_writes_nothing(self, nas: Nas) -> None:
        options = ("--preset=smoke", "--trials=64", "--dry-run")
        answer = nas("search", "tiny_exhaustive", *options)
        assert answer.code == 0, answer.err
        for word in ("270 members", "64, then", "time ", "memory ", "disk ", "confirm"):
            assert word in answer.out
        rivals = "--set=confirm.rivals=[random_halving, swept_wirings]"
        dear = nas("search", "tiny_exhaustive", *options, rivals, "--json").document
        seconds = dear["seconds"]
        before = seconds["relax"] + seconds["supernet"] + seconds["explore"]
        assert 0 < seconds["random search at equal cost"] <= before
        assert dear["trainings"] > 0
        computed = nas("search", "wired_cnn", *COMPUTED, "--dry-run", "--json").document
        assert computed["schema"] == "nas.estimate/1"
        assert computed["trainings"] == 0
        assert computed["seconds"]["confirm"] == 0
        assert computed["members"] == load_space("wired_cnn").count()
        assert list(Path().iterdir()) == []


class TestFront:
    def test_the_document_has_the_promised_fields(self, searched: Searched, nas: Nas) -> None:
        document = nas("front", searched[0], "--json").document
        assert document["schema"] == "nas.front/1"
        for point in (*document["points"], *document["best_per_pattern"], *document["baselines"]):
            assert set(point) >= POINT
        for point in document["points"]:
            assert set(point["objectives"]) == {"error", "macs"}
            assert set(point["objectives"]["error"]) >= {"value", "unit", "iqr", "source"}
            assert point["objectives"]["error"]["source"] == "inherited"
            assert point["objectives"]["macs"]["source"] == "computed"
            assert point["latency_ms"] is None
        assert {entry["kind"] for entry in document["baselines"]} == {"hand_made", "random"}

    def test_the_points_dominate_every_finished_trial(self, searched: Searched, nas: Nas) -> None:
        document = nas("front", searched[0], "--json").document
        values = [
            tuple(point["objectives"][name]["value"] for name in ("error", "macs"))
            for point in document["points"]
        ]
        with Run.open(searched[0]) as run:
            for trial in run.table().finished():
                own = (trial.value("error"), trial.value("macs"))
                assert any(all(a <= b for a, b in zip(point, own, strict=True)) for point in values)

    def test_csv_has_a_line_per_point(self, searched: Searched, nas: Nas) -> None:
        document = nas("front", searched[0], "--json").document
        rows = list(csv.DictReader(io.StringIO(nas("front", searched[0], "--csv").out)))
        assert [int(row["trial"]) for row in rows] == [
            point["trial"] for point in document["points"]
        ]
        assert set(rows[0]) >= POINT - {"objectives"}

    def test_both_forms_at_once_are_refused(self, searched: Searched, nas: Nas) -> None:
        answer = nas("front", searched[0], "--csv", "--json")
        assert answer.code == 2
        assert "--csv and --json exclude each other" in answer.err

    @pytest.mark.parametrize("budget", ["0", "-1", "nan", "inf"])
    def test_an_absurd_budget_is_refused(self, budget: str, searched: Searched, nas: Nas) -> None:
        answer = nas("front", searched[0], f"--max-latency={budget}")
        assert answer.code == 2
        assert "must be greater than 0" in answer.err

    def test_a_run_without_latencies_has_no_budget(self, searched: Searched, nas: Nas) -> None:
        answer = nas("front", searched[0], "--max-latency=2")
        assert answer.code == 2
        assert "no latencies to compare with a budget" in answer.err

    def test_a_latency_budget_selects(self) -> None:
        from nas.cli.front import within_latency

        entries = [{"trial": number, "latency_ms": number} for number in (1, 2, 3)]
        document = {"points": entries, "best_per_pattern": entries[1:], "baselines": []}
        kept = within_latency(document, 2.0)
        assert [entry["trial"] for entry in kept["points"]] == [1, 2]
        assert [entry["trial"] for entry in kept["best_per_pattern"]] == [2]

    def test_a_budget_that_nothing_keeps_is_named(
        self, own_run: Path, nas: Nas, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point = {"trial": 0, "latency_ms": 3.0}
        document = {"points": [point], "best_per_pattern": [point], "baselines": []}
        monkeypatch.setattr(
            "nas.search.front_view.front_document", lambda run, calibrated: document
        )
        answer = nas("front", own_run, "--max-latency=2")
        assert (answer.code, answer.out) == (0, "")
        assert "the front is empty: no point of it takes 2 ms or less" in answer.err

    @pytest.mark.fault("E4")
    def test_an_empty_front_is_explained(self, tmp_path: Path, nas: Nas) -> None:
        path = made_run(tmp_path, "empty", trials=0)
        answer = nas("front", path)
        assert answer.code == 0
        assert answer.out == ""
        assert "the front is empty: no trial has finished yet" in answer.err
        assert nas("front", path, "--json").document["points"] == []


class TestResume:
    def test_more_trials_keep_the_old_ones(self, copied: Path, nas: Nas) -> None:
        with Run.open(copied) as run:
            before = run.table().finished()
        answer = nas("resume", "real", "--trials=+2")
        assert answer.code == 0, answer.err
        assert "exploring: 10/10 trials" in answer.err
        with Run.open(copied) as run:
            assert run.table().finished()[:8] == before
            assert len(run.table().finished()) == 10
        assert nas("doctor", "real").err == "run 'real': nothing wrong\n"

    @pytest.mark.fault("B7", "B8")
    def test_weights_that_rot_are_set_aside_and_trained_again_to_the_same_bits(
        self, copied: Path, nas: Nas
    ) -> None:
        with Run.open(copied) as run:
            sha = str(run.table().stages["supernet"].checkpoint)
            before = run.table().finished()
        file = copied / "weights" / f"{sha}.safetensors"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        found = nas("doctor", "real")
        assert "fix: nas doctor real --repair" in found.out
        assert "lost: the time to train them again" in found.out
        repaired = nas("doctor", "real", "--repair")
        assert f"repaired: Lost: the weights {sha[:12]}, damaged" in repaired.out
        assert "fix: nas resume real" in repaired.out
        answer = nas("resume", "real")
        assert answer.code == 0, answer.err
        assert "stage supernet is done again" in answer.err
        assert file.read_bytes() == whole
        with Run.open(copied) as run:
            assert run.table().stages["supernet"].checkpoint == sha
            assert run.table().finished() == before
        assert nas("doctor", "real").err == "run 'real': nothing wrong\n"

    def test_a_finished_run_says_how_to_get_more(self, copied: Path, nas: Nas) -> None:
        answer = nas("resume", "real")
        assert answer.code == 0, answer.err
        assert "give it more with: nas resume real --trials +100" in answer.err


class TestViews:
    def test_a_real_run_has_nothing_wrong(self, searched: Searched, nas: Nas) -> None:
        document = nas("doctor", searched[0], "--json").document
        assert document["schema"] == "nas.doctor/1"
        assert document["ok"] is True
        assert document["findings"] == []

    def test_lost_files_are_made_again(self, copied: Path, nas: Nas) -> None:
        architectures = sorted((copied / "architectures").iterdir())
        architectures[0].write_bytes(b"{")
        architectures[1].unlink()
        texts = {name: (copied / name).read_bytes() for name in ("front.json", "report.html")}
        for name in texts:
            (copied / name).unlink()
        document = nas("runs", "rebuild", "real", "--json").document
        assert document["schema"] == "nas.rebuild/1"
        assert {f"architectures/{path.name}" for path in architectures[:2]} <= set(
            document["views"]
        )
        for name, text in texts.items():
            assert (copied / name).read_bytes() == text
        assert nas("doctor", "real").err == "run 'real': nothing wrong\n"
        assert "next: nas front real" in nas("runs", "rebuild", "real").err

    def test_a_trial_of_it_is_shown(self, searched: Searched, nas: Nas) -> None:
        document = nas("arch", "show", f"{searched[0]}:0", "--json").document
        assert document["input"] == [1, 8, 8]
        assert document["classes"] == 10
        with Run.open(searched[0]) as run:
            assert document["cost"]["macs"] == run.table().trials[0].value("macs")

    def test_the_report_is_written_where_it_is_wanted(self, searched: Searched, nas: Nas) -> None:
        answer = nas("report", searched[0], "-o", "page.html")
        assert answer.out == "page.html\n"
        assert Path("page.html").read_bytes() == (searched[0] / "report.html").read_bytes()

    @pytest.mark.parametrize(
        ("target", "message"),
        [("gone/page.html", "gone does not exist"), (".", "is a folder, not a file to write")],
    )
    def test_a_report_needs_a_folder_that_exists(
        self, target: str, message: str, searched: Searched, nas: Nas
    ) -> None:
        answer = nas("report", searched[0], "-o", target)
        assert answer.code == 2
        assert message in answer.err
        assert list(Path().iterdir()) == []


class TestRank:
    def test_members_are_ranked_once_and_the_verdict_kept(self, copied: Path, nas: Nas) -> None:
        command = ("supernet", "rank", "real", "--architectures=3", "--epochs=1")
        answer = nas(*command)
        assert answer.code == 0, answer.err
        assert "supernet cross-entropy" in answer.out
        assert "another seed (ceiling)" in answer.out
        assert "verdict: not trusted" in answer.out
        assert "training members alone: 6/6 trainings" in answer.err
        document = nas(*command, "--json").document
        assert document["schema"] == "nas.rank/2"
        with Run.open(copied) as run:
            kinds = [record["kind"] for record in run.records()]
            assert [kinds.count(kind) for kind in ("rank_truth", "rank_scores")] == [6, 3]
            assert kinds.count("verdict") == 1
        verdict = document["verdict"]["verdict"]
        told = carried(copied / "report.html")["/api/runs/real/front"]["trust"]
        assert told["verdict"] == verdict
        shown = nas("front", "real")
        assert shown.out.startswith(f"ranking: {verdict}; raw scores, each family by itself")
        assert nas("front", "real", "--json").document["trust"]["verdict"] == verdict
        assert json.loads((copied / "front.json").read_text())["trust"]["verdict"] == verdict
        assert nas("doctor", "real").err == "run 'real': nothing wrong\n"

    def test_without_a_verdict_the_front_says_unverified(
        self, searched: Searched, nas: Nas
    ) -> None:
        assert nas("front", searched[0]).out.startswith("ranking: unverified; raw scores, each")
        answer = nas("front", searched[0], "--calibrated")
        assert answer.code == 2
        assert "Run 'real' has no calibration of its scores" in answer.err

    def test_a_family_that_is_none_is_named(self, copied: Path, nas: Nas) -> None:
        answer = nas("supernet", "rank", "real", "--families=dense,spiral")
        assert answer.code == 3
        assert "has no family 'spiral'" in answer.err

    def test_a_run_without_supernet_is_refused(self, made: Path, nas: Nas) -> None:
        answer = nas("supernet", "rank", made)
        assert answer.code == 2
        assert "Run 'made' has no trained supernet" in answer.err

    @pytest.mark.parametrize(
        "option",
        ["--architectures=2", "--architectures=some", "--seeds=1", "--epochs=0", "--workers=0"],
    )
    def test_absurd_numbers_are_refused(self, option: str, searched: Searched, nas: Nas) -> None:
        answer = nas("supernet", "rank", searched[0], option)
        assert answer.code == 2
        name, value = option.split("=")
        assert f"'{value}' is not possible: a whole number" in answer.err
        assert f"where: {name}" in answer.err


class TestDoctor:
    def test_this_machine_is_described(self, nas: Nas) -> None:
        answer = nas("doctor", "--json")
        facts = answer.document["facts"]
        assert set(facts) >= {"nas", "python", "torch", "ray", "cores", "devices", "runs"}
        assert answer.document["run"] is None
        assert "torch" in nas("doctor").out

    def test_damage_is_found_repaired_and_named(self, copied: Path, nas: Nas) -> None:
        log = copied / "trials.log"
        data = bytearray(log.read_bytes())
        data[len(data) // 2] ^= 0xFF
        log.write_bytes(bytes(data))
        answer = nas("doctor", "real")
        assert answer.code == 2
        assert "fix: nas doctor real --repair" in answer.out
        assert nas("doctor").code == 2, "a damaged run is a finding about the folder of runs"
        answer = nas("doctor", "real", "--repair")
        assert "repaired: Kept " in answer.out
        assert "repaired: Lost: " in answer.out
        assert nas("doctor", "real").code == 0

    def test_there_is_nothing_to_repair_without_a_run(self, nas: Nas) -> None:
        answer = nas("doctor", "--repair")
        assert answer.code == 2
        assert "--repair needs a run" in answer.err

    def test_what_is_missing_is_said(self, nas: Nas, monkeypatch: pytest.MonkeyPatch) -> None:
        from nas.cli import doctor

        known = doctor._version
        gone = ("optuna", "ray")
        monkeypatch.setattr(doctor, "_version", lambda name: None if name in gone else known(name))
        monkeypatch.setattr(doctor, "_LITTLE_SPACE_GIB", 1e9)
        monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
        answer = nas("doctor")
        assert answer.code == 2
        assert "error: optuna is not installed" in answer.out
        assert "note: ray is not installed" in answer.out
        assert "warning: Only " in answer.out
        assert "error: The folder of runs cannot be written" in answer.out
        assert "2 errors, 1 warnings" in answer.err
