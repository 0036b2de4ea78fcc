"""Bad data: what was wrong, where, why, and the way out; nothing gets past the door."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_makers import (
    cifar_records,
    four_arrays,
    idx_bytes,
    made_images,
    save_idx_folder,
    save_image_folder,
    save_npz,
)
from PIL import Image

from nas.errors import ConfigError, DataError, EnvironmentFault, NotFoundError
from nas.training.data import load_data


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))


def refused(spec: str | Path, match: str, kind: type[Exception] = DataError, **options: Any) -> Any:
    """Load, expect the refusal, and make sure that it names a place or a way out."""
    with pytest.raises(kind, match=match) as caught:
        load_data(str(spec), **options)
    error: Any = caught.value
    assert error.fix
    return error


def test_an_unknown_name_lists_what_there_is_with_exit_code_3() -> None:
    error = refused("digit", "Unknown data set 'digit'", NotFoundError)
    assert error.exit_code == 3
    assert "Did you mean 'digits'" in error.fix
    assert "module:function" in error.fix


@pytest.mark.fault("E9")
@pytest.mark.parametrize("spec", ["nowhere/at/all", "nothing.npz"])
def test_a_missing_path_is_not_found(spec: str) -> None:
    error = refused(spec, f"The data set '{spec}' does not exist", NotFoundError)
    assert error.exit_code == 3


def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    refused(tmp_path / "a.csv", r"A file ending in '.csv' is not a data set")


def test_a_folder_of_no_known_kind_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path, r"(?s)no data set of a known kind.*It holds: notes.txt.*train/<class>/")


def test_a_folder_of_jpeg_archives_is_sent_to_convert(tmp_path: Path) -> None:
    save_npz(tmp_path / "set_train_jpeg.npz", jpeg=np.zeros(1))
    refused(tmp_path, r"(?s)JPEG images in archives.*nas data convert")


def test_an_npz_of_jpeg_bytes_is_sent_to_convert(tmp_path: Path) -> None:
    spec = save_npz(tmp_path / "a.npz", jpeg=np.zeros(1), offset=np.zeros(1), label=np.zeros(1))
    refused(spec, r"(?s)Missing arrays.*nas data convert")


@pytest.mark.parametrize("size", [0, -3, 5000])
def test_an_absurd_image_size_is_refused(size: int) -> None:
    refused("digits", f"image size {size} is not possible", ConfigError, image_size=size)


# NumPy archives.


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    refused(tmp_path / "a.npz", "no npz archive")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = Path(save_npz(tmp_path / "a.npz", **four_arrays()))
    path.write_bytes(path.read_bytes()[:-200])
    refused(path, "cut short")


@pytest.mark.fault("E10")
def test_an_archive_with_flipped_bytes_is_refused_with_the_array_named(tmp_path: Path) -> None:
    path = Path(save_npz(tmp_path / "a.npz", **four_arrays()))
    content = bytearray(path.read_bytes())
    content[400:410] = bytes(10 * [255 - content[400]])
    path.write_bytes(bytes(content))
    refused(path, "The array 'x_train' is damaged")


def test_missing_arrays_are_listed_with_those_found(tmp_path: Path) -> None:
    spec = save_npz(tmp_path / "a.npz", x_train=np.zeros(1), y_train=np.zeros(1), extra=np.zeros(1))
    refused(spec, "Missing arrays: x_test, y_test; found: x_train, y_train, extra")


@pytest.mark.fault("F4")
def test_object_arrays_are_never_loaded(tmp_path: Path) -> None:
    arrays = four_arrays() | {"y_train": np.array([{"a": 1}] * 24, dtype=object)}
    refused(save_npz(tmp_path / "a.npz", **arrays), "'y_train' holds Python objects")


def test_class_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    spec = save_npz(tmp_path / "a.npz", **four_arrays(), classes=np.arange(3))
    refused(spec, "The array 'classes' is int64")


# Layouts and pixels.


@pytest.mark.parametrize(
    ("shape", "reason"), [((3, 8, 3), "both"), ((9, 8, 9), "neither"), ((1, 4, 4), "both")]
)
def test_an_unclear_layout_is_refused_and_the_way_to_say_it_named(
    tmp_path: Path, shape: tuple[int, ...], reason: str
) -> None:
    spec = save_npz(tmp_path / "a.npz", **four_arrays(shape=shape))
    refused(spec, rf"(?s)layout of images of shape .* is not clear: {reason}.*layout='NCHW'")


def test_flat_vectors_are_refused(tmp_path: Path) -> None:
    refused(save_npz(tmp_path / "a.npz", **four_arrays(shape=(64,))), "have 2 axes")


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    spec = save_npz(tmp_path / "a.npz", **four_arrays(), layout=np.array("CHWN"))
    refused(spec, "(?s)Unknown layout 'CHWN'.*NHW, NHWC, NCHW")


def test_a_test_part_with_other_axes_is_refused(tmp_path: Path) -> None:
    arrays = four_arrays() | {"x_test": four_arrays(shape=(8, 6))["x_test"]}
    refused(save_npz(tmp_path / "a.npz", **arrays), "do not fit the layout NCHW")


@pytest.mark.fault("E12")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["x_train", "x_test"])
def test_a_pixel_that_is_not_finite_is_refused_with_its_index(
    tmp_path: Path, part: str, value: float
) -> None:
    arrays = four_arrays()
    arrays[part] = arrays[part].astype(np.float32)
    arrays[part][7, 2, 3, 4] = value
    error = refused(save_npz(tmp_path / "a.npz", **arrays), r"\(7, 2, 3, 4\) is (nan|-?inf)")
    assert part in error.where
    assert "1 of" in error.what


def test_empty_images_are_refused(tmp_path: Path) -> None:
    arrays = four_arrays() | {"x_train": np.zeros((24, 3, 0, 6), dtype=np.uint8)}
    refused(save_npz(tmp_path / "a.npz", **arrays), r"shape \(24, 3, 0, 6\) are empty")


@pytest.mark.parametrize("dtype", ["complex64", "bool", "U3"])
def test_pixels_that_are_no_numbers_are_refused(tmp_path: Path, dtype: str) -> None:
    arrays = four_arrays()
    arrays["x_train"] = arrays["x_train"].astype(dtype)
    refused(save_npz(tmp_path / "a.npz", **arrays), "Images of type .* are not supported")


def test_integer_pixels_beyond_a_byte_are_refused(tmp_path: Path) -> None:
    arrays = four_arrays()
    arrays["x_train"] = arrays["x_train"].astype(np.int32) + 700
    refused(save_npz(tmp_path / "a.npz", **arrays), r"must lie in 0\.\.255")


@pytest.mark.parametrize(
    ("shape", "match"),
    [((1, 8, 6), "have 3 channels, test images 1"), ((3, 8, 7), "8 x 6 pixels, test images 8 x 7")],
)
def test_parts_of_different_shapes_are_refused(
    tmp_path: Path, shape: tuple[int, ...], match: str
) -> None:
    arrays = four_arrays() | {"x_test": four_arrays(shape=shape)["x_test"]}
    refused(save_npz(tmp_path / "a.npz", **arrays), match)


def test_parts_of_different_pixel_types_are_refused(tmp_path: Path) -> None:
    arrays = four_arrays()
    arrays["x_test"] = arrays["x_test"] / 255
    refused(save_npz(tmp_path / "a.npz", **arrays), "images are uint8, test images float32")


# Labels.


def with_label(value: int, index: int, part: str = "y_train") -> dict[str, Any]:
    arrays = four_arrays(classes=10) | made_labels()
    arrays[part][index] = value
    return arrays


def made_labels() -> dict[str, Any]:
    return {"y_train": np.arange(24) % 10, "y_test": np.arange(12) % 10}


@pytest.mark.fault("E13")
def test_a_test_label_out_of_range_is_refused_with_its_index(tmp_path: Path) -> None:
    spec = save_npz(tmp_path / "a.npz", **with_label(10, 7, "y_test"))
    refused(spec, r"Label 10 at index 7 is out of range, classes 0\.\.9")


def test_a_training_label_beyond_the_named_classes_is_refused(tmp_path: Path) -> None:
    spec = save_npz(
        tmp_path / "a.npz", **with_label(10, 7), classes=np.array([f"c{i}" for i in range(10)])
    )
    refused(spec, r"Label 10 at index 7 is out of range, classes 0\.\.9")


@pytest.mark.fault("E13")
def test_a_negative_label_is_refused(tmp_path: Path) -> None:
    refused(save_npz(tmp_path / "a.npz", **with_label(-1, 3)), "Label -1 at index 3 is negative")


@pytest.mark.fault("E11")
def test_a_class_without_a_training_image_is_refused(tmp_path: Path) -> None:
    arrays = with_label(10**15, 3)
    refused(save_npz(tmp_path / "a.npz", **arrays), "Class 10 has no training image")


@pytest.mark.fault("E13")
def test_labels_that_start_at_1_are_refused(tmp_path: Path) -> None:
    arrays = four_arrays()
    arrays["y_train"] = arrays["y_train"] + 1
    refused(save_npz(tmp_path / "a.npz", **arrays), "Class 0 has no training image")


@pytest.mark.fault("E11")
def test_one_class_only_is_refused(tmp_path: Path) -> None:
    arrays = four_arrays() | {"y_train": np.zeros(24, int), "y_test": np.zeros(12, int)}
    refused(save_npz(tmp_path / "a.npz", **arrays), "All 24 training images are of one class, 0")


@pytest.mark.fault("E13")
def test_labels_that_are_floats_are_refused(tmp_path: Path) -> None:
    arrays = four_arrays() | {"y_train": np.zeros(24)}
    refused(save_npz(tmp_path / "a.npz", **arrays), "Labels of type float64 are not class numbers")


def test_one_hot_labels_are_refused_with_the_cure(tmp_path: Path) -> None:
    arrays = four_arrays() | {"y_train": np.eye(3, dtype=int)[np.arange(24) % 3]}
    refused(save_npz(tmp_path / "a.npz", **arrays), r"(?s)shape \(24, 3\).*argmax")


def test_another_number_of_labels_than_images_is_refused(tmp_path: Path) -> None:
    arrays = four_arrays() | {"y_train": np.arange(23) % 3}
    refused(save_npz(tmp_path / "a.npz", **arrays), "24 images but 23 labels")


@pytest.mark.fault("E14")
def test_too_few_images_for_the_test_part_are_refused_with_counts(tmp_path: Path) -> None:
    spec = save_npz(tmp_path / "a.npz", image=np.zeros((5, 4, 4)), label=np.array([0, 0, 0, 0, 1]))
    refused(spec, r"Class 1 has 1 image, but the split has 2 parts \(5 images in all\)")


# MNIST files.


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    save_idx_folder(tmp_path / "mnist", four_arrays(shape=(7, 5)))
    return tmp_path / "mnist"


@pytest.mark.fault("E9")
def test_a_missing_mnist_file_is_named_with_all_four(mnist: Path) -> None:
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    refused(
        mnist,
        "(?s)'t10k-labels-idx1-ubyte' .* is missing.*train-images-idx3-ubyte",
        NotFoundError,
    )


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x00", b"\x00\x00\x0d\x03" + bytes(12), b"<html>  "]
)
def test_a_wrong_magic_number_is_refused(mnist: Path, content: bytes) -> None:
    (mnist / "train-images-idx3-ubyte").write_bytes(content)
    refused(mnist, "Wrong magic number: expected 0x00000803, found")


def test_a_file_that_ends_in_its_header_is_refused(mnist: Path) -> None:
    (mnist / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03\x00\x00")
    refused(mnist, "ends inside its header")


@pytest.mark.fault("E9")
@pytest.mark.parametrize(("cut", "found"), [(-3, "837"), (None, "more than 840")])
def test_a_length_other_than_the_header_says_is_refused(
    mnist: Path, cut: int | None, found: str
) -> None:
    path = mnist / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:cut] if cut else path.read_bytes() + b"xx")
    refused(mnist, f"announces 840 bytes .* holds {found}")


def test_a_header_that_announces_far_too_much_is_refused(mnist: Path) -> None:
    header = b"\x00\x00\x08\x03" + b"\x00\x00\xff\xff" * 3
    (mnist / "train-images-idx3-ubyte").write_bytes(header + bytes(100))
    refused(mnist, "announces 281462092005375 bytes .* holds 100")


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    save_idx_folder(tmp_path / "set", four_arrays(shape=(7, 5)), gzipped=True)
    path = tmp_path / "set" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-40])
    refused(tmp_path / "set", "gzip file is damaged or cut short")
    path.write_bytes(idx_bytes(np.zeros((2, 2, 2))))
    refused(tmp_path / "set", "gzip file is damaged or cut short")
    path.write_bytes(gzip.compress(b""))
    refused(tmp_path / "set", "Wrong magic number")


# CIFAR files.


@pytest.mark.fault("E9")
def test_a_missing_cifar_file_is_named(tmp_path: Path) -> None:
    images, labels = made_images(20, 10, (3, 32, 32))
    (tmp_path / "data_batch_1.bin").write_bytes(cifar_records(images, labels))
    refused(tmp_path, "'test_batch.bin' is missing", NotFoundError)
    (tmp_path / "data_batch_1.bin").rename(tmp_path / "test_batch.bin")
    refused(tmp_path, "'data_batch_1.bin' is missing", NotFoundError)


@pytest.mark.parametrize("size", [0, 3072, 3073 * 2 - 1])
def test_a_cifar_file_of_broken_length_is_refused(tmp_path: Path, size: int) -> None:
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / name).write_bytes(bytes(size))
    refused(tmp_path, f"holds {size} bytes, not a whole number of records of 3073")


def test_a_cifar_label_out_of_range_is_refused_with_its_index(tmp_path: Path) -> None:
    images, labels = made_images(20, 10, (3, 32, 32))
    labels[11] = 10
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / name).write_bytes(cifar_records(images, labels))
    refused(tmp_path, r"Label 10 at index 11 is out of range, classes 0\.\.9")


# Folders of images.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_image_folder(tmp_path / "set" / "train", *made_images(12, 3))
    save_image_folder(tmp_path / "set" / "test", *made_images(6, 3, seed=1))
    return tmp_path / "set"


@pytest.mark.fault("E10")
@pytest.mark.parametrize("budget", [None, 100])
@pytest.mark.parametrize("content", [b"", b"no image at all", "cut"])
def test_an_image_that_does_not_decode_is_named(
    folder: Path, content: bytes | str, budget: int | None
) -> None:
    path = folder / "train" / "class1" / "001.png"
    path.write_bytes(path.read_bytes()[:-60] if isinstance(content, str) else content)
    error = refused(folder, "does not decode", memory_budget_bytes=budget)
    assert error.where.endswith("class1/001.png")
    assert not list(folder.parent.glob("cache/*"))


@pytest.mark.fault("F12")
def test_an_image_that_would_fill_the_memory_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    refused(folder, "does not decode.*decompression bomb")


def test_images_of_different_sizes_are_refused_and_the_option_named(folder: Path) -> None:
    Image.new("RGB", (9, 9)).save(folder / "test" / "class2" / "big.png")
    refused(folder, "(?s)is 9 x 9 pixels, the first one 6 x 8.*--image-size")


def test_images_of_more_than_8_bits_are_refused(folder: Path) -> None:
    Image.new("I;16", (6, 8)).save(folder / "test" / "class2" / "deep.png")
    refused(folder, "mode I;16.*more than 8 bits")


def test_a_class_folder_without_images_is_refused(folder: Path) -> None:
    (folder / "train" / "class9").mkdir()
    refused(folder, "class folder 'class9' holds no image")


def test_a_test_class_without_training_images_is_refused(folder: Path) -> None:
    save_image_folder(folder / "test", made_images(1)[0], np.array([7]))
    refused(folder, "(?s)class 'class7' has no training image.*class0, class1, class2")


def test_a_cache_that_cannot_be_written_is_an_environment_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = folder.parent / "file"
    blocked.write_text("")
    monkeypatch.setenv("NAS_CACHE", str(blocked))
    refused(folder, "cannot be written", EnvironmentFault, memory_budget_bytes=100)


# Functions.


def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> None:
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.chdir(tmp_path)


def test_a_module_that_does_not_exist_is_not_found() -> None:
    refused("no_such_module:load", "'no_such_module' cannot be imported", NotFoundError)
    refused("no_such_file.py:load", "'no_such_file.py' does not exist", NotFoundError)


def test_a_module_that_fails_while_importing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch, "failing_import", "1 / 0")
    refused("failing_import:load", "Importing 'failing_import' failed with ZeroDivisionError")


def test_a_function_that_does_not_exist_lists_the_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, monkeypatch, "lacks_function", "def here(): pass")
    refused("lacks_function:lode", "(?s)no function 'lode'.*here", NotFoundError)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("raise KeyError('x')", "failed with KeyError"),
        ("return 3", "returned int, not four arrays"),
        ("return 1, 2, 3", "returned tuple of 3, not four arrays"),
        ("return {'x_train': 1}", "Missing arrays: y_train, x_test, y_test; found: x_train"),
        ("return [[1]], [0], [[1]], [0]", "Images of type list are not supported"),
    ],
)
def test_a_function_that_fails_or_returns_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, match: str
) -> None:
    write_module(tmp_path, monkeypatch, "odd_function", f"def load():\n    {body}")
    refused("odd_function.py:load", match)
