"""The gates of a relaxation over its training, noted in log.jsonl so that they can be looked at.

Notes are talk: no search reads them, and a run without them is whole.
"""

from __future__ import annotations

import math
from typing import Final, final

import torch

from nas.run_store import Run
from nas.space import OneOf
from nas.supernet.gate_samplers import answers_of
from nas.supernet.relaxation import Relaxation

MOST_STEPS: Final = 200
"""Epochs that are noted; of longer trainings every second, third, ... and the last."""
MOST_NUMBERS: Final = 1_000_000
"""Probabilities that are noted in all, some 8 MB of text; spaces of many gates get fewer epochs."""


@final
class GateHistory:
    """Notes the probability of every answer to every choice.

    Args:
        run: The run, owned.
        relaxation: The gates.
    """

    def __init__(self, run: Run, relaxation: Relaxation) -> None:
        self._run = run
        self._relaxation = relaxation
        self._choices = list(relaxation.every_choice())
        self._numbers = sum(len(answers_of(choice)) for choice in self._choices)
        self._told = False

    @torch.no_grad()
    def note(self, stage: str, epoch: int, epochs: int) -> None:
        """Note the gates as they are now, if this epoch is one of those that are kept.

        Args:
            stage: Name of the stage.
            epoch: Epochs done, from 1.
            epochs: Epochs in all.
        """
        most = max(2, min(MOST_STEPS, MOST_NUMBERS // max(1, self._numbers)))
        if epoch % math.ceil(epochs / most) and epoch not in (1, epochs):
            return
        if not self._told:
            # Once per owner: a resumed run tells them again, and they are the same.
            options = {
                choice.name: {
                    "kind": "one_of" if isinstance(choice, OneOf) else "subset_of",
                    "options": [str(answer) for answer in answers_of(choice)],
                }
                for choice in self._choices
            }
            self._run.note("gate_options", stage=stage, choices=options)
            self._told = True
        gates = {
            choice.name: [
                round(value, 4) for value in self._relaxation.probabilities(choice).tolist()
            ]
            for choice in self._choices
        }
        self._run.note("gates", stage=stage, epoch=epoch, gates=gates)
