"""Laws 2 and 3 of the design, over random architectures: what is predicted is what is built."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import is_full_scale, scaled
from strategies import INPUT_SHAPE, OPERATION_NAMES
from strategies import architectures as drawn_architectures
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.cost.count import cost
from nas.cost.shapes import Adapter, NodeStep, Plan
from nas.model.fuse import fuse
from nas.model.network import AbstractWired, Network, NodeModule
from nas.topology.graph import Architecture
from nas.topology.layers import (
    GELU,
    AbstractLayer,
    Affine,
    BatchNorm,
    Conv,
    DepthwiseConv,
    EffectiveSqueezeExcite,
    Hardswish,
    LayerNorm,
    Pool,
    ReLU,
    ReLU6,
    Shape,
    SiLU,
    SqueezeExcite,
    TokenLinear,
)

WRITTEN = (
    "affine+tokenlinear+affine",
    "bn.eps1e-3+conv3x3.d2+silu",
    "conv1x1+bn+ese",
    "conv1x7.bias",
    "conv3x1+bn+relu6+dwconv5x5.bias.s+se.r2+hardswish",
    "dwconv7x7.bias+ln+conv1x1.x4.bias+gelu+conv1x1.bias",
)
architectures = partial(drawn_architectures, operations=(*OPERATION_NAMES, *WRITTEN))
CLASSES = 5
EXAMPLES = scaled(1000)
ODD_SHAPE: Shape = (3, 7, 5)


def images(batch: int = 3, shape: Shape = INPUT_SHAPE, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((batch, *shape), generator=generator, dtype=torch.float64)


def build(architecture: Architecture, shape: Shape = INPUT_SHAPE) -> Network:
    """A float64 network in eval mode whose norms and merge weights are far from trivial."""
    network = Network(architecture, shape, CLASSES, seed=3).double()
    generator = torch.Generator().manual_seed(5)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                assert tensor is not None
                noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.data.copy_(0.5 + noise)
    for name, parameter in network.named_parameters():
        if name.endswith(("merge.weights", ".gain")):
            noise = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data.copy_(0.5 + noise)
    return network.eval()


def relative_gap(got: Tensor, wanted: Tensor) -> float:
    got, wanted = got.detach(), wanted.detach()
    return float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


# A second implementation, as plain as possible: one function per kind of layer, a list of states.


def naive_layer(layer: AbstractLayer, module: Any, x: Tensor, stride: int) -> Tensor:
    step = stride if layer.strided else 1
    match layer:
        case Conv(dilation=dilation) | DepthwiseConv(dilation=dilation):
            return naive_convolution(layer, module, x, step, dilation)
        case BatchNorm():
            return naive_norm(module, x)
        case ReLU():
            return x * (x > 0)
        case Pool(kind=kind, kernel=kernel):
            return naive_pool(kind, kernel, step if kernel % 2 else stride, x)
    return naive_rare_layer(layer, module, x)


def naive_rare_layer(layer: AbstractLayer, module: Any, x: Tensor) -> Tensor:
    match layer:
        case LayerNorm():
            centred = x - x.mean(1, keepdim=True)
            spread = (centred.square().mean(1, keepdim=True) + layer.eps).sqrt()
            return naive_scale(module, centred / spread)
        case Affine():
            return naive_scale(module, x)
        case SqueezeExcite() | EffectiveSqueezeExcite():
            return naive_gate(module, x)
        case TokenLinear():
            return (module.weight @ x.flatten(2)[..., None])[..., 0].add(module.bias).view_as(x)
    return NONLINEARITIES[type(layer)](x)


NONLINEARITIES = {
    GELU: lambda x: x * torch.distributions.Normal(0.0, 1.0).cdf(x),
    SiLU: lambda x: x / (1 + torch.exp(-x)),
    ReLU6: lambda x: torch.minimum(x * (x > 0), torch.full_like(x, 6)),
    Hardswish: lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1),
}


def naive_convolution(layer: Any, module: Any, x: Tensor, stride: int, dilation: int) -> Tensor:
    high, wide = (layer.kernel,) * 2 if isinstance(layer.kernel, int) else layer.kernel
    down, across = dilation * (high // 2), dilation * (wide // 2)
    padded = F.pad(x, (across, across, down, down))
    groups = x.shape[1] if isinstance(layer, DepthwiseConv) else layer.groups
    parts = zip(padded.chunk(groups, 1), module.weight.chunk(groups), strict=True)
    split = [F.conv2d(part, w, stride=stride, dilation=dilation) for part, w in parts]
    whole = torch.cat(split, 1)
    return whole if module.bias is None else whole + module.bias.reshape(1, -1, 1, 1)


def naive_scale(module: Any, x: Tensor) -> Tensor:
    return x * module.weight.reshape(1, -1, 1, 1) + module.bias.reshape(1, -1, 1, 1)


def naive_gate(module: Any, x: Tensor) -> Tensor:
    first, *rest = [part for part in module.layers if isinstance(part, nn.Conv2d)]
    squeezed = x.mean((2, 3))
    hidden = squeezed @ first.weight.flatten(1).T + first.bias
    for part in rest:
        hidden = hidden.clamp(min=0) @ part.weight.flatten(1).T + part.bias
    gate = torch.sigmoid(hidden) if rest else torch.clamp(hidden / 6 + 0.5, 0, 1)
    return x * gate[:, :, None, None]


def naive_norm(module: Any, x: Tensor) -> Tensor:
    columns = (1, -1, 1, 1)
    centred = x - module.running_mean.reshape(columns)
    spread = (module.running_var + module.eps).sqrt().reshape(columns)
    return centred / spread * module.weight.reshape(columns) + module.bias.reshape(columns)


def naive_pool(kind: str, kernel: int, stride: int, x: Tensor) -> Tensor:
    padding = kernel // 2 if kernel % 2 else 0
    filler = float("-inf") if kind == "max" else float("nan")
    padded = F.pad(x, (padding,) * 4, value=filler)
    windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(-2)
    return windows.amax(-1) if kind == "max" else windows.nanmean(-1)


def naive_adapter(adapter: Adapter, module: Any, x: Tensor) -> Tensor:
    """Take the part, adapt, multiply; learned gains are the last module's."""
    index, count = adapter.part
    x = x.chunk(count, 1)[index]
    x = naive_adapted(adapter, module, x)
    match adapter.gain.kind:
        case "fixed":
            return torch.full_like(x, adapter.gain.value) * x
        case "scalar":
            return float(module[-1].gain) * x
        case "channel":
            return torch.einsum("c,bchw->bchw", module[-1].gain, x)
    return x


