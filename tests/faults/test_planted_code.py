"""No file that is read starts code: planted pickles never run, and no source could load one."""

from __future__ import annotations

import ast
import gzip
import io
import os
import pickle  # noqa: TID251 - what strangers plant
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dashboard_documents import every_document
from image_makers import four_arrays, made_images, save_image_folder, save_npz
from made_runs import made_run
from scale import CHECKOUT, is_full_scale

from nas.cli.named_architectures import find_architecture
from nas.config_files import load_document
from nas.errors import NasError
from nas.export.reading import read_predictor
from nas.predict.profile import LatencyProfile
from nas.run_store import Run, rebuild_views
from nas.run_store.doctor import examine
from nas.run_store.listing import list_runs
from nas.run_store.repairs import repair
from nas.run_store.weights import WeightStore
from nas.search.front_view import front_document, register_views
from nas.space import load_space
from nas.topology.serial import load_architecture
from nas.training.data import load_data


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.canary,))


def payloads(canary: Path) -> dict[str, bytes]:
    """Return files that run code where they are loaded as pickles, in every wrapping we know."""
    trap = Trap(canary)
    found = {f"protocol {number}": pickle.dumps(trap, number) for number in (0, 2, 5)}
    found["gzip"] = gzip.compress(found["protocol 5"])
    objects = np.array([trap], dtype=object)
    for name, save in (
        ("npy", np.save),
        ("npz", np.savez),
        ("torch", lambda f, a: torch.save(trap, f)),
    ):
        file = io.BytesIO()
        save(file, objects)
        found[name] = file.getvalue()
    return found


