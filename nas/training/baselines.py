"""Two simple classifiers on raw pixels, printed beside a smoke run.

On small easy sets they are hard to beat; a network that does not beat them shows that the run
proves nothing about wiring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.seeds import derive_seed
from nas.training.data.image_data import ImageData
from nas.training.parts import DataPart, Normalisation, channel_statistics

_DEFAULT_LIMIT = 5000
_TRAINING_SEED = derive_seed(0, "simple-baselines", 0)
_TEST_SEED = derive_seed(0, "simple-baselines", 1)


@final
@dataclass(frozen=True)
class SimpleBaseline:
    """Test accuracy of a classifier that is no network.

    Args:
        name: `1-nearest-neighbour` or `svc`.
        accuracy: Fraction from 0 to 1.
        count_train: Training images used, possibly a fixed stratified subset.
        count_test: Test images used.
    """

    name: str
    accuracy: float
    count_train: int
    count_test: int


def simple_baselines(
    data: ImageData, *, test: DataPart | None = None, limit: int = _DEFAULT_LIMIT
) -> list[SimpleBaseline]:
    """Return the test accuracy of 1-nearest-neighbour and of an RBF support vector classifier.

    Args:
        data: Images; pixels are normalised per channel as for networks.
        test: Test images, taken whole; by default those of `data`, cut to `limit`.
        limit: Larger parts are cut to this many images, always the same ones.
    """
    # scikit-learn takes a second to import.
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    statistics = channel_statistics(data.x_train)
    training = DataPart(data.x_train, data.y_train, None, statistics)
    x_train, y_train = _pixels(training.limited(limit, _TRAINING_SEED), statistics)
    if test is None:
        test = DataPart(data.x_test, data.y_test, None, statistics).limited(limit, _TEST_SEED)
    x_test, y_test = _pixels(test, statistics)
    classifiers: dict[str, Any] = {
        "1-nearest-neighbour": KNeighborsClassifier(n_neighbors=1),
        "svc": SVC(C=10.0, kernel="rbf", gamma="scale"),
    }
    return [
        SimpleBaseline(
            name,
            float(np.mean(classifier.fit(x_train, y_train).predict(x_test) == y_test)),
            len(y_train),
            len(y_test),
        )
        for name, classifier in classifiers.items()
    ]


def _pixels(part: DataPart, statistics: Normalisation) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    shape = (1, -1, 1, 1)
    mean = np.asarray(statistics.mean, dtype=np.float32).reshape(shape)
    deviation = np.asarray(statistics.deviation, dtype=np.float32).reshape(shape)
    pixels = (part.pixels().astype(np.float32) - mean) / deviation
    return pixels.reshape(len(pixels), -1), part.labels
