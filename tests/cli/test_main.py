"""The `nas` command: what it prints where, its exit codes, and what it leaves unloaded."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import nas
from nas.cli import commands
from nas.cli.commands import COMMANDS, Command
from nas.cli.main import hoist_globals, main, run
from nas.cli.output import talk
from nas.errors import ConfigError, EnvironmentFault, InterruptedRunError, NotFoundError

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "optuna", "ray", "pandas", "sklearn", "scipy", "pyarrow", "networkx"}


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Add a command `boom` that runs the given function."""

    def install(action: Callable[[], object]) -> None:
        module = tmp_path / "boom_command.py"
        module.write_text('"""Fail on purpose."""\naction = None\n\ndef boom():\n    action()\n')
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "boom_command", raising=False)
        monkeypatch.setitem(COMMANDS, "boom", Command("Fail on purpose.", "boom_command"))
        __import__("boom_command").action = action

    return install


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=120,
    )


def test_the_version_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr() == (f"nas {nas.__version__}\n", "")


def test_python_m_nas_is_nas() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "nas", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    assert answer.stdout == f"nas {nas.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert all((f"\n  {name} " in shown) != entry.hidden for name, entry in COMMANDS.items())
    assert "Search over how the layers" in shown


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    code = (
        "import json, sys, time\n"
        "from nas.cli.main import run\n"
        "from nas.cli.commands import COMMANDS\n"
        "run(['--help'])\n"
        "loaded = {'--help': sorted({name.partition('.')[0] for name in sys.modules})}\n"
        "for name in COMMANDS:\n"
        "    assert run([name, '--help']) == 0, name\n"
        "    loaded[name] = sorted({name.partition('.')[0] for name in sys.modules})\n"
        "print('\\n' + json.dumps(loaded))\n"
    )
    loaded = json.loads(fresh(code).stdout.splitlines()[-1])
    assert not {"rich", "pydantic", "numpy"} & set(loaded["--help"])
    for command, modules in loaded.items():
        assert not HEAVY & set(modules), f"nas {command} --help loads {HEAVY & set(modules)}"


def test_help_answers_before_anyone_wonders() -> None:
    # 0.5 s is the promise on a quiet machine; a loaded one must not fail the suite.
    best = 9.0
    for _ in range(3):
        started = time.perf_counter()
        fresh("from nas.cli.main import run; run(['--help'])")
        best = min(best, time.perf_counter() - started)
    print(f"nas --help: {best:.2f} s")
    assert best < 2.0


def test_importing_nas_loads_nothing_heavy() -> None:
    modules = fresh("import nas, sys; print(' '.join(sys.modules))").stdout.split()
    assert not HEAVY & {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_line_of_the_table_has_a_module_and_a_sentence(name: str) -> None:
    entry = COMMANDS[name]
    assert commands.load_command(name, entry).get_short_help_str()
    assert entry.help.endswith(".")
    assert len(entry.help) <= 70


def test_a_misspelt_command_is_answered_with_the_nearest(
    raising: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(lambda: None)
    assert run(["bom"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: No such command 'bom'. Did you mean 'boom'? Commands: ")
    assert not any(f" {name}" in error for name, entry in COMMANDS.items() if entry.hidden)
    assert "fix: See: nas --help" in error


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--nonsense"], "error: No such option: --nonsense"),
        (["boom", "extra"], "error: Got unexpected extra argument"),
        (["boom", "--nonsense"], "error: No such option: --nonsense"),
    ],
)
def test_misuse_exits_with_2_and_names_the_help(
    arguments: list[str],
    what: str,
    raising: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    raising(lambda: None)
    assert run(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(what)
    assert "fix: See: nas" in error


class TestFailures:
    def fail(self, error: BaseException) -> Callable[[], None]:
        def action() -> None:
            raise error

        return action

    def test_an_error_of_ours_prints_its_four_lines(
        self, raising: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        raising(self.fail(ConfigError("Too many.", where="a.yaml:3", why="It is.", fix="Less.")))
        assert run(["boom"]) == 2
        assert capsys.readouterr() == (
            "",
            "error: Too many.\n  where: a.yaml:3\n  why: It is.\n  fix: Less.\n",
        )

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (NotFoundError("No run."), 3),
            (EnvironmentFault("No GPU."), 2),
            (InterruptedRunError("Stopped."), 130),
        ],
    )
    def test_errors_exit_with_their_own_code(
        self,
        error: BaseException,
        code: int,
        raising: Callable[..., None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        raising(self.fail(error))
        assert run(["boom"]) == code
        assert capsys.readouterr().err == f"error: {error}\n"

    def test_further_lines_are_indented_and_carets_stay_in_place(
        self, raising: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        raising(self.fail(ConfigError("One.\nalso two.", why="a: [\n   ^")))
        run(["boom"])
        assert capsys.readouterr().err == (
            "error: One.\n    also two.\n  why: \n    a: [\n       ^\n"
        )

    def test_the_unexpected_is_one_line_and_names_debug(
        self, raising: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        raising(self.fail(ZeroDivisionError("by\nzero")))
        assert run(["boom"]) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ZeroDivisionError: by zero\n")
        assert "--debug" in error
        assert "Traceback" not in error

    @pytest.mark.parametrize("arguments", [["boom", "--debug"], ["--debug", "boom"]])
    def test_debug_shows_the_traceback(
        self,
        arguments: list[str],
        raising: Callable[..., None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        raising(self.fail(ConfigError("Too many.")))
        assert run(arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("Traceback")
        assert error.endswith("error: Too many.\n")

    def test_ctrl_c_exits_with_130(
        self, raising: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        raising(self.fail(KeyboardInterrupt()))
        assert run(["boom"]) == 130
        assert capsys.readouterr().err == "interrupted\n"

    def test_windows_is_sent_to_wsl(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        assert run(["--version"]) == 2
        error = capsys.readouterr().err
        assert "WSL" in error
        assert error.count("\n") == 1

    def test_main_exits_with_the_code(self) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["--nonsense"])
        assert caught.value.code == 2


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], "warning: careful\nnews\nspoken\n"),
        (["-q"], "warning: careful\n"),
        (["-v"], "warning: careful\nnews\ndetail\nspoken\n"),
    ],
)
def test_flags_choose_what_is_said(
    flags: list[str],
    shown: str,
    raising: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def speak() -> None:
        logger = logging.getLogger("nas.somewhere")
        logger.warning("careful")
        logger.info("news")
        logger.debug("detail")
        talk("spoken")

    raising(speak)
    for arguments in (["boom", *flags], [*flags, "boom"]):
        assert run(arguments) == 0
        assert capsys.readouterr() == ("", shown)


def test_what_follows_a_double_dash_is_left_alone() -> None:
    assert hoist_globals(["a", "-q", "--", "-v"]) == ["-q", "a", "--", "-v"]


def test_the_library_configures_no_logging() -> None:
    code = "import nas.errors, nas.registry, logging; print(logging.getLogger('nas').handlers)"
    assert fresh(code).stdout.strip() == "[]"
