"""Bad input, as a user types it: what, where, why, the way out; 2 or 3; nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.run_store import Run
from nas.search.executors import EXECUTORS
from nas.search.samplers import SAMPLERS

Nas = Callable[..., Any]

CONFIG = """\
schema: nas.search/1
space: tiny_exhaustive
data: digits
preset: smoke
search:
  trials: 4
"""


def contents() -> dict[Path, bytes | None]:
    """Return every file below the folder that commands are typed in."""
    return {path: path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


def refuse(nas: Nas, *arguments: object, code: int, messages: list[str]) -> None:
    """Type a command that must be refused, and check that it leaves no trace."""
    before = contents()
    answer = nas(*arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert "error: " in answer.err and "Traceback" not in answer.err
    assert "\n  fix: " in answer.err, answer.err
    for message in messages:
        assert message in answer.err, answer.err
    assert contents() == before


@pytest.mark.fault("C1", "C2", "C3", "C4", "C5", "C6", "C9", "C11", "C12", "G-R16")
@pytest.mark.parametrize(
    ("old", "new", "code", "messages"),
    [
        ("search:", "serach:", 2, ["'serach'", "own.yaml:5", "Did you mean 'search'?"]),
        ("trials: 4", "trails: 4", 2, ["search.trails", "own.yaml:6", "Did you mean 'trials'?"]),
        ("trials: 4", "trials: many", 2, ["'many'", "own.yaml:6", "a whole number"]),
        ("trials: 4", "trials: -4", 2, ["-4", "own.yaml:6", "at least 1"]),
        ("trials: 4", "trials: 1e30", 2, ["own.yaml:6", "search.trials"]),
        ("trials: 4", "trials: .nan", 2, ["own.yaml:6"]),
        ("trials: 4", "trials: 4\n  trials: 5", 2, ["trials", "twice", "own.yaml:7"]),
        ("data: digits", "data: [digits]", 2, ["own.yaml:3", "it must be text"]),
        ("preset: smoke", "preset: smok", 2, ["'smok'", "smoke, small, full", "own.yaml:4"]),
        ("preset: smoke", "preset: no", 2, ["'no'", "own.yaml:4"]),
        ("trials: 4", "sampler: nsga3", 3, ["Unknown sampler 'nsga3'", *SAMPLERS]),
        ("data: digits", "objectives: [eror]", 3, ["Unknown objective 'eror'", "'error'?"]),
        ("data: digits", "objectives: []", 2, ["objectives", "own.yaml:3"]),
        ("data: digits", "objectives: [error, error]", 2, ["are the same"]),
        (
            "data: digits",
            "supernet: {sharing: all}",
            3,
            ["own.yaml:", "key supernet.sharing", "auto, family, none, position, role"],
        ),
        ("data: digits", "executor: {kind: slurm}", 2, ["'slurm'", "local"]),
        ("data: digits", "plugins: [no_such_module]", 3, ["'no_such_module'", "PYTHONPATH"]),
        ("data: digits", "device: cuda:9", 2, ["'cuda:9'", "cpu", "auto"]),
        (
            "data: digits",
            "constraints: {macs: {min: 500, max: 100}}",
            2,
            ["min: 500", "max: 100", "contradict"],
        ),
        (
            "data: digits",
            "constraints: [latency <= 2 ms, 'latency_ms[eager,b1,fp32] <= 1 ms']",
            2,
            ["latency <= 2 ms", "latency_ms[eager,b1,fp32] <= 1 ms", "own.yaml:3"],
        ),
        ("data: digits", "constraints: {latency: {max: -1}}", 2, ["-1", "greater than 0"]),
        ("data: digits", "constraints: {latncy: {max: 1}}", 3, ["latncy", "'latency'?"]),
        ("tiny_exhaustive", "tiny_exhaustiv", 3, ["tiny_exhaustiv", "'tiny_exhaustive'?"]),
        ("tiny_exhaustive", "missing.yaml", 3, ["no file missing.yaml"]),
        ("nas.search/1", "nas.search/7", 2, ["nas.search/7", "schema: nas.search/1", "own.yaml:1"]),
        ("schema: nas.search/1\n", "", 2, ["schema", "nas.search/1"]),
        ("data: digits", "data: digits\n\tpreset: small", 2, ["own.yaml:4"]),
        ("data: digits", "data: &a digits", 2, ["own.yaml:3", "Anchors and aliases"]),
        ("data: digits", "data: !!python/object:os.system x", 2, ["own.yaml:3"]),
        (CONFIG, "[]", 2, ["own.yaml"]),
        (CONFIG, "", 2, ["own.yaml"]),
    ],
)
def test_a_bad_config_is_refused_with_its_line(
    old: str, new: str, code: int, messages: list[str], nas: Nas
) -> None:
    Path("own.yaml").write_text(CONFIG.replace(old, new))
    refuse(nas, "search", "own.yaml", code=code, messages=messages)


@pytest.mark.fault("C7", "G-R16")
def test_a_config_that_is_not_utf8_is_refused(nas: Nas) -> None:
    Path("own.yaml").write_bytes(CONFIG.replace("digits", "dígits").encode("latin-1"))
    refuse(nas, "search", "own.yaml", code=2, messages=["own.yaml is not UTF-8", "iconv"])


@pytest.mark.fault("C2", "C4", "C11", "F1", "B13", "G-R16")
@pytest.mark.parametrize(
    ("arguments", "code", "messages"),
    [
        (["tiny_exhaustiv"], 3, ["'tiny_exhaustiv'", "Did you mean 'tiny_exhaustive'?", "skip"]),
        (["missing.yaml"], 3, ["no file missing.yaml"]),
        (["skip", "--data", "digit"], 3, ["'digit'", "Did you mean 'digits'?"]),
        (["skip", "--data", "gone.npz"], 3, ["gone.npz", "does not exist"]),
        (["skip", "--data", "nowhere:images"], 3, ["nowhere"]),
        (["skip", "--preset", "tiny"], 2, ["'tiny'", "smoke, small, full", "--preset"]),
        (["skip", "--trials", "0"], 2, ["--trials", "at least 1"]),
        (["skip", "--trials", "-3"], 2, ["-3", "--trials"]),
        (["skip", "--trials", "ten"], 2, ["'ten'", "--trials", "a whole number"]),
        (["skip", "--trials", "99999999999"], 2, ["--trials", "99999999999"]),
        (["skip", "--seed", "-1"], 2, ["-1", "--seed"]),
        (["skip", "--workers", "0"], 2, ["0", "--workers"]),
        (["skip", "--executor", "slurm"], 2, ["'slurm'", "--executor", *EXECUTORS]),
        (["skip", "--device", "tpu"], 2, ["'tpu'", "cpu"]),
        (["skip", "--time", "soon"], 2, ["'soon'", "--time", "1h30m"]),
        (["skip", "--time", "-1h"], 2, ["'-1h'", "--time"]),
        (["skip", "--name", "My Run"], 2, ["'My Run'", "a-z", "--name my-run-1"]),
        (["skip", "--name", "../up"], 2, ["'../up'", "a-z"]),
        (["skip", "--name", "a" * 300], 2, ["aaa...' is not a name"]),
        (["skip", "--image-size", "0"], 2, ["0", "--image-size", "at least 1"]),
        (["skip", "--image-size", "big"], 2, ["'big'", "--image-size", "a whole number"]),
        (["skip", "--name", "My Run", "--dry-run"], 2, ["'My Run'"]),
        (["skip", "--set", "search.trails=5"], 2, ["search.trails", "Did you mean 'trials'?"]),
        (["skip", "--set", "trials"], 2, ["'trials' is not an assignment", "--set key.subkey"]),
        (["skip", "--set", "search.trials.x=1"], 2, ["'search.trials' is a mapping"]),
        (["skip", "--set", "search={trials: x}"], 2, ["'x'", "--set search={trials: x}"]),
        (["skip", "--set", "search.sampler=tpee"], 3, ["'tpee'", "Did you mean 'tpe'?"]),
        (["skip", "--set", "objectives=[err]"], 3, ["'err'", "macs"]),
        (["skip", "--set", "confirm.seeds_b=1"], 2, ["confirm.seeds_b", "at least 2"]),
        (["skip", "--sed", "1"], 2, ["No such option: --sed", "--seed"]),
        ([], 2, ["SPACE|CONFIG"]),
    ],
)
def test_bad_options_of_search_are_refused_by_name(
    arguments: list[str], code: int, messages: list[str], nas: Nas
) -> None:
    refuse(nas, "search", *arguments, code=code, messages=messages)


SPACE = """\
schema: nas.space/1
name: own
summary: Own.
kind: stages
stem: conv3x3
transition: conv3x3
stages:
  - {pattern: chain, depth: 2, operation: conv3x3, merge: sum, width: 8, stride: 1}
