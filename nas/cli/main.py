"""The `nas` command: global options, error printing, exit codes.

Every way out passes through `main`: errors of this package print `error:`, `where:`, `why:`,
`fix:` on stderr and exit with their own code; misuse prints the same way and exits with 2; what
nobody expected is one line and exits with 1, its traceback shown by `--debug`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

import nas
from nas.cli.commands import LazyGroup
from nas.cli.failures import INTERRUPTED, report_failure
from nas.cli.output import LogHandler, make_streams_lenient

_WINDOWS = (
    "error: nas does not run on Windows itself; fix: install WSL (wsl --install) and run it there"
)
# Options that mean the same before and after the command's name.
_GLOBAL_FLAGS = ("--debug", "-q", "--quiet", "-v", "--verbose")

app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"nas {nas.__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="say it, exit")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="tracebacks and all messages")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="only warnings and errors")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="more messages")] = False,
) -> None:
    """Search over how the layers of a neural network are connected.

    Start with: nas search wired_cnn --data digits --preset smoke
    """
    level = logging.WARNING if quiet else logging.DEBUG if verbose or debug else logging.INFO
    configure_logging(level)


def configure_logging(level: int) -> None:
    """Send the library's log to stderr; only the command line does that."""
    logger = logging.getLogger("nas")
    logger.handlers = [LogHandler()]
    logger.setLevel(level)
    logger.propagate = False


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: What follows `nas`; by default the process's own arguments.
    """
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if sys.platform == "win32":
        print(_WINDOWS, file=sys.stderr)
        return 2
    make_streams_lenient()
    arguments = hoist_globals(arguments)
    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="nas", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        return report_failure(error, debug="--debug" in arguments)
    code = result if isinstance(result, int) else 0
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code
        print("interrupted", file=sys.stderr)
    return code


def hoist_globals(arguments: list[str]) -> list[str]:
    """Move global flags to the front, so that `nas search --debug` works too."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = [argument for argument in arguments[:end] if argument in _GLOBAL_FLAGS]
    rest = [argument for argument in arguments[:end] if argument not in _GLOBAL_FLAGS]
    return [*flags, *rest, *arguments[end:]]
