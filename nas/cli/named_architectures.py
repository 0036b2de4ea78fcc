"""From a text on the command line to an architecture: a published name, a pattern, a trial, a file.

`resnet-cifar:depth=20` and `dense:size=5,width=16` name networks; `RUN:TRIAL` (TRIAL a number, or
best, knee, under-2ms) and the path of a JSON file find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, final

from nas.cli.given_files import given_file
from nas.cli.named_trials import find_trial, names_trial
from nas.errors import ConfigError, NotFoundError
from nas.registry import suggest
from nas.topology.graph import WHOLE, Architecture, Topology
from nas.topology.layers import Shape

if TYPE_CHECKING:
    from nas.run_store import Run
    from nas.topology.patterns import Pattern

_LARGEST_WIDTH = 65_536
_DEFAULT_SIZE = 4
_LONGEST_TEXT = 500
_OPTIONS = ("size", "width", "operation", "merge", "scale", "edge_scale", "stem")


@final
@dataclass(frozen=True)
class FoundArchitecture:
    """An architecture and, where it comes from a run, the shapes it was searched for."""

    architecture: Architecture
    input_shape: Shape | None = None
    num_classes: int | None = None


def build_named(text: str) -> Architecture:
    """Build a published network or a connection pattern from `NAME[:key=value,...]`.

    A pattern may also carry its parameters in brackets, `csp(inner=dense):size=6`; where a network
    and a pattern have one name, brackets mean the pattern, as does `pattern.NAME`.

    Raises:
        NotFoundError: If neither has that name; the message lists both.
        ConfigError: If an option is unknown or its value is not allowed.
        TopologyError: If the pattern does not exist for the size.
    """
    from nas.topology.patterns import PATTERNS
    from nas.topology.published import PUBLISHED, build_published

    name, options = _parse(text)
    if name in PUBLISHED:
        return build_published(name, **options)
    base = name.removeprefix("pattern.").partition("(")[0]
    if base in PATTERNS:
        return _build_pattern(name.removeprefix("pattern."), options, text)
    near = suggest(base, [*PUBLISHED, *PATTERNS])
    raise NotFoundError(
        f"There is no published network and no pattern '{base[:80]}'.",
        fix=(f"Did you mean '{near}'? " if near else "")
        + f"Published networks: {', '.join(PUBLISHED)}; patterns: {', '.join(PATTERNS)}.",
    )


def _parse(text: str) -> tuple[str, dict[str, str]]:
    """Split at the first colon and at the commas, both outside of brackets."""
    from nas.topology.pattern_parameters import split_top_level
    from nas.topology.published import parse_published

    if len(text) > _LONGEST_TEXT:
        raise ConfigError(
            f"The name '{text[:40]}...' takes {len(text):,} characters.",
            fix=f"Write at most {_LONGEST_TEXT}.",
        )
    if "(" not in text:
        return parse_published(text)
    depth, colon = 0, len(text)
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ":" and depth == 0:
            colon = place
            break
    options: dict[str, str] = {}
    for piece in split_top_level(text[colon + 1 :]) if text[colon + 1 :] else []:
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not (key and equals and value) or key in options:
            raise ConfigError(
                f"'{piece}' is no option of the form key=value, or is there twice.",
                where=text,
                fix="Write for example csp(inner=dense):size=6,width=32.",
            )
        options[key] = value
    return text[:colon].strip(), options


def _build_pattern(name: str, options: dict[str, str], text: str) -> Architecture:
    """Wire a pattern alone: no stem unless asked for, so that its measures are the wiring's."""
    from nas.topology.edge_scales import UNSCALED, scale_topology
    from nas.topology.merges import MERGES
    from nas.topology.patterns import MAX_SIZE, PATTERNS
    from nas.topology.stages import stage_architecture

    pattern = PATTERNS.get(name)
    written = name.partition("(")[2]
    own = {each.name for each in pattern.parameters if f"{each.name}=" not in written}
    values = {key: value for key, value in options.items() if key in own}
    unknown = next((key for key in options if key not in own and key not in _OPTIONS), None)
    if unknown is not None:
        known = [*_OPTIONS, *sorted(own)]
        near = suggest(unknown, known)
        raise ConfigError(
            f"The pattern '{name}' has no option '{unknown}'.",
            where=text,
            fix=(f"Did you mean '{near}'? " if near else "")
            + f"Its options are: {', '.join(known)}.",
        )
    pattern = _bound(pattern, values)
    common = {key: value for key, value in options.items() if key not in values}
    size = _whole(common, "size", 0, 1, MAX_SIZE, text) if "size" in common else 0
    topology = pattern.wire(size or _usual_size(pattern))
    topology = scale_topology(topology, common.get("edge_scale", UNSCALED))
    merge = common.get("merge", "default")
    if merge != "default":
        MERGES.get(merge)
    return stage_architecture(
        topology,
        width=_whole(common, "width", 16, 1, _LARGEST_WIDTH, text),
        operation=common.get("operation", "conv3x3"),
        merge=merge,
        scale=common.get("scale", "auto"),
        stem=common.get("stem", _needed_stem(topology)),
        wiring=(pattern.name,),
    )


