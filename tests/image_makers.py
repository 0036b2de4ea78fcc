"""Small labelled images made up on the spot, and writers for the file formats that hold them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Arrays = dict[str, Any]


def made_images(
    count: int = 24, classes: int = 3, shape: tuple[int, ...] = (3, 8, 6), seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return random uint8 images `(count, *shape)` and labels in which all classes occur."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(count, *shape), dtype=np.uint8)
    return images, np.arange(count, dtype=np.int64) % classes


def four_arrays(shape: tuple[int, ...] = (3, 8, 6), classes: int = 3) -> Arrays:
    """Return x_train, y_train, x_test, y_test with 24 and 12 images."""
    x_train, y_train = made_images(24, classes, shape, seed=0)
    x_test, y_test = made_images(12, classes, shape, seed=1)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def save_npz(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">I{array.ndim}I", 0x0800 | array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def save_idx_folder(folder: Path, arrays: Arrays, *, gzipped: bool = False) -> None:
    """Write NHW arrays as the four MNIST files."""
    folder.mkdir(exist_ok=True)
    for stem, key in (
        ("train-images-idx3-ubyte", "x_train"),
        ("train-labels-idx1-ubyte", "y_train"),
        ("t10k-images-idx3-ubyte", "x_test"),
        ("t10k-labels-idx1-ubyte", "y_test"),
    ):
        content = idx_bytes(arrays[key])
        if gzipped:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / stem).write_bytes(content)


def cifar_records(images: np.ndarray, *labels: np.ndarray) -> bytes:
    """Return CIFAR records: one column of labels (or coarse and fine), then 3,072 pixels."""
    columns = [column.astype(np.uint8)[:, np.newaxis] for column in labels]
    return np.concatenate([*columns, images.reshape(len(images), -1)], axis=1).tobytes()


def save_image(path: Path, image: np.ndarray) -> None:
    """Write one `(channels, height, width)` image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    Image.fromarray(pixels).save(path)


def save_image_folder(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as `<folder>/class<label>/<number>.png`."""
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        save_image(folder / f"class{label}" / f"{index:03d}.png", image)


def by_class(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels in the order in which a folder of classes lists them."""
    order = np.argsort(labels, kind="stable")
    return images[order], labels[order]
