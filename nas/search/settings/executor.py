"""Where the evaluations of a search run: on this machine, or on the nodes of a Ray cluster."""

from __future__ import annotations

from typing import Annotated, Final, Literal, final

from pydantic import BaseModel, Field, field_validator

from nas.search.settings.head_address import check_head_address

_OWN_KEYS: Final = {
    "CPU": "search.threads_per_evaluation",
    "GPU": "executor.gpus_per_worker",
    "memory": "executor.memory_gib",
}
"""Resources of Ray that are asked for by keys of their own."""


@final
class ExecutorConfig(BaseModel, frozen=True, extra="forbid"):
    """Where evaluations run; it never changes what they give."""

    kind: Literal["local", "ray", "inline"] = "local"
    """`local` worker processes, `ray` actors on one machine or many, or `inline` in the driver."""

    workers: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Evaluations at a time; null takes one per CPU core, at most 4, and on a Ray cluster as many
    as fit on its nodes."""

    memory_gib: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Most memory of one worker, in GiB; a trial that needs more fails as `oom`. Ray puts no more
    workers on a node than it has memory for."""

    address: Annotated[str, Field(max_length=200)] | None = None
    """Head of the Ray cluster to work on, as `host:port`. `RAY_ADDRESS` in the environment comes
    first; where neither is set, a Ray is started on this machine."""

    gpus_per_worker: Annotated[float, Field(ge=0, le=64)] = 0.0
    """GPUs of a worker on a Ray cluster; a fraction shares one."""

    resources: Annotated[
        dict[
            Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$")],
            Annotated[float, Field(gt=0, le=1e6)],
        ],
        Field(max_length=16),
    ] = {}
    """Further resources of a Ray cluster's nodes that a worker needs, by name."""

    scratch: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Folder that all machines of a Ray cluster see, for checkpoints of trainings; null keeps them
    where the search was started, and none on a cluster of several machines."""

    members_per_call: Annotated[int, Field(ge=1, le=1024)] = 16
    """Most members that a worker scores in one call, so that what they have in common is computed
    once; scores are equal to the last bit for every number. Where workers are so many that a
    batch has fewer than 8 for each, calls have one; and a call takes a few seconds at most."""

    measure_on: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$")] | None = None
    """Resource of a Ray cluster's nodes on one of which latencies are measured, such as
    `accelerator_pi4`; null measures them where the search was started."""

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        return None if address is None else check_head_address(address)

    @field_validator("resources")
    @classmethod
    def _check_resources(cls, resources: dict[str, float]) -> dict[str, float]:
        for name in resources:
            if name in _OWN_KEYS:
                raise ValueError(f"'{name}' is asked for with the key {_OWN_KEYS[name]}")
        return resources
