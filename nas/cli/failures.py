"""How a failure reaches the user: four labelled lines on stderr and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback

import typer

from nas.cli.output import visible
from nas.errors import NasError

UNEXPECTED = 1
MISUSE = 2
INTERRUPTED = 130
LONGEST_PATH = 120
"""Characters of a path that are shown: a long one is what is wrong with it."""

_OF_A_PATH = {
    *(errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
    *(errno.EROFS, errno.ENOSPC, errno.EDQUOT),
}


def report_failure(error: BaseException, *, debug: bool) -> int:
    """Print what went wrong and return the exit code.

    Args:
        error: What a command raised.
        debug: Print the traceback first.
    """
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, NasError):
        print_failure(error.what, where=error.where, why=error.why, fix=error.fix)
        return error.exit_code
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, typer.TyperException):
        return _report_misuse(error)
    if isinstance(error, OSError) and error.filename and error.errno in _OF_A_PATH:
        return _report_path(error)
    reason = " ".join(str(error).split()) or "no message"
    fix = None if debug else "Run the same command with --debug for the traceback."
    print_failure(f"{type(error).__name__}: {reason}", why="This was not expected.", fix=fix)
    return UNEXPECTED


def print_failure(
    what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None
) -> None:
    """Print `error: what` and below it what is known of where, why and fix."""
    lines = [f"error: {_indent(what)}"]
    for label, text in (("where", where), ("why", why), ("fix", fix)):
        if text:
            lines.append(f"  {label}: {_indent(text)}")
    print("\n".join(lines), file=sys.stderr)


def _report_misuse(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "nas"
    fix = f"See: {command} --help"
    print_failure(error.format_message().strip(), where=f"command '{command}'", fix=fix)
    return MISUSE


def _report_path(error: OSError) -> int:
    """Report what the system says of a path that a command was given."""
    path = str(error.filename)
    shown = path if len(path) <= LONGEST_PATH else f"{path[:LONGEST_PATH]}..."
    print_failure(
        f"'{shown}' cannot be used: {error.strerror}.",
        where=shown,
        fix="Check the path, what lies there, and whether you may read and write it.",
    )
    return MISUSE


def _indent(text: str) -> str:
    """Keep further lines below the first, where a caret may point into the line above."""
    first, *rest = visible(text).rstrip().split("\n")
    if not rest:
        return first
    if rest[-1].strip() == "^":
        return "".join(f"\n    {line}" for line in (first, *rest))
    return "\n    ".join((first, *rest))
