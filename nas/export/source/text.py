"""The file: docstring, what it carries, functions, classes, the network, and how weights load."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from textwrap import wrap

import nas.export.source.parts.helpers  # noqa: F401  (registers what files carry)
from nas.export.source.classes import Class, Definitions, Function
from nas.export.source.naming import plain_text
from nas.export.source.pieces import PARTS, Call
from nas.export.source.printing import INDENT, WIDTH, broken, call_text
from nas.export.source.unify import Parameter
from nas.model.network import Network
from nas.topology.layers import Shape

LOADING = '''\
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file: a length, a JSON header, then plain numbers."""
    data = bytearray(Path(path).read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or begin > len(data):
        raise ValueError(f"{path} is no safetensors file, or is cut off")
    header = json.loads(data[8:begin])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
        first, last = entry["data_offsets"]
        count = math.prod(shape)
        if last - first != count * dtype.itemsize or begin + last > len(data):
            raise ValueError(f"{path}: the numbers of {name} are cut off")
        values = torch.frombuffer(data, dtype=dtype, count=count, offset=begin + first)
        tensors[name] = values.reshape(shape)
    return tensors
'''

LOAD_METHOD = '''\
    @torch.no_grad()
    def load_weights(self, path: str | Path) -> "Network":
        """Fill the network from a safetensors file; names and shapes must be those of this file."""
        tensors = read_safetensors(path)
        own = dict(self.named_parameters()) | dict(self.named_buffers())
        if tensors.keys() != own.keys():
            different = sorted(tensors.keys() ^ own.keys())
            raise ValueError(f"{path} is for another network: {', '.join(different[:5])}")
        for name, tensor in own.items():
            if tensors[name].shape != tensor.shape:
                shapes = f"{tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
                raise ValueError(f"{path}: {name} has the shape {shapes}")
            tensor.copy_(tensors[name])
        return self
'''

RUNNING = '''\
def build(weights: str | Path | None = None) -> Network:
    """Return the network in eval mode, with the weights of a file if one is given."""
    network = Network()
    if weights is not None:
        network.load_weights(weights)
    return network.eval()


if __name__ == "__main__":
    beside = Path(__file__).with_suffix(".safetensors")
    network = build(beside if beside.exists() else None)
    with torch.no_grad():
        outputs = network(torch.randn(2, *INPUT_SHAPE))
    assert outputs.isfinite().all(), "the network gives numbers that are not finite"
    count = sum(parameter.numel() for parameter in network.parameters())
    print(f"{count:,} parameters, {tuple(outputs.shape)} for two random images: it runs")
'''


def page(told: str, sections: Sequence[list[str]], input_shape: Shape, num_classes: int) -> str:
    """Return the whole file.

    Args:
        told: Its docstring.
        sections: Lines of its functions and classes, the network last.
        input_shape: `(channels, height, width)` of its images.
        num_classes: Outputs.
    """
    body = "\n".join(line for section in sections for line in section)
    constants = [f"INPUT_SHAPE = {tuple(input_shape)}"]
    if "NUM_CLASSES" in body:
        constants.append(f"NUM_CLASSES = {num_classes}")
    own = ["\n".join(section) for section in sections]
    parts = carried(body)
    pieces = ["\n".join(constants), *parts, *own[:-1], LOADING, own[-1], RUNNING]
    uses_functional = re.search(r"\bF\.", "\n".join([*parts, *own]))
    head = [told, "", "import json", "import math", "from pathlib import Path", "", "import torch"]
    head += ["import torch.nn.functional as F"] if uses_functional else []
    head += ["from torch import Tensor, nn", "", "\n".join(constants)]
    pieces[0] = "\n".join(head)
    return "\n\n\n".join(piece.strip("\n") for piece in pieces) + "\n"


def docstring(name: str, network: Network, about: Mapping[str, str], *, folded: bool) -> str:
    """Return the docstring of a file: what it is, where it came from, how to load it."""
    stem = re.sub(r"[^0-9A-Za-z_.-]+", "_", name) or "network"
    norms = (
        " Batch norms are folded into the convolutions, so it is for inference." if folded else ""
    )
    shape = ", ".join(map(str, network.input_shape))
    out = f"{network.num_classes} logits" if network.head is not None else "maps"
    told = f"It reads images of the shape (batch, {shape}) and gives {out}.{norms}"
    lines = [*wrap(f'"""{plain_text(name)}: a network, written by nas.', WIDTH - 1), ""]
    lines += wrap(told, WIDTH - 1)
    if about:
        lines.append("")
        for key, value in about.items():
            entry = f"{plain_text(key)}: {plain_text(value)}"
            lines += wrap(entry, WIDTH - 4, initial_indent="    ", subsequent_indent="        ")
    lines += ["", "Load it with its weights and run it:", ""]
    module = re.sub(r"\W", "_", stem)
    lines += broken(f"from {module} import build", INDENT)
    lines += broken(f'network = build("{stem}.safetensors")', INDENT)
    lines += [f"{INDENT}outputs = network(images)", '"""']
    return "\n".join(lines)


def carried(body: str) -> list[str]:
    """Return the sources of the parts that a text names, word for word."""
    sources = {name: part_source(name) for name in PARTS.known}
    reads = {name: _words(source) - {name} for name, source in sources.items()}
    return [sources[name] for name in PARTS.needed(_words(body), reads)]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Za-z_]\w*", text))


@cache
def part_source(name: str) -> str:
    """Return the source of a part without its decorator."""
    source = inspect.getsource(PARTS.known[name])
    return source.removeprefix("@part\n").rstrip()


def function_lines(function: Function) -> list[str]:
    """Return a function that makes a row of layers."""
    head = f"def {function.name}({_signature(function.parameters)}) -> nn.Sequential:"
    return [*broken(head, ""), *broken(f"return {call_text(function.call)}", INDENT)]


def _signature(parameters: Sequence[Parameter]) -> str:
    return ", ".join(parameter.declared for parameter in parameters)


def class_lines(entry: Class) -> list[str]:
    """Return a class of the file."""
    own = _signature(entry.parameters)
    lines = [f"class {entry.name}(nn.Module):", *_told(entry.paths), ""]
    lines += broken(f"def __init__({', '.join(filter(None, ('self', own)))}) -> None:", INDENT)
    lines += constructor_lines(entry.attributes)
    inputs = ", ".join(f"{name}: Tensor" for name in entry.forward)
    result = "Tensor" if "," not in _returned(entry.lines) else "tuple[Tensor, ...]"
    lines += ["", *broken(f"def forward(self, {inputs}) -> {result}:", INDENT)]
    for line in entry.lines:
        lines += broken(line, INDENT * 2)
    return lines


def _returned(lines: Sequence[str]) -> str:
    """Return the names behind `return` where these are several, else nothing."""
    last = lines[-1].removeprefix("return ")
    return last if re.fullmatch(r"\w+(, \w+)+", last) else ""


def _told(paths: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a docstring that says which parts of the architecture a class is for."""
    names = [plain_text(".".join(path))[:40] for path in paths]
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    return [f'{INDENT}"""What the architecture calls {shown}."""']


def constructor_lines(attributes: Sequence[tuple[str, Call]]) -> list[str]:
    """Return the body of a constructor."""
    lines = [f"{INDENT * 2}super().__init__()"]
    for name, call in attributes:
        lines += broken(f"self.{name} = {call_text(call)}", INDENT * 2)
    return lines


def definition_sections(definitions: Definitions) -> list[list[str]]:
    """Return the functions and classes of a file."""
    functions = [function_lines(entry) for entry in definitions.functions]
    return functions + [class_lines(entry) for entry in definitions.classes]
