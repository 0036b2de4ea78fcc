"""Where a run comes from and what it cost: settings, machine, seeds, ledger, how to repeat it."""

from __future__ import annotations

import shlex
from typing import Any

from nas.config_files import dump_yaml
from nas.run_store.layout import config_hash
from nas.search.confirm.plan import SEEDS_A, SEEDS_B, confirm_seed
from nas.search.ledger import ledger_document

from .plain import mapping, text, whole
from .reading import Reading

SCHEMA = "nas.dash.provenance/1"


def provenance_document(reading: Reading) -> dict[str, Any]:
    """Return config, environment, seeds, cost and the commands that repeat a run."""
    run = reading.run
    commands = _commands(reading)
    return {
        "schema": SCHEMA,
        "config": dump_yaml(run.config),
        "environment": dict(run.environment),
        "seeds": _seeds(reading),
        "ledger": {} if reading.is_study else ledger_document(run),
        "hashes": _hashes(reading),
        "command": commands["run it again"],
        "commands": commands,
    }


def _commands(reading: Reading) -> dict[str, str]:
    """Return what to type, by what it does; a folder's name may hold what a shell would start."""
    name = shlex.quote(reading.name)
    if reading.is_study:
        return {"run it again": "nas study FILE", "check its files": f"nas doctor {name}"}
    return {
        "run it again": f"nas search {_config_path(reading)} --name "
        + shlex.quote(f"{reading.name}-again"),
        "go on with it": f"nas resume {name}",
        "print its front": f"nas front {name}",
        "write its report": f"nas report {name}",
        "check its files": f"nas doctor {name}",
    }


def _config_path(reading: Reading) -> str:
    return shlex.quote(f"runs/{reading.name}/run.yaml")


def _seeds(reading: Reading) -> dict[str, str]:
    """Return the run's seed and those of its trainings; texts, for they have 63 bits."""
    seed = whole(reading.run.config.get("seed"))
    if seed is None or seed < 0:
        return {}
    found = {"run": str(seed)}
    plans = [record for record in reading.records if record["kind"] == "confirm_planned"]
    if plans:
        for purpose, key in ((SEEDS_A, "seeds_a"), (SEEDS_B, "seeds_b")):
            for index in range(min(whole(plans[-1].get(key)) or 0, 100)):
                found[f"{purpose} {index}"] = str(confirm_seed(seed, purpose, index))
    return found


def _hashes(reading: Reading) -> dict[str, str]:
    """Return what tells this run's inputs and weights apart from others'."""
    run, environment = reading.run, mapping(reading.run.environment)
    found = {
        "config (sha256)": config_hash(run.config),
        "data": text(mapping(environment.get("data")).get("fingerprint")),
        "space": text(mapping(environment.get("space")).get("fingerprint")),
        "recipe": text(mapping(_prepared(reading)).get("recipe_hash")),
    }
    for name, stage in reading.table.stages.items():
        found[f"weights of {name}"] = stage.checkpoint
    return {key: str(value) for key, value in found.items() if value}


def _prepared(reading: Reading) -> Any:
    stage = reading.table.stages.get("prepare")
    return stage.finish if stage else {}
