"""Damaged files: whatever a broken disk or a stranger changes, the answer is a typed error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_makers import (
    cifar_records,
    four_arrays,
    made_images,
    save_idx_folder,
    save_image_folder,
    save_npz,
)

from nas.errors import NasError
from nas.training.data import load_data


def write_npz(folder: Path) -> tuple[Path, Path]:
    path = Path(save_npz(folder / "a.npz", **four_arrays(shape=(4, 3))))
    return path, path


def write_idx(folder: Path) -> tuple[Path, Path]:
    save_idx_folder(folder, four_arrays(shape=(4, 3)))
    return folder, folder / "train-images-idx3-ubyte"


def write_gzipped_idx(folder: Path) -> tuple[Path, Path]:
    save_idx_folder(folder, four_arrays(shape=(4, 3)), gzipped=True)
    return folder, folder / "train-labels-idx1-ubyte.gz"


def write_cifar(folder: Path) -> tuple[Path, Path]:
    images, labels = made_images(10, 10, (3, 32, 32))
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (folder / name).write_bytes(cifar_records(images, labels))
    return folder, folder / "data_batch_1.bin"


def write_folder(folder: Path) -> tuple[Path, Path]:
    save_image_folder(folder, *made_images(8, 2, (3, 6, 6)))
    return folder, folder / "class0" / "000.png"


@pytest.mark.fault("E10")
@pytest.mark.parametrize(
    "write", [write_npz, write_idx, write_gzipped_idx, write_cifar, write_folder]
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_changed_or_missing_bytes_load_or_are_refused_and_nothing_else(
    write: Callable[[Path], tuple[Path, Path]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    spec, file = write(tmp_path_factory.mktemp("set"))
    content = bytearray(file.read_bytes())
    positions = st.integers(0, len(content) - 1)
    for position, value in data.draw(
        st.lists(st.tuples(positions, st.integers(0, 255)), max_size=4)
    ):
        content[position] = value
    cut = data.draw(st.one_of(st.none(), positions))
    file.write_bytes(bytes(content[:cut]))
    with contextlib.suppress(NasError):
        load_data(str(spec))
