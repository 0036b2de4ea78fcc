"""Weights of strangers: malformed in every way, they are refused quickly, or are what they say."""

from __future__ import annotations

import hashlib
import json
import random
import resource
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scale import scaled

from nas.errors import DataError, NasError, RunError
from nas.export.reading import network_of
from nas.run_store.weights import WeightStore, serialize
from nas.topology.graph import Architecture, Edge, Node
from nas.topology.serial import architecture_text

COUNT = 5_000
"""Malformed files at full scale."""
ARRAYS: dict[str, Any] = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.array([1, -2, 3], dtype=np.int64),
    "c": np.array(True),
}


def file_of(header: object, numbers: bytes = b"") -> bytes:
    """Return a file in the form of safetensors with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def tensor(dtype: str = "F32", shape: Any = (2,), start: Any = 0, end: Any = 8) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


EIGHT = bytes(8)
ATTACKS = {
    "nothing": b"",
    "a short length": b"\x01\x02",
    "a header beyond the file": struct.pack("<Q", 10**6) + b"{}",
    "a header of 2 ** 63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "a header of 99 megabytes": struct.pack("<Q", 99_000_000) + b" " * 1_000,
    "a header that is no JSON": file_of(b"{'a'"),
    "a header that is no object": file_of([1, 2]),
    "a header that is not UTF-8": file_of(b'{"\xff": 1}'),
    "a header that nests": file_of(b'{"a":' * 100_000),
    "a key twice": file_of(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        EIGHT,
    ),
    "tensors that overlap": file_of({"a": tensor(), "b": tensor(start=4, end=12)}, bytes(12)),
    "a hole between tensors": file_of({"a": tensor(), "b": tensor(start=12, end=20)}, bytes(20)),
    "numbers nobody owns": file_of({"a": tensor()}, bytes(20)),
    "an end before its start": file_of({"a": tensor(start=8, end=0)}, EIGHT),
    "an end beyond the file": file_of({"a": tensor(shape=(2_000,), end=8_000)}, EIGHT),
    "a negative offset": file_of({"a": tensor(start=-8, end=0)}, EIGHT),
    "a shape beyond 64 bits": file_of({"a": tensor(shape=[2**40, 2**40])}, EIGHT),
    "a shape whose product wraps": file_of({"a": tensor(shape=[2**33, 2**33, 2])}, EIGHT),
    "a shape that is negative": file_of({"a": tensor(shape=[-2])}, EIGHT),
    "a shape that is text": file_of({"a": tensor(shape="2")}, EIGHT),
    "a shape that does not fit": file_of({"a": tensor(shape=[3])}, EIGHT),
    "an unknown type": file_of({"a": tensor("PICKLE")}, EIGHT),
    "objects": file_of({"a": tensor("O")}, EIGHT),
    "metadata that is no object": file_of({"__metadata__": [1], "a": tensor()}, EIGHT),
    "metadata that is no text": file_of({"__metadata__": {"nas": 1}, "a": tensor()}, EIGHT),
    "ten thousand empty tensors": file_of(
        {f"{number}": tensor(shape=(0,), end=0) for number in range(10_000)}
    ),
}
ODD_METADATA = {
    "no JSON": "{",
    "no object": "[1]",
    "nested": "[" * 100_000,
    "not a number": '{"a": NaN}',
}


def read(store: WeightStore, raw: bytes) -> dict[str, Any] | None:
    """Put a stranger's file under its own hash, and read all of it; None where it is refused."""
    sha = store.put_bytes(raw)
    try:
        found = store.get(sha)
        store.metadata(sha)
    except RunError as error:
        assert error.what and error.where
        return None
    return found


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


@pytest.mark.fault("F5", "G-F3")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_malicious_file_is_refused_at_once(attack: str, tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "weights")
    start, before = time.process_time(), peak_bytes()
    found = read(store, ATTACKS[attack])
    assert found is None or attack == "ten thousand empty tensors"
    assert time.process_time() - start < 1
    assert peak_bytes() - before < 100 * 2**20


@pytest.mark.fault("F5")
@pytest.mark.parametrize("text", ODD_METADATA.values(), ids=ODD_METADATA)
def test_metadata_of_a_stranger_are_refused_or_none(text: str, tmp_path: Path) -> None:
    store = WeightStore(tmp_path / "weights")
    sha = store.put_bytes(file_of({"__metadata__": {"nas": text}, "a": tensor()}, EIGHT))
    try:
        assert store.metadata(sha) == {}
    except RunError as error:
        assert "not a safetensors file" in error.what


def damaged(whole: bytes, draw: random.Random) -> bytes:
    """Cut, flip, zero or overwrite some bytes."""
    data = bytearray(whole)
    start = draw.randrange(len(data))
    match draw.randrange(4):
        case 0:
            del data[start:]
        case 1:
            data[start] ^= 1 << draw.randrange(8)
        case 2:
            size = draw.choice((1, 16, 4096))
            data[start : start + size] = bytes(len(data[start : start + size]))
        case _:
            data[start : start + 8] = draw.randbytes(8)
    return bytes(data)


@pytest.mark.fault("G-F3", "G-R7", "B7", "B8")
def test_no_malformed_checkpoint_is_taken_for_a_sound_one(tmp_path: Path) -> None:
    store, draw = WeightStore(tmp_path / "weights"), random.Random(0)
    whole = serialize(ARRAYS, {"epoch": 3})
    sha = store.put_bytes(whole)
    planted = WeightStore(tmp_path / "planted")
    for _ in range(scaled(COUNT)):
        bad = damaged(whole, draw)
        if bad == whole:
            continue
        # Under the name of the sound one, as a failing disk leaves it: always refused.
        store.path(sha).write_bytes(bad)
        with pytest.raises(RunError, match="are damaged"):
            store.get(sha)
        # Under its own name, as a stranger would plant it: numbers or a refusal, nothing else.
        found = read(planted, bad)
        assert found is None or all(array.dtype.kind in "fiub" for array in found.values())
        planted.path(hashlib.sha256(bad).hexdigest()).unlink()


@pytest.mark.fault("B9", "F5")
def test_weights_of_another_network_are_refused_with_what_differs() -> None:
    network = Architecture((Node(), Node("conv3x3", width=4), Node()), (Edge(0, 1), Edge(1, 2)))
    text = architecture_text(network)
    with pytest.raises(DataError, match="not those of this network: 'a' is in the file only"):
        network_of(text, serialize(ARRAYS), (1, 8, 8), 10, "there")
    for attack, raw in ATTACKS.items():
        with pytest.raises(NasError) as caught:
            network_of(text, raw, (1, 8, 8), 10, "there")
        assert caught.value.where == "there", attack
