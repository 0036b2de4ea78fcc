"""`nas submit --render`: print a manifest for a cluster in place of sending a job."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.output import print_text, talk

if TYPE_CHECKING:
    from nas.cluster.submitting import Submission

RenderOption = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="Print a manifest instead: kuberay, slurm or ray-cluster."),
]
NodesOption = Annotated[int, typer.Option(metavar="N", help="Of a manifest: nodes in all.")]
CpusOption = Annotated[int, typer.Option(metavar="N", help="Of a manifest: cores of a node.")]
MemoryOption = Annotated[int, typer.Option(metavar="N", help="Of a manifest: GiB of a node.")]
HoursOption = Annotated[int, typer.Option(metavar="N", help="Of a manifest: limit in hours.")]
ImageOption = Annotated[
    str | None, typer.Option(metavar="IMAGE", help="Of a manifest: container image with nas.")
]
ModulesOption = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Of a manifest: where plugins are on the cluster."),
]


def print_manifest(kind: str, wanted: Submission, modules: str | None, **sizes: Any) -> None:
    """Print the manifest of a search.

    Args:
        kind: Of cluster.
        wanted: The search.
        modules: Folder on the cluster with the config's plugins.
        sizes: Further fields of `JobDescription`; None takes its own.

    Raises:
        NotFoundError: If there is no such kind.
        ConfigError: If the search needs files that are only here, or something cannot stand there.
    """
    import importlib.metadata

    import nas
    from nas.cluster.rendering import JobDescription, render
    from nas.run_store.layout import config_text

    _refuse_files_here(wanted, modules)
    given = {key: value for key, value in sizes.items() if value is not None}
    with suppress(importlib.metadata.PackageNotFoundError):  # a manifest needs no Ray here
        given["ray_version"] = importlib.metadata.version("ray")
    if wanted.remote_runs is not None:
        given["runs"] = wanted.remote_runs
    job = JobDescription(
        name=wanted.name,
        config=config_text(wanted.config.to_dict()),
        gpus=int(wanted.gpus),
        modules=modules,
        nas_version=nas.__version__,
        **given,
    )
    print_text(render(kind, job).rstrip("\n"))
    if kind == "ray-cluster":
        talk("it starts a cluster; its first lines say how, and how to submit a search then")
    else:
        talk(f"the run will be {job.runs}/{job.name}; submit the manifest again to go on with it")


def _refuse_files_here(wanted: Submission, modules: str | None) -> None:
    """Refuse a search that needs what a manifest cannot carry."""
    from nas.errors import ConfigError
    from nas.training.data.load import KNOWN_SETS

    config = wanted.config
    if wanted.with_data and config.data not in KNOWN_SETS:
        raise ConfigError(
            f"The data '{config.data}' are here, and a manifest carries no files.",
            where="--data",
            fix="Put them on a disk that the cluster sees: --remote-data PATH",
        )
    if config.plugins and modules is None:
        raise ConfigError(
            f"The plugins {', '.join(config.plugins)} are here, and a manifest carries no files.",
            where="plugins",
            fix="Put their folder on a disk that the cluster sees: --remote-modules DIR",
        )
