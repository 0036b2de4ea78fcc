"""Conversion: an .npz that loads as the source did, the same bytes each time, never half a file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_makers import four_arrays, made_images, save_image_folder, save_npz
from PIL import Image
from scale import CHECKOUT, require_nas_data

from nas.errors import ConfigError, DataError, EnvironmentFault, NotFoundError
from nas.training.convert import convert_data
from nas.training.data import load_data
from nas.training.data.summary import summarise

SAMPLE = str(CHECKOUT / "tests" / "samples" / "fashion_mnist_900.npz")


def jpeg_archive(path: Path, images: np.ndarray, labels: np.ndarray, **changes: Any) -> None:
    """Write images as one archive of JPEG files, ordered by class."""
    files = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(stream, "JPEG", quality=95)
        files.append(stream.getvalue())
    offset = np.cumsum([0, *map(len, files)]).astype(np.int64)
    joined = np.frombuffer(b"".join(files), dtype=np.uint8)
    arrays = {"jpeg": joined, "offset": offset, "label": labels.astype(np.uint8)} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.fixture
def jpegs(tmp_path: Path) -> Path:
    folder = tmp_path / "jpegs"
    folder.mkdir()
    labels = np.sort(np.arange(40) % 10)
    # Flat colours: they survive JPEG, so that images can be told from each other.
    images = np.broadcast_to((labels * 25)[:, None, None, None], (40, 3, 8, 8)).astype(np.uint8)
    jpeg_archive(folder / "cifar10_train_jpeg.npz", images, labels)
    jpeg_archive(folder / "cifar10_test_jpeg.npz", images[::2], labels[::2])
    return folder


def test_a_folder_of_jpeg_archives_is_decoded_and_shuffled(jpegs: Path, tmp_path: Path) -> None:
    data = convert_data(str(jpegs), tmp_path / "out.npz")
    assert data.classes[6] == "frog"
    assert (data.input_shape, len(data.x_train), len(data.x_test)) == ((3, 8, 8), 40, 20)
    assert len(set(data.y_train[:10].tolist())) > 4
    np.testing.assert_allclose(data.x_train[:, 0, 0, 0], data.y_train * 25, atol=3)


def test_a_limit_keeps_the_classes_balanced(jpegs: Path, tmp_path: Path) -> None:
    data = convert_data(str(jpegs), tmp_path / "out.npz", limit=20, image_size=4)
    assert np.bincount(data.y_train).tolist() == [2] * 10
    assert len(data.x_test) == 20
    assert data.input_shape == (3, 4, 4)


@pytest.mark.parametrize("limit", [None, 100])
def test_the_same_conversion_gives_the_same_bytes(tmp_path: Path, limit: int | None) -> None:
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for file in files:
        convert_data(SAMPLE, file, limit=limit)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert list(tmp_path.iterdir()) == files or set(tmp_path.iterdir()) == set(files)


@pytest.mark.parametrize("source", ["digits", SAMPLE])
def test_what_was_converted_loads_as_its_source_did(tmp_path: Path, source: str) -> None:
    data, converted = load_data(source), convert_data(source, tmp_path / "out.npz")
    assert converted.fingerprint == data.fingerprint
    assert converted.classes == data.classes


def test_progress_is_told_to_the_last_image(jpegs: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    convert_data(str(jpegs), tmp_path / "o.npz", progress=lambda *numbers: told.append(numbers))
    assert told == [(40, 40), (20, 20)]


def test_an_output_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_text("precious")
    with pytest.raises(ConfigError, match="exists already; it is not overwritten"):
        convert_data("digits", tmp_path / "out.npz")
    assert (tmp_path / "out.npz").read_text() == "precious"


@pytest.mark.parametrize(
    ("output", "limit", "match"),
    [("out.npy", None, "does not end in .npz"), ("out.npz", 0, "limit of 0 images")],
)
def test_absurd_arguments_are_refused(
    tmp_path: Path, output: str, limit: int | None, match: str
) -> None:
    with pytest.raises(ConfigError, match=match):
        convert_data("digits", tmp_path / output, limit=limit)


def test_a_limit_below_the_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 images cannot hold 10 classes"):
        convert_data("digits", tmp_path / "out.npz", limit=3)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_an_environment_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"(?s)cannot be written.*Choose a folder"):
        convert_data("digits", tmp_path / "nowhere" / "out.npz")


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        convert_data("digits", tmp_path / "out.npz")
    assert not list(tmp_path.iterdir())


def test_a_mapped_set_is_not_squeezed_into_an_npz(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image_folder(tmp_path / "set", *made_images(24, 3))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("nas.training.data.load.default_memory_budget", lambda: 100)
    with pytest.raises(DataError, match=r"(?s)do not fit into memory.*--limit"):
        convert_data(str(tmp_path / "set"), tmp_path / "out.npz")
    assert len(convert_data(str(tmp_path / "set"), tmp_path / "o.npz", limit=6).x_train) == 6


def test_a_missing_jpeg_archive_is_named(jpegs: Path, tmp_path: Path) -> None:
    (jpegs / "cifar10_test_jpeg.npz").unlink()
    with pytest.raises(NotFoundError, match=r"'cifar10_test_jpeg.npz' is missing"):
        convert_data(str(jpegs), tmp_path / "out.npz")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"offset": None}, "Missing arrays: offset"),
        ({"offset": np.array([0, 5, 3, 9])}, "The offsets do not fit"),
        ({"offset": np.array([0, 10, 20, 10**9])}, "The offsets do not fit"),
        ({"label": np.array([0, 1])}, "The offsets do not fit"),
        ({"jpeg": np.zeros(10**5, np.uint8)}, "(?s)does not decode.*image [012]"),
    ],
)
def test_a_damaged_jpeg_archive_is_refused(
    tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    images, labels = made_images(3, 3, (3, 8, 8))
    for part in ("train", "test"):
        jpeg_archive(tmp_path / f"own_{part}_jpeg.npz", images, labels, **changes)
    with pytest.raises(DataError, match=match):
        convert_data(str(tmp_path), tmp_path / "out.npz")


def test_jpeg_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    small, labels = made_images(3, 3, (3, 8, 8))
    large = made_images(1, 1, (3, 9, 9))[0]
    stream = io.BytesIO()
    Image.fromarray(large[0].transpose(1, 2, 0)).save(stream, "JPEG")
    for part in ("train", "test"):
        path = tmp_path / f"own_{part}_jpeg.npz"
        jpeg_archive(path, small, labels)
        with np.load(path) as archive:
            joined = np.concatenate([archive["jpeg"], np.frombuffer(stream.getvalue(), np.uint8)])
            offset = np.append(archive["offset"], joined.size)
        np.savez(path, jpeg=joined, offset=offset, label=np.array([0, 1, 2, 2]))
    with pytest.raises(DataError, match=r"(?s)The image has shape.*--image-size"):
        convert_data(str(tmp_path), tmp_path / "out.npz")
    assert convert_data(str(tmp_path), tmp_path / "o.npz", image_size=8).input_shape == (3, 8, 8)


def test_a_summary_counts_classes_and_repeats(tmp_path: Path) -> None:
    arrays = four_arrays()
    arrays["x_test"][:2] = arrays["x_train"][:2]
    arrays["x_train"][5] = arrays["x_train"][4]
    summary = summarise(load_data(save_npz(tmp_path / "a.npz", **arrays)))
    assert summary.train_per_class == (8, 8, 8)
    assert summary.test_per_class == (4, 4, 4)
    document = summary.as_dict()
    assert document["schema"] == "nas.data/1"
    assert document["duplicates"] == {"train_test": 2, "train": 1, "test": 0}
    mean = arrays["x_train"].mean(axis=(0, 2, 3))
    np.testing.assert_allclose(document["channel_mean"], mean, rtol=1e-9)


def test_the_jpeg_images_of_cifar10_convert(tmp_path: Path) -> None:
    data = convert_data(str(require_nas_data("cifar10")), tmp_path / "out.npz", limit=200)
    assert (data.input_shape, len(data.x_train), len(data.x_test)) == ((3, 32, 32), 200, 200)
    assert np.bincount(data.y_train).tolist() == [20] * 10
