"""What a supernet's training step costs over the same network trained alone.

Forward, backward and weight update on one batch, for a sampled path, a one-level gated step (all
edges and merges gated, one operation and one width sampled per node) and a bilevel first-order
step, each over (a) the member with the most MACs and all its edges as a stand-alone network, and
(b) the chain of the same operations. The gated steps draw the operations and the width of (a), so
that both sides compute the same convolutions; outputs are compared at a vertex before anything is
timed. Each size comes with all merges open, and with those that only add up.

    python benchmarks/supernet_step.py [--small] [--threads 1] [--record]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import harness
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.model.network import Network
from nas.space import AbstractSpace, Decisions, space_from_dict
from nas.supernet.binding import Binder
from nas.supernet.mixtures.mixing import mix
from nas.supernet.mixtures.relaxed import relaxed_logits, relaxed_slots
from nas.supernet.optimizer import GateAdam, SliceSgd
from nas.supernet.relaxation import Context, Relaxation
from nas.supernet.supernet import Supernet
from nas.topology.graph import Architecture

CLASSES = 10
RATE = 1e-3
MOMENTUM = 0.9
DECAY = 5e-4
MERGES = ("sum", "mean", "concat", "weighted")
SUMS = ("sum", "mean", "weighted")
"""Merges without a projection: the reference is then much cheaper per edge."""


def one_stage(width: int, depth: int, merges: Sequence[str] = MERGES) -> AbstractSpace:
    """Return a space of one freely wired stage: every forward edge, merge and operation open."""
    return space_from_dict(
        {
            "schema": "nas.space/1",
            "kind": "stages",
            "name": f"stage-c{width}-n{depth}",
            "stages": [
                {
                    "pattern": {"choices": ["free", "chain"]},
                    "depth": depth,
                    "width": {"choices": [width // 2, width]},
                    "operation": {
                        "choices": ["conv3x3", "conv1x1", "separable3x3", "mbconv3x3"],
                        "per": "node",
                    },
                    "merge": {"choices": list(merges), "per": "node"},
                }
            ],
        }
    )


@dataclass
class Case:
    """One space, its batches and its reference members."""

    space: AbstractSpace
    decisions: Decisions
    reference: Architecture
    chain: Architecture
    images: Tensor
    labels: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


def make_case(
    width: int, depth: int, batch: int, side: int, merges: Sequence[str] = MERGES
) -> Case:
    space = one_stage(width, depth, merges)
    decisions = space.reference((3, side, side))
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, side, side, generator=rng)
    labels = torch.randint(0, CLASSES, (batch,), generator=rng)
    chain = space.walk(
        lambda choice: (
            "chain"
            if choice.name == "stage1.pattern"
            else decisions.get(choice.name, choice.default())
        )
    )
    return Case(
        space,
        decisions,
        space.build(decisions),
        space.build(chain),
        images.contiguous(memory_format=torch.channels_last),
        labels,
    )


def alone(case: Case, architecture: Architecture) -> Callable[[], object]:
    """Return a training step of a stand-alone network."""
    network = Network(architecture, case.shape, CLASSES).to(memory_format=torch.channels_last)
    kernels = [p for p in network.parameters() if p.dim() >= 2]
    others = [p for p in network.parameters() if p.dim() < 2]
    optimizer = torch.optim.SGD(
        [{"params": kernels, "weight_decay": DECAY}, {"params": others}],
        RATE,
        momentum=MOMENTUM,
        nesterov=True,
    )

    def step() -> None:
        loss = F.cross_entropy(network(case.images), case.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def sampled_path(case: Case) -> Callable[[], object]:
    """Return a path step whose path is the reference member."""
    supernet = Supernet(case.space, case.shape, CLASSES)
    optimizer = SliceSgd(supernet.weights, MOMENTUM, DECAY)

    def step() -> None:
        architecture = case.space.build(case.decisions)
        loss = F.cross_entropy(supernet(case.images, architecture), case.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(supernet.active(architecture), RATE)

    return step


def fixed_context(relaxation: Relaxation, decisions: Decisions) -> Context:
    """Return the context with the operations and the width of the reference."""
    return relaxation.context(decisions)[0]


def gated(case: Case, *, bilevel: bool) -> Callable[[], object]:
    """Return a gated step: weights and gates from one pass, or from a pass each."""
    supernet = Supernet(case.space, case.shape, CLASSES)
    relaxation = Relaxation(case.space)
    binder = Binder(case.space)
    optimizer = SliceSgd(supernet.weights, MOMENTUM, DECAY)
    adam = GateAdam(relaxation.logits, RATE)

    def loss_of(context: Context, values: dict[str, Tensor]) -> tuple[Tensor, dict]:
        mixing = mix(supernet, binder, context)
        logits = relaxed_logits(supernet, mixing, values, case.images)
        return F.cross_entropy(logits, case.labels), relaxed_slots(supernet, mixing)

    def step() -> None:
        context = fixed_context(relaxation, case.decisions)
        values = relaxation.values(context)
        if bilevel:
            loss, _ = loss_of(context, values)
            (gradient,) = torch.autograd.grad(loss, [relaxation.logits])
            adam.step(gradient, relaxation.touched(context))
            values = {name: value.detach() for name, value in relaxation.values(context).items()}
        loss, slots = loss_of(context, values)
        optimizer.zero_grad()
        relaxation.logits.grad = None
        loss.backward()
        optimizer.step(slots, RATE)
        if relaxation.logits.grad is not None:
            adam.step(relaxation.logits.grad, relaxation.touched(context))

    return step


def check_vertex(case: Case) -> None:
    """Compare the gated network at the reference's vertex with the stand-alone network."""
    supernet = Supernet(case.space, case.shape, CLASSES)
    relaxation = Relaxation(case.space)
    context, values = relaxation.context(case.decisions)
    mixing = mix(supernet, Binder(case.space), context)
    network: nn.Module = supernet.extract(case.reference).to(memory_format=torch.channels_last)
    with torch.no_grad():
        ours = relaxed_logits(supernet, mixing, values, case.images)
        theirs = network.train()(case.images)
        path = supernet(case.images, case.reference)
    scale = float(theirs.abs().max())
    for name, other in (("gated", ours), ("path", path)):
        difference = float((other - theirs).abs().max()) / scale
        if difference > 1e-4:
            raise SystemExit(f"{name} differs from the stand-alone network by {difference:.2e}")


