"""Supernet trainings pause for measurements without losing a bit or their time."""

from __future__ import annotations

import time

import pytest
from path_cases import same, trained, training

from nas.training.device_lock import DeviceLock


def test_a_step_of_every_supernet_training_offers_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trained("uniform", epochs=2)
    paused: list[str] = []

    def pause(lock: DeviceLock, settle: object = None) -> float:
        paused.append(lock.name)
        return 0.0

    monkeypatch.setattr(DeviceLock, "pause", pause)
    again = trained("uniform", epochs=2)
    assert paused == ["cpu"] * int(whole["progress"][0])
    assert same(again, whole)


def test_time_spent_waiting_for_a_measurement_is_no_training_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pause(lock: DeviceLock, settle: object = None) -> float:
        time.sleep(0.1)
        return 0.1

    monkeypatch.setattr(DeviceLock, "pause", pause)
    work = training("uniform", epochs=2, seconds=30.0)
    steps = work.config.epochs * work.batches.steps_per_epoch
    monkeypatch.setattr(type(work), "_seconds", lambda self: 30.0 + 0.05 * self.step)
    assert work.run().finished
    assert work.step == steps
