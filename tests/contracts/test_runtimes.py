"""What every runtime promises: torch's logits, the threads it is given, and clear refusals."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scale import scaled
from torch import nn

from nas.errors import ConfigError, EnvironmentFault, NasError
from nas.export.packages import ONNX_PACKAGES
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.objectives.latency_config import LatencyConfig
from nas.objectives.runtimes import RUNTIMES, AbstractRuntime, prepare
from nas.objectives.runtimes.base import Quantisation
from nas.seeds import derive_seed
from nas.space import AbstractSpace, load_space

SHAPE = (1, 8, 8)
IMAGES = np.random.default_rng(0).standard_normal((5, *SHAPE)).astype(np.float32)
SLOW = {"compile"}
"""Runtimes that take seconds per network; they are tried on one."""


def is_here(name: str) -> bool:
    try:
        RUNTIMES.get(name).check(LatencyConfig(runtime=name), "cpu")
    except NasError:
        return False
    return True


HERE = [name for name in RUNTIMES if is_here(name)]
ELSEWHERE = [name for name in RUNTIMES if name not in HERE]


@cache
def wired() -> AbstractSpace:
    return load_space("wired_cnn")


def member(index: int) -> nn.Module:
    """Return a random member of a space with all patterns and merges."""
    space = wired()
    rng = np.random.default_rng(derive_seed(0, "runtimes", index))
    return fuse(Network(space.build(space.sample(rng)), SHAPE, 10, seed=index))


def tiny() -> nn.Module:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), *head)


def expected(network: nn.Module) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(IMAGES)).numpy()


def os_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("name", RUNTIMES.names())
def test_a_runtime_is_final_complete_and_one_file_of_its_name(name: str) -> None:
    runtime = RUNTIMES.get(name)
    kind = type(runtime)
    assert isinstance(runtime, AbstractRuntime)
    assert kind.__final__
    assert kind.__doc__
    assert runtime.name == name
    assert runtime.dtypes
    assert runtime.devices
    assert kind.__module__ == f"nas.objectives.runtimes.{name}"


@pytest.mark.parametrize("index", range(scaled(20)))
@pytest.mark.parametrize("name", [name for name in HERE if name not in SLOW])
def test_it_gives_the_logits_of_torch_and_leaves_the_network_alone(name: str, index: int) -> None:
    network = member(index)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    prepared = prepare(network, SHAPE, LatencyConfig(runtime=name, batch=2))
    wanted = expected(network)
    found = prepared.logits(IMAGES)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert prepared.call() is not None
    assert prepared.bytes_shipped is None or prepared.bytes_shipped > 0
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", [name for name in HERE if name in SLOW])
def test_a_slow_one_gives_the_logits_of_torch_too(name: str) -> None:
    network = tiny()
    prepared = prepare(network, SHAPE, LatencyConfig(runtime=name, batch=2))
    wanted = expected(network.eval())
    assert np.abs(prepared.logits(IMAGES) - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", [name for name in HERE if name not in SLOW])
def test_the_state_of_torch_is_as_before(name: str) -> None:
    network = tiny().train()
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    prepared = prepare(network, SHAPE, LatencyConfig(runtime=name, threads=threads + 1))
    prepared.logits(IMAGES)
    assert network.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.is_inference_mode_enabled()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_onnx_runtime_starts_exactly_the_threads_it_is_given(dtype: str) -> None:
    network = tiny()
    prepare(network, SHAPE, LatencyConfig(runtime="ort", dtype=dtype))  # what export starts stays
    for threads in (1, 3):
        before = os_threads()
        config = LatencyConfig(runtime="ort", dtype=dtype, threads=threads)
        prepared = prepare(network, SHAPE, config)
        assert os_threads() == before + threads - 1  # the caller is the first
        del prepared


def test_torch_runs_with_the_threads_it_is_given_and_returns_to_those_it_had() -> None:
    seen: list[int] = []

    class Spy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return images.mean((2, 3))

    before = torch.get_num_threads()
    prepare(Spy(), SHAPE, LatencyConfig(threads=before + 1)).logits(IMAGES)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", RUNTIMES.names())
def test_a_number_format_it_lacks_is_refused_with_those_it_has(name: str) -> None:
    runtime = RUNTIMES.get(name)
    lacking = "int8" if "int8" not in runtime.dtypes else "fp16"
    with pytest.raises(ConfigError, match=rf"'{name}' does not execute {lacking}[\s\S]*fp32"):
        runtime.check_dtype(lacking)


@pytest.mark.parametrize("name", RUNTIMES.names())
def test_a_kind_of_device_it_does_not_run_on_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{name}' does not run on the device 'xpu:0'"):
        RUNTIMES.get(name).check(LatencyConfig(runtime=name), "xpu:0")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_cannot_run_here_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(NasError) as error:
        prepare(tiny(), SHAPE, LatencyConfig(runtime=name))
    assert error.value.fix


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
@pytest.mark.parametrize("name", [n for n in RUNTIMES if "cuda" in RUNTIMES.get(n).devices])
def test_a_cuda_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(EnvironmentFault, match=r"'cuda:0' is not there[\s\S]*--device cpu"):
        prepare(tiny(), SHAPE, LatencyConfig(runtime=name), "cuda:0")


def test_cuda_graphs_on_a_processor_are_refused_with_the_runtimes_that_work() -> None:
    with pytest.raises(ConfigError, match=r"'cudagraph' does not run on the device 'cpu'") as error:
        prepare(tiny(), SHAPE, LatencyConfig(runtime="cudagraph"), "cpu")
    assert error.value.fix is not None
    assert "eager" in error.value.fix


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["compile", "cudagraph"])
def test_on_cuda_it_gives_the_logits_of_torch(name: str) -> None:
    network = member(0)
    prepared = prepare(network, SHAPE, LatencyConfig(runtime=name, batch=2), "cuda:0")
    wanted = expected(network)
    assert np.abs(prepared.logits(IMAGES) - wanted).max() <= 1e-3 * np.abs(wanted).max()


def test_a_cuda_graph_is_warmed_up_captured_once_and_fed_through_its_own_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With stand-ins for CUDA: what holds on a device is checked there."""
    events: list[str] = []
    network = tiny()

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            events.append("pass")
            last["images"], last["answer"] = images, self.inner(images)
            return last["answer"]

    last: dict[str, torch.Tensor] = {}

    class Graph:
        def replay(self) -> None:
            events.append("replay")
            with torch.inference_mode():
                last["answer"].copy_(network(last["images"]))

    class Stream:
        def wait_stream(self, other: object) -> None:
            events.append("wait")

    def capture(graph: Graph) -> object:
        events.append("capture")
        return nullcontext()

    stand_ins = {"CUDAGraph": Graph, "Stream": Stream, "current_stream": Stream, "graph": capture}
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    for name in ("stream", "device"):
        monkeypatch.setattr(torch.cuda, name, lambda _: nullcontext())
    config = LatencyConfig(runtime="cudagraph", batch=2)
    runtime = RUNTIMES.get("cudagraph")
    prepared = runtime._prepare(Watched().eval(), SHAPE, config, "cpu", Quantisation())
    assert events == ["wait", "pass", "pass", "pass", "wait", "capture", "pass"]
    events.clear()
    prepared.call()
    assert np.allclose(prepared.logits(IMAGES), expected(network), atol=1e-6)
    assert events == ["replay"] * 4  # no pass of the module any more


