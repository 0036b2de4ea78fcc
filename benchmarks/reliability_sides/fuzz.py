"""Mutated bytes for what reads files of strangers: an answer, or an error of ours."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from safetensors.numpy import save

from nas.config_files import parse_document
from nas.errors import NasError, RunError
from nas.run_store.records import encode, scan
from nas.run_store.weights import parse_arrays
from nas.search.settings.resolve import resolve_config
from nas.space import load_space
from nas.topology.serial import architecture_text, load_architecture

_TOKENS: Final = (
    *(b"{", b"}", b"[", b'"', b":", b"\n", b"\x00", b"\xff"),
    *(b"NaN", b"-1", b"1e999", b"&a"),
)
_MOST_CHANGES: Final = 4


def parse(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Give `count` mutants of a valid file to its reader; return what became of them.

    An error that is none of ours counts as untyped.
    """
    read, valid = READERS[kind]()
    draw = random.Random(seed)
    taken = refused = untyped = 0
    longest = 0.0
    for _ in range(count):
        mutant = _mutant(valid, draw)
        began = time.process_time()
        try:
            read(mutant)
            taken += 1
        except NasError:
            refused += 1
        except Exception:
            untyped += 1
        longest = max(longest, time.process_time() - began)
    return {
        "side": kind,
        "inputs": count,
        "taken": taken,
        "refused": refused,
        "untyped_errors": untyped,
        "longest_ms": round(1000 * longest),
    }


def _mutant(valid: bytes, draw: random.Random) -> bytes:
    data = bytearray(valid)
    for _ in range(draw.randint(1, _MOST_CHANGES)):
        place = draw.randrange(len(data) + 1)
        change = draw.randrange(4)
        if change == 0:
            data[place : place + draw.randint(1, 8)] = b""
        elif change == 1:
            data[place:place] = draw.choice(_TOKENS)
        elif change == 2 and place < len(data):
            data[place] ^= 1 << draw.randrange(8)
        else:
            start = draw.randrange(len(data) + 1)
            data[place:place] = data[start : start + draw.randint(1, 64)]
    return bytes(data)


Reader = tuple[Callable[[bytes], object], bytes]


def _log() -> Reader:
    asked = {"kind": "trial_asked", "trial": 0, "attempt": 1, "decisions": {"depth": 3}}
    done = {"kind": "trial_finished", "trial": 0, "attempt": 1, "values": {"e": {"value": 0.5}}}

    def read(data: bytes) -> object:
        found = scan(data)
        if found.bad is not None or found.torn:
            raise RunError("A record is damaged.")  # a scan tells, it does not raise
        return found

    return read, encode(0, asked) + encode(1, done)


def _config() -> Reader:
    text = b"schema: nas.search/1\nspace: tiny_exhaustive\ndata: digits\nsearch:\n  trials: 12\n"

    def read(data: bytes) -> object:
        parsed = parse_document(_text(data)).data
        return resolve_config(parsed if isinstance(parsed, dict) else {"space": parsed})

    return read, text


def _architecture() -> Reader:
    space = load_space("tiny_exhaustive")
    member = space.build(space.sample(np.random.default_rng(0)))
    return lambda data: load_architecture(_text(data)), architecture_text(member).encode()


def _weights() -> Reader:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.ones(4, dtype=np.float32)}

    def read(data: bytes) -> object:
        try:
            return parse_arrays(data)
        except ValueError as error:  # its promise; who calls it says which file that was
            raise RunError(str(error)) from error

    return read, save(arrays)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


READERS: Final[Mapping[str, Callable[[], Reader]]] = {
    "records of a log": _log,
    "config (YAML)": _config,
    "architecture (JSON)": _architecture,
    "weights (safetensors)": _weights,
}
