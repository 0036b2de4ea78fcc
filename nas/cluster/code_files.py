"""Which files of the user's own code a search needs: the modules it names and what they import.

Nothing is started to find out: the imports are read from the text. What is installed in the Python
environment is not sent; it must be installed on the cluster.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.errors import ConfigError, NotFoundError

_SKIPPED = ("__pycache__",)


@final
@dataclass(frozen=True)
class CodeFile:
    """One file of code.

    Args:
        path: Where it lies here.
        name: Its path below the folder that Python searches, as in `package/module.py`.
    """

    path: Path
    name: str


def code_of(modules: Iterable[str]) -> list[CodeFile]:
    """Return the files of modules that are not installed, and of those they import from beside.

    A package goes whole, with its data files.

    Args:
        modules: Dotted names.

    Raises:
        NotFoundError: If there is no such module.
        ConfigError: If one cannot be read.
    """
    found: dict[str, CodeFile] = {}
    pending = [name.partition(".")[0] for name in modules]
    asked = set(pending)
    while pending:
        top = pending.pop()
        root = _root_of(top, required=top in asked)
        if root is None:
            continue
        files = list(_files_of(root, top))
        known = {each.name for each in found.values()}
        for each in files:
            found.setdefault(each.name, each)
        if not {each.name for each in files} <= known:
            pending += [
                name for name in _imports(files) if _is_beside(root, name) and name not in asked
            ]
    return [found[name] for name in sorted(found)]


def _root_of(top: str, *, required: bool) -> Path | None:
    """Return the folder that holds a top-level module; None if it is installed."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)  # the console script, unlike `python -m nas`, leaves it out
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    finally:
        if added:
            sys.path.remove(here)
    if spec is None:
        if not required:
            return None
        raise NotFoundError(
            f"There is no module '{top}' to send.",
            where="plugins",
            fix="Put its folder on PYTHONPATH, or install it here and on the cluster.",
        )
    places = list(spec.submodule_search_locations or [])
    origin = places[0] if places else spec.origin
    if origin in (None, "built-in", "frozen"):
        return None
    root = Path(str(origin)).absolute().parent
    return None if _is_installed(root) or top == "nas" else root


def _is_installed(folder: Path) -> bool:
    paths = sysconfig.get_paths()
    homes = {Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    resolved = folder.resolve()
    return any(resolved == home or home in resolved.parents for home in homes)


def _files_of(root: Path, top: str) -> Iterator[CodeFile]:
    single = root / f"{top}.py"
    package = root / top
    if package.is_dir():
        for path in sorted(package.rglob("*")):
            below = path.relative_to(root)
            hidden = any(part.startswith(".") or part in _SKIPPED for part in below.parts)
            if path.is_file() and not hidden:
                yield CodeFile(path, below.as_posix())
    elif single.is_file():
        yield CodeFile(single, single.name)
    else:
        raise ConfigError(
            f"The module '{top}' is neither a .py file nor a folder, so it cannot be sent.",
            where=str(root),
            fix="Install it on the cluster, in the environment of nas.",
        )


def _imports(files: Iterable[CodeFile]) -> Iterator[str]:
    """Yield the top-level names that files import."""
    for each in files:
        if each.path.suffix == ".py":
            for node in ast.walk(_parsed(each.path)):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    yield node.module.partition(".")[0]


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"The module {path.name} cannot be read: {error}.",
            where=str(path),
            fix="Correct it; python -m py_compile FILE shows the place.",
        ) from error


def _is_beside(root: Path, name: str) -> bool:
    return (root / f"{name}.py").is_file() or (root / name / "__init__.py").is_file()
