"""Source `module:function`: data from the user's own code.

The function takes no arguments and returns the four arrays (x_train, y_train, x_test, y_test) or
a mapping with these names and, if wanted, `classes` and `layout`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from nas.errors import DataError, NotFoundError
from nas.foreign_code import check_may_start
from nas.training.data.image_data import RawImages
from nas.training.data.npz import FOUR_ARRAYS


def load_function(spec: str) -> RawImages:
    """Call `module:function` (or `file.py:function`) and take what it returns.

    Raises:
        NotFoundError: If the module or the function does not exist.
        DataError: If the function fails or returns something else.
        RunError: If this process may start no code of others.
    """
    check_may_start(f"the function '{spec}'", spec)
    function = _find_function(spec)
    try:
        result = function()
    except Exception as error:
        raise DataError(
            f"The function '{spec}' failed with {type(error).__name__}: {error}.",
            where=spec,
            fix="Call it in Python without arguments to see the whole traceback.",
        ) from error
    return _as_raw(result, spec)


def _find_function(spec: str) -> Callable[[], Any]:
    module_name, _, function_name = spec.rpartition(":")
    module = _import(module_name, spec)
    function = getattr(module, function_name, None)
    if not callable(function):
        offered = sorted(name for name in vars(module) if not name.startswith("_"))
        raise NotFoundError(
            f"The module '{module_name}' has no function '{function_name}'.",
            where=spec,
            fix=f"Names in it: {', '.join(offered) or 'none'}.",
        )
    return function  # type: ignore[no-any-return]


def _import(module_name: str, spec: str) -> ModuleType:
    try:
        if module_name.endswith(".py"):
            return _import_file(Path(module_name), spec)
        return _import_from_here(module_name)
    except ModuleNotFoundError as error:
        raise NotFoundError(
            f"The module '{module_name}' cannot be imported: {error}.",
            where=spec,
            fix="Write module:function with a module on the Python path or in this folder, or "
            "path/to/file.py:function.",
        ) from error
    except NotFoundError:
        raise
    except Exception as error:
        raise DataError(
            f"Importing '{module_name}' failed with {type(error).__name__}: {error}.",
            where=spec,
            fix="Correct the module; importing it in Python shows the whole traceback.",
        ) from error


def _import_from_here(module_name: str) -> ModuleType:
    # The console script, unlike `python -m nas`, does not look in the current folder.
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        return importlib.import_module(module_name)
    finally:
        if added:
            sys.path.remove(here)


def _import_file(path: Path, spec: str) -> ModuleType:
    loader = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or loader is None or loader.loader is None:
        raise NotFoundError(
            f"The file '{path}' does not exist.", where=spec, fix="Correct the path."
        )
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    return module


def _as_raw(result: Any, spec: str) -> RawImages:
    if isinstance(result, Mapping):
        missing = [name for name in FOUR_ARRAYS if name not in result]
        if missing:
            raise DataError(
                f"Missing arrays: {', '.join(missing)}; found: "
                f"{', '.join(map(str, result)) or 'none'}.",
                where=spec,
                fix=f"Return a dictionary with {', '.join(FOUR_ARRAYS)}.",
            )
        names = result.get("classes")
        return RawImages(
            *(result[name] for name in FOUR_ARRAYS),
            classes=None if names is None else tuple(str(name) for name in names),
            layout=result.get("layout"),
        )
    if isinstance(result, (tuple, list)) and len(result) == len(FOUR_ARRAYS):
        return RawImages(*result)
    size = f" of {len(result)}" if isinstance(result, (tuple, list)) else ""
    raise DataError(
        f"The function returned {type(result).__name__}{size}, not four arrays.",
        where=spec,
        fix=f"Return ({', '.join(FOUR_ARRAYS)}) or a dictionary with these names.",
    )
