"""The class of the network itself: its parts, what shares weights, forward pass and heads."""

from __future__ import annotations

from collections.abc import Sequence

from nas.export.source.layer_forms import classifier
from nas.export.source.layout import Written
from nas.export.source.pieces import Argument, Call, Raw, Stored
from nas.export.source.printing import INDENT, broken
from nas.export.source.sharing import ties
from nas.export.source.text import LOAD_METHOD, constructor_lines
from nas.model.layers import Classifier
from nas.model.network import Network

TWO = INDENT * 2


def add_heads(whole: Written, network: Network) -> None:
    """Append the classifiers to the attributes of the network."""
    heads = {f"exit{index}": head for index, head in network.exits.items()}
    for name, head in (*heads.items(), ("head", network.head)):
        if head is None:
            continue
        assert isinstance(head, Classifier)
        form = classifier(head)
        inputs = Argument(head.in_features)
        whole.attributes.append((name, Call("nn.Linear", (inputs, Argument(Raw("NUM_CLASSES"))))))
        whole.tensors.extend(
            Stored(f"{name}.{stored.name}", stored.tensor, stored.source) for stored in form.tensors
        )


def network_lines(
    whole: Written, attributes: Sequence[tuple[str, Call]], network: Network
) -> list[str]:
    """Return the class `Network`.

    Args:
        whole: Its layout.
        attributes: Its constructors, as calls of what the file defines.
        network: What it is.
    """
    lines = ["class Network(nn.Module):", f'{INDENT}"""The whole network."""', ""]
    lines += [f"{INDENT}def __init__(self) -> None:", *constructor_lines(attributes)]
    lines += _tie_lines(whole.tensors)
    exits = [f"exit{index}" for index in network.exits]
    lines += _exit_methods(whole, exits, network) if exits else _forward(whole, network)
    return [*lines, "", *LOAD_METHOD.rstrip().split("\n")]


def _tie_lines(tensors: Sequence[Stored]) -> list[str]:
    lines = []
    for first, second, whole in ties(tensors):
        line = f"share_weights({first}, {second})" if whole else f"{second} = {first}"
        lines += broken(line, TWO)
    return lines


def _forward(whole: Written, network: Network) -> list[str]:
    """Return the forward pass of a network without exits."""
    lines = list(whole.lines)
    if network.head is not None:
        last = lines.pop().removeprefix("return ")
        if not last.isidentifier():
            lines.append(f"x = {last}")
            last = "x"
        lines.append(f"return self.head({last}.mean((2, 3)))")
    return ["", f"{INDENT}def forward(self, x: Tensor) -> Tensor:", *_body(lines)]


def _body(lines: Sequence[str]) -> list[str]:
    return [text for line in lines for text in broken(line, TWO)]


def _exit_methods(whole: Written, exits: Sequence[str], network: Network) -> list[str]:
    """Return the methods of a network with exits: its states, its answer, and all answers."""
    states = ", ".join(f"state{number}" for number in range(1, len(exits) + 1))
    answer = "self.head(last.mean((2, 3)))" if network.head is not None else "last"
    logits = [f"self.{name}(state{n}.mean((2, 3)))" for n, name in enumerate(exits, 1)]
    return [
        "",
        f"{INDENT}def states(self, x: Tensor) -> tuple[Tensor, ...]:",
        f'{TWO}"""Return what the exits read, the earliest first, and the last state."""',
        *_body(whole.lines),
        "",
        f"{INDENT}def forward(self, x: Tensor) -> Tensor:",
        f"{TWO}*_, last = self.states(x)",
        f"{TWO}return {answer}",
        "",
        f"{INDENT}def exit_logits(self, x: Tensor) -> list[Tensor]:",
        f'{TWO}"""Return the logits of every exit, the earliest first, and the last ones."""',
        *broken(f"{states}, last = self.states(x)", TWO),
        *broken(f"return [{', '.join([*logits, answer])}]", TWO),
    ]
