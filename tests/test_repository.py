"""The repository itself: locks that can be trusted, small files, the mechanism of test scale."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import scale

from nas import __version__

CHECKOUT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")


def locked(name: str) -> dict[str, str]:
    """Package name to its block, joined over continued lines."""
    text = (CHECKOUT / name).read_text().replace("\\\n", "")
    blocks = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {re.split(r"==", block)[0].strip(): block for block in blocks}


@pytest.mark.fault("F15", "G-S8")
@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_pinned_and_hashed(name: str) -> None:
    for package, block in locked(name).items():
        assert re.match(r"[a-z0-9-]+==\S+", block), package
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), package


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_torch(name: str) -> None:
    text = (CHECKOUT / name).read_text()
    assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links", text)
    assert not re.search(r"^(torch|triton|nvidia-|cuda-)", text, re.MULTILINE)


def test_both_locks_agree() -> None:
    runtime, tools = (locked(name) for name in LOCKS)
    for package in runtime.keys() & tools.keys():
        pins = (re.match(r"\S+==\S+", block[package]) for block in (runtime, tools))
        first, second = (pin.group() if pin else None for pin in pins)
        assert first == second


def test_every_dependency_but_torch_is_locked() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["ray"]]
    names = {re.split(r"[\[<>=]", each)[0].lower().replace(".", "-") for each in wanted}
    assert names - {"torch"} <= locked("requirements.lock").keys()


def test_make_installs_the_torch_that_the_package_allows() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    assert re.search(r"^TORCH := torch==2\.13\.0$", makefile, re.MULTILINE)


def test_the_changelog_knows_the_version_or_what_comes() -> None:
    changelog = (CHECKOUT / "CHANGELOG.md").read_text()
    assert f"[{__version__}]" in changelog or "[Unreleased]" in changelog


LARGE = {"dashboards/built/elk-worker.js"}
"""Finished files of libraries, shipped as they come."""


def test_no_tracked_file_is_larger_than_a_mebibyte() -> None:
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        pytest.skip("this is no git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = CHECKOUT / name
        small = not path.is_file() or path.stat().st_size <= 1024 * 1024
        assert small or name in LARGE, name


def test_the_page_passes_on_the_licences_of_what_it_is_made_of() -> None:
    text = (CHECKOUT / "dashboards" / "built" / "licences.txt").read_text(encoding="utf-8")
    for name, licence in (
        ("echarts", "Apache License"),
        ("zrender", "BSD 3-Clause"),
        ("elkjs", "Eclipse Public License"),
        ("preact", "MIT"),
    ):
        assert re.search(rf"^{name} \d+\.\d+\.\d+", text, re.MULTILINE), name
        assert licence in text


@pytest.mark.parametrize(
    ("setting", "counts"), [("ci", (100, 3, 3, 2)), ("full", (1000, 30, 5, 2))]
)
def test_a_tenth_of_the_count_is_run_by_default_but_three_at_least(
    setting: str, counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TEST_SCALE", setting)
    assert tuple(scale.scaled(full) for full in (1000, 30, 5, 2)) == counts


def test_an_unknown_scale_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TEST_SCALE", "huge")
    with pytest.raises(ValueError, match=r"NAS_TEST_SCALE is 'huge'.*'ci' or 'full'"):
        scale.scaled(10)


def test_tests_without_data_say_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAS_DATA", str(tmp_path))
    assert scale.nas_data() == tmp_path
    with pytest.raises(pytest.skip.Exception, match="skipped: set NAS_DATA"):
        scale.require_nas_data("cifar10")
