"""A run passes through the log of a job, among other lines, and comes out whole or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from made_runs import made_run
from scale import scaled

from nas.cluster.submitting import last_error
from nas.cluster.transport import PART, Receiver, send_run
from nas.errors import ClusterError, NasError, NotFoundError
from nas.run_store.copies import knows_all_of


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run, and the lines of a job that sent it."""
    run = made_run(tmp_path_factory.mktemp("cluster"), trials=3)
    rng = random.Random(0)
    (run / "report.html").write_bytes(rng.randbytes(200_000))
    lines: list[str] = []
    send_run(run, lines.append)
    return run, [line.removesuffix("\n") for line in lines]


def received(lines: list[str], target: Path) -> None:
    receiver = Receiver(target.parent)
    try:
        for line in lines:
            receiver.take(line)
        receiver.unpack(target)
    finally:
        receiver.close()


def test_a_run_comes_out_of_a_log_among_other_lines(
    sent: tuple[Path, list[str]], tmp_path: Path
) -> None:
    run, lines = sent
    assert sum(line.startswith(PART) for line in lines) > 3
    assert all(line.isascii() and "\n" not in line for line in lines)
    among = [other for line in lines for other in ("2026-11-21 INFO a word of Ray", line, "")]
    received(among, tmp_path / "made")
    assert (tmp_path / "made" / "report.html").read_bytes() == (run / "report.html").read_bytes()
    assert knows_all_of(tmp_path / "made", run)


@pytest.mark.parametrize("damage", ["cut", "lost", "twice", "letter", "swapped"])
def test_a_log_that_lost_something_is_told_and_leaves_nothing(
    damage: str, sent: tuple[Path, list[str]], tmp_path: Path
) -> None:
    _, lines = sent
    rng = random.Random(1)
    for _ in range(scaled(50)):
        with pytest.raises(NasError) as told:
            received(damaged(damage, lines, rng), tmp_path / "made")
        assert isinstance(told.value, ClusterError), told.value
        assert "did not come back whole" in told.value.what
    assert list(tmp_path.iterdir()) == []


def damaged(how: str, lines: list[str], rng: random.Random) -> list[str]:
    place = rng.randrange(1, len(lines) - 2)
    if how == "cut":
        return lines[: place + 1]
    if how == "lost":
        return lines[:place] + lines[place + 1 :]
    if how == "twice":
        return lines[:place] + lines[place : place + 1] * 2 + lines[place + 1 :]
    if how == "swapped":
        return [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
    at = rng.randrange(len(PART) + 4, len(lines[place]))
    other = "a" if lines[place][at] != "a" else "b"
    return [*lines[:place], lines[place][:at] + other + lines[place][at + 1 :], *lines[place + 1 :]]


def test_lines_of_a_liar_are_errors_of_ours(tmp_path: Path) -> None:
    for line in ("nas-run [1]", "nas-run {", "nas-part x y", "nas-end {}", "nas-part 0 \x00"):
        with pytest.raises(ClusterError, match="did not come back whole"):
            received([line], tmp_path / "made")
    enormous = ['nas-run {"size": 99999999999999999999}', 'nas-end {"parts": 0, "sha256": "x"}']
    with pytest.raises(NasError):
        received(enormous, tmp_path / "made")


def test_a_run_that_is_not_there_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no run 'none'"):
        send_run(tmp_path / "none", print)


def test_the_reason_of_a_job_is_its_last_error() -> None:
    said = ["error: first", "fix: none", "2/4 epochs", "error: last", "  why: because", "  fix: x"]
    assert last_error(said) == "last\nwhy: because"
    assert last_error(["nothing wrong"]) is None
