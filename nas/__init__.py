"""Neural architecture search over how layers are connected.

    import nas

    run = nas.search("wired_cnn", data="digits", preset="smoke")
    print(run.front()[["trial", "wiring", "error_confirmed_mean", "latency_ms"]])

Everything here is loaded at its first use, so that `import nas` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.model.from_module import from_module
    from nas.search.api import SearchRun as Run
    from nas.search.api import resume
    from nas.space import load_space

__version__ = "0.1.0"

__all__ = ["Run", "__version__", "from_module", "load_space", "resume", "search"]

_HOMES = {
    "Run": ("nas.search.api", "SearchRun"),
    "from_module": ("nas.model.from_module", "from_module"),
    "load_space": ("nas.space", "load_space"),
    "resume": ("nas.search.api", "resume"),
}


def __getattr__(name: str) -> Any:
    """Load a name of the public API at its first use."""
    import importlib

    if name == "search":  # a package that can be called
        return importlib.import_module("nas.search")
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)
