"""The data of a search as every process of it prepares them: loaded, limited, split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.errors import RunError
from nas.search.settings.config import SearchConfig
from nas.sent_files import located
from nas.training.data import ImageData, load_data
from nas.training.data.load import KNOWN_SETS
from nas.training.data.preprocessing import Preprocessing
from nas.training.parts import DataPart, FiveParts, split_five
from nas.training.splits import stratified_subset

SMALLEST_PER_CLASS = 10
"""Images per class that a limit by pixels leaves whatever their size."""

_LIMIT_SEED = 0


@final
@dataclass(frozen=True, eq=False)
class Material:
    """Images and their five parts.

    Args:
        data: The data set, its training part limited as the config says.
        parts: The five parts.
    """

    data: ImageData
    parts: FiveParts

    def test_part(self, limit: int | None) -> DataPart:
        """Return the test images that everything is tested on: at most `limit`, or all."""
        test = self.parts.test
        if limit is None or limit >= len(test):
            return test
        return test.limited(max(limit, self.data.num_classes), 0)

    def summary(self) -> dict[str, Any]:
        """Return the facts that a run keeps."""
        return {
            "name": self.data.name,
            "fingerprint": self.data.fingerprint,
            "input_shape": list(self.data.input_shape),
            "num_classes": self.data.num_classes,
            "train_images": len(self.data.y_train),
            "test_images": len(self.data.y_test),
            "preprocessing": self.preprocessing().to_dict(),
        }

    def preprocessing(self) -> Preprocessing:
        """Return what networks of these data expect of an image file."""
        return Preprocessing.of(self.data, self.parts.training.normalisation)


def prepare_material(config: SearchConfig) -> Material:
    """Load and split the data of a config.

    The training images that a limit leaves are the same for every seed, so that runs compare.

    Raises:
        DataError: If the data are unfit; NotFoundError if they are not there.
    """
    data = load_data(config.data, image_size=config.image_size)
    limit = _most_images(config, data)
    if limit < len(data.y_train):
        rows = stratified_subset(data.y_train, limit, _LIMIT_SEED)
        data = replace(data, x_train=np.asarray(data.x_train[rows]), y_train=data.y_train[rows])
    return Material(data, split_five(data, config.seed))


def data_of_run(spec: str, run: Path) -> str:
    """Return where the data of a run lie, wherever a command about it is typed.

    A run keeps its data's path as it was typed. A relative one is looked for where a run lies by
    default, `runs/NAME` below the folder of the search; what is found there is absolute, else the
    path stays as it is. Whether it is the same data their fingerprint tells.

    Args:
        spec: `data` of the run's config.
        run: The run's folder.
    """
    module, colon, _ = spec.rpartition(":")
    path = module if colon and module.endswith(".py") else spec
    place = run.resolve().parent.parent / Path(path).expanduser()
    if spec in KNOWN_SETS or located(spec) != spec or not place.exists():
        return spec
    return f"{place}{spec.removeprefix(path)}"


def _most_images(config: SearchConfig, data: ImageData) -> int:
    """Return how many training images the limits leave, enough for a split at least."""
    limit = len(data.y_train)
    if config.max_train_images is not None:
        limit = min(limit, config.max_train_images)
    if config.max_train_megapixels is not None:
        _, height, width = data.input_shape
        by_pixels = round(config.max_train_megapixels * 1e6 / (height * width))
        limit = min(limit, max(by_pixels, SMALLEST_PER_CLASS * data.num_classes))
    return limit


def check_same_data(material: Material, expected: str) -> None:
    """Refuse data that are not those the run was started with.

    Raises:
        RunError: Naming both fingerprints.
    """
    found = material.data.fingerprint
    if found != expected:
        raise RunError(
            f"The data are not those of the run: fingerprint {found[:12]}, the run has "
            f"{expected[:12]}.",
            why="Its trials were scored on other images; mixing both is no search.",
            fix="Put the old data back, or start a new run.",
        )
