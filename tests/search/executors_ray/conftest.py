"""One cluster of two nodes for all tests of the Ray executor that run in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nas.errors import EnvironmentFault
from nas.search.executors.ray_link import import_ray

try:
    import_ray("a cluster")  # with the settings of a search, which Ray reads now or never
except EnvironmentFault as error:
    pytest.skip(str(error), allow_module_level=True)

from ray_clusters import Nodes, ray_cluster


@pytest.fixture(scope="session")
def nodes() -> Iterator[Nodes]:
    with ray_cluster() as found:
        found.add(num_gpus=1, resources={"marker": 2}, memory=int(2.5 * 2**30))
        yield found
