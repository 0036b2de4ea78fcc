"""Imports exported files where nas cannot be, runs them, prints how far they are off as JSON.

    python -I child.py FOLDER

The folder holds NAME.py, NAME.safetensors and, as `outputs/NAME.safetensors`, images and what the
network made of them in float64.
"""

import importlib.abc
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn


class Refuser(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "nas":
            raise ImportError("an exported file asked for nas")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"exported_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(network: nn.Module, images: Tensor) -> list[Tensor]:
    if hasattr(network, "exit_logits"):
        return [network(images), *network.exit_logits(images)]
    return [network(images)]


def gap(got: Tensor, wanted: Tensor) -> float:
    if got.shape != wanted.shape:
        return float("inf")
    return float((got.double() - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


@torch.no_grad()
def compared(path: Path) -> dict[str, float]:
    module = load(path)
    told = module.read_safetensors(path.parent / "outputs" / f"{path.stem}.safetensors")
    images = told.pop("images")
    wanted = [told[f"output{number}"] for number in range(len(told))]
    weights = path.with_suffix(".safetensors")
    double = module.Network().double().load_weights(weights).eval()
    single = module.build(weights)
    rows = {}
    for name, network, x in (("float64", double, images), ("float32", single, images.float())):
        got = outputs(network, x)
        assert len(got) == len(wanted), f"{len(got)} outputs in place of {len(wanted)}"
        rows[name] = max(gap(one, other) for one, other in zip(got, wanted, strict=True))
    return rows


sys.meta_path.insert(0, Refuser())
torch.set_num_threads(1)
found = {}
for file in sorted(Path(sys.argv[1]).glob("*.py")):
    try:
        found[file.stem] = compared(file)
    except Exception as error:
        found[file.stem] = {"error": f"{type(error).__name__}: {error}"}
assert "nas" not in sys.modules
print(json.dumps(found))
