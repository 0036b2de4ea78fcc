"""Exported networks read back: the plain form into torch, an ONNX file into ONNX Runtime.

Both are data. The other formats are not read here: `source` is code, and torch's own file may hold
more than numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final, get_args

from nas.errors import DataError
from nas.export.about import read_about, read_file
from nas.export.arrays import fill_network
from nas.export.formats import STEM
from nas.export.parcel import Facts, Origin, Parcel, Weights
from nas.export.sessions import Images
from nas.export.shipping import torch_logits
from nas.model.network import Network
from nas.run_store.weights import parse_arrays
from nas.topology.layers import Shape
from nas.topology.serial import load_architecture
from nas.training.data.preprocessing import Preprocessing

WEIGHTS: Final = f"{STEM}.safetensors"
_METADATA: Final = "nas"
_MOST_CLASSES: Final = 1_000_000
_LARGEST_SIDE: Final = 16_384
_ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)


@final
@dataclass(frozen=True, eq=False)
class Predictor:
    """What answers for pictures.

    Args:
        title: What the network is called.
        weights: Where its weights come from, in a sentence.
        preprocessing: From a picture to its input.
        run: From normalised images to logits.
    """

    title: str
    weights: str
    preprocessing: Preprocessing
    run: Callable[[Images], Images]


def network_of(
    architecture: str, data: bytes, input_shape: Shape, num_classes: int, where: str
) -> Network:
    """Build a network from its JSON and the bytes of its safetensors file.

    Raises:
        ArchitectureError: If the JSON is no architecture.
        DataError: If the weights are unreadable or another network's.
    """
    try:
        arrays = parse_arrays(data)
    except ValueError as error:
        raise DataError(
            f"The weights are not a safetensors file: {error}.",
            where=where,
            fix="Export the network again.",
        ) from error
    network = Network(load_architecture(architecture), input_shape, num_classes)
    fill_network(network, arrays, where)
    return network.eval()


def read_parcel(folder: Path) -> Parcel:
    """Return the network of a folder that was exported as `json`.

    Raises:
        NotFoundError: If there is none.
        DataError: If it was exported in another format, or a file is damaged.
    """
    about = read_about(folder)
    if about.get("format") != "json":
        raise DataError(
            f"'{folder}' holds a network in the format '{str(about.get('format'))[:40]}', from "
            "which no other can be made.",
            where=str(folder),
            fix="Export it as json first: nas arch export RUN:TRIAL --format json -o FOLDER",
        )
    shape, num_classes = _shape_of(about, folder)
    expected = preprocessing_of(about, folder)
    if expected is not None and expected.input_shape != shape:
        raise _misfit(f"images of {expected.input_shape}", f"its input is {shape}", str(folder))
    if expected is not None and len(expected.classes) != num_classes:
        raise _misfit(f"{len(expected.classes)} classes", f"it has {num_classes}", str(folder))
    text = read_file(folder, f"{STEM}.json", about).decode("utf-8", errors="replace")
    data = read_file(folder, WEIGHTS, about)
    network = network_of(text, data, shape, num_classes, str(folder))
    title = str(about.get("title", folder.name))
    facts = about.get("facts")
    return Parcel(
        title,
        network,
        num_classes,
        expected,
        _weights_of(about),
        Facts.from_dict(facts if isinstance(facts, dict) else {}),
        str(about["architecture_id"]) if about.get("architecture_id") else None,
    )


def read_predictor(path: Path) -> Predictor:
    """Return what answers for pictures: of an exported folder, or of an ONNX file alone.

    Raises:
        NotFoundError: If there is no exported network.
        DataError: If its format is not read here, a file is damaged, or nothing is known of how
            its images were prepared.
        EnvironmentFault: If onnxruntime is missing.
    """
    if path.is_file():
        return _from_onnx(path.read_bytes(), str(path))
    about = read_about(path)
    kind = about.get("format")
    if kind == "json":
        parcel = read_parcel(path)
        expected = _required(parcel.preprocessing, str(path))
        network = parcel.network
        return Predictor(
            parcel.title, parcel.weights.told, expected, lambda part: torch_logits(network, part)
        )
    if kind == "onnx":
        return _from_onnx(read_file(path, f"{STEM}.onnx", about), str(path))
    raise DataError(
        f"Networks in the format '{str(kind)[:40]}' are not run by `nas predict`.",
        where=str(path),
        why="Reading that format may run code of whoever wrote it.",
        fix="Use it as its README.md says, or export the network as onnx or json.",
    )


def _from_onnx(data: bytes, where: str) -> Predictor:
    from nas.export.packages import check_onnx_packages, onnx_package
    from nas.export.sessions import open_session, run_batches

    check_onnx_packages()
    try:
        proto = onnx_package("onnx").load_from_string(data)
        properties = {entry.key: entry.value for entry in proto.metadata_props}
        told = json.loads(properties.get(_METADATA, "{}"))
        _check_whole(proto, where)
        session = open_session(data, 1)
    except DataError:
        raise
    except Exception as error:  # protobuf and the runtime raise classes of their own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"The file is no network in ONNX's format: {first}.",
            where=where,
            fix="Export the network again: nas arch export RUN:TRIAL --format onnx -o FOLDER",
        ) from error
    told = told if isinstance(told, dict) else {}
    size = session.get_inputs()[0].shape[0]
    batch = size if isinstance(size, int) else None
    given = told.get("preprocessing")
    expected = _required(Preprocessing.from_dict(given, where) if given else None, where)

    def run(images: Images) -> Images:
        logits = run_batches(session, images, batch)
        if logits.shape != (len(images), len(expected.classes)):
            told = f"it answers {logits.shape} to {len(images)} images"
            raise _misfit(f"{len(expected.classes)} classes", told, where)
        return logits

    title, weights = told.get("title", where), told.get("weights", "unknown")
    return Predictor(str(title), str(weights), expected, run)


def _check_whole(proto: Any, where: str) -> None:
    """Refuse a network whose numbers lie in other files: nobody checked those."""
    from nas.export.packages import onnx_package

    external = onnx_package("onnx").TensorProto.EXTERNAL
    graphs, nodes = [proto.graph], [node for each in proto.functions for node in each.node]
    tensors: list[Any] = []
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            tensors += graph.initializer
            tensors += [
                part for each in graph.sparse_initializer for part in (each.values, each.indices)
            ]
            nodes += graph.node
            continue
        for entry in nodes.pop().attribute:
            tensors += [entry.t, *entry.tensors]
            graphs += [each for each in (entry.g, *entry.graphs) if each.node]
    if any(each.data_location == external for each in tensors):
        raise DataError(
            "The network keeps numbers in other files, which are not read.",
            where=where,
            why="The files that `nas arch export` writes hold all of their weights.",
            fix="Save it as one file: onnx.save(onnx.load(PATH), NEW).",
        )


def preprocessing_of(about: Mapping[str, Any], folder: Path) -> Preprocessing | None:
    """Return what an exported network expects of a picture, None where it belongs to no data."""
    given = about.get("preprocessing")
    return None if given is None else Preprocessing.from_dict(given, str(folder))


def _misfit(described: str, own: str, where: str) -> DataError:
    return DataError(
        f"The description of the network speaks of {described}, but {own}.",
        where=where,
        fix="Export the network again.",
    )


def _required(found: Preprocessing | None, where: str) -> Preprocessing:
    if found is None:
        raise DataError(
            "Nothing is known of how images are prepared for this network, or of its classes.",
            where=where,
            why="It was exported without data.",
            fix="Export a network of a run, or give the data: nas arch export NAME --data SPEC.",
        )
    return found


def _shape_of(about: Mapping[str, Any], folder: Path) -> tuple[Shape, int]:
    entry = about.get("input")
    shape = entry.get("shape") if isinstance(entry, dict) else None
    sides = [side for side in shape if type(side) is int] if isinstance(shape, list) else []
    classes = about.get("num_classes")
    fine = type(classes) is int and 1 <= classes <= _MOST_CLASSES
    if len(sides) != 3 or not all(1 <= side <= _LARGEST_SIDE for side in sides) or not fine:
        raise DataError(
            "about.json does not say the shape of an image or the number of classes.",
            where=str(folder),
            fix="Export the network again.",
        )
    assert isinstance(classes, int)
    return (sides[0], sides[1], sides[2]), classes


def _weights_of(about: Mapping[str, Any]) -> Weights:
    entry = about.get("weights")
    given = entry if isinstance(entry, dict) else {}
    unknown: Origin = "untrained"
    origin = next((each for each in _ORIGINS if each == given.get("origin")), unknown)
    return Weights(origin, str(given.get("told", "unknown")), None)
