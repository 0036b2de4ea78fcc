"""Tables, JSON and progress: readable on a terminal, parseable elsewhere."""

from __future__ import annotations

import io
import json
import logging
import math
import sys
import time
from collections.abc import Iterator

import pytest

from nas.cli.output import (
    format_cell,
    make_streams_lenient,
    one_line,
    print_json,
    print_table,
)
from nas.cli.progress import (
    BarProgress,
    LineProgress,
    SilentProgress,
    describe_progress,
    format_duration,
    show_progress,
)
from nas.cli.search_progress import StageDisplay
from nas.search.progress import StageProgress


@pytest.fixture(autouse=True)
def talkative() -> Iterator[None]:
    logger = logging.getLogger("nas")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.fault("F18")
def test_text_of_a_stranger_is_one_line_and_steers_no_terminal() -> None:
    assert one_line("é\x1b[2J\nerror: no\u202e") == "é?[2J?error: no?"


def test_a_plain_table_is_aligned_and_ends_without_blanks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(["name", "macs"], [["a[b]", 1234], ["long name", None]], title="not shown")
    assert capsys.readouterr().out == "name        macs\na[b]       1,234\nlong name      -\n"


def test_a_table_on_a_terminal_keeps_square_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(["objective", "value"], [["latency_ms[eager,b1,fp32]", 1.23456]], title="Front")
    shown = terminal.getvalue()
    assert "latency_ms[eager,b1,fp32]" in shown
    assert "1.235" in shown
    assert "Front" in shown


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "-"), (True, "yes"), (12345, "12,345"), (0.123456, "0.1235"), ("x", "x")],
)
def test_cells_are_written_for_reading(cell: object, text: str) -> None:
    assert format_cell(cell) == text


def test_json_is_one_document_with_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"schema": "nas.test/1", "name": "é"})
    assert json.loads(capsys.readouterr().out) == {"schema": "nas.test/1", "name": "é"}


@pytest.mark.parametrize("document", [{"name": 1}, {"schema": "x/1", "value": math.nan}])
def test_a_document_that_is_no_json_of_ours_is_a_bug(document: dict[str, object]) -> None:
    with pytest.raises((AssertionError, ValueError), match=r"names its schema|JSON compliant"):
        print_json(document)


def test_a_terminal_without_the_character_gets_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    make_streams_lenient()
    print("±", flush=True)
    assert raw.getvalue() == b"\\xb1\n"


def test_plain_progress_speaks_now_and_then_and_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    progress = LineProgress("training", 100, "steps", clock=lambda: now[0])
    for done in range(1, 101):
        now[0] += 0.25
        progress.update(done)
    progress.update(100)
    assert capsys.readouterr().err == (
        "training: 40/100 steps, 4 steps/s, 15 s left\n"
        "training: 80/100 steps, 4 steps/s, 5 s left\n"
        "training: 100/100 steps, 4 steps/s, after 25 s\n"
    )


def test_progress_off_a_terminal_is_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with show_progress("exploring", unit="trials") as progress:
        progress.update(3, total=3, note="best 0.1")
    assert capsys.readouterr().err.startswith("exploring: 3/3 trials")


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with show_progress("exploring [all]", total=3, unit="trials") as progress:
        progress.update(3, total=4, note="best 0.1")
    assert "exploring [all]" in terminal.getvalue()
    assert "3/4" in terminal.getvalue()


def test_quiet_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("nas").setLevel(logging.WARNING)
    with show_progress("exploring", total=1) as progress:
        assert isinstance(progress, SilentProgress)
        progress.update(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (12.6, "13 s"), (125, "2 min 05 s"), (3780, "1 h 03 min")],
)
def test_durations_are_written_for_reading(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_unknown_totals_have_no_time_left() -> None:
    assert describe_progress("a", 5, None, "steps", 2.0, "x") == (
        "a: 5 steps, 2.5 steps/s, after 2 s, x"
    )


def test_a_resumed_run_counts_the_rate_of_what_it_did_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    progress = LineProgress("exploring", 2000, "trials", clock=lambda: now[0])
    for done in (1000, 1010, 1020):
        now[0] += 10
        progress.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "exploring: 1000/2000 trials",
        "exploring: 1010/2000 trials, 1 trials/s, 16 min 30 s left",
        "exploring: 1020/2000 trials, 1 trials/s, 16 min 20 s left",
    ]


def test_a_bar_of_a_resumed_run_counts_what_it_did_itself() -> None:
    from rich.progress import Progress

    now = [0.0]
    bars = Progress()
    progress = BarProgress(bars, "retraining", 30, "trainings", clock=lambda: now[0])
    rates = []
    for done in (10, 11, 12):
        progress.update(done)
        rates.append(bars.tasks[0].fields["rate"].strip())
        now[0] += 20
    assert rates == ["", "0.05 trainings/s", "0.05 trainings/s"]


def test_a_stage_is_timed_from_the_end_of_the_one_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with StageDisplay() as display:
        for stage, done, total in (
            ("relax", 1, 1),
            ("explore", 0, 8),
            ("explore", 4, 8),
            ("explore", 8, 8),
        ):
            now[0] += 20
            display.show(StageProgress(stage, done, total, "steps"))
    assert capsys.readouterr().err.splitlines() == [
        "relaxing wirings: 1/1 steps, after 20 s",
        "exploring: 0/8 steps",
        "exploring: 4/8 steps, 0.2 steps/s, 20 s left",
        "exploring: 8/8 steps, 0.2 steps/s, after 1 min 00 s",
    ]
