"""A run goes into an archive and comes out whole; an archive of a stranger does nothing else."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import tarfile
from pathlib import Path

import pytest
from scale import scaled

from nas.errors import EnvironmentFault, NasError, RunError
from nas.run_store import Run, copies
from nas.run_store.copies import contents_of, knows_all_of, pack_run, put_copy
from nas.run_store.creation import prepare_root

ROOM = 1 << 24


def run_with(folder: Path, trials: int) -> Path:
    """Make a run with weights, a view and some trials."""
    with Run.create(folder, "away", {"data": "digits"}, {"device": "cpu"}) as run:
        import numpy as np

        weights = run.weights.put({"w": np.arange(6.0, dtype=np.float32)}, {})
        run.append({"kind": "stage_finished", "stage": "supernet", "checkpoint": weights})
        add_trials(run, range(trials))
        run.write_view("front.json", b"{}")
        return run.path


def add_trials(run: Run, numbers: range) -> None:
    for number in numbers:
        run.append({"kind": "trial_asked", "trial": number, "attempt": 1, "decisions": {}})


def packed(run: Path) -> io.BytesIO:
    out = io.BytesIO()
    pack_run(run, contents_of(run), out)
    out.seek(0)
    return out


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    out.seek(0)
    return out


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_copy_has_every_byte_of_the_run_and_the_modes_of_one(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 3)
    home = tmp_path / "here" / "away"
    put_copy(packed(run), home, ROOM)
    expected = {name: data for name, data in everything(run).items() if name != "lock"}
    assert everything(home) == expected
    assert {path.stat().st_mode & 0o777 for path in home.rglob("*") if path.is_file()} == {0o600}
    assert home.stat().st_mode & 0o777 == 0o700
    with Run.open(home, write=True) as copied:
        assert len(copied.stale_trials()) == 3
    assert [path.name for path in home.parent.iterdir()] == ["away"]


def test_a_run_is_copied_while_it_goes_on(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 1)
    with Run.open(run, write=True) as owned:
        contents = contents_of(run)
        add_trials(owned, range(1, 200))
        out = io.BytesIO()
        pack_run(run, contents, out)
    out.seek(0)
    put_copy(out, tmp_path / "here" / "away", ROOM)
    assert knows_all_of(run, tmp_path / "here" / "away")


def test_a_newer_copy_replaces_an_older_one_and_no_other(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 1)
    home = tmp_path / "here" / "away"
    put_copy(packed(run), home, ROOM)
    with Run.open(run, write=True) as owned:
        add_trials(owned, range(1, 3))
    put_copy(packed(run), home, ROOM)
    assert knows_all_of(home, run)
    with Run.open(home, write=True) as copied:
        add_trials(copied, range(7, 8))
    before = everything(home)
    with pytest.raises(RunError, match=r"went on in two places[^$]*beginning of the other"):
        put_copy(packed(run), home, ROOM)
    assert {**everything(home), "lock": b""} == {**before, "lock": b""}
    assert [path.name for path in home.parent.iterdir()] == ["away"]


@pytest.mark.fault("A16")
def test_a_copy_that_is_in_use_stays(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 1)
    home = tmp_path / "here" / "away"
    put_copy(packed(run), home, ROOM)
    with (
        Run.open(home, write=True),
        pytest.raises(RunError, match="'away' is in use by pid"),
    ):
        put_copy(packed(run), home, ROOM)


def test_a_folder_that_is_no_run_stays(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 1)
    photos = tmp_path / "here" / "away"
    photos.mkdir(parents=True)
    (photos / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(RunError, match="'away' is not a run folder"):
        put_copy(packed(run), photos, ROOM)
    assert everything(tmp_path / "here") == {"away/cat.jpg": b"cat"}


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.fault("B15", "F1", "F11")
@pytest.mark.parametrize(
    "hostile",
    [
        entry("../planted"),
        entry("/tmp/planted"),
        entry("weights/../../planted"),
        entry("weights\\..\\planted"),
        entry("a\nb"),
        entry(".hidden"),
        entry("lock"),
        entry("a/b/c/d/e/f/g"),
        entry("trials.log", tarfile.SYMTYPE, "/etc/passwd"),
        entry("trials.log", tarfile.LNKTYPE, "../../planted"),
        entry("trials.log", tarfile.FIFOTYPE),
        entry("trials.log", tarfile.CHRTYPE),
        entry("weights", tarfile.DIRTYPE),
    ],
    ids=lambda made: repr(made.name),
)
def test_an_archive_with_more_than_plain_files_is_refused(
    hostile: tarfile.TarInfo, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="no whole copy of a run"):
        put_copy(archive((hostile, b"")), tmp_path / "here" / "away", ROOM)
    assert everything(tmp_path) == {}
    assert list((tmp_path / "here").iterdir()) == []


def test_a_name_that_comes_twice_and_more_than_was_announced_are_refused(tmp_path: Path) -> None:
    twice = archive((entry("run.yaml"), b"a"), (entry("run.yaml"), b"b"))
    with pytest.raises(RunError, match=r"'run\.yaml' is no path of a run"):
        put_copy(twice, tmp_path / "away", ROOM)
    bomb = archive((entry("front.json"), bytes(1 << 22)))
    with pytest.raises(RunError, match="more than was announced"):
        put_copy(bomb, tmp_path / "away", 1 << 20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("B1")
def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 1)
    with pytest.raises(EnvironmentFault, match="disk full: the run needs"):
        put_copy(packed(run), tmp_path / "here" / "away", 1 << 60)
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.fault("B7", "B8", "B16")
@pytest.mark.parametrize("damage", ["cut", "flip", "weights", "log"])
def test_a_damaged_archive_never_becomes_a_run(damage: str, tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 5)
    whole = packed(run).getvalue()
    random_places = random.Random(7)
    for _ in range(scaled(60)):
        target = tmp_path / "here" / "away"
        try:
            put_copy(io.BytesIO(damaged(damage, whole, run, random_places)), target, ROOM)
        except (RunError, EnvironmentFault):
            assert not target.exists()
        else:  # a flip that compression did not notice must have changed nothing of the run
            assert knows_all_of(run, target)
            shutil.rmtree(target)
    assert list((tmp_path / "here").iterdir()) == []


def damaged(how: str, whole: bytes, run: Path, rng: random.Random) -> bytes:
    if how == "cut":
        return whole[: rng.randrange(len(whole) - 1)]
    if how == "flip":
        place = rng.randrange(10, len(whole))
        return whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :]
    part = (b"trials.log" if how == "log" else b"weights/").decode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in contents_of(run).files:
            data = bytearray((run / name).read_bytes())
            if name.startswith(part):
                data[rng.randrange(len(data) - 1)] ^= 1 << rng.randrange(8)
            made = entry(name)
            made.size = len(data)
            tar.addfile(made, io.BytesIO(bytes(data)))
    return out.getvalue()


def test_links_in_a_run_stay_behind_and_are_named(tmp_path: Path) -> None:
    run = run_with(tmp_path / "there", 1)
    (run / "secrets").symlink_to("/etc/passwd")
    os.mkfifo(run / "weights" / "pipe")
    contents = contents_of(run)
    assert contents.left_out == ("secrets", "weights/pipe")
    put_copy(packed(run), tmp_path / "here" / "away", ROOM)
    assert not (tmp_path / "here" / "away" / "secrets").exists()


@pytest.mark.fault("A2")
def test_an_unpacking_that_was_killed_leaves_the_old_copy(tmp_path: Path) -> None:
    """The new one has its name in one step; what lies aside is swept by the next owner."""
    run = run_with(tmp_path / "there", 1)
    home = tmp_path / "here" / "away"
    put_copy(packed(run), home, ROOM)
    with Run.open(run, write=True) as owned:
        add_trials(owned, range(1, 3))
    source = packed(run)
    pid = os.fork()
    if pid == 0:
        reader = Stalling(source)
        try:
            put_copy(reader, home, ROOM)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == 9
    with Run.open(home) as copied:
        assert len(copied.table().trials) == 1
    source.seek(0)
    put_copy(source, home, ROOM)
    assert knows_all_of(home, run)


@pytest.mark.fault("A2")
def test_a_replacement_that_was_killed_between_two_renames_loses_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(tmp_path / "there", 1)
    home = tmp_path / "here" / "away"
    put_copy(packed(run), home, ROOM)
    with Run.open(run, write=True) as owned:
        add_trials(owned, range(1, 3))
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(copies, "move_into_place", lambda *_: os.kill(os.getpid(), 9))
        try:
            put_copy(packed(run), home, ROOM)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == 9
    assert not home.exists()
    prepare_root(home.parent)
    with Run.open(home) as copied:
        assert len(copied.table().trials) == 1
    put_copy(packed(run), home, ROOM)
    assert knows_all_of(home, run)
    assert not list(home.parent.glob(".tmp-replaced-*"))


class Stalling(io.RawIOBase):
    """Ends its process by SIGKILL when all but the end of the archive was read."""

    def __init__(self, source: io.BytesIO) -> None:
        self._source = source
        self._left = len(source.getvalue()) - 64

    def read(self, size: int = -1) -> bytes:
        if self._left <= 0:
            os.kill(os.getpid(), 9)
        data = self._source.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        return data

    def tell(self) -> int:
        return self._source.tell()


def test_every_error_of_a_bad_archive_is_one_of_ours(tmp_path: Path) -> None:
    rng = random.Random(3)
    for size in range(scaled(300)):
        data = rng.randbytes(size)
        for whole in (data, gzip.compress(data)):
            with pytest.raises(NasError):
                put_copy(io.BytesIO(whole), tmp_path / "away", ROOM)