def naive_adapted(adapter: Adapter, module: Any, x: Tensor) -> Tensor:
    first = int(adapter.part != (0, 1))
    if adapter.operation is not None:
        for position, layer in enumerate(adapter.operation.layers, start=first):
            x = naive_layer(layer, module[position], x, 1)
        return x
    if adapter.kind == "identity":
        return x
    step = adapter.stride
    if adapter.kind == "zero_pad":
        wide = x.new_zeros((x.shape[0], *adapter.target))
        wide[:, : x.shape[1]] = x[:, :, ::step, ::step]
        return wide
    if adapter.kind == "project":
        x = x[:, :, ::step, ::step]
    elif all(b <= a for a, b in zip(adapter.source[1:], adapter.target[1:], strict=True)):
        x = F.adaptive_avg_pool2d(x, adapter.target[1:])
    else:
        x = F.interpolate(x, adapter.target[1:], mode="bilinear", align_corners=False)
    if adapter.kind == "resample":
        return x
    norm = next(part for part in module if isinstance(part, nn.BatchNorm2d))
    conv = next(part for part in module if isinstance(part, nn.Conv2d))
    return naive_norm(norm, torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], x))


def naive_merge(step: NodeStep, module: Any, inputs: list[Tensor]) -> Tensor:
    if len(inputs) == 1:
        return inputs[0]
    match step.merge.weight:
        case "identity":
            terms = inputs
        case "scalar":
            terms = [x * module.weights[edge] for edge, x in enumerate(inputs)]
        case "projection":
            terms = [
                torch.einsum("oi,bihw->bohw", module.slices[edge], x)
                for edge, x in enumerate(inputs)
            ]
        case "stacked":
            return torch.cat(inputs, 1)
    power = {"none": 0.0, "rsqrt": -0.5, "mean": -1.0}[step.scale]
    return torch.stack(terms).sum(0) * len(inputs) ** power


