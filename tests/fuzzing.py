"""Fuzzing with a seed: inputs made from sound ones, and the promise that holds for all of them.

Hypothesis finds small counterexamples of properties; here the number of inputs counts, so that
mutating is a few string operations and every input is a function of its number.
"""

from __future__ import annotations

import copy
import json
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nas.errors import NasError

LONGEST_S = 1.0
"""No input may keep a parser busy for longer; processor time, since machines are shared."""
MOST_GROWTH = 512 * 2**20
"""Bytes of memory that a fuzzed parser may take in all."""

TOKENS = [
    *(b"", b"\x00", b"\xff", b"\n", b"\r\n", b" ", b"\t", b"{", b"}", b"[", b"]", b'"', b"'", b":"),
    *(b",", b"-", b"#", b"&a ", b"*a", b"!!python/object:os.system ", b"<<: ", b"---\n", b"%YAML"),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0.0", b"0x10", b"1" * 400, b"9" * 11),
    *(b"\\ud800", b"\\u0000", b"\xc3\xa9", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"../../etc/passwd"),
    *(b"[" * 70, b'{"a":' * 70, b"a" * 5_000, b"- " * 200, b"\x1b[2J", b"%2e%2e%2f", b"$(touch x)"),
]  # fmt: skip
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 5e-324),
    *("", " ", "a", "no", "NaN", "../..", "\x00", "\x1b[2J", "\u202e", "é" * 99, "<b>", "{{7}}"),
    *([], {}, [[]], [None], {"": ""}, {"a": {"b": {"c": []}}}, [0] * 1_000, [[[[[[[[[[]]]]]]]]]]),
]  # fmt: skip


def mutants(seeds: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` inputs: sound ones with a few bytes changed, and some that are bytes alone."""
    draw = random.Random(seed)
    for number in range(count):
        if number % 20 == 19:
            yield draw.randbytes(draw.randrange(200))
            continue
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 2, 4, 16))):
            _mutate(data, draw, seeds)
        yield bytes(data)


def _mutate(data: bytearray, draw: random.Random, seeds: Sequence[bytes]) -> None:
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + draw.choice((1, 1, 4, 30, 1_000)))
    match draw.randrange(6):
        case 0 if start < len(data):
            data[start] ^= 1 << draw.randrange(8)
        case 1:
            del data[start:end]
        case 2:
            data[start:start] = draw.choice(TOKENS)
        case 3:
            data[start:end] = draw.choice(TOKENS)
        case 4:
            data[start:start] = data[start:end] * draw.choice((1, 2, 40))
        case _:
            other = draw.choice(seeds)
            data[start:end] = other[draw.randrange(len(other) + 1) :][:200]


def odd_data(seeds: Sequence[Any], count: int, seed: int) -> Iterator[Any]:
    """Yield plain data made from sound data: values of other types, keys gone, renamed or new."""
    draw = random.Random(seed)
    for _ in range(count):
        data = copy.deepcopy(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            data = _odd(data, draw)
        yield data


def _odd(data: Any, draw: random.Random) -> Any:
    """Change one place of plain data, as likely deep inside as at the top."""
    if isinstance(data, dict) and data:
        key = draw.choice(list(data))
        action = draw.randrange(8)
        if action == 0:
            del data[key]
        elif action == 1:
            data[draw.choice((key + "s", "", "schema", "é", "a" * 300))] = data.pop(key)
        else:
            data[key] = _odd(data[key], draw)
        return data
    if isinstance(data, list) and data and draw.randrange(4):
        place = draw.randrange(len(data))
        if draw.randrange(4):
            data[place] = _odd(data[place], draw)
        else:
            data[place:place] = data[: draw.randrange(len(data) + 1)]
        return data
    return copy.deepcopy(draw.choice(ODD))


def dumped(data: Any) -> str:
    """Write odd data as JSON; half of a surrogate pair and NaN are for `mutants`."""
    return json.dumps(data)


def survives(parse: Callable[[Any], object], inputs: Iterator[Any]) -> tuple[int, int]:
    """Parse every input; return how many were taken and how many were refused.

    An answer is a result or an error of ours that says what is wrong, within a second.
    """
    taken = refused = 0
    before = _peak_bytes()
    for given in inputs:
        is_taken, spent = _parsed(parse, given)
        if spent >= LONGEST_S:  # a module may have been loaded, or memory swept, just then
            _, spent = _parsed(parse, given)
        assert spent < LONGEST_S, f"{spent:.1f} s for {given!r:.2000}"
        taken, refused = taken + is_taken, refused + (not is_taken)
    assert _peak_bytes() - before < MOST_GROWTH
    return taken, refused


def _parsed(parse: Callable[[Any], object], given: Any) -> tuple[bool, float]:
    """Return whether an input is taken, and the processor time that took."""
    start = time.process_time()
    try:
        parse(given)
    except NasError as error:
        assert error.what.strip(), repr(given)[:2_000]
        return False, time.process_time() - start
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} of {given!r:.2000}") from error
    return True, time.process_time() - start


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
