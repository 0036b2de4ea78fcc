"""The fold of the log: one attempt, one result, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import NotFoundError, RunError
from nas.run_store import FAILURE_REASONS, TrialTable


def asked(trial: int = 0, attempt: int = 1, **fields: Any) -> dict[str, Any]:
    return {"kind": "trial_asked", "trial": trial, "attempt": attempt, "batch": 0, **fields}


def finished(trial: int = 0, attempt: int = 1, error: Any = 0.5, **fields: Any) -> dict[str, Any]:
    values = {"error": {"value": error, "unit": "share"}}
    return {
        "kind": "trial_finished",
        "trial": trial,
        "attempt": attempt,
        "values": values,
        **fields,
    }


def failed(trial: int = 0, attempt: int = 1, reason: str = "oom") -> dict[str, Any]:
    record = {"kind": "trial_failed", "trial": trial, "attempt": attempt, "reason": reason}
    return {**record, "message": "too big"}


def test_a_trial_goes_from_asked_to_finished_and_keeps_every_field() -> None:
    table = TrialTable.fold(
        [asked(decisions={"a": 1}, architecture="s1-x", proposer="nsga2"), finished(seconds=1.5)]
    )
    (trial,) = table.finished()
    assert (trial.number, trial.attempt, trial.batch) == (0, 1, 0)
    assert (trial.decisions, trial.architecture) == ({"a": 1}, "s1-x")
    assert trial.extra == {"proposer": "nsga2", "seconds": 1.5}
    assert trial.value("error") == 0.5
    assert (trial.attempts[0].asked_seq, trial.attempts[0].closed_seq) == (0, 1)
    assert table.stale() == table.failed() == []
    with pytest.raises(NotFoundError, match=r"(?s)no objective 'latency'.*objectives: error"):
        trial.value("latency")


def test_a_failed_trial_keeps_reason_and_message_and_may_be_tried_again() -> None:
    table = TrialTable.fold([asked(decisions={"a": 1}), failed()])
    (trial,) = table.failed()
    assert (trial.reason, trial.message, trial.values) == ("oom", "too big", {})
    assert table.failures_by_reason() == {"oom": 1}
    table.apply(asked(attempt=2))
    table.apply(finished(attempt=2))
    (trial,) = table.finished()
    assert [attempt.state for attempt in trial.attempts] == ["failed", "finished"]
    assert trial.decisions == {"a": 1}
    assert table.failures_by_reason() == {}


def test_stale_attempts_are_exactly_those_asked_and_never_closed() -> None:
    table = TrialTable.fold([asked(0), asked(1), asked(2), finished(1), failed(2)])
    assert [trial.number for trial in table.stale()] == [0]
    assert table.missing_numbers(5) == [3, 4]
    table.apply(asked(0, attempt=2))
    assert [attempt.state for attempt in table.trials[0].attempts] == ["abandoned", "asked"]


def test_a_late_result_of_an_old_attempt_is_refused() -> None:
    table = TrialTable.fold([asked(), asked(attempt=2)])
    for late in (finished(), failed()):
        with pytest.raises(RunError, match=r"attempt 1 of trial 0 comes too late: attempt 2"):
            table.check(late)


def test_the_same_result_twice_is_one_result_and_another_is_refused() -> None:
    table = TrialTable.fold([asked(), finished()])
    assert table.check(finished()) == 1
    table.apply(finished())
    assert len(table.finished()) == 1
    assert table.num_records == 3
    with pytest.raises(RunError, match=r"(?s)is finished already with .*0.5.*contradicts it"):
        table.check(finished(error=0.6))
    with pytest.raises(RunError, match=r"(?s)finished already.*oom contradicts it"):
        table.check(failed())
    table = TrialTable.fold([asked(), failed()])
    assert table.check(failed()) == 1
    with pytest.raises(RunError, match=r"Trial 0 is failed already with oom; crash contradicts"):
        table.check(failed(reason="crash"))


@pytest.mark.parametrize(
    ("before", "record", "message"),
    [
        ([], finished(), r"(?s)Trial 0 was never asked as attempt 1.*trial_asked first"),
        ([asked()], finished(attempt=2), r"never asked as attempt 2"),
        ([asked()], asked(), r"(?s)cannot be asked as attempt 1: attempt 1 is asked.*attempt 2"),
        ([asked(), finished()], asked(attempt=2), r"(?s)attempt 1 is finished.*never run again"),
        ([asked(decisions=1)], asked(attempt=2, decisions=2), r"(?s)has other decisions.*proposal"),
        ([], asked(trial=-1), r"'trial' is -1; it must be a whole number of at least 0"),
        ([], asked(attempt=0), r"'attempt' is 0; it must be a whole number of at least 1"),
        ([], asked(attempt=True), r"'attempt' is True"),
        ([], {"kind": "trial_failed"}, r"'trial' is None"),
        ([asked()], failed(reason="tired"), r"(?s)reason 'tired'.*nonfinite, oom, timeout"),
        ([asked()], finished(values={}), r"(?s)values of a finished trial are \{\}.*trial_failed"),
        ([asked()], finished(values=[1]), r"values of a finished trial are \[1\]"),
        ([asked()], finished(error=float("inf")), r"(?s)'error' is .*inf.*reason 'nonfinite'"),
        ([asked()], finished(error=float("nan")), r"must be \{'value': finite number"),
        ([asked()], finished(error=True), r"'error' is"),
        ([asked()], finished(values={"error": 0.5}), r"'error' is 0.5; it must be"),
        ([], {"kind": "stage_started"}, r"(?s)'stage' is None.*resumed by name"),
        ([], {"kind": "stage_finished", "stage": ""}, r"'stage' is ''"),
    ],
)
def test_every_record_that_cannot_be_true_is_refused(
    before: list[dict[str, Any]], record: dict[str, Any], message: str
) -> None:
    table = TrialTable.fold(before)
    with pytest.raises(RunError, match=message):
        table.apply(record)
    assert table.num_records == len(before)


def test_stages_keep_their_last_checkpoint() -> None:
    table = TrialTable.fold(
        [
            {"kind": "stage_started", "stage": "supernet"},
            {"kind": "checkpoint_saved", "stage": "supernet", "checkpoint": "aa", "step": 1},
            {"kind": "checkpoint_saved", "stage": "supernet", "checkpoint": "bb", "step": 2},
        ]
    )
    assert (table.stages["supernet"].state, table.stages["supernet"].checkpoint) == (
        "started",
        "bb",
    )
    table.apply({"kind": "stage_finished", "stage": "supernet", "epochs": 4})
    stage = table.stages["supernet"]
    assert (stage.state, stage.checkpoint, stage.finish["epochs"]) == ("finished", "bb", 4)


def test_the_state_follows_the_records_and_a_dead_owner_means_interrupted() -> None:
    table = TrialTable.fold([{"kind": "run_created"}])
    assert table.state(owned=False) == "created"
    table.apply(asked())
    assert table.state(owned=True) == "running"
    assert table.state(owned=False) == "interrupted"
    table.apply({"kind": "run_interrupted"})
    assert table.state(owned=True) == "interrupted"
    table.apply({"kind": "run_resumed"})
    assert table.state(owned=True) == "running"
    assert table.outcome is None
    table.apply({"kind": "run_finished", "trials": 1})
    table.apply({"kind": "verdict", "tau": 0.4})
    table.apply({"kind": "confirm_finished", "trial": 0})
    table.apply({"kind": "something_new"})
    assert table.state(owned=False) == "finished"
    assert table.outcome == {"kind": "run_finished", "trials": 1}
    assert (len(table.verdicts), len(table.confirms)) == (1, 1)
    table.apply({"kind": "run_failed", "reason": "every trial failed"})
    assert table.state(owned=False) == "failed"


_trial, _attempt = st.integers(0, 2), st.integers(1, 3)
records = st.one_of(
    st.builds(asked, _trial, _attempt),
    st.builds(finished, _trial, _attempt, st.sampled_from([0.0, 1.0])),
    st.builds(failed, _trial, _attempt, st.sampled_from(FAILURE_REASONS[:2])),
)


@given(st.lists(records, max_size=30))
def test_a_refused_record_changes_nothing_and_the_fold_of_the_kept_ones_is_the_table(
    offered: list[dict[str, Any]],
) -> None:
    table, kept = TrialTable(), []
    for record in offered:
        try:
            table.apply(record)
        except RunError:
            continue
        kept.append(record)
    again = TrialTable.fold(kept)
    assert again.trials == table.trials
    assert again.num_records == len(kept)
    for trial in table.finished():
        closing = [r for r in kept if r["trial"] == trial.number and r["kind"] == "trial_finished"]
        assert {r["values"]["error"]["value"] for r in closing} == {trial.value("error")}
        assert sum(attempt.state == "finished" for attempt in trial.attempts) == 1


def measured(trial: int = 0, **values: float) -> dict[str, Any]:
    numbers = {name: {"value": value, "source": "measured"} for name, value in values.items()}
    return {
        "kind": "trial_measured",
        "trial": trial,
        "values": numbers,
        "measurements": {name: {"pairs": 9} for name in values},
        "violations": {"error": 0.5},
    }


def test_a_measurement_replaces_what_was_predicted_and_keeps_it_beside() -> None:
    table = TrialTable.fold([asked(), finished(measurements={"other": {}}), measured(error=0.75)])
    (trial,) = table.finished()
    assert trial.value("error") == 0.75
    assert trial.extra["predicted"]["error"]["value"] == 0.5
    assert trial.extra["measurements"] == {"other": {}, "error": {"pairs": 9}}
    assert trial.extra["violations"] == {"error": 0.5}
    # The result told again is still the result; measured again, it keeps the first prediction.
    assert table.check(finished()) == 1
    table.apply(measured(error=0.8))
    assert table.finished()[0].value("error") == 0.8
    assert table.finished()[0].extra["predicted"]["error"]["value"] == 0.5


def test_a_measurement_that_failed_is_kept() -> None:
    record = {"kind": "trial_unmeasured", "trial": 0, "reason": "oom", "message": "too big"}
    (trial,) = TrialTable.fold([asked(), finished(), record]).finished()
    assert trial.extra["unmeasured"] == {"reason": "oom", "message": "too big"}
    assert trial.value("error") == 0.5


def test_only_numbers_of_finished_trials_are_measured() -> None:
    with pytest.raises(RunError, match="Trial 0 is not finished, so it cannot be measured"):
        TrialTable.fold([asked()]).check(measured(error=0.5))
    table = TrialTable.fold([asked(), finished()])
    with pytest.raises(RunError, match="Trial 0 has no objective 'latency'"):
        table.check(measured(latency=0.5))
    with pytest.raises(RunError, match="finite number"):
        table.check(measured(error=float("nan")))
