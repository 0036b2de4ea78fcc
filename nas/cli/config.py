"""Write, check and show configuration files of a search, a study or a space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.commands import command_group
from nas.cli.output import print_json, print_text, talk
from nas.errors import ConfigError

if TYPE_CHECKING:
    from nas.config_files import Document
    from nas.search.settings.config import SearchConfig
    from nas.study.config import StudyConfig

SEARCH_SCHEMA = "nas.search/1"
SPACE_SCHEMA = "nas.space/1"
STUDY_SCHEMA = "nas.study/1"

app = command_group(__doc__)

File = Annotated[Path, typer.Argument(help="a YAML or JSON file", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change one key, repeatable")
]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]

_TEMPLATE = """\
# A search. Every key that is left out has its default: nas config show {file}
# The values each key takes: nas config schema
{settings}"""


@app.command()
def init(
    file: File,
    space: Annotated[str, typer.Option(help="a declared space or a file")] = "wired_cnn",
    data: Annotated[str, typer.Option(help="a data set")] = "digits",
    preset: Annotated[str, typer.Option(help="smoke, small or full")] = "small",
    seed: Annotated[int, typer.Option(help="seeds the whole run")] = 0,
) -> None:
    """Write a new search configuration; a file that exists is never overwritten."""
    from nas.config_files import dump_yaml, parse_document

    settings = {
        "schema": SEARCH_SCHEMA,
        "space": space,
        "data": data,
        "preset": preset,
        "seed": seed,
    }
    text = _TEMPLATE.format(file=file, settings=dump_yaml(settings))
    _check_search(parse_document(text, str(file)))
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{file} exists already.", fix="Name another file, or remove this one first."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}.",
            fix="Name a file in a folder that you may write to.",
        ) from None
    print_text(str(file))
    talk(f"next: nas config check {file}; nas search {file}")


@app.command()
def check(file: File, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Say whether a file is sound, without running anything."""
    document = _load(file, overrides)
    kind = _kind(document)
    if kind == SPACE_SCHEMA:
        from nas.space import load_space

        load_space(str(file))
    elif kind == STUDY_SCHEMA:
        _check_study(document)
    else:
        _check_search(document)
    if as_json:
        print_json({"schema": "nas.config-check/1", "file": str(file), "kind": kind, "ok": True})
    else:
        print_text(f"{file}: sound ({kind})")


@app.command()
def show(file: File, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print the configuration of a search or a study in full, every default written out."""
    from nas.config_files import dump_yaml

    document = _load(file, overrides)
    is_study = isinstance(document.data, dict) and document.data.get("schema") == STUDY_SCHEMA
    resolved = (_check_study if is_study else _check_search)(document).to_dict()
    print_json(resolved) if as_json else print_text(dump_yaml(resolved).rstrip("\n"))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a search configuration, for editors."""
    from nas.search.settings.config import SearchConfig

    print_json({"schema": "nas.config-schema/1", **SearchConfig.model_json_schema(by_alias=True)})


def _load(file: Path, overrides: list[str] | None) -> Document:
    from nas.config_files import apply_overrides, load_document

    return apply_overrides(load_document(file), overrides or [])


def _kind(document: Document) -> str:
    kind = document.data.get("schema") if isinstance(document.data, dict) else None
    if kind not in (SEARCH_SCHEMA, SPACE_SCHEMA, STUDY_SCHEMA):
        raise ConfigError(
            f"{document.name} does not say what it is: its schema is {kind!r}.",
            where=document.where(("schema",)),
            fix=f"Make its first line 'schema: {SEARCH_SCHEMA}', 'schema: {SPACE_SCHEMA}' or "
            f"'schema: {STUDY_SCHEMA}'.",
        )
    return str(kind)


def _check_search(document: Document) -> SearchConfig:
    """Return what a search with this file would do; the space stays as it was named."""
    from nas.search.settings.resolve import resolve_config

    config = resolve_config(document)
    return config.model_copy(update={"space": document.data["space"]})


def _check_study(document: Document) -> StudyConfig:
    """Return what a study with this file would do; the spaces stay as they were named."""
    from nas.study.resolve import resolve_study

    config = resolve_study(document)
    return config.model_copy(update={"spaces": list(document.data["spaces"])})
