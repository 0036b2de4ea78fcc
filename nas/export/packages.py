"""The packages of the extra `onnx`: imported where they are used, with a way out where missing."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Final

from nas.errors import EnvironmentFault

ONNX_PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")


def check_onnx_packages() -> None:
    """Check that everything an export needs is installed, without importing it.

    Raises:
        EnvironmentFault: If a package is missing; the message names it.
    """
    for name in ONNX_PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise _missing(name)


def onnx_package(name: str) -> ModuleType:
    """Import a module of the extra `onnx`, such as `onnxruntime.quantization`.

    Raises:
        EnvironmentFault: If its package is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise _missing(name.partition(".")[0], str(error)) from error


def _missing(name: str, why: str | None = None) -> EnvironmentFault:
    return EnvironmentFault(
        f"The package '{name}' is not installed here.",
        why=why or "ONNX files and ONNX Runtime come with an extra of this package.",
        fix="pip install 'nas[onnx]'",
    )
