"""`nas doctor RUN` prints what to type, which repairs; `nas runs rebuild` makes views again."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Nas
from dashboard_documents import every_document

from nas.run_store import Run
from nas.run_store.layout import CONFIG, ENVIRONMENT, LOCK, LOG, WEIGHTS
from nas.run_store.records import encode

TRUTH = {CONFIG, ENVIRONMENT, LOG, LOCK, WEIGHTS}
"""What of a run folder is no view."""


def files_of(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file())
    named = ((path.relative_to(run), path.read_bytes()) for path in files)
    return {str(name): data for name, data in named if name.parts[0] not in TRUTH}


@pytest.mark.fault("G-R9")
def test_every_view_is_made_again_byte_for_byte_after_all_were_deleted(
    own_run: Path, nas: Nas
) -> None:
    assert nas("runs", "rebuild", "mine").code == 0
    before = files_of(own_run)
    assert {"front.json", "front.csv", "report.html"} <= before.keys()
    assert sum(name.startswith("architectures/") for name in before) == 3
    for entry in own_run.iterdir():
        if entry.name not in TRUTH:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    answer = nas("runs", "rebuild", "mine")
    assert answer.code == 0, answer.err
    assert files_of(own_run) == before
    assert nas("doctor", "mine").err == "run 'mine': nothing wrong\n"


@pytest.mark.fault("B12", "B16")
def test_what_a_power_loss_leaves_of_architectures_changes_no_answer_and_is_made_again(
    own_run: Path, nas: Nas
) -> None:
    def answers() -> list[str]:
        shown = [nas("arch", "show", f"mine:{trial}", "--json").out for trial in range(3)]
        shown.append(nas("front", "mine").out)
        documents = every_document(own_run.parent, "mine")
        return [*shown, *(f"{path}: {document}" for path, document in documents)]

    nas("runs", "rebuild", "mine")
    before, told = files_of(own_run), answers()
    emptied, torn, lost = sorted((own_run / "architectures").iterdir())
    emptied.write_bytes(b"")
    torn.write_bytes(torn.read_bytes()[:50])
    lost.unlink()
    assert answers() == told
    for file in (emptied, torn):
        assert "Make it again from the log: nas runs rebuild mine" in nas("arch", "show", file).err
    answer = nas("doctor", "mine")
    assert answer.code == 0
    assert f"are not what the log says: {emptied.stem}, {torn.stem}." in answer.out
    assert f"are missing: {lost.stem}." in answer.out
    assert set(re.findall(r"^  fix: (.*)$", answer.out, re.M)) == {"nas runs rebuild mine"}
    typed(nas, answer.out)
    assert files_of(own_run) == before


def cut_torn(run: Path) -> None:
    with (run / LOG).open("ab") as file:
        file.write(b"0123abcd 12 ")


def flip(run: Path) -> None:
    data = bytearray((run / LOG).read_bytes())
    data[len(data) // 2] ^= 1
    (run / LOG).write_bytes(data)


def contradict(run: Path) -> None:
    lines = (run / LOG).read_bytes().count(b"\n")
    with (run / LOG).open("ab") as file:
        file.write(encode(lines, {"kind": "trial_asked", "trial": 0, "attempt": 1}))


def lose_weights(run: Path) -> None:
    with Run.open(run, write=True) as opened:
        sha = opened.weights.put_bytes(b"no matter what")
        opened.append({"kind": "checkpoint_saved", "stage": "supernet", "checkpoint": sha})
    opened.weights.path(sha).write_bytes(b"rotten")


def swap_architecture(run: Path) -> None:
    one, other, *_ = sorted((run / "architectures").iterdir())
    one.write_bytes(other.read_bytes())


DAMAGES: dict[str, tuple[tuple[Callable[[Path], object], ...], str, int]] = {
    "torn": (
        (
            cut_torn,
            swap_architecture,
            lambda run: (run / CONFIG).unlink(),
            lambda run: (run / "front.csv").write_text("old"),
            lambda run: (run / ".tmp-1-2-front.json").touch(),
            lambda run: (run / "it's mine").symlink_to("/etc/passwd"),
        ),
        "nothing",
        6,
    ),
    "flipped": (
        (
            flip,
            lambda run: (run / ENVIRONMENT).write_text("{"),
            lambda run: shutil.rmtree(run / "architectures"),
        ),
        r"nothing|\d+ unreadable bytes at byte \d+.*",
        2,
    ),
    "contradicting": (
        (
            lose_weights,
            contradict,
            lambda run: (run / ENVIRONMENT).unlink(),
            lambda run: (run / CONFIG).write_text("a: 1\n"),
            lambda run: (run / "front.json").unlink(),
        ),
        "nothing|trial_asked of trial 0, which no longer fits.*|the time to train them again",
        4,
    ),
}
"""What is done to a run, what may be lost by it, and how many things are found at first."""


def typed(nas: Nas, printed: str) -> None:
    """Type the commands that a doctor printed."""
    for command in dict.fromkeys(re.findall(r"^  fix: (.*)$", printed, re.M)):
        program, *arguments = shlex.split(command)
        if program == "rm":
            (file,) = arguments
            Path(file).unlink()
        else:
            assert program == "nas"
            nas(*arguments)


@pytest.mark.fault("B3", "B4", "B7", "B8", "B15", "B16")
@pytest.mark.parametrize("damage", list(DAMAGES))
def test_typing_what_the_doctor_says_repairs_every_kind_of_damage(
    own_run: Path, nas: Nas, damage: str
) -> None:
    nas("runs", "rebuild", "mine")
    harms, lost, found = DAMAGES[damage]
    for harm in harms:
        harm(own_run)
    answer = nas("doctor", "mine")
    assert answer.code == 2
    said = re.findall(r"^  lost: (.*)$", answer.out, re.M)
    assert len(said) >= found and all(re.fullmatch(lost, each) for each in said), answer.out
    typed(nas, answer.out)
    after = nas("doctor", "mine")
    assert "error:" not in after.out
    if damage == "contradicting":  # the weights are aside; the stage that made them does so again
        assert after.out.count("warning:") == 1
        assert "are missing; the log names them" in after.out
        assert "fix: nas resume mine" in after.out
    else:
        assert after.err == "run 'mine': nothing wrong\n"


@pytest.mark.fault("B14")
def test_a_run_of_a_newer_format_is_told_as_such_everywhere(own_run: Path, nas: Nas) -> None:
    file = own_run / ENVIRONMENT
    file.write_text(file.read_text().replace('"nas.run/2"', '"nas.run/9"'))
    (listed,) = nas("runs", "list", "--json").document["runs"]
    assert listed["state"] == "newer" and "nas.run/9" in listed["problem"]
    assert "newer" in nas("runs", "list").out
    answer = nas("doctor", "mine")
    assert answer.code == 2
    assert answer.out.count("nas.run/9") == 1 and "fix: Update nas" in answer.out
    machine = nas("doctor")
    assert "note: Run 'mine': The run 'mine' has the format nas.run/9" in machine.out
    for command in (("resume", "mine"), ("front", "mine"), ("runs", "rebuild", "mine")):
        refused = nas(*command)
        assert refused.code == 2 and "nas.run/9" in refused.err and "nas.run/2" in refused.err


def test_a_run_elsewhere_is_named_by_its_quoted_path(own_run: Path, nas: Nas) -> None:
    elsewhere = Path("some where") / "runs" / "mine"
    elsewhere.parent.mkdir(parents=True)
    own_run.rename(elsewhere)
    cut_torn(elsewhere)
    answer = nas("doctor", elsewhere)
    assert f"fix: nas doctor '{elsewhere.absolute()}' --repair" in answer.out
