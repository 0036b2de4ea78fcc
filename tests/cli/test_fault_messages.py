"""Faults as a user meets them: typed commands, and what they answer."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_makers import four_arrays, save_npz
from made_runs import made_run
from scale import scaled
from search_runs import FAKE, points

from nas.config_files import dump_yaml
from nas.run_store import Run
from nas.space import load_space

Nas = Callable[..., Any]

SPACE = """\
schema: nas.space/1
name: own
summary: Own.
kind: stages
stem: conv3x3
transition: conv3x3
stages:
"""


def contents() -> dict[Path, bytes | None]:
    """Return every file below the folder that commands are typed in, but for who came last."""
    paths = (path for path in Path().rglob("*") if path.name != "lock")
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def write_space(pattern: str, *depths: int) -> None:
    rest = "operation: conv3x3, merge: sum, width: 8, stride: 1"
    stages = [f"  - {{pattern: {pattern}, depth: {depth}, {rest}}}\n" for depth in depths]
    Path("own.yaml").write_text(SPACE + "".join(stages))


@pytest.mark.fault("C8")
def test_a_space_beyond_any_number_is_counted_and_sampled_not_enumerated(nas: Nas) -> None:
    write_space("free", *[48] * 13)  # about 2 ** (13 * 1128) members
    members = load_space("own.yaml").count()
    assert members > 10**4_400
    said = nas("space", "count", "own.yaml")
    assert said.code == 0
    assert "each would have to be built" in said.out and "nas space sample" in said.out
    document = nas("space", "count", "own.yaml", "--json").document
    assert isinstance(document["members"], str) and len(document["members"]) > 4_400
    assert document["distinct"] is None
    assert "e+4" in nas("space", "validate", "own.yaml").out


@pytest.mark.fault("C8", "D8")
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["search", "dry run"])
def test_a_space_beyond_the_memory_is_refused_before_anything_is_allocated(
    more: list[str], nas: Nas
) -> None:
    write_space("dense", 40)
    wide = Path("own.yaml").read_text().replace("width: 8", "width: 8192")
    Path("own.yaml").write_text(wide.replace("merge: sum", "merge: concat"))
    start = time.process_time()
    said = nas("search", "own.yaml", "--preset", "smoke", *more)
    assert said.code == 2
    assert re.search(r"member of the space 'own' needs [\d,.]+ GiB to be trained", said.err)
    assert "fix: Use smaller widths" in said.err
    assert time.process_time() - start < 30 and not Path("runs").exists()


def write_search(**more: Any) -> None:
    Path("search.yaml").write_text(dump_yaml({"schema": "nas.search/1", **FAKE, **more}))


@pytest.mark.fault("C9")
def test_a_space_of_one_member_is_searched(nas: Nas) -> None:
    write_space("chain", 2)
    write_search(space="own.yaml")
    said = nas("search", "search.yaml", "--name", "one")
    assert said.code == 0, said.err
    run = Run.open(Path("runs/one"))
    assert len(points(run)) == 1 and run.table().stages["explore"].finish["exhausted"]


@pytest.mark.fault("C13")
def test_paths_mean_where_they_were_typed_and_a_run_goes_on_from_anywhere(
    nas: Nas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a home"
    here, there = home / "with blanks", tmp_path / "elsewhere"
    for folder in (here, there):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    save_npz(here / "set.npz", **four_arrays())
    write_search(data="set.npz", search={"trials": 4, "batch": 4})
    assert nas("search", "search.yaml", "--name", "first").code == 0
    monkeypatch.chdir(there)
    said = nas("resume", here / "runs" / "first", "--trials", "+4")
    assert said.code == 0, said.err
    assert nas("resume", "~/with blanks/runs/first", "--trials", "+4").code == 0
    assert len(Run.open(here / "runs" / "first").table().finished()) == 12
    assert list(there.iterdir()) == []
    # As a shell leaves a home folder inside quotes or behind '='.
    typed = ("search", "~/with blanks/search.yaml", "--data", "~/with blanks/set.npz")
    assert nas(*typed, "--name", "second").code == 0
    assert points(Run.open(there / "runs/second"))


@pytest.mark.fault("F18")
def test_nothing_that_is_printed_steers_the_terminal(nas: Nas) -> None:
    clear, turn = "\x1b[2J", "\u202e"
    write_search(data=f"x{clear}\nerror: fake{turn}\x9b31m")
    said = nas("search", "search.yaml")
    assert said.code == 3
    assert "error: Unknown data set" in said.err and "\n    error: fake\\u202e\\x9b31m" in said.err
    write_search(**{f"se{clear}arch": 1})
    assert "'se\\x1b[2Jarch'" in nas("search", "search.yaml").err
    Path("own.yaml").write_text(SPACE.replace("Own.", f'"one {turn}two {clear}"') + "  - {")
    for arguments in (["space", "describe", "own.yaml"], ["nope\x1b[2J"], ["runs", "show", clear]):
        said = nas(*arguments)
        assert said.code != 0 and not {"\x1b", turn} & set(said.out + said.err)
    write_space("chain", 2)
    text = Path("own.yaml").read_text()
    Path("own.yaml").write_text(text.replace("Own.", r'"one \u202etwo \e[2J\x9b"'))
    assert "one \\u202etwo \\x1b[2J\\x9b" in nas("space", "describe", "own.yaml").out
    said = nas("space", "describe", "own.yaml", "--json")
    assert said.document["summary"] == "one \u202etwo \x1b[2J\x9b"
    assert not {"\x1b", turn, "\x9b"} & set(said.out)


HOSTILE = (
    *("", " ", "\x00", "../..", "/", ".", "folder", "bytes", "empty.json", "list.json", "é\u202e"),
    *("deep.json", "nan.json", "half.npz", "-1", "nan", "9" * 400, "a" * 5_000, "made:0", "[x]"),
    *(
        "made:99",
        "made:x",
        "nothing",
        "=",
        "a:b:c",
        "$(touch x)",
        "\ud800",
        "run.onnx",
        "~nobody/x",
    ),
)
COMMANDS = """
    search {}; search skip --data {}; search skip --name {}; search skip --set {}
    search skip --time {}; search skip --device {}; resume {}; resume made; resume made --trials {}
    stop {}; runs list --runs {}; runs show {}; runs rm {}; runs rebuild {}; front {}
    front made --max-latency {}; compare made {}; doctor {}; report {} -o report.html
    arch build {}; arch build resnet-cifar --input {}; arch show {}; arch diff made:0 {}
    arch export {} -o out; arch edit {} --random 1; arch bench {}; arch train {}
    space count {}; space validate {}; patterns {}; data check {}; data convert {} out.npz
    supernet rank {}; study {}; config check {}; config show {}; predict {} folder
    submit {}; submit skip --address {}; submit {} --render slurm --name far
    submit skip --name {} --render kuberay; submit skip --render {}; submit skip --token-file {}
    jobs status {} --address http://127.0.0.1:9; jobs list --address {}; jobs logs {}
