"""Taking a network home: exported, trained, and run on pictures, by what a user types."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scale import CHECKOUT

from dashboards.documents import document
from nas.run_store import Run
from nas.search.take_home.origins import TRAINED_RECORD, sources_of
from nas.search.training.kept_networks import keep_network, kept_networks
from nas.training.fit import EpochReport, Training

Nas = Callable[..., Any]


@pytest.fixture
def run(nas: Nas, searched: tuple[Path, str, str]) -> Path:
    """A copy of a real run, `runs/real`, to be changed."""
    return Path(shutil.copytree(searched[0], "runs/real"))


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    with Run.open(run) as opened:
        return [dict(each) for each in opened.records() if each["kind"] == kind]


def judged(run: Path) -> dict[str, Any]:
    """The record of the candidate whose weights the confirmation kept."""
    (found,) = [each for each in records(run, "confirm_finished") if "weights" in each]
    return found


def unjudged(run: Path) -> int:
    """A trial that nothing trained alone."""
    with Run.open(run) as opened:
        found = opened.table().finished()
        return next(each.number for each in found if len(sources_of(opened, each.number)) == 1)


def test_the_confirmation_keeps_the_first_training_of_each_judged_candidate(run: Path) -> None:
    kept = judged(run)
    assert (kept["role"], kept["seed_index"], kept["purpose"]) == ("searched", 0, "seeds B")
    with Run.open(run, write=True) as opened:
        needed = kept_networks(opened.records())
        assert kept["weights"] in needed
        opened.weights.collect_garbage(needed)
        assert kept["weights"] in opened.weights.names()


def test_kept_weights_score_what_the_confirmation_wrote_down(nas: Nas, run: Path) -> None:
    kept = judged(run)
    done = nas("arch", "export", f"real:{kept['trial']}", "--format=json", "-o", "net", "--json")
    assert done.code == 0, done.err
    assert done.document["weights"]["origin"] == "confirmed"
    assert done.document["weights"]["sha256"] == kept["weights"]
    assert "trained alone on all training images by the confirmation" in done.err
    right = round((1 - kept["test_error"]) * kept["test_images"])
    assert done.document["check"]["images"] == kept["test_images"]
    assert round(done.document["check"]["accuracy"] * kept["test_images"]) == right
    card = Path("net/README.md").read_text()
    assert "Found by a smoke run" in card
    assert "test error of these weights" in card


def test_training_with_the_seed_of_the_confirmation_gives_its_bits(nas: Nas, run: Path) -> None:
    kept = judged(run)
    done = nas("arch", "train", f"real:{kept['trial']}", "--seed", kept["seed"], "--json")
    assert done.code == 0, done.err
    assert done.document["weights"] == kept["weights"]
    assert done.document["test_error"] == kept["test_error"]
    assert done.document["recipe_hash"] == kept["recipe_hash"]


def test_a_training_stays_in_the_run_and_goes_before_all_other_weights(nas: Nas, run: Path) -> None:
    number = unjudged(run)
    before = nas("arch", "export", f"real:{number}", "--format=json", "-o", "one")
    assert "inherited from the supernet" in before.err
    Path("own.yaml").write_text("schema: nas.recipe/1\nnamed: plain\nepochs: 9\n")
    typed = ("arch", "train", f"real:{number}", "--recipe=own.yaml", "--epochs=1", "--seed=4")
    first = nas(*typed)
    assert first.code == 0, first.err
    assert "training: 1/1 epochs" in first.err
    (record,) = records(run, TRAINED_RECORD)
    assert (record["trial"], record["seed"], record["recipe"]["epochs"]) == (number, 4, 1)
    assert len(record["losses"]) == 1
    again = nas(*typed, "--json")
    assert "trained already" in again.err
    assert again.document["weights"] == record["weights"]
    assert len(records(run, TRAINED_RECORD)) == 1
    after = nas("arch", "export", f"real:{number}", "--format=json", "-o", "two")
    assert f"by nas arch train with recipe {record['recipe_hash']}, seed 4" in after.err
    assert "--recipe recipe.yaml --seed 4" in Path("two/README.md").read_text()
    assert "epochs: 1" in Path("two/README.md").read_text()
    doctor = nas("doctor", "real")
    assert "nothing wrong" in doctor.err
    other = nas("arch", "train", f"real:{number}", "--epochs=1", "--seed=5")
    assert "it was tested 2 times by now" in other.err


def test_a_network_without_a_run_is_trained_into_a_folder_that_every_command_reads(
    nas: Nas,
) -> None:
    done = nas(
        *("arch", "train", "residual:size=2,width=4,stem=conv3x3", "--data=digits"),
        *("--epochs=1", "-o", "net"),
    )
    assert done.code == 0, done.err
    assert "--data digits -o FOLDER --recipe recipe.yaml" in Path("net/README.md").read_text()
    assert nas("data", "images", "digits", "-o", "pictures", "--limit=10").code == 0
    answered = nas("predict", "net", "pictures", "--json")
    assert answered.code == 0, answered.err
    assert len(answered.document["pictures"]) == 10
    assert nas("arch", "show", "net/network.json").code == 0
    exported = nas("arch", "export", "net", "--data=digits", "--format=source", "-o", "code")
    assert exported.code == 0, exported.err
    assert "that of torch" in exported.out


@contextmanager
def interrupted_after(epochs: int) -> Iterator[None]:
    """Let a training meet Ctrl-C once so many of its epochs are over."""
    train = Training.epoch

    def interrupted(training: Training, *given: Any) -> EpochReport | None:
        if training.epochs_done == epochs:
            os.kill(os.getpid(), signal.SIGINT)
        return train(training, *given)

    with pytest.MonkeyPatch.context() as stopped:
        stopped.setattr(Training, "epoch", interrupted)
        yield


@pytest.mark.fault("A5", "A21")
def test_an_interrupted_training_goes_on_with_the_command_that_it_names(
    nas: Nas, run: Path
) -> None:
    log = (run / "trials.log").read_bytes()
    typed = ["arch", "train", "real:0", "--epochs=3"]
    with interrupted_after(2):
        left = nas(*typed)
    assert left.code == 130, left.err
    assert "interrupted after 2 of 3 epochs; its state is saved" in left.err
    assert "Go on from there with: nas arch train real:0 --epochs 3" in left.err
    assert (run / "trials.log").read_bytes() == log
    assert nas("doctor", "real").code == 0
    again = nas(*typed)
    assert again.code == 0, again.err
    assert "goes on where it was left, after step" in again.err
    assert not (run / "trainings").exists()
    whole = nas(*typed, "-o", "whole", "--json").document
    (record,) = records(run, TRAINED_RECORD)
    for key in ("losses", "steps", "test_error", "test_cross_entropy"):
        assert whole[key] == record[key], key


@pytest.mark.fault("A21")
def test_a_training_into_a_folder_goes_on_unless_it_is_another_or_wanted_anew(nas: Nas) -> None:
    typed = ["arch", "train", "residual:size=2,width=4,stem=conv3x3", "--data=digits", "--epochs=2"]

    def states(output: str) -> list[Path]:
        return list(Path().glob(f"{output}.training-*"))

    def train(output: str, *more: str) -> tuple[bytes, str]:
        done = nas(*typed, "-o", output, *more)
        assert done.code == 0, done.err
        assert len(states(output)) == ("--seed=1" in more)
        return (Path(output) / "network.safetensors").read_bytes(), done.err

    def left(output: str) -> None:
        with interrupted_after(1):
            assert nas(*typed, "-o", output).code == 130
        assert len(states(output)) == 1

    whole, _ = train("whole")
    left("net")
    weights, said = train("net")
    assert "goes on where it was left" in said and weights == whole
    left("anew")
    weights, said = train("anew", "--anew")
    assert "goes on" not in said and weights == whole
    left("other")
    weights, said = train("other", "--seed=1")  # what is left of the first stays
    assert "goes on" not in said and weights != whole


def test_a_run_in_use_is_not_trained_in(nas: Nas, run: Path) -> None:
    with Run.open(run, write=True):
        done = nas("arch", "train", "real:0")
    assert done.code == 2
    assert "in use" in done.err


def test_pictures_are_answered_with_classes_and_probabilities(nas: Nas, run: Path) -> None:
    network = f"real:{judged(run)['trial']}"
    assert nas("data", "images", "digits", "-o", "pictures", "--limit=12").code == 0
    Path("pictures/0/bad.png").write_bytes(b"bad")
    Path("pictures/notes.txt").write_text("notes")
    answered = nas("predict", network, "pictures", "--json")
    assert answered.code == 0, answered.err
    document = answered.document
    assert len(document["pictures"]) == 12
    for each in document["pictures"]:
        assert each["class"] == document["classes"][int(np.argmax(each["probabilities"]))]
        assert abs(sum(each["probabilities"]) - 1) < 1e-9
        assert each["folder_says"] == each["file"].partition("/")[0]
    assert document["failed"][0]["file"].endswith("bad.png")
    assert "left out: pictures/0/bad.png" in answered.err
    assert "1 other files are no pictures" in answered.err
    rows = list(csv.DictReader(io.StringIO(nas("predict", network, "pictures", "--csv").out)))
    assert [row["class"] for row in rows] == [each["class"] for each in document["pictures"]]
    Path("pictures/0/bad.png").rename("pictures/=cmd().png")
    Path("pictures/=cmd().png").write_bytes(
        Path("pictures", document["pictures"][0]["file"]).read_bytes()
    )
    assert "\n'=cmd().png," in nas("predict", network, "pictures", "--csv").out
    one = document["pictures"][0]["file"]
    table = nas("predict", network, f"pictures/{one}")
    assert table.out.splitlines()[0].split() == [
        "picture",
        "class",
        "probability",
        "next",
        "changed",
    ]
    assert len(table.out.splitlines()) == 2


def test_a_picture_of_another_size_is_fitted_and_it_is_told(nas: Nas, run: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 30), (200, 10, 10)).save("photo\n.png")
    answered = nas("predict", f"real:{judged(run)['trial']}", "photo\n.png")
    assert answered.code == 0, answered.err
    assert "colours turned grey, resized from 40 x 30 to 8 x 8" in answered.out
    assert "photo?.png" in answered.out
    assert "fitted to the size and colours of the training images: 1 of 1" in answered.err


def test_a_word_picks_a_point_wherever_a_trial_is_named_and_says_which(nas: Nas, run: Path) -> None:
    shown = nas("arch", "show", "real:best", "--json")
    assert shown.code == 0, shown.err
    assert "real:best is trial " in shown.err
    assert nas("arch", "show", "latest:knee").code == 0
    assert "has no latencies" in nas("arch", "show", "real:under-2ms").err
    assert "There is no run under 'none'" in nas("front", "latest", "--runs=none").err


def test_what_the_dashboard_tells_to_type_for_a_trial_works_as_it_stands(
    nas: Nas, run: Path
) -> None:
    trial = judged(run)["candidate"].removeprefix("trial-")
    told = document(run.parent, f"/api/runs/{run.name}/trials/{trial}")["commands"]
    Path("FOLDER").mkdir()
    shutil.copy(next(CHECKOUT.glob("examples/pictures/*.png")), "FOLDER")
    for what in told.keys() - {"train it from scratch"}:
        answered = nas(*shlex.split(told[what])[1:])
        assert answered.code == 0, (what, answered.err)
    made = {f"trial-{trial}", f"trial-{trial}.onnx", f"trial-{trial}.svg"}
    assert made <= {each.name for each in Path().iterdir()}


def refusals() -> list[tuple[tuple[str, ...], str]]:
    train, export = ("arch", "train"), ("arch", "export")
    return [
        ((*export, "real:99", "-o", "x"), "no trial 99: it has trials 0 to 7"),
        ((*export, "real:0", "-o", "x", "--weights=best"), "There are no weights 'best'"),
        ((*export, "real:0", "-o", "x", "--weights=trained"), "nas arch train real:0"),
        ((*export, "real:0", "-o", "x", "--data=digits"), "--data does not go with a trial"),
        ((*export, "residual", "-o", "x", "--weights=trained"), "--weights does not go with"),
        ((*export, "real:0", "-o", "x", "--batch=0"), "'0' is no number of images"),
        ((*export, "real:0", "-o", "runs"), "'runs' exists already"),
        ((*train, "residual", "--data=digits"), "A network without a run needs --output"),
        ((*train, "residual", "-o", "x"), "A network without a run needs --data"),
        ((*train, "real:0", "--data=digits"), "--data does not go with a trial"),
        ((*train, "real:0", "--recipe=modrn"), "Did you mean 'modern'"),
        (("predict", "real:0", "none"), "no file and no folder 'none'"),
        (("predict", "real:0", "runs"), "holds no picture"),
        (("predict", "runs/real", "bad"), "holds no exported network"),
        (("predict", "runs/real", "bad", "--weights=trained"), "--weights does not go with"),
        (("predict", "real:0", "bad", "--csv", "--json"), "--csv and --json exclude"),
        (("predict", "real:0", "bad"), "None of the 1 pictures could be read"),
        (("data", "images", "digits", "-o", "x", "--part=all"), "no part 'all'"),
    ]


def test_what_cannot_be_is_refused_with_the_way_out_and_leaves_nothing(nas: Nas, run: Path) -> None:
    Path("bad").mkdir()
    Path("bad/bad.png").write_bytes(b"bad")
    for typed, words in refusals():
        done = nas(*typed)
        assert done.code in (2, 3), (typed, done)
        assert words in done.err, (typed, done.err)
        assert "fix:" in done.err, typed
        assert not Path("x").exists(), typed


def test_a_broken_recipe_file_is_named_with_its_line(nas: Nas, run: Path) -> None:
    Path("own.yaml").write_text("named: modern\nepochz: 3\n")
    done = nas("arch", "train", "real:0", "--recipe=own.yaml")
    assert done.code == 2
    assert "own.yaml:2" in done.err and "Did you mean 'epochs'" in done.err


def test_a_network_too_large_to_keep_is_said_to_be_left_out(run: Path) -> None:
    from torch import nn

    told = keep_network(nn.Linear(8, 8), run, most_bytes=100)
    assert told == {"weights_left_out": "288 bytes are more than the 100 a run keeps"}


def test_weights_that_are_gone_or_another_networks_are_refused(nas: Nas, run: Path) -> None:
    kept = judged(run)
    name, path = f"real:{kept['trial']}", run / "weights" / f"{kept['weights']}.safetensors"
    path.unlink()
    assert "are missing" in nas("arch", "export", name, "-o", "x").err
    other = next(each for each in path.parent.iterdir())
    path.write_bytes(other.read_bytes())
    assert "damaged" in nas("arch", "export", name, "-o", "x").err
    assert not Path("x").exists()


def test_a_trial_of_a_run_without_a_supernet_says_how_to_train_it(nas: Nas, own_run: Path) -> None:
    done = nas("arch", "export", "mine:0", "-o", "x")
    assert done.code == 3
    assert "has no weights" in done.err and "nas arch train mine:0" in done.err


def test_the_environment_of_a_run_says_how_pictures_are_prepared(run: Path) -> None:
    environment = json.loads((run / "environment.json").read_text())["environment"]
    told = environment["data"]["preprocessing"]
    assert told["white"] == 16
    assert told["classes"] == [str(digit) for digit in range(10)]
