"""Published tables of cells: what a row becomes, and what is refused with which way out."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scale import require_nas_data

from nas.errors import DataError, NotFoundError
from nas.space import load_space
from nas.space.cell_table import PUBLISHED_OPERATIONS, cell_decisions, read_cell_table

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|"
PAIRS = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")


def written(folder: Path, *rows: str, name: str = "table.csv") -> Path:
    path = folder / name
    text = "\n".join(("idx,arch_str,accuracy", *rows)) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@given(names=st.lists(st.sampled_from(list(PUBLISHED_OPERATIONS)), min_size=6, max_size=6))
@settings(deadline=None)
def test_every_published_string_is_a_member(names: list[str]) -> None:
    chosen = dict(zip(PAIRS, names, strict=True))
    groups = [
        "".join(f"|{chosen[f'{source}-{target}']}~{source}" for source in range(target)) + "|"
        for target in (1, 2, 3)
    ]
    decisions = cell_decisions("+".join(groups))
    assert decisions == {
        f"cell.edge{pair}": PUBLISHED_OPERATIONS[name] for pair, name in chosen.items()
    }
    assert load_space("nasbench201_c8n1").normalise(decisions) == decisions


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_rows_keep_their_order_and_empty_fields_are_missing(tmp_path: Path, name: str) -> None:
    first, second = read_cell_table(
        written(tmp_path, f"7,{CELL},93.5", f"3,{CELL},", name=name), ["idx", "accuracy"]
    )
    assert (first.text, second.text) == (CELL, CELL)
    assert first.decisions["cell.edge1-2"] == "identity"
    assert first.numbers == {"idx": 7, "accuracy": 93.5}
    assert second.numbers == {"idx": 3}


def test_the_published_table_holds_every_member_once() -> None:
    path = require_nas_data("nasbench201", "nasbench201_cifar10.csv.gz")
    cells = read_cell_table(path, ["cifar10_test_acc_ep200", "flops_m"])
    assert len({tuple(sorted(cell.decisions.items())) for cell in cells}) == 15_625
    best = max(cells, key=lambda cell: cell.numbers["cifar10_test_acc_ep200"])
    assert best.numbers["cifar10_test_acc_ep200"] == pytest.approx(94.37, abs=0.01)


REFUSED = [
    (CELL.replace("none~0", "maybe~0"), "1", r"(?s)is no cell.*table.csv:2.*'maybe' is none of"),
    (CELL.replace("~2", "~1"), "1", r"(?s)is no cell.*Node 3 needs one input from each node"),
    ("|none~0|+|none~0|", "1", r"(?s)is no cell.*Node 2 needs one input"),
    ("", "1", r"(?s)'' is no cell.*reads like"),
    (CELL, "high", r"(?s)accuracy holds 'high'.*table.csv:2.*Correct the row"),
    (CELL, "nan", r"(?s)accuracy holds 'nan'.*no finite number"),
]


@pytest.mark.parametrize(("cell", "accuracy", "message"), REFUSED)
def test_a_row_that_cannot_be_read_is_named(
    tmp_path: Path, cell: str, accuracy: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_cell_table(written(tmp_path, f"0,{cell},{accuracy}"), ["accuracy"])


def test_a_missing_column_is_named_beside_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"(?s)no column loss; it has idx, arch_str, accuracy"):
        read_cell_table(written(tmp_path), ["accuracy", "loss"])


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"(?s)There is no table.*none.csv.*path of a CSV"):
        read_cell_table(tmp_path / "none.csv", [])


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *[f"{row},{CELL},1" for row in range(500)], name="table.csv.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"(?s)table cannot be read.*Copy the file again"):
        read_cell_table(path, ["accuracy"])
    path.write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match="table cannot be read"):
        read_cell_table(path, ["accuracy"])
