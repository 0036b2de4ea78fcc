"""From a text on the command line to an architecture: a published name, a pattern, a trial, a file.

`resnet:depth=20` and `dense:size=5,width=16` name networks; `RUN:TRIAL` and the path of a JSON file
find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, final

from nas.cli.given_files import given_file
from nas.errors import ConfigError, NotFoundError
from nas.registry import suggest
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from nas.run_store import Run

_LARGEST_WIDTH = 65_536
_DEFAULT_SIZE = 4
_OPTIONS = "size, width, operation, merge, scale"


@final
@dataclass(frozen=True)
class FoundArchitecture:
    """An architecture and, where it comes from a run, the shapes it was searched for."""

    architecture: Architecture
    input_shape: Shape | None = None
    num_classes: int | None = None


def build_named(text: str) -> Architecture:
    """Build a published network or a connection pattern from `NAME[:key=value,...]`.

    Raises:
        NotFoundError: If neither has that name; the message lists both.
        ConfigError: If an option is unknown or its value is not allowed.
        TopologyError: If the pattern does not exist for the size.
    """
    from nas.topology.patterns import PATTERNS
    from nas.topology.published import PUBLISHED, build_published_text, parse_published

    name, options = parse_published(text)
    if name in PUBLISHED:
        return build_published_text(text)
    if name in PATTERNS:
        return _build_pattern(name, options, text)
    near = suggest(name, [*PUBLISHED, *PATTERNS])
    raise NotFoundError(
        f"There is no published network and no pattern '{name}'.",
        fix=(f"Did you mean '{near}'? " if near else "")
        + f"Published networks: {', '.join(PUBLISHED)}; patterns: {', '.join(PATTERNS)}.",
    )


def _build_pattern(name: str, options: dict[str, str], text: str) -> Architecture:
    """Wire a pattern alone: no stem, so that its measures are those of the wiring."""
    from nas.topology.merges import MERGES
    from nas.topology.operations import OPERATIONS
    from nas.topology.patterns import PATTERNS

    unknown = next((key for key in options if key not in _OPTIONS.split(", ")), None)
    if unknown is not None:
        near = suggest(unknown, _OPTIONS.split(", "))
        raise ConfigError(
            f"The pattern '{name}' has no option '{unknown}'.",
            where=text,
            fix=(f"Did you mean '{near}'? " if near else "") + f"Its options are: {_OPTIONS}.",
        )
    pattern = PATTERNS.get(name)
    smallest = next(size for size in range(_DEFAULT_SIZE, 512) if pattern.exists(size))
    topology = pattern.wire(_whole(options, "size", smallest, 1, 512, text))
    width = _whole(options, "width", 16, 1, _LARGEST_WIDTH, text)
    operation = options.get("operation", "conv3x3")
    merge = options.get("merge", topology.merge)
    channels = None if OPERATIONS.get(operation).keeps_channels else width
    MERGES.get(merge)
    nodes = [Node(name="input")]
    for number in range(1, topology.num_nodes):
        scale = options.get("scale", "auto")
        if number in topology.joins:
            nodes.append(Node("identity", merge, scale, name=f"join{number}"))
        else:
            nodes.append(Node(operation, merge, scale, channels, name=f"op{number}"))
    edges = tuple(Edge(source, target) for source, target in sorted(topology.edges))
    return Architecture(tuple(nodes), edges, (name,))


def _whole(options: dict[str, str], key: str, default: int, low: int, high: int, text: str) -> int:
    given = options.get(key, str(default))
    if not (given.isdecimal() and len(given) < 10 and low <= int(given) <= high):
        raise ConfigError(
            f"The option '{key}' is '{given}'; it must be a whole number, {low} to {high}.",
            where=text,
            fix=f"Leave it out for {default}.",
        )
    return int(given)


def find_network(source: str, runs: Path) -> FoundArchitecture:
    """Find what a text names: a trial of a run, a file, or a network as `build_named` reads it.

    Raises:
        NasError: As `find_architecture` and `build_named` do.
    """
    run, colon, trial = source.rpartition(":")
    is_trial = bool(colon and run and trial.isdecimal())
    if is_trial or "/" in source or source.endswith(".json") or given_file(source):
        return find_architecture(source, runs)
    return FoundArchitecture(build_named(source))


def find_architecture(source: str, runs: Path) -> FoundArchitecture:
    """Read an architecture from a JSON file, or from a trial of a run (`RUN:TRIAL`).

    Raises:
        NotFoundError: If the file, run or trial does not exist.
        RunError: If the folder is no run, or the trial's file is damaged.
        ArchitectureError: If the file holds no architecture.
    """
    path = given_file(source)
    run, colon, trial = source.rpartition(":")
    if path is not None:
        return FoundArchitecture(_read_file(path))
    if colon and run and trial.isdecimal():
        return _find_trial(run, int(trial[:12]), runs)
    if not colon and "/" not in source and not source.endswith(".json"):
        raise ConfigError(
            f"'{source}' is neither a file nor a trial of a run.",
            fix="Write RUN:TRIAL, for example my-run:12, or the path of a JSON file.",
        )
    raise NotFoundError(f"There is no file '{source}'.", fix="Check the path, or write RUN:TRIAL.")


def _read_file(path: Path) -> Architecture:
    from nas.errors import ArchitectureError, TopologyError
    from nas.topology.serial import MAX_BYTES, load_architecture

    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("utf-8")
        return load_architecture(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error.reason} at {error.start}.") from None
    except (ArchitectureError, TopologyError) as error:
        place = f"{path}, {error.where}" if error.where else str(path)
        raise type(error)(error.what, where=place, why=error.why, fix=error.fix) from None


def _find_trial(run: str, number: int, runs: Path) -> FoundArchitecture:
    from nas.cli.run_folders import find_run
    from nas.run_store import Run

    with Run.open(find_run(run, runs)) as opened:
        trials = opened.table().trials
        if number not in trials:
            _no_such_trial(number, list(trials), opened)
        shape, num_classes = searched_shapes(opened)
        return FoundArchitecture(
            trial_architecture(opened, trials[number].architecture), shape, num_classes
        )


def _no_such_trial(number: int, known: list[int], run: Run) -> NoReturn:
    there = f"it has trials {min(known)} to {max(known)}" if known else "it has no trials yet"
    raise NotFoundError(
        f"Run '{run.path.name}' has no trial {number}: {there}.",
        where=str(run.path),
        fix=f"List the front with `nas front {run.path.name}`.",
    )


def trial_architecture(run: Run, recorded: Any) -> Architecture:
    """Return the architecture a record names by its id or holds as JSON."""
    from nas.topology.serial import load_architecture

    if isinstance(recorded, dict) and "nodes" in recorded:
        return load_architecture(recorded)
    return load_architecture(run.get_architecture(str(recorded)))


def searched_shapes(run: Run) -> tuple[Shape | None, int | None]:
    """Return the input shape and the classes a run was searched for, as its environment says."""
    data = run.environment.get("data")
    if not isinstance(data, dict):
        return None, None
    shape, classes = data.get("input_shape"), data.get("num_classes")
    sides = [side for side in shape if type(side) is int] if isinstance(shape, list) else []
    return (
        (sides[0], sides[1], sides[2]) if len(sides) == 3 else None,
        classes if type(classes) is int else None,
    )
