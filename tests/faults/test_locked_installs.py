"""Installing checks every byte: with the options of `make install`, a changed hash is refused."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from scale import CHECKOUT

METADATA = "Metadata-Version: 2.1\nName: locked-thing\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def options() -> list[str]:
    """Return what `make install` and `make install-dev` tell pip before the lock."""
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"\$\(PIP\) (.*) -r (requirements(?:-dev)?\.lock)", makefile)
    assert {lock for _, lock in found} == {"requirements.lock", "requirements-dev.lock"}
    (said,) = {words for words, _ in found}
    return str(said).split()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one package, as a wheel and as sources."""
    folder = tmp_path_factory.mktemp("shelf")
    with zipfile.ZipFile(folder / "locked_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("locked_thing.py", "")
        wheel.writestr("locked_thing-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("locked_thing-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("locked_thing-1.0.dist-info/RECORD", "")
    with zipfile.ZipFile(folder / "sourced_thing-1.0.zip", "w") as sources:
        sources.writestr("sourced_thing-1.0/setup.py", "raise SystemExit('built')")
    return folder


def install(lock: str, shelf: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Install from the shelf as `make install` does from the index."""
    (target.parent / "requirements.lock").write_text(lock)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-index"]
    where = ["--find-links", str(shelf), "--target", str(target), "--no-cache-dir"]
    return subprocess.run(
        [*pip, *where, *options(), "-r", str(target.parent / "requirements.lock")],
        capture_output=True,
        text=True,
    )


@pytest.mark.fault("F15", "G-S8")
def test_only_the_locked_bytes_are_installed(shelf: Path, tmp_path: Path) -> None:
    wheel = next(shelf.glob("*.whl"))
    sha = hashlib.sha256(wheel.read_bytes()).hexdigest()
    line = "locked-thing==1.0"
    sound = install(f"{line} --hash=sha256:{sha}\n", shelf, tmp_path / "sound")
    assert sound.returncode == 0 and (tmp_path / "sound" / "locked_thing.py").exists()
    other = ("0" if sha[0] != "0" else "1") + sha[1:]
    changed = install(f"{line} --hash=sha256:{other}\n", shelf, tmp_path / "changed")
    assert changed.returncode != 0 and "DO NOT MATCH THE HASHES" in changed.stderr
    unhashed = install(f"{line}\n", shelf, tmp_path / "unhashed")
    assert unhashed.returncode != 0 and "--require-hashes" in unhashed.stderr
    assert not (tmp_path / "changed").exists() and not (tmp_path / "unhashed").exists()


@pytest.mark.fault("F15", "G-S8")
def test_no_package_is_built_while_it_is_installed(shelf: Path, tmp_path: Path) -> None:
    sha = hashlib.sha256(next(shelf.glob("*.zip")).read_bytes()).hexdigest()
    found = install(f"sourced-thing==1.0 --hash=sha256:{sha}\n", shelf, tmp_path / "sources")
    assert found.returncode != 0
    assert "No matching distribution" in found.stderr and "built" not in found.stdout


@pytest.mark.fault("F13", "G-S8")
def test_the_lock_holds_a_ray_that_can_ask_for_a_token() -> None:
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    found = re.search(r"^ray\[?.*?\]?==(\d+)\.(\d+)", lock, re.MULTILINE)
    assert found is not None and (int(found[1]), int(found[2])) >= (2, 54)
