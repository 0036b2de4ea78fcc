"""The options that nas search, nas submit and nas resume share: what a search is, and how long.

Numbers are taken as text where the config checks them, so that a wrong one is refused with the
bounds of its key in place of a parser's usage line.
"""

from __future__ import annotations

from typing import Annotated

import typer

ImageSizeOption = Annotated[
    str | None, typer.Option(metavar="S", help="Scale images to S x S pixels.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the config, repeatable."),
]
PresetOption = Annotated[str | None, typer.Option(help="Budgets: smoke, small (default) or full.")]
TimeOption = Annotated[
    str | None, typer.Option(metavar="SPAN", help="Stop in good order after 90s, 30m, 2h.")
]
SeedOption = Annotated[str | None, typer.Option(metavar="N", help="Seed of every draw.")]
NameOption = Annotated[str | None, typer.Option(metavar="SLUG", help="Name of the run.")]
DeviceOption = Annotated[str | None, typer.Option(help="auto (default), cpu, cuda:0, mps.")]

_WORKERS = typer.Option(metavar="N", help="Evaluations at a time; no effect on results.")
WorkersOption = Annotated[str | None, _WORKERS]
WorkersOfRunOption = Annotated[int | None, _WORKERS]
"""Of a run that is there: its config is not read again, so the command checks the number."""