def naive_run(plan: Plan, wired: AbstractWired, x: Tensor) -> Tensor:
    states = {0: x}
    for step in plan.steps[1:]:
        node: Any = wired.nodes[str(step.index)]
        inputs = []
        for position, entry in enumerate(step.inputs):
            adapter = dict(node.adapters.items()).get(str(position))
            inputs.append(naive_adapter(entry.adapter, adapter, states[entry.edge.source]))
        zeros = x.new_zeros((x.shape[0], *step.merged))
        y = naive_merge(step, node.merge, inputs) if inputs else zeros
        if step.operation is not None:
            for layer, module in zip(step.operation.layers, node.operation, strict=True):
                y = naive_layer(layer, module, y, step.node.stride)
        states[step.index] = y if step.cell is None else naive_run(step.cell, node.cell, y)
    return states[len(plan.steps) - 1]


def naive_logits(network: Network, x: Tensor) -> Tensor:
    pooled = naive_run(network.plan, network, x).mean((2, 3))
    return pooled @ network.head.weight.T + network.head.bias


@given(architectures())
@settings(max_examples=EXAMPLES)
def test_the_network_equals_a_naive_interpreter_in_float64(architecture: Architecture) -> None:
    network = build(architecture)
    with torch.no_grad():
        assert relative_gap(network(images()), naive_logits(network, images())) < 1e-10


@given(st.data())
@settings(max_examples=EXAMPLES // 2)
def test_odd_and_oblong_images_are_no_exception(data: st.DataObject) -> None:
    architecture = data.draw(architectures(5, ODD_SHAPE))
    network = build(architecture, ODD_SHAPE)
    x = images(shape=ODD_SHAPE)
    with torch.no_grad():
        wanted = naive_logits(network, x)
        assert relative_gap(network(x), wanted) < 1e-10
        assert relative_gap(fuse(network)(x), wanted) < 1e-10


def watch_shapes(wired: AbstractWired, seen: list[tuple[Shape, Shape]]) -> None:
    for step in wired.plan.steps[1:]:
        node: Any = wired.nodes[str(step.index)]

        def note(_: NodeModule, __: Any, y: Tensor, step: NodeStep = step) -> None:
            seen.append((step.output, tuple(y.shape[1:])))  # type: ignore[arg-type]

        node.register_forward_hook(note)
        if node.cell is not None:
            watch_shapes(node.cell, seen)


@given(architectures())
@settings(max_examples=10_000 if is_full_scale() else EXAMPLES)
def test_every_node_has_its_predicted_shape(architecture: Architecture) -> None:
    network = Network(architecture, INPUT_SHAPE, CLASSES)
    seen: list[tuple[Shape, Shape]] = []
    watch_shapes(network, seen)
    logits = network(images().float())
    assert logits.shape == (3, CLASSES)
    assert len(seen) >= len(architecture.nodes) - 1
    assert [real for _, real in seen] == [predicted for predicted, _ in seen]


@given(architectures())
@settings(max_examples=EXAMPLES)
def test_predicted_parameters_and_macs_are_those_of_the_module(architecture: Architecture) -> None:
    network = Network(architecture, INPUT_SHAPE, CLASSES).eval()
    predicted = cost(architecture, INPUT_SHAPE, CLASSES)
    assert predicted.parameters == sum(p.numel() for p in network.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images(batch=1).float())
    assert predicted.macs * 2 == counter.get_total_flops()


@given(architectures())
@settings(max_examples=EXAMPLES)
def test_every_parameter_gets_a_gradient(architecture: Architecture) -> None:
    network = Network(architecture, INPUT_SHAPE, CLASSES).train()
    F.cross_entropy(network(images(4).float()), torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@given(architectures())
@settings(max_examples=EXAMPLES)
def test_the_fused_network_gives_the_same_output(architecture: Architecture) -> None:
    network = build(architecture)
    with torch.no_grad():
        wanted = network(images())
        assert relative_gap(fuse(network)(images()), wanted) < 1e-10
        single = fuse(network.float())(images().float())
        assert relative_gap(single.double(), wanted) < 1e-4


@given(architectures(5))
@settings(max_examples=scaled(30))
def test_the_network_exports(architecture: Architecture) -> None:
    network = build(architecture)
    batch = torch.export.Dim("batch", min=2, max=64)
    for module in (network, fuse(network)):
        program = torch.export.export(module, (images(),), dynamic_shapes=({0: batch},))
        with torch.no_grad():
            assert relative_gap(program.module()(images(5)), module(images(5))) < 1e-10


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@given(architecture=architectures())
@settings(max_examples=scaled(60))
def test_memory_format_changes_nothing(
    memory_format: torch.memory_format, architecture: Architecture
) -> None:
    network = build(architecture)
    wanted = network(images())
    network = network.to(memory_format=memory_format)
    assert relative_gap(network(images().to(memory_format=memory_format)), wanted) < 1e-10
