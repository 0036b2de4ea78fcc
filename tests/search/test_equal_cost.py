"""Random search at equal cost: it stays within the budget, and nothing but the budget counts."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale import require_nas_data
from search_fakes import scripted_error
from search_runs import fake_search

from nas.pareto import dominates
from nas.run_store import Run
from nas.search import setups
from nas.search.confirm import drawn_members
from nas.search.confirm.arms import ArmContext, random_halving
from nas.search.confirm.candidate import Candidate
from nas.search.confirm.drawn_members import random_draws
from nas.search.confirm.halving import coarse_to_fine, ranked, rung_epochs
from nas.search.driver import open_session, run_config
from nas.search.interrupts import Stopper
from nas.search.ledger import Prices, ledger
from nas.search.material import prepare_material
from nas.search.session import Session, Stopped
from nas.space import load_space
from nas.space.cell_table import read_cell_table

SPACE = load_space("tiny_exhaustive")
EPOCHS = (1, 3, 9)


def cost_of(member: int, epochs: float) -> float:
    """Return made-up device-seconds of a training: at most twice as many for one as another."""
    return epochs * (1 + np.random.default_rng(member).random())


def scripted_price(self: Prices, record: Mapping[str, Any]) -> float:
    return cost_of(int(record["member"]), float(record["size"]))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that is over but for its confirmation."""
    overrides = ("objectives=[fake_error]", "confirm.recipe.epochs=9", "search.trials=8")
    return fake_search(tmp_path_factory.mktemp("searched"), *overrides).path


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setups, "RETRAIN", "search_fakes:scripted_training_task")
    monkeypatch.setattr(random_halving, "cost_values", lambda goals, values: [])
    monkeypatch.setattr(Prices, "of_arm", scripted_price)


@contextmanager
def copied(
    searched: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    budget: float,
    workers: int | None = None,
    stopper: Any = None,
) -> Iterator[Session]:
    """A session on a copy of the search, whose rivals may spend a budget."""
    monkeypatch.setattr(random_halving, "search_cost", lambda rows: budget)
    if not folder.exists():
        shutil.copytree(searched, folder)
    with Run.open(folder, write=True) as run:
        material = prepare_material(run_config(run))
        kind = "local" if workers else "inline"
        session = open_session(run, material, stopper or Stopper(), workers, kind)
        try:
            yield session
        finally:
            session.close()


class Few:
    """Three members of the space, and nothing else."""

    def __init__(self) -> None:
        self.members = [
            SPACE.build(each) for each in itertools.islice(SPACE.enumerate(), 0, 90, 30)
        ]

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        return {"number": int(rng.integers(3))}

    def build(self, decisions: dict[str, Any]) -> Any:
        return self.members[decisions["number"]]


def halve(session: Session) -> list[Candidate]:
    return list(random_halving.RandomHalving().candidates(ArmContext(session, ())))


def records(session: Session, kind: str = "arm_result") -> list[dict[str, Any]]:
    return [record for record in session.run.records() if record["kind"] == kind]


def told(session: Session) -> list[Any]:
    """Return what was trained, by rung and member, and what the arm says at its end."""
    done = sorted((each["part"], each["member"], each["epochs"]) for each in records(session))
    return [done, records(session, "arm_finished")[-1]]


@pytest.mark.parametrize("budget", [0.5, 20.0, 100.0, 431.0])
def test_it_never_spends_more_than_the_budget_and_one_training(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float
) -> None:
    with copied(searched, tmp_path / "run", monkeypatch, budget) as session:
        found = halve(session)
        trainings = [cost_of(each["member"], each["size"]) for each in records(session)]
        assert sum(trainings) - max(trainings) < budget
        (finished,) = records(session, "arm_finished")
        assert finished["spent_device_s"] == pytest.approx(sum(trainings), abs=1e-3)
        assert finished["budget_device_s"] == budget
        assert sum(each.cost_device_s for each in found) == pytest.approx(sum(trainings))
        (row,) = (each for each in ledger(session.run) if each.part == "random_halving")
        assert row.jobs == len(trainings)
        assert row.device_s == pytest.approx(sum(trainings), abs=1e-2)


