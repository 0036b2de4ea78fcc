"""Devices and threads: found, refused with what there is, and put back."""

from __future__ import annotations

import pytest
import torch

from nas.errors import ConfigError, EnvironmentFault
from nas.training.device import (
    available_devices,
    deterministic_kernels,
    memory_format,
    reduced_precision,
    resolve_device,
    use_threads,
)


def pretend(monkeypatch: pytest.MonkeyPatch, *, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(2, True, "cuda:0"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_cuda_then_mps_then_the_cpu(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, expected: str
) -> None:
    pretend(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == torch.device(expected)
    assert available_devices()[-1] == "cpu"
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.fault("C12")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "tpu", "cuda:x", ""])
def test_a_device_that_is_not_there_is_refused_naming_what_there_is(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pretend(monkeypatch, cuda=0, mps=False)
    with pytest.raises(
        EnvironmentFault, match=f"'{name}' is not there; this machine has: cpu"
    ) as caught:
        resolve_device(name)
    assert caught.value.exit_code == 2


@pytest.mark.fault("C12")
def test_a_second_card_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cuda=1, mps=False)
    with pytest.raises(
        EnvironmentFault, match="'cuda:1' is not there; this machine has: cuda:0, cpu"
    ):
        resolve_device("cuda:1")


def test_the_number_of_threads_is_put_back_also_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), use_threads(2):
        assert torch.get_num_threads() == 2
        raise KeyError
    assert torch.get_num_threads() == before


def test_no_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 threads are not possible"), use_threads(0):
        pass


def test_precision_is_reduced_on_cuda_only() -> None:
    with reduced_precision(torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
    assert memory_format(torch.device("cpu")) == torch.channels_last
    assert memory_format(torch.device("cuda:0")) == torch.channels_last
    assert memory_format(torch.device("mps")) == torch.contiguous_format


def test_deterministic_kernels_are_put_back() -> None:
    before = torch.backends.cudnn.deterministic
    with deterministic_kernels():
        assert torch.backends.cudnn.deterministic
    assert torch.backends.cudnn.deterministic == before