"""


@pytest.mark.fault("G-R16", "C4", "C7", "F1", "F17")
def test_no_argument_of_a_command_is_unexpected(
    nas: Nas, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    made_run(Path("runs"), "made", trials=2)
    Path("folder").mkdir()
    Path("bytes").write_bytes(bytes(range(256)))
    texts = {"empty": "", "list": "[1]", "deep": "[" * 5_000, "nan": '{"schema": NaN}'}
    for name, text in texts.items():
        Path(f"{name}.json").write_text(text)
    Path("half.npz").write_bytes(b"PK\x03\x04")
    Path("run.onnx").write_bytes(b"\x08\x01" * 10)
    commands = [command.strip() for line in COMMANDS.split("\n") for command in line.split(";")]
    pairs = list(itertools.product(filter(None, commands), HOSTILE))
    random.Random(0).shuffle(pairs)
    before = contents()
    for command, argument in pairs[: scaled(len(pairs))]:
        typed = [argument if word == "{}" else word for word in command.split()]
        said = nas(*typed, *(["--dry-run"] if typed[0] == "search" else []))
        assert said.code in (0, 2, 3, 6), (typed, said.err)
        if said.code:
            assert "error: " in said.err and "\n  fix: " in said.err, (typed, said.err)
    assert contents() == before


@pytest.mark.fault("B16", "E9")
def test_a_run_that_does_not_say_its_data_is_not_gone_on_with(own_run: Path, nas: Nas) -> None:
    said = nas("resume", "mine")
    assert said.code == 2 and "Run 'mine' does not say which data it was made with" in said.err
    assert "environment.json" in said.err


def test_a_path_that_the_system_refuses_is_named_and_cut(nas: Nas) -> None:
    said = nas("data", "check", "a" * 5_000)
    assert said.code == 2 and said.err.count("a" * 120 + "...") == 2
    assert "cannot be used: File name too long" in said.err
