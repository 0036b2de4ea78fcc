"""A job arrives: it begins its run, goes on with it, or says why neither is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_runs import made_config, made_run
from scale import CHECKOUT

import nas
from nas.cluster.arrival import command_of
from nas.cluster.jobs import entrypoint
from nas.cluster.order import CARRIED, FOLDER, CopyNeededError, LogState, Order
from nas.cluster.package import package_of
from nas.cluster.transport import Receiver
from nas.errors import NotFoundError, RunError
from nas.run_store import Run
from nas.run_store.copies import contents_of, pack_run, put_copy
from nas.run_store.layout import config_hash
from nas.search.settings.resolve import resolve_config
from nas.sent_files import VARIABLE


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder of runs on a cluster, with a run called `made`."""
    return made_run(tmp_path / "cluster", trials=2).parent


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    folder.mkdir()
    return folder


def order(there: Path, **fields: object) -> Order:
    made = Order(verb="search", name="made", nas=nas.__version__, runs=str(there))
    return replace(made, **fields)  # type: ignore[arg-type]


def copy_of(run: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    packed = folder / "archive"
    with packed.open("wb") as out:
        pack_run(run, contents_of(run), out)
    with packed.open("rb") as source:
        put_copy(source, folder / run.name)
    return folder / run.name


def lengthen(run: Path, reason: str) -> None:
    with Run.open(run, write=True) as owned:
        owned.append({"kind": "run_interrupted", "reason": reason})


def carry(run: Path, package: Path) -> None:
    with (package / CARRIED).open("wb") as out:
        pack_run(run, contents_of(run), out)


def test_a_new_name_begins_and_a_known_one_goes_on(there: Path, package: Path) -> None:
    known = config_hash(made_config())
    words = ("--time", "2h")
    going = order(there, config_sha256=known, arguments=words, more=("--trials", "+9"))
    on = command_of(going, package)
    assert on == ["resume", str(there / "made"), "--time", "2h", "--trials", "+9"]
    begin = command_of(replace(going, name="other"), package)
    config = str(package / "search.json")
    assert begin == ["search", config, "--name", "other", "--runs", str(there), *words]


@pytest.mark.fault("C10")
def test_another_config_under_a_known_name_is_refused(there: Path, package: Path) -> None:
    with pytest.raises(RunError, match=r"another config[^$]*one config[^$]*another --name"):
        command_of(order(there, config_sha256="0" * 64), package)


def test_a_run_that_is_nowhere_is_told(there: Path, package: Path) -> None:
    with pytest.raises(NotFoundError, match="no run 'none' on the cluster"):
        command_of(order(there, name="none"), package)


def test_the_copy_that_knows_more_is_gone_on_with(
    there: Path, package: Path, tmp_path: Path
) -> None:
    home = copy_of(there / "made", tmp_path / "home")
    # Both the same, or the one on the cluster further: it goes on there.
    assert command_of(order(there, copy=LogState.of(home)), package)[0] == "resume"
    lengthen(there / "made", "further there")
    assert command_of(order(there, copy=LogState.of(home)), package)[0] == "resume"
    # The one here further: it is asked for, then takes the other's place.
    home = copy_of(there / "made", tmp_path / "later")
    lengthen(home, "further here")
    asked = order(there, copy=LogState.of(home))
    with pytest.raises(CopyNeededError, match="further than the one here"):
        command_of(asked, package)
    carry(home, package)
    assert command_of(replace(asked, carried=True), package)[0] == "resume"
    assert LogState.of(there / "made") == LogState.of(home)


def test_a_cluster_that_forgot_the_run_gets_the_copy(
    there: Path, package: Path, tmp_path: Path
) -> None:
    home = there / "made"
    elsewhere = tmp_path / "new" / "cluster"
    asked = order(elsewhere, copy=LogState.of(home))
    with pytest.raises(CopyNeededError):
        command_of(asked, package)
    carry(home, package)
    assert command_of(replace(asked, carried=True), package)[0] == "resume"
    assert LogState.of(elsewhere / "made") == LogState.of(home)


@pytest.mark.parametrize("longer", ["here", "there"])
def test_a_run_that_went_on_in_two_places_stays_two(
    longer: str, there: Path, package: Path, tmp_path: Path
) -> None:
    home = copy_of(there / "made", tmp_path / "home")
    lengthen(home, "here")
    lengthen(there / "made", "there")
    lengthen(home if longer == "here" else there / "made", "again")
    before = (there / "made" / "trials.log").read_bytes()
    carry(home, package)
    with pytest.raises(RunError, match=r"went on (in two places|here and on the cluster)"):
        command_of(order(there, copy=LogState.of(home), carried=True), package)
    assert (there / "made" / "trials.log").read_bytes() == before


def begin(
    folder: Path, verb: str, name: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a job as Ray does: its command line in a shell, in the folder of its package."""
    words = entrypoint(verb, name).replace("python", sys.executable, 1)
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    path = os.pathsep.join((str(folder), str(Path(nas.__file__).parents[1])))
    return subprocess.run(
        ["/bin/sh", "-c", words],
        cwd=folder,
        env={**kept, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )


def unpacked(target: Path, **texts: str) -> Path:
    """Make the folder of a package with nothing but a job's own files."""
    own = target / FOLDER
    own.mkdir(parents=True)
    source = Path(nas.__file__).parent / "cluster" / "begin.py"
    (own / "begin.py").write_text(source.read_text())
    for name, text in texts.items():
        (own / f"{name}.json").write_text(text)
    return target


def test_a_package_is_all_that_a_search_needs_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plugin, data and config leave their folder; the run comes back through the log of a job."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    plugin = CHECKOUT / "examples" / "own_objective" / "activations.py"
    (here / "activations.py").write_text(plugin.read_text())
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = rng.normal(size=(240, 1, 8, 8)).astype("float32") + labels[:, None, None, None]
    np.savez(
        here / "mine.npz",
        x_train=images[:180],
        y_train=labels[:180],
        x_test=images[180:],
        y_test=labels[180:],
    )
    (here / "search.yaml").write_text(SEARCH)
    config = resolve_config(str(here / "search.yaml"))

    package = package_of(config)
    package.write(tmp_path / "package.zip")
    there = unpacked(
        tmp_path / "there",
        order=order(tmp_path / "runs", name="far", config_sha256=None).to_json(),
        search=json.dumps(config.to_dict()),
    )
    with zipfile.ZipFile(tmp_path / "package.zip") as archive:
        archive.extractall(there)
    sent = order(tmp_path / "runs", name="far", config_sha256=config_hash(config.to_dict()))
    (there / FOLDER / "order.json").write_text(sent.to_json())
    here.rename(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    done = begin(there, "search", "far", **{VARIABLE: package.places_json()})
    assert done.returncode == 0, done.stderr

    (there / FOLDER / "order.json").write_text(replace(sent, verb="send").to_json())
    receiver = Receiver(tmp_path)
    said = begin(there, "send", "far")
    for line in said.stdout.splitlines():
        receiver.take(line)
    receiver.unpack(tmp_path / "home" / "far")
    receiver.close()
    with Run.open(tmp_path / "home" / "far") as run:
        assert run.state() == "finished"
        assert run.config == config.to_dict()
        assert run.config["data"] == "mine.npz"
        assert all(trial.value("activations") > 0 for trial in run.table().finished())


SEARCH = """
schema: nas.search/1
space: tiny_exhaustive
data: mine.npz
preset: smoke
objectives: [cross_entropy, activations]
plugins: [activations]
search: {trials: 3, batch: 3}
supernet: {training: {epochs: 1}, relaxation: {enabled: false}}
confirm: {enabled: false}
executor: {kind: inline}
"""


def test_another_version_and_a_missing_nas_are_told_in_words(tmp_path: Path) -> None:
    old = Order(verb="search", name="x", nas="0.0.1").to_json()
    folder = unpacked(tmp_path / "package", order=old)
    done = begin(folder, "search", "x")
    assert done.returncode == 2
    assert f"sent by nas 0.0.1, and nas {nas.__version__} is installed where it runs" in done.stderr
    assert "Traceback" not in done.stderr
    bare = subprocess.run(
        [sys.executable, "-I", "-S", str(folder / FOLDER / "begin.py"), "search", "x"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert bare.returncode == 2
    assert "error: nas is not installed where the job runs." in bare.stderr
    assert "fix: Install nas 0.0.1 there" in bare.stderr
