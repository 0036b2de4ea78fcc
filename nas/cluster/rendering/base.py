"""What a manifest is made from, and the registry of the schedulers one can be made for.

A manifest is text for a person: it says in comments what to change, holds the whole resolved
config, and starts the run or goes on with it, so that submitting it a second time resumes. Nothing
here talks to a cluster or imports ray.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from nas.errors import ConfigError
from nas.registry import Registry

DEFAULT_IMAGE: Final = "REGISTRY/nas:latest"
"""Container image where none is given: a person has to write theirs."""

DEFAULT_RAY: Final = "2.60.0"
"""Version of Ray where none is given; tokens need 2.54 or newer here."""

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
PATH: Final = re.compile(r"/[A-Za-z0-9._/@+=:,-]*")
_OF_PATHS: Final = "a / in front, letters, digits and . _ / @ + = : , -"
IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

LIMITS: Final = {
    "nodes": (1, 4096),
    "cpus": (1, 4096),
    "gpus": (0, 64),
    "memory_gib": (1, 65_536),
    "hours": (1, 24 * 365),
}
"""Smallest and largest numbers that a description takes."""


@final
@dataclass(frozen=True, kw_only=True)
class JobDescription:
    """A search as a manifest describes it.

    Args:
        name: The run's name, a slug.
        config: The whole resolved config as YAML, the space's declaration inside it. Paths of data
            in it are paths on the cluster.
        runs: Absolute path of the folder of runs on storage that every node, or at least the one
            the driver is on, keeps after the job.
        nodes: Nodes in all, the driver's among them.
        cpus: CPU cores of one node.
        gpus: GPUs of one node.
        memory_gib: Memory of one node, in GiB.
        hours: Wall-clock limit of one submission, in hours; a run goes on with the next.
        image: Container image that has nas and the same Python on all nodes (KubeRay).
        modules: Absolute path of the folder where the config's plugins lie on the cluster, or None.
        nas_version: Version of nas that the nodes must have.
        ray_version: Version of Ray that the nodes must have.

    Raises:
        ConfigError: If a name, path or number cannot stand in a manifest.
    """

    name: str
    config: str
    runs: str = "/shared/runs"
    nodes: int = 2
    cpus: int = 4
    gpus: int = 0
    memory_gib: int = 8
    hours: int = 24
    image: str = DEFAULT_IMAGE
    modules: str | None = None
    nas_version: str = ""
    ray_version: str = DEFAULT_RAY

    def __post_init__(self) -> None:
        _check_text("name", self.name, SLUG, "a-z, 0-9, - and _, 64 characters at most")
        _check_text("runs", self.runs, PATH, _OF_PATHS)
        _check_text("image", self.image, IMAGE, "letters, digits and . _ / : @ -")
        if self.modules is not None:
            _check_text("modules", self.modules, PATH, _OF_PATHS)
        for field, (low, high) in LIMITS.items():
            value = getattr(self, field)
            if not low <= value <= high:
                raise ConfigError(
                    f"A job's {field} is {value}; it must be {low} to {high}.",
                    where=f"job '{self.name}'",
                    fix=f"The nearest is {min(max(value, low), high)}.",
                )


def _check_text(field: str, value: str, form: re.Pattern[str], rule: str) -> None:
    """Refuse what a shell, YAML or a batch system could read as more than a word."""
    if not form.fullmatch(value):
        raise ConfigError(
            f"A job's {field} is {value!r}, which cannot stand in a manifest.",
            where="--render",
            why=f"Shells and YAML read manifests, so it may have only: {rule}.",
            fix=f"Choose another {field}.",
        )


Render = Callable[[JobDescription], str]
"""Makes the text of a manifest; the same description gives the same bytes."""

RENDERINGS: Final[Registry[Render]] = Registry(
    "manifest", package="nas.cluster.rendering", plural="manifests"
)


def render(target: str, job: JobDescription) -> str:
    """Return the manifest of `job` for one kind of cluster.

    Args:
        target: `kuberay`, `slurm` or `ray-cluster`.
        job: What is to run.

    Raises:
        NotFoundError: If there is no such kind of manifest; the message lists them.
    """
    return RENDERINGS.get(target)(job)


def begun(job: JobDescription) -> str:
    """Return the path that is there exactly when the run was begun."""
    return f"{job.runs.rstrip('/')}/{job.name}/trials.log"


def start_command(job: JobDescription, config: str) -> str:
    """Return the command that begins the run.

    Args:
        job: What is to run.
        config: Path of the config on the driver's node, as a shell reads it.
    """
    words = ("--name", job.name, "--runs", job.runs, "--executor", "ray")
    return f"nas search {config} {shlex.join(words)}"


def resume_command(job: JobDescription) -> str:
    """Return the command that goes on with the run, quoted for a shell.

    The machine of the last owner may be gone without a word, and the next one be another: then the
    run is taken over, which waits until nobody renews its lease.
    """
    words = ("--runs", job.runs, "--executor", "ray", "--take-over")
    return f"nas resume {job.name} {shlex.join(words)}"


def refuse_unprintable(job: JobDescription) -> None:
    """Refuse a config whose characters a manifest cannot carry as they are.

    Raises:
        ConfigError: If there are some.
    """
    if _UNPRINTABLE.search(job.config):
        raise ConfigError(
            "The config has characters that cannot be printed.",
            where=f"job '{job.name}'",
            why="YAML and shells would read them as other ones.",
            fix='Write them escaped, as "\\u0085".',
        )


def indented(text: str, spaces: int) -> str:
    """Return lines moved to the right; empty ones stay empty."""
    return "".join(
        (" " * spaces + line if line.strip() else "\n") for line in text.splitlines(True)
    )