"""


@pytest.mark.fault("C9", "C11", "G-R16")
@pytest.mark.parametrize(
    ("old", "new", "code", "messages"),
    [
        ("chain", "chian", 3, ["Unknown pattern 'chian'", "'chain'?", "own.yaml:8, key stages.0"]),
        (": conv3x3, m", ": conv, m", 3, ["Unknown operation 'conv'", "conv3x3", "own.yaml:8"]),
        ("stem: conv3x3", "stem: conv", 3, ["Unknown operation 'conv'", "own.yaml:5, key stem"]),
        ("merge: sum", "merge: add", 3, ["Unknown merge 'add'", "sum", "key stages.0.merge"]),
        ("depth: 2", "depth: {choices: []}", 2, ["depth", "an empty list", "own.yaml:8"]),
        ("pattern: chain, depth: 2", "pattern: fractal, depth: 2", 2, ["fractal", "2^C - 1"]),
        ("  - {", "  []\n#", 2, ["stages"]),
    ],
)
def test_a_bad_space_of_ones_own_is_refused_by_search(
    old: str, new: str, code: int, messages: list[str], nas: Nas
) -> None:
    Path("own.yaml").write_text(SPACE.replace(old, new))
    refuse(nas, "search", "own.yaml", code=code, messages=["own.yaml", *messages])


def images(count: int = 60, classes: int = 3) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (count, 8, 8), dtype=np.uint8)
    labels = np.arange(count) % classes
    return {"x_train": pixels, "y_train": labels, "x_test": pixels[:12], "y_test": labels[:12]}


def with_nan() -> dict[str, np.ndarray[Any, Any]]:
    arrays = images()
    floats = arrays["x_train"].astype(np.float32) / 255
    floats[7, 2, 2] = np.nan
    return {**arrays, "x_train": floats, "x_test": arrays["x_test"] / np.float32(255)}


@pytest.mark.fault("E11", "E12", "E13", "E14", "G-R16")
@pytest.mark.parametrize(
    ("arrays", "messages"),
    [
        (lambda: {**images(), "y_test": images()["y_test"] + 9}, ["label"]),
        (lambda: images(classes=1), ["class"]),
        (
            lambda: images(count=6),
            ["Class 0 has 2 images, but the split has 3 parts", "training images of set"],
        ),
        (with_nan, ["(7, 2, 2) is nan", "finite"]),
        (lambda: {"x_train": images()["x_train"]}, ["y_train"]),
    ],
    ids=["labels out of range", "one class", "too few", "nan", "no labels"],
)
def test_unfit_data_are_refused(arrays: Any, messages: list[str], nas: Nas) -> None:
    np.savez("set.npz", **arrays())
    refuse(nas, "search", "skip", "--data", "set.npz", code=2, messages=["set.npz", *messages])


@pytest.mark.fault("E10", "G-R16")
def test_a_corrupt_data_file_is_refused(nas: Nas) -> None:
    np.savez("set.npz", **images())
    whole = Path("set.npz").read_bytes()
    Path("set.npz").write_bytes(whole[: len(whole) // 2])
    refuse(nas, "search", "skip", "--data", "set.npz", code=2, messages=["set.npz"])
    Path("set.npz").write_bytes(b"")
    refuse(nas, "search", "skip", "--data", "set.npz", code=2, messages=["set.npz"])


@pytest.mark.fault("E9")
def test_a_dry_run_refuses_what_the_search_would(nas: Nas) -> None:
    messages = ["set.npz", "does not exist"]
    refuse(nas, "search", "skip", "--data", "set.npz", "--dry-run", code=3, messages=messages)


ON_RUNS = [
    ["resume"],
    ["stop"],
    ["front"],
    ["report"],
    ["doctor"],
    ["supernet", "rank"],
    ["runs", "show"],
    ["runs", "rm", "--yes"],
    ["runs", "rebuild"],
]


@pytest.mark.parametrize("command", ON_RUNS, ids=" ".join)
def test_a_run_that_does_not_exist_is_3(command: list[str], made: Path, nas: Nas) -> None:
    refuse(nas, *command, "nothing", code=3, messages=["no run 'nothing'", "nas runs list"])
    near = [*command, "--runs", made.parent, "mad"]
    refuse(nas, *near, code=3, messages=["no run 'mad'", "Did you mean 'made'?"])


@pytest.mark.parametrize("command", ON_RUNS, ids=" ".join)
def test_a_folder_that_is_no_run_is_2(command: list[str], nas: Nas) -> None:
    Path("folder").mkdir()
    Path("folder/precious.txt").write_text("mine")
    messages = ["'folder' is not a run folder", "trials.log", "nas runs list"]
    refuse(nas, *command, "folder", code=2, messages=messages)


@pytest.mark.fault("A16")
@pytest.mark.parametrize(
    "command", [["resume"], ["runs", "rebuild"], ["runs", "rm", "--yes"], ["doctor", "--repair"]]
)
def test_a_run_in_use_is_left_alone(command: list[str], own_run: Path, nas: Nas) -> None:
    with Run.open(own_run, write=True):
        messages = ["Run 'mine' is in use by pid", "nas stop mine"]
        refuse(nas, *command, "mine", code=2, messages=messages)


def test_a_taken_name_is_refused(own_run: Path, nas: Nas) -> None:
    messages = ["The name 'mine' is taken", "--name", "nas resume mine"]
    refuse(nas, "search", "skip", "--name", "mine", code=2, messages=messages)


@pytest.mark.fault("C4")
@pytest.mark.parametrize(
    ("trials", "messages"),
    [
        ("lots", ["'lots' is no number of trials", "--trials +100"]),
        ("-5", ["'-5' is no number of trials"]),
        ("+99999999", ["1,000,000"]),
        ("1", ["trials planned already; 1 in all are fewer"]),
    ],
)
def test_absurd_numbers_of_more_trials_are_refused(
    trials: str, messages: list[str], own_run: Path, nas: Nas
) -> None:
    refuse(nas, "resume", "mine", f"--trials={trials}", code=2, messages=messages)


@pytest.mark.parametrize(
    ("arguments", "code", "messages"),
    [
        (["--time", "later"], 2, ["'later'", "--time"]),
        (["--workers", "0"], 2, ["0 workers", "--workers"]),
        (["--executor", "slurm"], 3, ["'slurm'", "local"]),
    ],
)
def test_bad_options_of_resume_are_refused(
    arguments: list[str], code: int, messages: list[str], own_run: Path, nas: Nas
) -> None:
    before = (own_run / "trials.log").read_bytes()
    answer = nas("resume", "mine", *arguments)
    assert answer.code == code, answer.err
    for message in messages:
        assert message in answer.err
    assert (own_run / "trials.log").read_bytes() == before
