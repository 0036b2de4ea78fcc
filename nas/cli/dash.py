"""Show runs in the browser: fronts, wirings, progress, live while they run.

Only reads. Only this machine reaches it, and only with the link it prints; Ctrl-C ends it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import print_text, talk
from nas.cli.run_folders import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable


def dash(
    runs: Annotated[
        Path, typer.Argument(metavar="RUNS", help="Folder of runs, or one run folder.")
    ] = RUNS,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port; 0 for any. [default: from 8765 on]"),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines reach it, with the link.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A further name it may be called by."),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let in everybody who is on this machine.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
) -> None:
    """Check the folder, serve until Ctrl-C."""
    from nas.cli.report import pages_package

    folder, run = folder_and_run(runs)
    start: Any = importlib.import_module(f"{pages_package()}.server.start")
    wishes = start.Wishes(
        runs=folder,
        host=host,
        port=port,
        names=tuple(allow_host or ()),
        allow_remote=allow_remote,
        with_token=not no_token,
    )
    start.serve(wishes, _announce(run, open_page), _announce_next)
    talk("stopped")


def folder_and_run(path: Path) -> tuple[Path, str | None]:
    """Return the folder of runs and, where one of them was named, its name.

    Args:
        path: What the user typed.

    Raises:
        NotFoundError: If it does not exist; the default may be missing, it is empty then.
    """
    from nas.errors import NotFoundError
    from nas.run_store.layout import is_run

    whole = path.expanduser().absolute()
    if is_run(whole):
        return whole.parent, whole.name
    if not whole.is_dir() and path != RUNS:
        raise NotFoundError(
            f"There is no folder '{path}'.",
            where="RUNS",
            fix="Name the folder that holds your runs: nas dash runs.",
        )
    return whole, None


def _announce(run: str | None, open_page: bool) -> Callable[[Any], None]:
    def announce(started: Any) -> None:
        from urllib.parse import quote

        link = started.link + (f"#/run/{quote(run, safe='')}/front" if run else "")
        print_text(link)
        if started.token_file is not None:
            talk("Open this link; it works once. Ctrl-C ends the dashboard.")
            talk(f"For programs, the token: {started.token_file}")
        if started.is_remote:
            talk("Other machines can reach it, and the line is not encrypted: use a TLS proxy.")
        if open_page:
            import webbrowser

            webbrowser.open(link)

    return announce


def _announce_next(link: str) -> None:
    talk(f"That link was used. The next one: {link}")