def _needed_stem(topology: Topology) -> str | None:
    """Return the stem of a wiring that an image, with its few channels, cannot enter as it is.

    That is one that splits its input, or whose first operations share weights with later ones.
    """
    nodes = range(1, topology.num_nodes)
    splits = any(topology.link((0, node)).part != WHOLE for node in nodes)
    ties = any(topology.rule(node).tie is not None for node in nodes)
    return "conv3x3" if splits or ties else None


def _usual_size(pattern: Pattern) -> int:
    """Return the smallest size that shows how a pattern goes on, or its largest if all are less."""
    from nas.errors import TopologyError

    try:
        return pattern.smallest(_DEFAULT_SIZE)
    except TopologyError:
        return max(size for size in range(1, _DEFAULT_SIZE) if pattern.exists(size))


def _bound(pattern: Pattern, values: dict[str, str]) -> Pattern:
    """Return a pattern, whose brackets are read already, with more of its parameters written."""
    from nas.topology.patterns import PATTERNS

    if not values:
        return pattern
    _, bracket, rest = pattern.name.partition("(")
    more = ",".join(f"{key}={value}" for key, value in values.items())
    inner = f"{rest.removesuffix(')')},{more}" if bracket else more
    return PATTERNS.get(f"{pattern.base}({inner})")


def _whole(options: dict[str, str], key: str, default: int, low: int, high: int, text: str) -> int:
    given = options.get(key, str(default))
    if not (given.isdecimal() and len(given) < 10 and low <= int(given) <= high):
        digits = given.removeprefix("-")
        near = high if digits == given and digits.isdecimal() and int(digits) else low
        usual = f" Left out, it is {default}." if default else ""
        fix = (
            f"The nearest is {key}={near}." if digits.isdecimal() else f"Write {key}={low} or more."
        )
        raise ConfigError(
            f"The option '{key}' is '{given[:40]}'; it must be a whole number, {low} to {high}.",
            where=text[:80],
            fix=fix + usual,
        )
    return int(given)


def find_network(source: str, runs: Path) -> FoundArchitecture:
    """Find what a text names: a trial of a run, a file, or a network as `build_named` reads it.

    Raises:
        NasError: As `find_architecture` and `build_named` do.
    """
    if names_trial(source) or "/" in source or source.endswith(".json") or given_file(source):
        return find_architecture(source, runs)
    from nas.topology.published import usual_images

    return FoundArchitecture(build_named(source), *usual_images(source))


def find_architecture(source: str, runs: Path) -> FoundArchitecture:
    """Read an architecture from a JSON file, or from a trial of a run (`RUN:TRIAL`).

    Raises:
        NotFoundError: If the file, run or trial does not exist.
        RunError: If the folder is no run, or the trial's file is damaged.
        ArchitectureError: If the file holds no architecture.
    """
    path = given_file(source)
    if path is not None:
        return FoundArchitecture(_read_file(path))
    if names_trial(source):
        return _find_trial(*find_trial(source, runs))
    if ":" not in source and "/" not in source and not source.endswith(".json"):
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
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", fix="Check the path and who may read it."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8: {error.reason} at {error.start}.",
            fix="Give a file that `nas arch build` wrote, as it was written.",
        ) from None
    except (ArchitectureError, TopologyError) as error:
        place = f"{path}, {error.where}" if error.where else str(path)
        fix = _fix_in_run(path) or error.fix
        raise type(error)(error.what, where=place, why=error.why, fix=fix) from None


def _fix_in_run(path: Path) -> str | None:
    """Return how a file of a run is made right, whose log has what it is to hold."""
    from nas.run_store import layout

    run = path.absolute().parent.parent
    if path.absolute().parent.name != layout.ARCHITECTURES or not layout.is_run(run):
        return None
    return f"Make it again from the log: nas runs rebuild {layout.typed(run)}"


def _find_trial(path: Path, number: int) -> FoundArchitecture:
    from nas.run_store import Run
    from nas.topology.serial import load_architecture

    with Run.open(path) as opened:
        trials = opened.table().trials
        if number not in trials:
            _no_such_trial(number, list(trials), opened)
        shape, num_classes = searched_shapes(opened)
        architecture = load_architecture(opened.architecture_of(trials[number]))
        return FoundArchitecture(architecture, shape, num_classes)


def _no_such_trial(number: int, known: list[int], run: Run) -> NoReturn:
    from nas.run_store.layout import typed

    there = f"it has trials {min(known)} to {max(known)}" if known else "it has no trials yet"
    raise NotFoundError(
        f"Run '{run.path.name}' has no trial {number}: {there}.",
        where=str(run.path),
        fix=f"List the front with `nas front {typed(run.path)}`.",
    )


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
