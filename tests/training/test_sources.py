"""Every source gives back what was written, in one form."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from image_makers import (
    by_class,
    cifar_records,
    four_arrays,
    made_images,
    save_idx_folder,
    save_image_folder,
    save_npz,
)
from scale import CHECKOUT, require_nas_data

from nas.training.data import load_data


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))


def test_digits_are_real_images_with_a_fixed_stratified_test_quarter() -> None:
    data = load_data("digits")
    assert data.input_shape == (1, 8, 8)
    assert (len(data.x_train), len(data.x_test), data.num_classes) == (1350, 447, 10)
    assert data.x_train.dtype == np.uint8
    assert data.y_train.dtype == np.int64
    assert data.fingerprint == "7294be273b639f47d2dce64ffc8ae8e702fc12493449cf353ef4559a98054cde"
    shares = np.bincount(data.y_test) / (np.bincount(data.y_train) + np.bincount(data.y_test))
    assert np.all(np.abs(shares - 0.25) < 0.01)


def test_digits_are_the_same_from_scikit_learn_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    read = load_data("digits")
    monkeypatch.setattr("nas.training.data.digits._PLACE", ("moved",))
    assert load_data("digits").fingerprint == read.fingerprint


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_npz_of_colour_images_comes_back_in_nchw(tmp_path: Path, layout: str) -> None:
    arrays = four_arrays()
    stored = dict(arrays)
    if layout == "NHWC":
        stored |= {key: arrays[key].transpose(0, 2, 3, 1) for key in ("x_train", "x_test")}
    data = load_data(save_npz(tmp_path / "Own set.npz", **stored))
    assert data.name == "own-set"
    assert data.input_shape == (3, 8, 6)
    for key in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(data, key), arrays[key])


def test_grey_images_without_a_channel_axis_get_one(tmp_path: Path) -> None:
    arrays = four_arrays(shape=(8, 6))
    data = load_data(save_npz(tmp_path / "a.npz", **arrays))
    np.testing.assert_array_equal(data.x_train, arrays["x_train"][:, np.newaxis])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_float_pixels_become_float32(tmp_path: Path, dtype: str) -> None:
    arrays = four_arrays()
    for key in ("x_train", "x_test"):
        arrays[key] = (arrays[key] / 255 - 0.5).astype(dtype)
    data = load_data(save_npz(tmp_path / "a.npz", **arrays))
    assert data.x_train.dtype == np.float32
    np.testing.assert_allclose(data.x_train, arrays["x_train"], rtol=1e-6)


def test_wider_integers_in_the_range_of_bytes_become_bytes(tmp_path: Path) -> None:
    arrays = four_arrays()
    data = load_data(
        save_npz(tmp_path / "a.npz", **arrays | {"x_train": arrays["x_train"].astype(np.int32)})
    )
    assert data.x_train.dtype == np.uint8
    np.testing.assert_array_equal(data.x_train, arrays["x_train"])


def test_labels_in_a_column_are_flattened(tmp_path: Path) -> None:
    arrays = four_arrays()
    data = load_data(
        save_npz(tmp_path / "a.npz", **arrays | {"y_train": arrays["y_train"][:, np.newaxis]})
    )
    np.testing.assert_array_equal(data.y_train, arrays["y_train"])


def test_an_npz_may_name_its_classes_and_its_layout(tmp_path: Path) -> None:
    arrays = four_arrays(shape=(3, 3, 3))
    spec = save_npz(
        tmp_path / "a.npz", **arrays, classes=np.array(["a", "b", "c"]), layout=np.array("NHWC")
    )
    data = load_data(spec)
    assert data.classes == ("a", "b", "c")
    np.testing.assert_array_equal(data.x_train, arrays["x_train"].transpose(0, 3, 1, 2))


def test_an_npz_of_image_and_label_gets_a_fixed_stratified_test_part() -> None:
    sample = CHECKOUT / "tests" / "samples" / "fashion_mnist_900.npz"
    data, again = load_data(str(sample)), load_data(str(sample))
    assert data.input_shape == (1, 28, 28)
    assert np.bincount(data.y_test).tolist() == [22] * 10
    assert np.bincount(data.y_train).tolist() == [68] * 10
    assert data.duplicates == 0
    assert data.fingerprint == again.fingerprint


@pytest.mark.parametrize("gzipped", [False, True])
def test_mnist_files_come_back(tmp_path: Path, gzipped: bool) -> None:
    arrays = four_arrays(shape=(7, 5))
    save_idx_folder(tmp_path / "set", arrays, gzipped=gzipped)
    data = load_data(str(tmp_path / "set"))
    assert data.input_shape == (1, 7, 5)
    np.testing.assert_array_equal(data.x_train[:, 0], arrays["x_train"])
    np.testing.assert_array_equal(data.y_test, arrays["y_test"])


def test_cifar10_batches_come_back_in_order(tmp_path: Path) -> None:
    images, labels = made_images(40, 10, (3, 32, 32))
    (tmp_path / "data_batch_1.bin").write_bytes(cifar_records(images[:20], labels[:20]))
    (tmp_path / "data_batch_2.bin").write_bytes(cifar_records(images[20:], labels[20:]))
    (tmp_path / "test_batch.bin").write_bytes(cifar_records(images[5:15], labels[5:15]))
    data = load_data(str(tmp_path))
    assert data.classes[6] == "frog"
    np.testing.assert_array_equal(data.x_train, images)
    np.testing.assert_array_equal(data.y_train, labels)
    np.testing.assert_array_equal(data.x_test, images[5:15])


def test_cifar100_is_read_with_its_fine_labels(tmp_path: Path) -> None:
    images, labels = made_images(100, 100, (3, 32, 32))
    records = cifar_records(images, labels // 5, labels)
    (tmp_path / "train.bin").write_bytes(records)
    (tmp_path / "test.bin").write_bytes(records[: 10 * 3074])
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"n{i}" for i in range(100)))
    data = load_data(str(tmp_path))
    assert data.num_classes == 100
    assert data.classes[42] == "n42"
    np.testing.assert_array_equal(data.y_train, labels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_a_folder_of_images_comes_back(tmp_path: Path, channels: int, test_folder: str) -> None:
    train, test = made_images(12, 3, (channels, 8, 6)), made_images(6, 3, (channels, 8, 6), seed=1)
    save_image_folder(tmp_path / "set" / "train", *train)
    save_image_folder(tmp_path / "set" / test_folder, *test)
    data = load_data(str(tmp_path / "set"))
    assert data.classes == ("class0", "class1", "class2")
    np.testing.assert_array_equal(data.x_train, by_class(*train)[0])
    np.testing.assert_array_equal(data.y_train, by_class(*train)[1])
    np.testing.assert_array_equal(data.x_test, by_class(*test)[0])


@pytest.mark.parametrize("inner", ["train", "."])
def test_a_folder_without_test_part_gets_a_fixed_stratified_one(
    tmp_path: Path, inner: str, caplog: pytest.LogCaptureFixture
) -> None:
    save_image_folder(tmp_path / "set" / inner, *made_images(24, 3))
    data = load_data(str(tmp_path / "set"))
    assert np.bincount(data.y_train).tolist() == [6, 6, 6]
    assert np.bincount(data.y_test).tolist() == [2, 2, 2]
    assert data.duplicates == 0


def test_a_set_larger_than_the_budget_is_decoded_once_and_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "set"
    save_image_folder(folder, *made_images(24, 3))
    in_memory = load_data(str(folder))
    told: list[tuple[int, int]] = []
    mapped = load_data(
        str(folder), memory_budget_bytes=100, progress=lambda *numbers: told.append(numbers)
    )
    assert not in_memory.is_mapped
    assert mapped.is_mapped
    assert told[-1] == (24, 24)
    assert mapped.fingerprint == in_memory.fingerprint
    np.testing.assert_array_equal(mapped.x_test, in_memory.x_test)
    monkeypatch.setattr("nas.training.data.decoder.decode_image", None)
    assert load_data(str(folder), memory_budget_bytes=100).fingerprint == mapped.fingerprint


def test_a_damaged_cache_file_is_decoded_again(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    save_image_folder(folder, *made_images(24, 3))
    whole = load_data(str(folder), memory_budget_bytes=100)
    for file in (tmp_path / "cache").glob("*.npy"):
        file.write_bytes(file.read_bytes()[:50])
    assert load_data(str(folder), memory_budget_bytes=100).fingerprint == whole.fingerprint


def test_images_of_all_sizes_are_scaled_and_cut_to_one(tmp_path: Path) -> None:
    save_image_folder(tmp_path / "set", *made_images(8, 2, (3, 20, 30)))
    images, labels = made_images(8, 2, (3, 40, 16))
    save_image_folder(tmp_path / "other", images, labels)
    for file in (tmp_path / "other").rglob("*.png"):
        file.rename(tmp_path / "set" / file.parent.name / f"tall{file.name}")
    assert load_data(str(tmp_path / "set"), image_size=12).input_shape == (3, 12, 12)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_arrays_are_scaled_to_the_size_asked_for(tmp_path: Path, dtype: str) -> None:
    arrays = four_arrays(shape=(3, 8, 12))
    for key in ("x_train", "x_test"):
        arrays[key] = np.full_like(arrays[key], 7, dtype=dtype)
        arrays[key] += np.arange(len(arrays[key]), dtype=dtype)[:, None, None, None]
    data = load_data(save_npz(tmp_path / "a.npz", **arrays), image_size=4)
    assert data.input_shape == (3, 4, 4)
    assert data.x_train.dtype == dtype
    np.testing.assert_allclose(data.x_train[:, 0, 0, 0], 7 + np.arange(24))


FUNCTION = """
import numpy as np
def arrays():
    x = np.arange(24 * 5 * 5, dtype=np.float32).reshape(24, 5, 5)
    y = np.arange(24) % 3
    return x[:12], y[:12], x[12:], y[12:]
