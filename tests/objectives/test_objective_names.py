"""Names of objectives: aliases, brackets, and what a wrong one is told."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import ConfigError, NotFoundError
from nas.objectives import OBJECTIVES, LatencyConfig, resolve_objective, resolve_objectives
from nas.objectives.kinds.latency import Latency


@pytest.mark.parametrize(
    "name", ["latency", "latency_ms", "latency[b1]", "latency_ms[fp32, eager]", " latency "]
)
def test_every_spelling_of_a_latency_is_the_same_objective(name: str) -> None:
    assert resolve_objective(name).name == "latency_ms[eager,b1,fp32]"


@given(batch=st.integers(1, 65_536), dtype=st.sampled_from(["fp32", "bf16", "fp16"]))
def test_the_full_name_of_a_latency_reads_back_as_itself(batch: int, dtype: str) -> None:
    latency = Latency("eager", batch, dtype)  # type: ignore[arg-type]
    assert resolve_objective(latency.name) == latency
    settings = latency.settings(LatencyConfig(batch=7, threads=2))
    assert (settings.batch, settings.dtype, settings.threads) == (batch, dtype, 2)


@pytest.mark.fault("C11")
def test_an_unknown_objective_lists_what_there_is_and_guesses() -> None:
    with pytest.raises(
        NotFoundError, match=r"Unknown objective 'latncy'[\s\S]*mean 'latency'"
    ) as e:
        resolve_objective("latncy")
    for name in OBJECTIVES.names():
        assert name in str(e.value)


@pytest.mark.parametrize("word", ["foo", "b0", "b", "b99999", "fp8", "tensorrt"])
def test_an_unknown_word_in_the_brackets_is_named_with_the_form(word: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{word}' is no runtime[\s\S]*latency_ms\[RUNTIME,b"):
        resolve_objective(f"latency_ms[{word}]")


def test_two_words_of_one_kind_are_both_named() -> None:
    with pytest.raises(ConfigError, match=r"two values for batch: 1 and 8"):
        resolve_objective("latency_ms[b1,b8]")


@pytest.mark.parametrize("name", ["latency[]", "latency[b1,]", "error[ ]"])
def test_empty_brackets_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="are empty or hold an empty word"):
        resolve_objective(name)


@pytest.mark.parametrize("name", ["latency[b1", "latency]b1[", "[b1]", "", "a[b][c]"])
def test_malformed_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no name of an objective[\s\S]*NAME\[a,b\]"):
        resolve_objective(name)


def test_brackets_behind_an_objective_that_takes_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"'macs' takes nothing in brackets; got \[b1\]"):
        resolve_objective("macs[b1]")


def test_a_search_without_objectives_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least one objective[\s\S]*cross_entropy"):
        resolve_objectives([])


def test_two_names_of_one_objective_are_both_named() -> None:
    with pytest.raises(ConfigError, match=r"'latency' and 'latency_ms\[b1\]' are the same"):
        resolve_objectives(["error", "latency", "latency_ms[b1]"])


def test_the_objectives_of_a_search_keep_their_order() -> None:
    names = [
        entry.name for entry in resolve_objectives(["macs", "latency[b8]", "latency", "error"])
    ]
    assert names == ["macs", "latency_ms[eager,b8,fp32]", "latency_ms[eager,b1,fp32]", "error"]


def test_names_and_constraints_are_read_without_torch() -> None:
    code = (
        "import sys; from nas.objectives import *; resolve_objective('latency_ms[b2]'); "
        "parse_constraints(['latency <= 2 ms']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