KINDS = tuple(payloads(Path("unused")))


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """The file that a sprung trap makes; it must not be there at the end of a test."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "planted code was started"


def test_the_traps_would_spring(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, raw in payloads(canary).items():
        file = io.BytesIO(gzip.decompress(raw) if name == "gzip" else raw)
        if name in ("npy", "npz"):
            with suppress(TypeError):
                loaded = np.load(file, allow_pickle=True)
                _ = loaded["arr_0"] if name == "npz" else None
        elif name == "torch":
            torch.load(file, weights_only=False)  # noqa: TID251
        else:
            pickle.load(file)
        assert canary.exists(), name
        canary.rmdir()


RUN_FILES = (
    *("run.yaml", "environment.json", "trials.log", "log.jsonl", "lock", "stop", "front.json"),
    *("front.csv", "trials.parquet", "rank.json", "report.html", "optuna.db", "tuner.pkl"),
    *("weights/{sha}.safetensors", "weights/checkpoint.pt", "architectures/{id}.json"),
    *("quarantine/torn-1.bin", "__init__.py", "checkpoint.pkl", "state.pt", "study.joblib"),
    *("lease", "originals/nas.run-1/environment.json", "originals/nas.run-1/trials.log"),
)
"""Names that a run has, and names under which others keep pickles."""


CONFIG = {
    "schema": "nas.search/1",
    "space": "tiny_exhaustive",
    "data": "digits",
    "objectives": ["error", "macs"],
}


def look_at_everything(run: Path, sha: str, identity: str) -> None:
    """Read a run in every way there is; refusals are fine."""

    def state() -> None:
        found = Run.open(run)
        found.table()
        found.state()
        front_document(found)

    def write() -> None:
        with Run.open(run, write=True) as found:
            rebuild_views(found)

    looks: list[Callable[[], object]] = [
        *(lambda: list_runs(run.parent), lambda: examine(run), state),
        *(lambda: WeightStore(run / "weights").get(sha),),
        *(lambda: find_architecture(str(run / "architectures" / f"{identity}.json"), run.parent),),
        *(lambda: list(every_document(run.parent, run.name)), write, lambda: repair(run)),
    ]
    for look in looks:
        with suppress(NasError):
            look()


@pytest.mark.fault("F4", "G-S6")
@pytest.mark.parametrize("kind", KINDS)
def test_no_pickle_in_a_run_is_ever_opened(kind: str, tmp_path: Path, canary: Path) -> None:
    register_views()
    whole = made_run(tmp_path / "whole", trials=2, config=CONFIG)
    sha = WeightStore(whole / "weights").put({"a": np.zeros(2)})
    identity = next((whole / "architectures").iterdir()).stem
    raw = payloads(canary)[kind]
    for number, name in enumerate(RUN_FILES):
        if not is_full_scale() and (number + KINDS.index(kind)) % 3:
            continue  # every name is tried with some kinds, and every kind under many names
        run = tmp_path / f"runs{number}" / "made"
        shutil.copytree(whole, run)
        planted = run / name.format(sha=sha, id=identity)
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_bytes(raw)
        look_at_everything(run, sha, identity)
        assert not canary.exists(), name


READERS: dict[str, Callable[[Path], object]] = {
    "set.npz": lambda path: load_data(str(path)),
    "search.yaml": load_document,
    "search.json": load_document,
    "own.yaml": lambda path: load_space(str(path)),
    "profile.json": LatencyProfile.load,
    "network.json": lambda path: load_architecture(path.read_text("utf-8", "replace")),
    "network.onnx": read_predictor,
    "train-images-idx3-ubyte": lambda path: load_data(str(path.parent)),
    "data_batch_1.bin": lambda path: load_data(str(path.parent)),
}


@pytest.mark.fault("F4", "G-S6")
@pytest.mark.parametrize("kind", KINDS)
def test_no_pickle_under_the_name_of_other_files_is_opened(
    kind: str, tmp_path: Path, canary: Path
) -> None:
    raw = payloads(canary)[kind]
    for name, read in READERS.items():
        path = tmp_path / name.replace(".", "-") / name
        path.parent.mkdir()
        path.write_bytes(raw)
        with suppress(NasError):  # the oldest protocol is plain text, which YAML reads as such
            read(path)
        assert not canary.exists(), name


@pytest.mark.fault("F4", "G-S6")
def test_pickles_in_images_and_in_their_cache_are_not_opened(
    tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    save_image_folder(folder, *made_images(24, 3))
    before = load_data(str(folder), memory_budget_bytes=100).fingerprint
    cached = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert cached
    for raw in payloads(canary).values():
        for path in cached:
            path.write_bytes(raw)
        assert load_data(str(folder), memory_budget_bytes=100).fingerprint == before
        picture = folder / "class0" / "000.png"
        sound = picture.read_bytes()
        picture.write_bytes(raw)
        with pytest.raises(NasError, match="does not decode"):
            load_data(str(folder))
        picture.write_bytes(sound)
    spec = save_npz(tmp_path / "objects.npz", **four_arrays(), classes=np.array([Trap(canary)]))
    with pytest.raises(NasError):
        load_data(spec)


UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "yaml"}
UNSAFE_CALLS = {
    *("eval", "exec", "os.system", "os.popen", "torch.load", "torch.jit.load", "torch.hub.load"),
    *("pd.read_pickle", "pandas.read_pickle", "tarfile.extractall", "runpy.run_path"),
}
UNSAFE_OPTIONS = {("shell", True), ("weights_only", False), ("allow_pickle", True)}
SAFE_BY_OPTION = {"np.load": "allow_pickle", "numpy.load": "allow_pickle"}
WRITTEN_HERE = {
    "nas/export/formats/torch_export.py": {"torch.export.load"},
    "benchmarks/reliability_sides/checkpoints.py": {"torch.load"},
}
"""Read back what they wrote themselves, to compare it with the network or with our own files."""


SUSPECT = re.compile(
    r"\b(eval|exec|load|read_pickle|run_path|system|popen|extractall)\(|shell|weights_only|"
    rf"allow_pickle|{'|'.join(sorted(UNSAFE_MODULES))}"
)
"""What a file must hold to be looked at closely; parsing all of them takes seconds."""


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` of an attribute or name, an empty text of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_unsafe_module(name: str) -> bool:
    return name.split(".")[0] in UNSAFE_MODULES


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Yield what in a source file could start code that a file brings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                name.name for name in node.names if name.name.split(".")[0] in UNSAFE_MODULES
            )
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in UNSAFE_MODULES:
                yield str(node.module)
        elif isinstance(node, ast.Call):
            yield from unsafe_call(node)


def unsafe_call(node: ast.Call) -> Iterator[str]:
    name = dotted(node.func)
    options = {
        word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)
    }
    if name in UNSAFE_CALLS | {"torch.export.load"}:
        yield name
    if name in SAFE_BY_OPTION and options.get(SAFE_BY_OPTION[name]) is not False:
        yield name
    yield from (
        f"{option}={value}" for option, value in UNSAFE_OPTIONS if options.get(option) is value
    )


@pytest.mark.fault("F4", "F17", "G-S6")
def test_no_source_could_load_code_from_a_file_or_start_a_shell() -> None:
    files = [
        path
        for part in ("nas", "dashboards", "benchmarks", "examples")
        for path in (CHECKOUT / part).rglob("*.py")
    ]
    assert len(files) > 500
    found = {}
    for path in files:
        name = path.relative_to(CHECKOUT).as_posix()
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text if SUSPECT.search(text) else "")
        if uses := set(unsafe(tree)) - WRITTEN_HERE.get(name, set()):
            found[name] = sorted(uses)
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "from dill import loads", "import joblib.numpy_pickle", "eval(text)"),
        *("torch.load(path)", "np.load(path)", "np.load(path, allow_pickle=True)"),
        *("run(line, shell=True)", "f(weights_only=False)", "os.system(line)", "import yaml"),
    ],
)
def test_the_check_sees_what_is_unsafe(source: str) -> None:
    assert SUSPECT.search(source) and list(unsafe(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["np.load(path, allow_pickle=False)", "run(line, shell=False)", "module.eval()"]
)
def test_the_check_lets_pass_what_is_safe(source: str) -> None:
    assert not list(unsafe(ast.parse(source)))