def mapping():
    x_train, y_train, x_test, y_test = arrays()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test,
            "classes": ["a", "b", "c"]}
"""


@pytest.mark.parametrize("function", ["arrays", "mapping"])
@pytest.mark.parametrize("form", ["module_of_mine", "module_of_mine.py"])
def test_a_function_of_the_users_own_gives_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, form: str
) -> None:
    (tmp_path / "module_of_mine.py").write_text(FUNCTION)
    monkeypatch.chdir(tmp_path)
    data = load_data(f"{form}:{function}")
    assert data.name == "module-of-mine"
    assert data.input_shape == (1, 5, 5)
    assert data.classes == (("a", "b", "c") if function == "mapping" else ("0", "1", "2"))


def test_equal_data_have_equal_fingerprints_and_one_pixel_changes_it(tmp_path: Path) -> None:
    arrays = four_arrays()
    first = load_data(save_npz(tmp_path / "a.npz", **arrays)).fingerprint
    assert load_data(save_npz(tmp_path / "b.npz", **arrays)).fingerprint == first
    changed = arrays["x_test"].copy()
    changed[-1, -1, -1, -1] ^= 1
    assert load_data(save_npz(tmp_path / "c.npz", **arrays | {"x_test": changed})).fingerprint != (
        first
    )


@pytest.mark.fault("E15")
def test_test_images_that_are_also_training_images_are_counted_in_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arrays = four_arrays()
    arrays["x_test"][:4] = arrays["x_train"][:4]
    with caplog.at_level(logging.WARNING, "nas"):
        data = load_data(save_npz(tmp_path / "a.npz", **arrays))
    assert data.duplicates == 4
    assert "4 of 12 test images are also training images" in caplog.text


def test_the_lossless_cifar_images_load() -> None:
    data = load_data(str(require_nas_data("cifar10", "cifar10_lossless_4000.npz")))
    assert data.input_shape == (3, 32, 32)
    assert len(data.x_train) + len(data.x_test) == 4000
