"""Every parser of what comes from outside: random and mutated input ends in our own errors."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dash_servers import VIEWS, Dash, serving
from fuzzing import dumped, mutants, odd_data, survives
from made_profiles import made_profile
from made_runs import made_run
from scale import CHECKOUT, scaled

from nas.cli.durations import parse_duration
from nas.cli.named_architectures import build_named
from nas.config_files import dump_yaml, load_document, parse_json, validate_document
from nas.objectives import resolve_objective
from nas.objectives.constraints import parse_constraints
from nas.predict.profile import LatencyProfile
from nas.run_store import Run
from nas.run_store.doctor import examine
from nas.run_store.listing import list_runs
from nas.run_store.records import encode
from nas.search.settings.config import SearchConfig
from nas.search.settings.resolve import resolve_config
from nas.space.declared import space_from_document
from nas.topology.edge_scales import read_edge_scale
from nas.topology.operations import OPERATIONS
from nas.topology.serial import dump_architecture, load_architecture
from nas.units import parse_quantity

COUNT = 10_000
"""Inputs of each parser at full scale."""
SMALL = {"schema": "nas.search/1", "space": "tiny_exhaustive", "search": {"trials": 4, "batch": 2}}
"""A config that is read in a millisecond: a run keeps whatever it is given."""


def spaces() -> list[Any]:
    files = sorted((CHECKOUT / "search_spaces").glob("*.yaml"))
    # To read a space builds a few members; forty patterns at once take longest by far.
    return [load_document(file).data for file in files if file.stem != "catalogue"]


def configs() -> list[Any]:
    written = {
        "space": "tiny_exhaustive",
        "data": "digits",
        "preset": "smoke",
        "objectives": ["error", "latency"],
        "constraints": {"latency": {"max": "2 ms"}, "macs": {"max": 1e6, "min": 10}},
        "search": {"trials": 4, "sampler": "nsga2", "batch": 2},
        "supernet": {"training": {"sampler": {"name": "sandwich", "members": 1}}},
        "confirm": {"enabled": False},
    }
    return [{"schema": "nas.search/1", **written}, resolve_config("tiny_exhaustive").to_dict()]


@pytest.mark.fault("G-F1", "C1", "C3", "C6", "C7")
def test_bytes_of_a_yaml_config_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "fuzzed.yaml"

    def read(raw: bytes) -> object:
        path.write_bytes(raw)
        return validate_document(load_document(path), SearchConfig)

    seeds = [dump_yaml(configs()[0]).encode()]
    taken, refused = survives(read, mutants(seeds, scaled(COUNT) // 2, seed=1))
    assert refused > taken > 0


@pytest.mark.fault("G-F1", "C2", "C3", "C4")
def test_odd_values_of_a_config_are_read_or_refused() -> None:
    def read(data: Any) -> object:
        document = parse_json(dumped(data), "fuzzed.json")
        return validate_document(document, SearchConfig)

    taken, refused = survives(read, odd_data(configs(), scaled(COUNT) // 2, seed=2))
    assert refused > taken > 0


@pytest.mark.fault("G-F1", "C9")
def test_odd_values_of_a_space_are_read_or_refused() -> None:
    def read(data: Any) -> object:
        return space_from_document(parse_json(dumped(data), "fuzzed.json"))

    taken, refused = survives(read, odd_data(spaces(), scaled(COUNT) // 5, seed=3))
    assert refused > taken > 0


def architectures() -> list[Any]:
    found = []
    for declared in spaces():
        space = space_from_document(parse_json(json.dumps(declared)))
        found += [dump_architecture(space.build(member)) for member in space.cover()[:2]]
    return found


@pytest.mark.fault("G-F1", "D4", "D7")
def test_an_architecture_is_read_or_refused() -> None:
    known = sorted(architectures(), key=lambda each: len(each["nodes"]))[:8]
    count = scaled(COUNT)
    texts = [json.dumps(each).encode() for each in known]
    survives(
        lambda raw: load_architecture(raw.decode("utf-8", "surrogateescape")),
        mutants(texts, count // 2, seed=4),
    )
    taken, refused = survives(load_architecture, odd_data(known, count // 2, seed=5))
    assert refused > taken > 0


def read_run(path: Path) -> None:
    """Read all of a run that a reader of it reads."""
    run = Run.open(path)
    run.table()
    run.state()


@pytest.mark.fault("G-F1", "B4")
def test_the_bytes_of_a_log_are_read_or_refused(tmp_path: Path) -> None:
    log = made_run(tmp_path, trials=3, config=SMALL) / "trials.log"

    def read(raw: bytes) -> None:
        log.write_bytes(raw)
        read_run(log.parent)

    survives(read, mutants([log.read_bytes()], scaled(COUNT) // 2, seed=6))


def odd_logs(records: list[Any], count: int) -> Iterator[bytes]:
    """Yield logs that are whole, with odd records in them."""
    draw = random.Random(7)
    for odd in odd_data(records, count, seed=7):
        place = draw.randrange(len(records))
        changed = [*records[:place], odd, *records[place + draw.randrange(2) :]]
        if isinstance(odd, dict) and isinstance(odd.get("kind"), str) and odd["kind"]:
            yield b"".join(encode(number, each) for number, each in enumerate(changed))


@pytest.mark.fault("G-F1", "A6")
def test_whole_records_that_cannot_be_true_are_read_over_or_refused(tmp_path: Path) -> None:
    log = made_run(tmp_path, trials=3, config=SMALL) / "trials.log"
    records = [json.loads(line.split(b" ", 3)[3]) for line in log.read_bytes().splitlines()]

    def read(raw: bytes) -> None:
        log.write_bytes(raw)
        read_run(log.parent)

    taken, refused = survives(read, odd_logs(records, scaled(COUNT) // 2))
    assert taken > 0 and refused > 0


@pytest.mark.fault("G-F1", "B14", "B16")
@pytest.mark.parametrize("name", ["environment.json", "run.yaml"])
def test_the_head_of_a_run_is_read_or_refused_and_always_listed(name: str, tmp_path: Path) -> None:
    file = made_run(tmp_path, trials=2, config=SMALL) / name
    whole = file.read_bytes()

    def read(raw: bytes) -> None:
        file.write_bytes(raw)
        (summary,) = list_runs(tmp_path)
        assert summary.name == "made"
        read_run(file.parent)

    survives(read, mutants([whole], scaled(COUNT) // 4, seed=8))
    file.write_bytes(whole)
    data = load_document(file).data
    survives(read, (dumped(odd).encode() for odd in odd_data([data], scaled(COUNT) // 4, seed=9)))


@pytest.mark.fault("G-F1", "B4", "B7")
def test_a_doctor_examines_whatever_it_is_given(tmp_path: Path) -> None:
    run = made_run(tmp_path, trials=2, config=SMALL)
    files = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    draw = random.Random(10)

    def look(raw: bytes) -> None:
        path = draw.choice(list(files))
        path.write_bytes(raw)
        try:
            examine(run)
        finally:
            path.write_bytes(files[path])

    survives(look, mutants(list(files.values()), scaled(COUNT) // 20, seed=11))


TARGETS = (
    *(f"/api/runs/made/{view}?after=3&page=1".encode() for view in VIEWS),
    b"/api/runs?sort=name",
    b"/api/compare?runs=made,other&objectives=error,macs",
    b"/api/runs/made/trials/3",
    b"/api/runs/made/trials/3/files/json",
    b"/api/runs/made/trials?offset=0&limit=20&sort=error&state=finished",
)
ANSWERS = {200, 400, 401, 403, 404, 405, 409, 414, 421, 422, 431, 503}


def asked(dash: Dash, raw: bytes) -> int:
    """Send a target as it is, but for what would end the line of the request."""
    target = raw.translate(None, b"\r\n \x00")
    return dash.get(b"/" + target.removeprefix(b"/")).status


@pytest.mark.fault("G-F1", "F12")
def test_a_query_is_answered_or_refused(tmp_path: Path) -> None:
    made_run(tmp_path, trials=3)
    with serving(tmp_path) as dash:

        def ask(raw: bytes) -> None:
            assert asked(dash, raw) in ANSWERS, raw

        survives(ask, mutants(TARGETS, scaled(COUNT), seed=12))
        assert dash.get("/api/runs/made").status == 200


WRITTEN: dict[str, tuple[Callable[[str], object], list[bytes]]] = {
    "quantity": (parse_quantity, [b"2 ms", b"1.5 GiB", b"3 MMACs", b"10 %", b"1e-3 s"]),
    "duration": (parse_duration, [b"1h30m", b"2h", b"90s", b"10"]),
    "constraint": (
        parse_constraints,
        [b"latency <= 2 ms", b"error[ort,int8] <= 1 %"],
    ),
    "objective": (resolve_objective, [b"latency_ms[eager,b1,fp32]", b"error[ort,int8]", b"macs"]),
    "network": (build_named, [b"resnet-cifar:depth=20", b"csp(inner=dense):n=4", b"dense:n=4"]),
    "operation": (OPERATIONS.get, [b"bn+relu+conv3x3.g32", b"conv1x1+bn+relu+dw5x5", b"identity"]),
    "edge scale": (read_edge_scale, [b"decayed_identity(0.5)", b"rezero", b"fixed(gain=0.1)"]),
}
"""What is written as a word in files and on the command line, and who reads it."""


@pytest.mark.fault("G-F1", "C4", "C11")
@pytest.mark.parametrize("kind", WRITTEN)
def test_a_written_word_is_read_or_refused(kind: str) -> None:
    read, seeds = WRITTEN[kind]

    def take(raw: bytes) -> object:
        return read(raw.decode("utf-8", "surrogateescape"))

    taken, refused = survives(take, mutants(seeds, scaled(COUNT) // 5, seed=13))
    assert taken > 0 and refused > 0


CONSTRAINTS: list[Any] = [
    {"latency": {"max": "2 ms"}, "macs": {"max": 1e6, "min": 10}},
    ["latency <= 2 ms", {"macs": {"max": 10}}],
]


@pytest.mark.fault("G-F1", "C4", "C9")
def test_odd_constraints_are_read_or_refused() -> None:
    taken, refused = survives(parse_constraints, odd_data(CONSTRAINTS, scaled(COUNT) // 5, seed=3))
    assert taken > 0 and refused > 0


@pytest.mark.fault("G-F1", "C1")
def test_an_odd_profile_is_read_or_refused(tmp_path: Path) -> None:
    file = made_profile(tmp_path / "profile.json")
    data = json.loads(file.read_text(encoding="utf-8"))

    def load(odd: Any) -> None:
        file.write_text(dumped(odd), encoding="utf-8")
        LatencyProfile.load(file)

    survives(load, odd_data([data], scaled(COUNT) // 40, seed=14))
