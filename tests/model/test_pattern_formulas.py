"""Networks of patterns compute their published formulas, written by hand around their layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.cost.count import cost
from nas.model.network import Network
from nas.topology.patterns import PATTERNS
from nas.topology.stages import stage_architecture

WIDTH, SHAPE = 8, (3, 8, 8)
Layer = Callable[[Tensor], Tensor]


class Wired:
    """A network of one pattern without norms in its operations, and its layers by node name."""

    def __init__(self, pattern: str, size: int) -> None:
        topology = PATTERNS.get(pattern).wire(size)
        architecture = stage_architecture(
            topology, width=WIDTH, operation="plain_conv3x3", stem="plain_conv1x1"
        )
        self.network = Network(architecture, SHAPE, 5, seed=3).double().eval()
        generator = torch.Generator().manual_seed(4)
        with torch.no_grad():
            for parameter in self.network.parameters():
                parameter.add_(
                    0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                )
        self.nodes = {
            node.name.removeprefix("stage1."): self.network.nodes[str(index)]
            for index, node in enumerate(architecture.nodes)
            if index
        }
        self.last = len(architecture.nodes) - 1
        x = torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            self.input, self.output = self.network.run_to(x, (1, self.last))

    def layer(self, name: str) -> Layer:
        """Return a node's operation as a function of its merged input."""
        operation = self.nodes[name].operation
        assert isinstance(operation, nn.ModuleList)

        def run(x: Tensor) -> Tensor:
            for each in operation:
                x = each(x)
            return x

        return run

    def concatenated(self, name: str, states: list[Tensor]) -> Tensor:
        """Return a node's projected concatenation of its inputs."""
        merge = self.nodes[name].merge
        assert isinstance(merge, nn.Module)
        return merge(states)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[:, : WIDTH // 2], x[:, WIDTH // 2 :]


@torch.no_grad()
def test_a_reversible_stage_couples_halves_and_can_be_undone() -> None:
    wired = Wired("reversible", 4)
    f, g, h, k = (wired.layer(f"op{number}") for number in (1, 2, 3, 4))
    x1, x2 = halves(wired.input)
    y1 = x1 + f(x2)
    y2 = x2 + g(y1)
    z1 = y1 + h(y2)
    z2 = y2 + k(z1)
    close(wired.output, torch.cat([z1, z2], 1))
    z1, z2 = halves(wired.output)
    y2 = z2 - k(z1)
    y1 = z1 - h(y2)
    x2 = y2 - g(y1)
    close(torch.cat([y1 - f(x2), x2], 1), wired.input)


@torch.no_grad()
def test_res2net_hands_each_group_to_the_next() -> None:
    wired = Wired("res2net", 3)
    entry = wired.layer("fixed1")(wired.input)
    x = list(entry.chunk(4, 1))
    y = [x[0], wired.layer("op1")(x[1])]
    y.append(wired.layer("op2")(x[2] + y[1]))
    y.append(wired.layer("op3")(x[3] + y[2]))
    close(wired.output, wired.input + wired.layer("fixed3")(torch.cat(y, 1)))


@torch.no_grad()
def test_csp_runs_the_stage_on_one_part_alone() -> None:
    wired = Wired("csp(inner=chain)", 2)
    past, through = halves(wired.input)
    stage = wired.layer("op2")(wired.layer("op1")(through))
    mixed = torch.cat([past, wired.layer("fixed2")(stage)], 1)
    close(wired.output, wired.layer("fixed3")(mixed))


@torch.no_grad()
def test_residual_attention_multiplies_the_trunk_with_one_plus_a_mask() -> None:
    wired = Wired("residual_attention(inner=chain)", 2)
    pooled = functional.max_pool2d(wired.input, 2)
    mask = wired.layer("fixed2")(wired.layer("op1")(pooled))
    mask = functional.interpolate(mask, scale_factor=2, mode="bilinear", align_corners=False)
    trunk = wired.layer("op2")(wired.input)
    close(wired.output, (1 + torch.sigmoid(mask)) * trunk)


@torch.no_grad()
def test_a_recurrent_operation_sees_its_own_output_with_the_same_weights() -> None:
    wired = Wired("recurrent_residual(span=1)", 1)
    f = wired.layer("op1")
    state = f(wired.input)
    for _ in range(2):
        state = f(wired.input + state)
    close(wired.output, wired.input + state)


@torch.no_grad()
def test_one_shot_aggregation_concatenates_once_gates_and_adds_the_input() -> None:
    wired = Wired("one_shot(version=v2)", 3)
    states = [wired.input]
    for number in (1, 2, 3):
        states.append(wired.layer(f"op{number}")(states[-1]))
    joined = wired.concatenated("join1", states)
    close(wired.output, wired.input + wired.layer("fixed1")(joined))


@torch.no_grad()
@pytest.mark.parametrize("motif", "abc")
def test_p3d_motifs_compute_their_formulas(motif: str) -> None:
    wired = Wired(f"p3d(motif={motif})", 2)
    x, s, t = wired.input, wired.layer("op1"), wired.layer("op2")
    expected = {"a": x + t(s(x)), "b": x + s(x) + t(x), "c": x + s(x) + t(s(x))}
    close(wired.output, expected[motif])


@torch.no_grad()
def test_a_ladder_reads_the_stream_one_step_behind() -> None:
    wired = Wired("ladder", 4)
    stream = [wired.input]
    for number in range(1, 5):
        read = stream[max(0, number - 2)]
        stream.append(stream[-1] + wired.layer(f"op{number}")(read))
    close(wired.output, stream[-1])


@torch.no_grad()
def test_an_inception_residual_scales_what_it_adds() -> None:
    wired = Wired("inception_residual(branches=2,scale=30)", 3)
    f, g, h = (wired.layer(f"op{number}") for number in (1, 2, 3))
    stacked = torch.cat([f(wired.input), h(g(wired.input))], 1)
    close(wired.output, wired.input + 0.3 * wired.layer("fixed1")(stacked))


@torch.no_grad()
def test_a_nested_u_pools_upsamples_and_adds_its_entry() -> None:
    wired = Wired("nested_u(middle=100)", 6)
    layer = [wired.layer(f"op{number}") for number in range(1, 7)]
    entry = layer[0](wired.input)
    first = layer[1](entry)
    second = layer[2](functional.max_pool2d(first, 2))
    bottom = layer[3](second)
    lowest = layer[4](wired.concatenated("op5", [second, bottom]))
    up = functional.interpolate(lowest, scale_factor=2, mode="bilinear", align_corners=False)
    highest = layer[5](wired.concatenated("op6", [first, up]))
    close(wired.output, entry + highest)


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_loop_costs_time_and_no_parameters(times: int) -> None:
    def counted(runs: int) -> tuple[int, int]:
        topology = PATTERNS.get(f"looped(times={runs})").wire(2)
        found = cost(stage_architecture(topology, stem="conv3x3"), SHAPE, 5)
        return found.parameters, found.macs

    once, several, more = counted(1), counted(times), counted(times + 1)
    assert several[0] == once[0] == more[0]
    assert more[1] - several[1] == counted(2)[1] - once[1]
    plain = stage_architecture(PATTERNS.get("residual").wire(2), stem="conv3x3")
    assert once == (cost(plain, SHAPE, 5).parameters, cost(plain, SHAPE, 5).macs)


def test_norms_of_a_loop_may_be_each_runs_own() -> None:
    def parameters(text: str) -> int:
        topology = PATTERNS.get(text).wire(1)
        return cost(stage_architecture(topology, width=WIDTH, stem="conv3x3"), SHAPE, 5).parameters

    assert parameters("looped(norms=own)") == parameters("looped") + 2 * 2 * WIDTH


def test_an_exit_has_a_head_and_the_last_part_none_beside_the_networks() -> None:
    topology = PATTERNS.get("early_exit").wire(6)
    network = Network(stage_architecture(topology, stem="conv1x1"), SHAPE, 5)
    assert len(network.exits) == 2
    logits = network.exit_logits(torch.randn(2, *SHAPE))
    assert [tuple(each.shape) for each in logits] == [(2, 5)] * 3
