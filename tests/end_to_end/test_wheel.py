"""The wheel carries everything: installed in a clean environment, it works outside the checkout."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import nas

CHECKOUT = Path(__file__).resolve().parents[2]


def execute(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command without any sight of the checkout and return its standard output."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "NAS_DATA")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel"]
    build = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT]
    execute(build, folder)
    (built,) = folder.glob("nas-*.whl")
    return built


@pytest.fixture(scope="module")
def nas_command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an environment of its own; heavy dependencies are lent, not loaded."""
    environment = tmp_path_factory.mktemp("clean") / "env"
    execute([sys.executable, "-m", "venv", "--without-pip", environment], environment.parent)
    python = environment / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(execute([python, "-c", ask], wheel.parent).strip())
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "-q"]
    execute([*pip, "install", "--no-deps", wheel], wheel.parent)
    # After the install, so that pip does not see them; path entries come after the wheel's own,
    # and .pth files of the lending environment (the editable checkout) are not followed.
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    (packages / "lent.pth").write_text("\n".join(sorted(lent)) + "\n")
    return python


def test_the_wheel_carries_code_spaces_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    spaces = {f"nas/_spaces/{path.name}" for path in (CHECKOUT / "search_spaces").glob("*.yaml")}
    assert spaces <= names
    assert "nas/cli/main.py" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "runs/", "benchmarks/")) for name in names)


def test_the_installed_command_runs_outside_the_checkout(nas_command: Path) -> None:
    folder = nas_command.parent.parent
    where = execute([nas_command, "-c", "import nas; print(nas.__file__)"], folder)
    assert where.startswith(str(folder))
    assert execute([folder / "bin" / "nas", "--version"], folder) == f"nas {nas.__version__}\n"


def test_the_installed_command_finds_its_spaces(nas_command: Path) -> None:
    folder = nas_command.parent.parent
    listed = execute([folder / "bin" / "nas", "space", "list"], folder)
    assert all(path.stem in listed for path in (CHECKOUT / "search_spaces").glob("*.yaml"))


def test_the_installed_command_searches(nas_command: Path) -> None:
    folder = nas_command.parent.parent
    options = ["--data=digits", "--preset=smoke", "--trials=4", "--workers=1", "--name=wheel"]
    # How well it trains and confirms is tested where nas is not packaged.
    settings = ("confirm.enabled=false", "supernet.training.epochs=2", "latency.wait_s=0")
    brief = [word for setting in settings for word in ("--set", setting)]
    execute([folder / "bin" / "nas", "search", "tiny_exhaustive", *options, *brief], folder)
    assert (folder / "runs" / "wheel" / "front.json").is_file()
    assert (folder / "runs" / "wheel" / "report.html").is_file()
