"""Picture files on their way into a network: prepared as the training images were, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.errors import ConfigError, DataError, NotFoundError
from nas.training.data import ImageData, load_data
from nas.training.data.picture_files import write_pictures
from nas.training.data.pictures import (
    check_takes_pictures,
    find_pictures,
    read_picture,
    read_pictures,
)
from nas.training.data.preprocessing import Preprocessing, white_of
from nas.training.parts import Normalisation


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_data("digits")


def expected(shape: tuple[int, int, int] = (3, 4, 6), white: float | None = 255) -> Preprocessing:
    ones = (1.0,) * shape[0]
    return Preprocessing(shape, white, Normalisation(ones, ones), ("a", "b"))


def saved(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    Image.fromarray(array.astype(np.uint8)).convert(mode).save(path)
    return path


def test_images_written_as_pictures_are_read_back_up_to_the_rounding_of_a_file(
    digits: ImageData, tmp_path: Path
) -> None:
    count = write_pictures(digits, tmp_path / "pictures", "test", 20)
    found = find_pictures(tmp_path / "pictures")
    assert len(found.files) == count == 20
    own = Preprocessing.of(digits)
    for file in found.files:
        row = int(file.stem)
        picture = read_picture(file, own)
        assert digits.classes[digits.y_test[row]] == file.parent.name
        assert np.abs(picture.pixels - digits.x_test[row]).max() <= 16 / 255 / 2 + 1e-6
        assert picture.changed == ""


def test_what_a_network_reads_is_what_its_training_read(digits: ImageData) -> None:
    import torch

    from nas.training.batches import part_tensors
    from nas.training.parts import training_part

    part = training_part(digits)
    batch, _ = part_tensors(part, torch.device("cpu"))
    found = Preprocessing.of(digits).normalised(digits.x_train)
    assert np.abs(found - batch.numpy()).max() < 1e-6


@pytest.mark.parametrize(
    ("pixels", "white"),
    [
        (np.array([0, 200], np.uint8), 255),
        (np.array([0, 16], np.uint8), 16),
        (np.array([0, 0.7], np.float32), 1),
        (np.array([0, 180.5], np.float32), 255),
        (np.array([-0.5, 0.5], np.float32), None),
        (np.array([0, 900], np.float32), None),
    ],
)
def test_the_value_of_a_white_pixel_follows_from_the_range_of_the_data(
    pixels: np.ndarray, white: float | None
) -> None:
    assert white_of(pixels.reshape(1, 1, 1, 2)) == white


def test_a_picture_of_another_size_or_colour_is_fitted_and_it_is_said(tmp_path: Path) -> None:
    wide = saved(tmp_path / "wide.png", np.full((40, 100, 3), 7))
    found = read_picture(wide, expected())
    assert found.pixels.shape == (3, 4, 6)
    assert set(found.pixels.flatten()) == {7}
    assert found.changed == "resized from 100 x 40 to 6 x 4"
    grey = read_picture(wide, expected((1, 40, 100)))
    assert (grey.pixels.shape, grey.changed) == ((1, 40, 100), "colours turned grey")
    assert read_picture(saved(tmp_path / "l.png", np.zeros((4, 6))), expected()).changed == ""


def test_a_file_that_is_no_picture_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.png", np.zeros((4, 6)))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "deep.png")
    found = find_pictures(tmp_path)
    read = list(read_pictures(found.files, expected()))
    assert [type(each).__name__ for each in read] == ["DataError", "DataError", "Picture"]
    assert isinstance(read[0], DataError) and isinstance(read[1], DataError)
    assert "does not decode" in read[0].what and str(read[0].where).endswith("bad.png")
    assert "more than 8 bits" in read[1].what
    assert found.files[-1] == good


def test_hidden_files_are_overlooked_and_others_counted(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", np.zeros((4, 6)))
    (tmp_path / ".thumbs").mkdir()
    saved(tmp_path / ".thumbs" / "b.png", np.zeros((4, 6)))
    (tmp_path / "notes.txt").write_text("notes")
    found = find_pictures(tmp_path)
    assert ([file.name for file in found.files], found.overlooked) == (["a.png"], 1)
    assert find_pictures(tmp_path / "a.png").files == (tmp_path / "a.png",)


def test_a_folder_without_pictures_and_a_path_without_anything_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(NotFoundError, match=r"holds no picture \(1 other files\)[\s\S]*\.png"):
        find_pictures(tmp_path)
    with pytest.raises(NotFoundError, match=r"no file and no folder '.*nothing'[\s\S]*a picture"):
        find_pictures(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("preprocessing", "words"),
    [(expected((2, 4, 4)), "2 channels"), (expected(white=None), "a range of their own")],
)
def test_data_that_no_picture_can_be_turned_into_are_refused(
    preprocessing: Preprocessing, words: str
) -> None:
    with pytest.raises(DataError, match=rf"{words}[\s\S]*answered, but wrongly[\s\S]*from Python"):
        check_takes_pictures(preprocessing)


def test_a_preprocessing_survives_its_file(digits: ImageData) -> None:
    own = Preprocessing.of(digits)
    assert Preprocessing.from_dict(own.to_dict(), "here") == own


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_shape": [1, 8]}, "three sides"),
        ({"input_shape": [1, 8, float("nan")]}, "three sides"),
        ({"mean": []}, "one number per channel"),
        ({"deviation": [0.0]}, "one number per channel"),
        ({"classes": ["one"]}, "at least two names"),
        ({"classes": [1, 2]}, "at least two names"),
        ({"white": -1}, "positive number"),
        ({"white": "255"}, "positive number"),
    ],
)
def test_a_damaged_preprocessing_is_refused(
    change: dict[str, object], words: str, digits: ImageData
) -> None:
    given = {**Preprocessing.of(digits).to_dict(), **change}
    with pytest.raises(DataError, match=rf"not readable: .*{words}[\s\S]*Export the network again"):
        Preprocessing.from_dict(given, "about.json")


def test_pictures_are_not_written_over_or_from_what_no_file_can_hold(
    digits: ImageData, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        write_pictures(digits, tmp_path, "test", 20)
    centred = replace(digits, x_train=digits.x_train.astype(np.float32) - 8)
    with pytest.raises(DataError, match="cannot be written as pictures"):
        write_pictures(centred, tmp_path / "out", "test", 20)
    outside = replace(digits, classes=("../up", *digits.classes[1:]))
    with pytest.raises(DataError, match=r"class '\.\./up' is no name of a folder"):
        write_pictures(outside, tmp_path / "out", "test", 20)
    assert list(tmp_path.iterdir()) == []
