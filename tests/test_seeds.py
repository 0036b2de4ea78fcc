"""Seeds: one number per (run seed, purpose, index), the same on every machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import ConfigError
from nas.seeds import derive_seed


def test_a_seed_is_the_same_on_every_machine_and_in_every_version() -> None:
    # printf 'nas.seed/1|0|5|split|0' | sha256sum, its first 16 hex digits, shifted right by one.
    assert derive_seed(0, "split", 0) == 9057888759994952384
    assert derive_seed(0, "split", 0, bits=32) == 9057888759994952384 >> 31


@given(st.integers(0, 2**40), st.text(min_size=1), st.integers(0, 2**40), st.integers(1, 63))
def test_a_seed_fits_its_bits(run_seed: int, purpose: str, index: int, bits: int) -> None:
    assert 0 <= derive_seed(run_seed, purpose, index, bits=bits) < 2**bits


@pytest.mark.fault("E16")
def test_seeds_of_different_draws_differ() -> None:
    draws = {
        derive_seed(run_seed, purpose, index)
        for run_seed in range(10)
        for purpose in ("split", "batches", "a", "a|1")
        for index in range(50)
    }
    assert len(draws) == 10 * 4 * 50


@pytest.mark.parametrize(("run_seed", "index"), [(-1, 0), (0, -1)])
def test_a_negative_seed_or_index_is_refused(run_seed: int, index: int) -> None:
    with pytest.raises(ConfigError, match=f"Seed {run_seed} with index {index} is negative"):
        derive_seed(run_seed, "split", index)


def test_an_empty_purpose_is_refused() -> None:
    with pytest.raises(ConfigError, match="purpose of a seed is empty"):
        derive_seed(0, "", 0)


@pytest.mark.parametrize("bits", [0, 64])
def test_an_impossible_width_is_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match=f"A seed of {bits} bits is not possible: 1 to 63"):
        derive_seed(0, "split", 0, bits=bits)
