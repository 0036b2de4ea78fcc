"""This engine: its whole search, from proposals to the front, over the toy objective."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, final
from unittest.mock import patch

from nas.run_store import Run, Trial
from nas.search.driver import resume, search
from nas.search.front_view import front_document
from nas.search.settings.resolve import resolve_config
from nas.topology.identity import structural_id
from nas.topology.serial import load_architecture
from reliability_sides.base import ACKNOWLEDGED, SEED, TRIALS, AbstractSide, Outcome, note
from reliability_sides.toy_objective import FOLDER

CONFIG = {
    "space": "tiny_exhaustive",
    "objectives": ["toy_error", "macs"],
    "plugins": ["reliability_sides.toy_objective"],
    "confirm": {"enabled": False},
    "executor": {"kind": "inline"},
    "seed": SEED,
    "search": {"trials": TRIALS, "batch": 4},
}


@final
class Ours(AbstractSide):
    """Run folder and driver of this engine."""

    name = "nas"
    file = "toy/trials.log"

    def search(self, folder: Path) -> None:
        """Search or resume; a trial is acknowledged when `Run.append` has returned."""
        os.environ[FOLDER] = str(folder)
        append = Run.append

        def told(run: Run, record: dict[str, Any]) -> int:
            number = append(run, record)
            if record["kind"] == "trial_finished":
                network = load_architecture(run.table().trials[record["trial"]].architecture)
                entry = [str(record["trial"]), record["values"], structural_id(network)]
                note(folder, ACKNOWLEDGED, entry)
            return number

        with patch.object(Run, "append", told):
            if (folder / "toy").exists():
                resume(folder / "toy")
            else:
                search(resolve_config(CONFIG), runs=folder, name="toy")

    def outcome(self, folder: Path) -> Outcome:
        """Read the run as anybody would."""
        run = Run.open(folder / "toy")
        results = Counter(
            record["trial"] for record in run.records() if record["kind"] == "trial_finished"
        )
        trials = run.table().trials.values()
        return Outcome(
            {str(each.number): _plain(each) for each in trials if each.state == "finished"},
            sum(each.state == "asked" for each in trials),
            sum(count > 1 for count in results.values()),
            front_document(run)["points"],
        )


def _plain(trial: Trial) -> dict[str, Any]:
    return {name: dict(value) for name, value in trial.values.items()}