def test_without_a_compiler_compile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(EnvironmentFault, match=r"needs a C\+\+ compiler.*g\+\+[\s\S]*apt-get"):
        prepare(tiny(), SHAPE, LatencyConfig(runtime="compile"))
    monkeypatch.setenv("CXX", "my-compiler -O2")
    with pytest.raises(EnvironmentFault, match=r"looked for my-compiler[\s\S]*variable CXX"):
        prepare(tiny(), SHAPE, LatencyConfig(runtime="compile"))


@pytest.mark.parametrize("package", ONNX_PACKAGES)
def test_without_the_extra_onnx_runtime_is_refused(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    def find(name: str) -> object:
        return None if name == package else object()

    monkeypatch.setattr(util, "find_spec", find)
    with pytest.raises(EnvironmentFault, match=rf"'{package}' is not installed[\s\S]*nas\[onnx\]"):
        prepare(tiny(), SHAPE, LatencyConfig(runtime="ort"))


def test_int8_on_a_cuda_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    runtime = RUNTIMES.get("ort")
    with pytest.raises(ConfigError, match=r"'ort' executes int8 on the CPU only"):
        runtime.check(LatencyConfig(runtime="ort", dtype="int8"), "cuda:0")
    with pytest.raises(EnvironmentFault, match=r"does not run on 'cuda:0'[\s\S]*onnxruntime-gpu"):
        runtime.check(LatencyConfig(runtime="ort"), "cuda:0")


def test_an_unknown_runtime_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"Unknown runtime 'tensorrt'[\s\S]*eager, ort"):
        LatencyConfig(runtime="tensorrt")
