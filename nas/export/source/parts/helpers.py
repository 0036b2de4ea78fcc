"""Functions of exported files: shared weights, and reading weights without any package."""

from __future__ import annotations

from torch import nn

from nas.export.source.pieces import part


@part
def share_weights(first: nn.Module, second: nn.Module) -> None:
    """Let the second module use the weights of the first; running statistics stay its own."""
    for path, module in second.named_modules():
        for name in [name for name, _ in module.named_parameters(recurse=False)]:
            module.register_parameter(name, first.get_submodule(path).get_parameter(name))
