"""The table of commands, and the group that loads a command's module only when it runs.

To add a command, write one module and one line here. The module `nas/cli/NAME.py` holds either a
function `NAME` whose module docstring is the help, or `app = command_group(__doc__)` with
subcommands.
What a command needs beyond typer it imports inside its functions, so that `--help` stays fast.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import Any, final

import typer
from typer.core import TyperGroup
from typer.main import get_command


@final
@dataclass(frozen=True)
class Command:
    """One line of the table: what `nas --help` shows without loading the module."""

    help: str
    module: str
    hidden: bool = False


COMMANDS: dict[str, Command] = {
    "search": Command("Search a space of wirings for its Pareto front.", "nas.cli.search"),
    "resume": Command("Go on with a run, or give it more trials.", "nas.cli.resume"),
    "stop": Command("Ask a running search to save its state and stop.", "nas.cli.stop"),
    "runs": Command("List, show, export, remove and rebuild runs.", "nas.cli.runs"),
    "study": Command("Compare methods over seeds: a paper's table from one file.", "nas.cli.study"),
    "front": Command("Print the Pareto front of a run.", "nas.cli.front"),
    "dash": Command("Show runs in the browser, live while they run.", "nas.cli.dash"),
    "compare": Command("Compare the fronts of several runs.", "nas.cli.compare"),
    "report": Command("Write the report of a run as one HTML file.", "nas.cli.report"),
    "supernet": Command("Ask how far a supernet's ranking can be trusted.", "nas.cli.supernet"),
    "arch": Command("Build a network by name, or show one of a run or a file.", "nas.cli.arch"),
    "predict": Command("Run a network on pictures.", "nas.cli.predict"),
    "latency": Command("Profile latencies on this device, and predict them.", "nas.cli.latency"),
    "submit": Command("Send a search to a Ray cluster.", "nas.cli.submit"),
    "jobs": Command("List, follow, stop and bring back submitted searches.", "nas.cli.jobs"),
    "cluster": Command("Start and end a Ray head on this machine.", "nas.cli.cluster"),
    "space": Command("List, describe, count, sample and check search spaces.", "nas.cli.space"),
    "patterns": Command("List the connection patterns, or tell about one.", "nas.cli.patterns"),
    "data": Command("Check and convert data sets, write their images.", "nas.cli.data"),
    "config": Command("Write, check and show configuration files.", "nas.cli.config"),
    "arrive": Command("Do what a submitted job is to do.", "nas.cli.arrive", hidden=True),
    "doctor": Command("Check this machine, or check and repair a run.", "nas.cli.doctor"),
}
"""Name to command, in the order of `nas --help`."""


@final
class LazyGroup(TyperGroup):
    """The top level of `nas`: lists the table, loads one module."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Import the command's module and return the command, None for a name not known."""
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load_command(cmd_name, entry)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Show the help when there is nothing else to do."""
        return super().parse_args(ctx, args or ["--help"])

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the table; typer would load every module for its help."""
        rows = [(name, entry.help) for name, entry in COMMANDS.items() if not entry.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """Find the command, or say which one was meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            shown = [name for name, entry in COMMANDS.items() if not entry.hidden]
            near = difflib.get_close_matches(args[0], shown, n=1)
            hint = f"Did you mean '{near[0]}'? " if near else ""
            ctx.fail(f"No such command '{args[0]}'. {hint}Commands: {', '.join(shown)}.")
        return super().resolve_command(ctx, args)


def command_group(help_text: str | None) -> typer.Typer:
    """Return an empty group; its module adds subcommands with `@app.command()`.

    Args:
        help_text: The module's docstring.
    """
    app = typer.Typer(rich_markup_mode=None, add_completion=False, help=help_text)
    app.callback()(lambda: None)  # a group even while it has one subcommand
    return app


def load_command(name: str, entry: Command) -> Any:
    """Import a command's module and make the typer command from it."""
    module = importlib.import_module(entry.module)
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(rich_markup_mode=None, add_completion=False)
        app.command(name, help=module.__doc__)(getattr(module, name.replace("-", "_")))
    command = get_command(app)
    command.name = name
    return command