def test_every_rung_trains_the_best_of_the_one_before_as_far_as_its_share_goes(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 200.0
    with copied(searched, tmp_path / "run", monkeypatch, budget) as session:
        found = halve(session)
        rungs = records(session, "arm_finished")[0]["rungs"]
        networks = {each["member"]: SPACE.build(each["decisions"]) for each in records(session)}
    # The same by hand, one training after another, on the table of errors.
    spent, order, best = 0.0, list(range(1000)), []
    for number, epochs in enumerate(EPOCHS):
        trained = []
        for member in order:
            if spent >= budget * (number + 1) / len(EPOCHS):
                break
            spent += cost_of(member, epochs)
            trained.append(member)
        assert rungs[number] == {
            "epochs": epochs,
            "members": len(trained),
            "trained": len(trained),
        }
        order = sorted(trained, key=lambda member: scripted_error(networks[member], epochs))
        best = order + [member for member in best if member not in order]
    assert len(order) >= 3
    assert [each.key for each in found] == [f"random_halving-{member}" for member in best[:4]]
    assert {each.kind for each in found} == {"random"}
    assert all("at equal cost" in str(each.note) for each in found)


def test_neither_workers_nor_kills_change_who_is_trained(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 150.0
    with copied(searched, tmp_path / "inline", monkeypatch, budget) as session:
        expected, names = told(session) if halve(session) else [], halve(session)
        log = session.run.records()
    with copied(searched, tmp_path / "local", monkeypatch, budget, workers=2) as session:
        assert [each.key for each in halve(session)] == [each.key for each in names]
        assert told(session)[0] == expected[0]
    first = next(place for place, record in enumerate(log) if record["kind"] == "arm_asked")
    rng = np.random.default_rng(0)
    for cut in rng.integers(first + 1, len(log) - 1, size=3):
        folder = tmp_path / f"cut{cut}"
        with copied(searched, folder, monkeypatch, budget) as session:
            for record in log[first:cut]:
                session.run.append(record)
            session.run.append({"kind": "run_resumed"})
            assert [each.key for each in halve(session)] == [each.key for each in names]
            assert told(session)[0] == expected[0]
    with copied(searched, tmp_path / "again", monkeypatch, budget) as session:
        halve(session)
        before = len(records(session))
        halve(session)
        assert len(records(session)) == before


def test_a_larger_budget_goes_on_with_the_same_members(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(searched, tmp_path / "run", monkeypatch, 60.0) as session:
        halve(session)
        small = told(session)[0]
    with copied(searched, tmp_path / "run", monkeypatch, 240.0) as session:
        halve(session)
        large, finished = told(session)
        assert set(small) < set(large)
        drawn = [member for part, member, _ in large if part == "rung0"]
        assert drawn == list(range(len(drawn)))
        assert len(records(session, "arm_finished")) == 2
        trainings = sum(cost_of(member, epochs) for _, member, epochs in large)
        assert finished["spent_device_s"] == pytest.approx(trainings, abs=1e-2)


def test_a_stop_leaves_the_arm_in_good_order(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter(range(1000))
    with (
        copied(
            searched, tmp_path / "run", monkeypatch, 150.0, stopper=lambda: next(asked) > 8
        ) as session,
        pytest.raises(Stopped),
    ):
        halve(session)
    with copied(searched, tmp_path / "run", monkeypatch, 150.0) as session:
        halve(session)
        stopped = told(session)[0]
    with copied(searched, tmp_path / "whole", monkeypatch, 150.0) as session:
        halve(session)
        assert told(session)[0] == stopped


def test_a_search_that_cost_nothing_has_no_rival_and_says_so(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with copied(searched, tmp_path / "run", monkeypatch, 0.0) as session:
        context = ArmContext(session, ())
        assert list(random_halving.RandomHalving().candidates(context)) == []
        (left,) = context.left_out
        assert left.reason == "the search left a budget of 0 device-seconds"


@given(
    errors=st.lists(st.floats(0, 1), min_size=2, max_size=60, unique=True),
    seed=st.integers(0, 2**32),
    eta=st.integers(2, 4),
)
def test_halving_finds_the_best_at_the_length_that_the_theory_asks_for(
    errors: list[float], seed: int, eta: int
) -> None:
    """Jamieson & Talwalkar, theorem 1: what is kept is right once the envelope is below the gaps.

    After t epochs an error is off by at most 1/t. A rung of which m go on cannot lose the best if
    2/t is less than the gap to the member of rank m: fewer than m members can overtake it.
    """
    ordered, rng = sorted(errors), np.random.default_rng(seed)
    counts = [len(errors)]
    while counts[-1] > 1:
        counts.append(max(1, counts[-1] // eta))
    alive = list(range(len(errors)))
    for following in counts[1:]:
        gap = ordered[min(following, len(ordered) - 1)] - ordered[0]
        epochs = 2 / gap * 1.001
        noisy = [[errors[place] + rng.uniform(-1, 1) / epochs] for place in alive]
        alive = [alive[place] for place in ranked(noisy)[:following]]
    assert errors[alive[0]] == ordered[0]


def test_on_nas_bench_201_halving_beats_random_search_at_equal_epochs() -> None:
    """Cells trained for 12 and for 200 epochs (Dong & Yang 2020, arXiv:2001.00326).

    Half of 4,000 epochs goes to 12 epochs each, half to 200 each of the best of them; random search
    trains 20 cells for 200. Both choose on validation and are compared on test, in paired draws.
    """
    table = require_nas_data("nasbench201", "nasbench201_cifar10.csv.gz")
    short, long, test = (
        "cifar10_val_acc_ep12",
        "cifar10_val_acc_ep200_single",
        "cifar10_test_acc_ep200",
    )
    cells = [cell.numbers for cell in read_cell_table(table, [short, long, test])]
    gains = []
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(len(cells))
        drawn = [cells[place] for place in order[:166]]
        survivors = [drawn[place] for place in ranked([[-cell[short]] for cell in drawn])[:10]]
        halved = max(survivors, key=lambda cell: cell[long])
        plain = max(drawn[:20], key=lambda cell: cell[long])
        gains.append(halved[test] - plain[test])
    mean, error = np.mean(gains), np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert mean - 3 * error > 0.2  # accuracy in percent; 0.50 over 300 draws


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_better_fronts_come_before_worse_ones(points: list[tuple[int, int]]) -> None:
    found = ranked(points)
    assert sorted(found) == list(range(len(points)))
    for place, later in itertools.pairwise(found):
        assert not dominates(points[later], points[place])
    if found:
        assert points[found[0]][0] == min(points)[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_one_number_is_ranked_as_it_is_sorted(numbers: list[float]) -> None:
    expected = sorted(range(len(numbers)), key=lambda place: (numbers[place], place))
    assert ranked([[number] for number in numbers]) == expected


@given(st.integers(0, 200), st.integers(1, 200))
def test_any_beginning_of_a_front_is_spread_over_it(count: int, taken: int) -> None:
    found = coarse_to_fine(count)
    assert sorted(found) == list(range(count))
    if 2 <= taken <= count:
        chosen = sorted(found[:taken])
        assert (chosen[0], chosen[-1]) == (0, count - 1)
        # Stretches are halved in turn, so none is longer than two of the others, up to rounding.
        gaps = [after - before for before, after in itertools.pairwise(chosen)]
        assert max(gaps) <= 2 * min(gaps) + 2


@given(st.integers(1, 500), st.integers(2, 6), st.integers(1, 8))
def test_rungs_grow_to_the_length_of_the_recipe(longest: int, eta: int, rungs: int) -> None:
    found = rung_epochs(longest, eta, rungs)
    assert found[-1] == longest
    assert list(found) == sorted(set(found))
    assert found[0] >= 1
    assert len(found) <= rungs


def test_members_differ_and_follow_from_the_seed_alone() -> None:
    first = [draw.decisions for draw in itertools.islice(random_draws(SPACE, 3, "x"), 40)]
    assert first == [draw.decisions for draw in itertools.islice(random_draws(SPACE, 3, "x"), 40)]
    assert len({SPACE.member_id(decisions) for decisions in first}) == len(first)
    for seed, purpose in ((4, "x"), (3, "y")):
        other = itertools.islice(random_draws(SPACE, seed, purpose), 5)
        assert [draw.decisions for draw in other] != first[:5]


def test_a_space_that_was_seen_has_no_more_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn_members, "FRUITLESS", 50)
    found = list(random_draws(Few(), 0, "x"))  # type: ignore[arg-type]
    assert sorted(draw.decisions["number"] for draw in found) == [0, 1, 2]
    assert [draw.index for draw in found] == [0, 1, 2]
