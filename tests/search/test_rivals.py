"""The rivals of a search: every arm keeps its promises on one small real run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.cli.front import print_baselines
from nas.cli.ledger import print_ledger
from nas.errors import ConfigError, TrialError
from nas.pareto import non_dominated
from nas.run_store import Run
from nas.search.confirm.arms import ARMS, ArmContext, random_weight_sharing
from nas.search.confirm.arms.swept_published import SweptPublished, sizes
from nas.search.confirm.candidate import Candidate
from nas.search.confirm.sweeps import sizes_of
from nas.search.driver import open_session, search
from nas.search.front.families import with_families
from nas.search.front_view import front_document, front_trials
from nas.search.interrupts import Stopper
from nas.search.ledger import ledger, ledger_document
from nas.search.material import prepare_material
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config
from nas.space import load_space
from nas.topology.identity import structural_id

RIVALS = "swept_wirings, swept_published, random_halving, random_weight_sharing"


def tiny(*overrides: str) -> SearchConfig:
    return resolve_config(
        {
            "space": "tiny_exhaustive",
            "preset": "smoke",
            "objectives": ["error", "macs"],
            "supernet": {"training": {"epochs": 1}, "relaxation": {"enabled": False}},
            "search": {"trials": 8, "batch": 8},
            "confirm": {
                "bins": 1,
                "shortlist": 1,
                "rivals": RIVALS.split(", "),
                "recipe": {"epochs": 1},
                "test_images": 50,
                "baselines": {"hand_made": 2, "equal_cost": {"finalists": 2}},
            },
            "executor": {"kind": "inline"},
        },
        overrides=overrides,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return search(tiny(), runs=tmp_path_factory.mktemp("rivals"), name="rivals")


@pytest.fixture(scope="module")
def plan(run: Run) -> dict[str, Any]:
    (found,) = (record for record in run.records() if record["kind"] == "confirm_planned")
    return found


def told(run: Run, kind: str, **wanted: Any) -> list[dict[str, Any]]:
    return [
        record
        for record in run.records()
        if record["kind"] == kind and wanted.items() <= record.items()
    ]


def test_every_arm_brings_networks_of_its_kind(plan: dict[str, Any]) -> None:
    by_arm: dict[str, list[Candidate]] = {}
    for record in plan["candidates"]:
        assert Candidate.from_record(record).to_record() == record
        by_arm.setdefault(record["arm"], []).append(Candidate.from_record(record))
    assert set(by_arm) == {"front", *RIVALS.split(", ")}
    for name, candidates in by_arm.items():
        assert {each.kind for each in candidates} == {ARMS.get(name).kind}
        assert len({each.key for each in candidates}) == len(candidates)
    families = {each.family for each in by_arm["swept_published"]}
    assert families == {"resnet-cifar", "densenet-cifar", "fractalnet"}
    assert len({each.family for each in by_arm["swept_wirings"]}) == 2


def test_no_test_image_is_read_before_the_plan(run: Run) -> None:
    for record in run.records():
        if record["kind"] == "confirm_planned":
            return
        assert not any(key.startswith("test") for key in record.get("result", {}))


def test_a_run_with_every_rival_is_in_its_ledger(run: Run) -> None:
    parts = [row.part for row in ledger(run)]
    assert parts == [
        "supernet",
        "explore",
        "random_halving",
        "random_weight_sharing",
        "measuring candidates",
        "seeds A",
        "seeds B",
        "baselines",
    ]
    found = {row.part: row for row in ledger(run)}
    trainings = [*told(run, "confirm_validated"), *told(run, "confirm_finished")]
    spent = sum(each["seconds"] for each in trainings)
    spent += sum(each["seconds"] for each in told(run, "simple_baselines"))
    rows = [found[part].seconds for part in ("seeds A", "seeds B", "baselines")]
    assert sum(rows) == pytest.approx(spent, abs=1e-2)
    document = front_document(run)["ledger"]
    assert document == ledger_document(run)
    assert document["total_device_s"] > document["search_device_s"] > 0


def test_the_ledger_is_printed_with_what_is_not_known(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    print_ledger(ledger_document(run))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "spent on"
    assert lines[-1].startswith("the search spent ")
    assert lines[-1].endswith(f"the run {ledger_document(run)['total_device_s']:.1f}")
    row = {"part": "explore", "jobs": 1, "seconds": 2.0, "device_s": 2.0, "wall_s": None}
    document = {"search_device_s": 2.0, "total_device_s": 2.0, "unknown": 1}
    print_ledger({**document, "rows": [{**row, "unknown": 1}]})
    said = capsys.readouterr().out
    assert "1 piece of work was cut off, and what they spent" in said
    print_ledger({**document, "rows": []})
    assert capsys.readouterr().out == ""


def test_weights_of_a_uniform_search_are_reused_and_charged(run: Run) -> None:
    (finished,) = told(run, "arm_finished", arm="random_weight_sharing")
    (supernet,) = (row for row in ledger(run) if row.part == "supernet")
    assert finished["trained"] == "reused"
    assert finished["charged_device_s"] == pytest.approx(supernet.device_s, abs=1e-3)
    scored = [r for r in told(run, "arm_result") if r["arm"] == "random_weight_sharing"]
    assert finished["members"] == finished["scored"] == len(scored) > 0
    assert [each["member"] for each in scored] == list(range(len(scored)))
    values = [[r["result"]["inherited"]["error"], r["values"]["macs"]["value"]] for r in scored]
    best = {scored[place]["member"] for place in range(len(scored)) if non_dominated(values)[place]}
    # The best come first; where the front is small, what it dominates fills the places.
    assert set(finished["finalists"]) <= best or best <= set(finished["finalists"])


def test_weights_of_another_sampler_are_trained_anew_on_uniform_draws(tmp_path: Path) -> None:
    config = tiny(
        "supernet.training.sampler=fair",
        "confirm.rivals=[random_weight_sharing]",
        "search.trials=4",
    )
    run = search(config, runs=tmp_path, name="anew")
    (finished,) = told(run, "arm_finished")
    assert finished["trained"] == "anew"
    (stage,) = told(run, "stage_finished", stage="random_supernet")
    assert stage["sampler"] == "uniform"
    assert finished["charged_device_s"] == pytest.approx(stage["seconds"], abs=1e-2)
    (row,) = (each for each in ledger(run) if each.part == "random_weight_sharing")
    assert row.device_s == pytest.approx(finished["spent_device_s"], abs=1e-2)
    assert stage["checkpoint"] != run.table().stages["supernet"].checkpoint


def test_a_rival_without_weights_is_left_out_with_the_reason(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = random_weight_sharing.RandomWeightSharing()
    bare: Any = SimpleNamespace(goals=SimpleNamespace(needs_weights=False))
    context = ArmContext(bare, ())
    assert list(arm.candidates(context)) == []
    assert "no objective of this search needs shared weights" in context.left_out[0].reason

    def diverges(session: Any) -> str:
        raise TrialError("The loss is nan.", kind="nonfinite")

    monkeypatch.setattr(random_weight_sharing, "train_supernet", diverges)
    sampler = SimpleNamespace(training=SimpleNamespace(sampler={"name": "uniform"}))
    bare.goals.needs_weights, bare.config = True, SimpleNamespace(supernet=sampler)
    assert list(arm.candidates(context)) == []
    assert context.left_out[1].reason == "The loss is nan."


def test_arms_bring_the_same_networks_whenever_they_are_asked(run: Run, plan: Any) -> None:
    with Run.open(run.path, write=True) as owned:
        session = open_session(owned, prepare_material(tiny()), Stopper(), None, "inline")
        context = ArmContext(session, tuple(front_trials(owned))[:1])
        before = len([r for r in owned.records() if r["kind"] == "arm_result"])
        for name in ("random_halving", "random_weight_sharing", "swept_wirings"):
            again = [each.key for each in ARMS.get(name)().candidates(context)]
            assert again == [each["key"] for each in plan["candidates"] if each["arm"] == name]
        assert len([r for r in owned.records() if r["kind"] == "arm_result"]) == before
        session.close()


def test_a_published_family_that_cannot_read_the_images_is_left_out() -> None:
    data = SimpleNamespace(input_shape=(1, 1, 1), num_classes=10)
    session: Any = SimpleNamespace(
        material=SimpleNamespace(data=data), config=SimpleNamespace(confirm=tiny().confirm)
    )
    trial: Any = SimpleNamespace(extra={"measures": {"macs": 20_000}})
    context = ArmContext(session, (trial,))
    names = {each.family for each in SweptPublished().candidates(context)}
    assert "fractalnet" not in names
    left = [each for each in context.left_out if each.name == "published fractalnet"]
    assert "lowers the resolution" in left[0].reason


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=9), st.integers(1, 9))
def test_sizes_span_the_front_in_equal_ratios(macs: list[int], count: int) -> None:
    found = sizes(macs, count)
    assert found == sorted(found)
    assert min(macs) <= found[0] + 1
    assert found[-1] <= max(macs) + 1
    if count > 1 and min(macs) < max(macs):
        assert (found[0], len(found)) == (min(macs), count)
        assert abs(found[-1] - max(macs)) <= 1e-6 * max(macs) + 1


def test_there_are_no_sizes_without_a_front() -> None:
    assert sizes([], 3) == []


@pytest.mark.parametrize("name", ["wired_cnn", "tiny_exhaustive", "nasbench201"])
def test_a_wiring_is_swept_in_all_depths_and_widths(name: str) -> None:
    space = load_space(name)
    for family, wiring in space.known().items():
        found = list(sizes_of(space, wiring, 3, 3))
        assert found[0].architecture == space.build(wiring)
        ids = [structural_id(each.architecture) for each in found]
        assert len(set(ids)) == len(ids)
        depths = {value for key, value in wiring.items() if key.endswith(".depth")}
        if depths and name == "wired_cnn":
            assert len(found) >= 4
            assert all(set(each.architecture.wiring) == {family} for each in found)
            nodes = [len(each.architecture.nodes) for each in found]
            assert max(nodes) > min(nodes)


def baseline(key: str, family: str | None, macs: float, error: float | None) -> dict[str, Any]:
    known = {"key": key, "family": family, "macs": macs, "latency_ms": None}
    return {**known, "error_validation_mean": error}


def test_a_family_is_shown_along_its_own_front() -> None:
    rows = [
        baseline("a-large", "a", 30, 0.1),
        baseline("b", None, 1, 0.9),
        baseline("a-small", "a", 10, 0.3),
        baseline("a-beaten", "a", 20, 0.4),
        baseline("a-failed", "a", 40, None),
    ]
    found = with_families(rows)
    assert [each["key"] for each in found] == ["a-small", "a-beaten", "a-large", "a-failed", "b"]
    assert [each["on_family_front"] for each in found] == [True, False, True, False, True]
    untrained = [{**each, "error_validation_mean": None} for each in rows]
    assert all(each["on_family_front"] for each in with_families(untrained))


def test_beaten_sizes_are_counted_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    entries = [
        {"name": name, "kind": "hand_made", "on_family_front": shown, "wiring": "a"}
        for name, shown in (("best", True), ("worse", False))
    ]
    print_baselines(entries)
    said = capsys.readouterr().out
    assert "best" in said
    assert "worse" not in said
    assert "1 further size of these families left out" in said


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("equal_cost.eta=1", "eta"),
        ("equal_cost.rungs=0", "rungs"),
        ("equal_cost.finalists=0", "finalists"),
        ("sweep.depths=0", "depths"),
        ("sweep.widths=99", "widths"),
        ("sweep.sizes=no", "sizes"),
        ("sweep.hights=2", "hights"),
    ],
)
def test_settings_beyond_reason_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(f"confirm.baselines.{setting}")
