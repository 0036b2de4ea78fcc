"""Networks as ONNX files, in float32 and int8."""

from __future__ import annotations

import logging
import sys

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nas.errors import ArchitectureError, ConfigError, EnvironmentFault
from nas.export.onnx import OnnxModel, check_onnx, export_onnx
from nas.export.packages import onnx_package
from nas.export.quantise import quantise
from nas.export.sessions import in_batches, open_session, run_batches
from nas.model.fuse import fuse
from nas.model.network import Network
from nas.space import load_space
from nas.training.data import load_data

SHAPE = (1, 8, 8)


def real_images(count: int) -> np.ndarray:
    images = load_data("digits").x_train[:count]
    return images.reshape(count, *SHAPE).astype(np.float32) / 8 - 1


def member(seed: int = 3) -> nn.Module:
    space = load_space("tiny_exhaustive")
    decisions = space.sample(np.random.default_rng(seed))
    return fuse(Network(space.build(decisions), SHAPE, 10, seed=seed))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return member()


@pytest.fixture(scope="module")
def exported(network: nn.Module) -> OnnxModel:
    return export_onnx(network, SHAPE, 4)


def operators(model: OnnxModel) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model.data).graph.node]


def test_an_export_gives_torchs_logits_on_real_images(
    network: nn.Module, exported: OnnxModel
) -> None:
    assert check_onnx(exported, network, real_images(10)) < 1e-5
    assert len(exported.digest) == 64
    onnx.checker.check_model(onnx.load_from_string(exported.data))


def test_an_open_batch_takes_any_number_of_images(network: nn.Module) -> None:
    model = export_onnx(network, SHAPE, None)
    session = open_session(model.data, 1)
    for count in (1, 3, 7):
        assert run_batches(session, real_images(count), None).shape == (count, 10)
    assert check_onnx(model, network, real_images(9)) < 1e-5


def test_batch_norms_are_folded_away(exported: OnnxModel) -> None:
    assert "BatchNormalization" not in operators(exported)


def test_the_same_network_is_exported_once_until_its_weights_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    own = member(4)
    first = export_onnx(own, SHAPE, 1)
    real = torch.onnx.export

    def counted(*args: object, **options: object) -> object:
        calls.append(args)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.onnx, "export", counted)
    assert export_onnx(own, SHAPE, 1) is first
    assert not calls
    with torch.no_grad():
        next(own.parameters()).mul_(2)
    assert export_onnx(own, SHAPE, 1).digest != first.digest
    assert len(calls) == 1


def test_an_export_says_nothing_and_leaves_logging_and_the_mode_as_they_were(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    handlers, disabled = list(logging.getLogger().handlers), logging.root.manager.disable
    model = export_onnx(own, SHAPE, 2)
    quantise(model, "int8", real_images(4))
    quantise(model, "int8-dynamic", real_images(4))
    assert capsys.readouterr() == ("", "")
    assert own.training
    assert logging.getLogger().handlers == handlers
    assert logging.root.manager.disable == disabled


def test_a_network_that_has_no_onnx_form_is_refused() -> None:
    class Strange(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(ArchitectureError, match=r"cannot be written as ONNX[\s\S]*'eager'"):
        export_onnx(Strange(), SHAPE, 1)


def test_a_missing_package_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(EnvironmentFault, match=r"'onnxruntime' is not.*[\s\S]*'nas\[onnx\]'"):
        onnx_package("onnxruntime.quantization")


def test_a_fixed_batch_gives_every_image_its_own_logits() -> None:
    images = np.arange(7, dtype=np.float32).reshape(7, 1)
    sizes: list[int] = []

    def double(part: np.ndarray) -> np.ndarray:
        sizes.append(len(part))
        return part * 2

    assert np.array_equal(in_batches(double, images, 3), images * 2)
    assert sizes == [3, 3, 3]


def test_static_int8_has_int8_weights_per_channel_and_nearly_the_same_logits(
    network: nn.Module, exported: OnnxModel
) -> None:
    images = real_images(64)
    model = quantise(exported, "int8", images)
    assert {"QuantizeLinear", "DequantizeLinear"} <= set(operators(model))
    initialisers = onnx.load_from_string(model.data).graph.initializer
    kernels = [entry for entry in initialisers if entry.data_type == onnx.TensorProto.INT8]
    assert any(len(entry.dims) == 4 for entry in kernels)
    assert len(model.data) < len(exported.data)
    exact = run_batches(open_session(exported.data, 1), images, 4)
    found = run_batches(open_session(model.data, 1), images, 4)
    assert 0 < np.abs(found - exact).max() < 0.2 * np.abs(exact).max()
    assert quantise(exported, "int8", images).data == model.data


def test_dynamic_int8_quantises_matrix_products_only(exported: OnnxModel) -> None:
    model = quantise(exported, "int8-dynamic", real_images(1))
    kinds = operators(model)
    assert "MatMulInteger" in kinds
    assert "ConvInteger" not in kinds
    assert kinds.count("Conv") == operators(exported).count("Conv")


def test_fewer_calibration_images_than_a_batch_are_repeated(exported: OnnxModel) -> None:
    assert quantise(exported, "int8", real_images(1)).batch == 4


def test_static_int8_without_images_is_refused(exported: OnnxModel) -> None:
    with pytest.raises(ConfigError, match=r"needs calibration images; got 0[\s\S]*int8-dynamic"):
        quantise(exported, "int8", real_images(0))


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_sessions_are_sequential_and_their_threads_do_not_spin(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    made: list[tuple[object, object]] = []
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda data, options, providers: made.append((options, providers)),
    )
    open_session(b"", 3, device)
    ((options, providers),) = made
    assert options.intra_op_num_threads == 3
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert ("CUDAExecutionProvider", {"device_id": 1}) in providers or device == "cpu"