def main() -> None:
    parser = harness.arguments(__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--depths", type=int, nargs="+", default=[4, 8, 12])
    parser.add_argument("--batch", type=int, default=16, help="images per step")
    options = parser.parse_args()
    harness.use_threads(options.threads)
    harness.print_versions(options.threads)
    side = 16 if options.small else 32
    rows: list[harness.Row] = []
    counted: list[harness.Row] = []
    for width in options.widths:
        for depth in options.depths:
            for merges in (MERGES, SUMS):
                case = make_case(width, depth, options.batch, side, merges)
                check_vertex(case)
                label = f"C={width} depth={depth}{'' if merges == MERGES else ' sums only'}"
                measure(case, label, rows, counted, options.small)
    harness.finish(
        "supernet_step",
        rows,
        unit="x (ours / reference)",
        threads=options.threads,
        overhead=True,
        counted=counted,
        record=options.record,
    )


def measure(
    case: Case, label: str, rows: list[harness.Row], counted: list[harness.Row], small: bool
) -> None:
    """Time every step of a case, interleaved, and print its rows."""
    sides = [
        alone(case, case.reference),
        alone(case, case.chain),
        sampled_path(case),
        gated(case, bilevel=False),
        gated(case, bilevel=True),
    ]
    seconds = harness.interleave(sides, rounds=3 if small else 5, warm_up=2)
    for name, taken in zip(("path", "gated", "bilevel"), seconds[2:], strict=True):
        for reference, denominator in (("a", seconds[0]), ("b", seconds[1])):
            row = harness.ratio_row(f"{label} {name} / ({reference})", taken, denominator)
            rows.append(row)
            harness.print_row(row)
            if name == "gated" and reference == "a":
                counted.append(row)


if __name__ == "__main__":
    main()
