"""Small real trainings that die, hang or fail where a test says so, and note every epoch."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.errors import ConfigError, TrialError
from nas.search.executors.attempt import current_attempt
from nas.search.training.kept_networks import keep_network
from nas.search.training.kept_state import kept_state
from nas.search.training.training_job import TrainingJob
from nas.training.batches import part_tensors
from nas.training.evaluate import Evaluation, evaluate
from nas.training.fit import EpochReport, FitResult, Training
from nas.training.parts import DataPart, Normalisation
from nas.training.recipe import Recipe

TASK = "tune_fakes:training_task"
EPOCHS = 4


def training_task(arguments: dict[str, Any]) -> TrainingTask:
    """Return the task; `journal` among the arguments is a file that gets a line per epoch."""
    if "unfit" in arguments:
        raise ConfigError(arguments["unfit"], fix="Change it.")
    return TrainingTask(Path(arguments["journal"]))


class TrainingTask:
    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.images = drawn_images()
        torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # loads what the first one loads
        self.judged = part_tensors(self.images, torch.device("cpu"))

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        return self.begin(payload).answer(kept_state(payload, "drawn", 0.0))

    def begin(self, payload: dict[str, Any]) -> TrainingJob:
        rate = payload.get("rate", 0.1)
        recipe = Recipe(epochs=payload.get("epochs", EPOCHS), batch_size=64, learning_rate=rate)
        training = Training(noisy(), self.images, recipe, seed=payload["seed"])
        training.epoch = self._troubled(training, payload)  # type: ignore[method-assign]

        def tell(_: FitResult, scored: Evaluation) -> dict[str, Any]:
            bits = b"".join(
                each.numpy().tobytes() for each in training.module.state_dict().values()
            )
            kept = {}
            if "keep" in payload:
                kept = keep_network(nn.Sequential(training.module), Path(payload["keep"]))
            return {"bits": hashlib.sha256(bits).hexdigest(), "error": scored.error, **kept}

        return TrainingJob(training, 1, lambda module: evaluate(module, *self.judged), tell)

    def _troubled(
        self, training: Training, payload: dict[str, Any]
    ) -> Callable[..., EpochReport | None]:
        train = training.epoch
        name, trouble = payload["name"], payload.get("trouble", {})

        def epoch(*given: Any) -> EpochReport | None:
            number = len(training.losses) + 1
            line = f"{name} epoch {number}"
            before = self.journal.read_text().count(f"{line}\n") if self.journal.exists() else 0
            with self.journal.open("a") as file:
                file.write(f"{line}\n")
            time.sleep(payload.get("pause_s", 0.0))
            if number == trouble.get("at") and before < trouble.get("times", 99):
                _make(trouble["kind"])
            return train(*given)

        return epoch


def _make(trouble: str) -> None:
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif trouble == "hang":
        while True:
            time.sleep(0.1)
    elif trouble == "wait to be left":
        while not current_attempt().should_stop():
            time.sleep(0.01)
        return
    elif trouble == "diverge":
        raise TrialError("The training loss is nan.", kind="nonfinite")
    raise AssertionError(trouble)


def noisy() -> nn.Module:
    """Return an untrained network with dropout, the same one every time."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(8, 10),
        )


def drawn_images() -> DataPart:
    """Return 192 images of noise, brighter for the higher classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(192) % 10
    images = rng.normal(labels[:, None, None, None] / 4, 1.0, (192, 1, 8, 8)).astype(np.float32)
    return DataPart(images, labels, None, Normalisation((0.0,), (1.0,)))
