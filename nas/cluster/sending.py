"""Handing a package to a job server, through Ray's own client."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from nas.cluster.begin import ORDER
from nas.cluster.http import Endpoint
from nas.cluster.jobs import SENT_BY, entrypoint
from nas.cluster.order import Order
from nas.cluster.package import Package
from nas.errors import ClusterError, EnvironmentFault
from nas.sent_files import VARIABLE

_STOP_PATIENCE_S: Final = 60
"""Between SIGTERM and SIGKILL, when a job is stopped."""

_TALKATIVE: Final = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk")


def send(
    endpoint: Endpoint, package: Package, order: Order, *, gpus: float = 0, node: str | None = None
) -> str:
    """Send a job and return its id.

    Args:
        endpoint: Where to.
        package: What goes along.
        order: What is to be done.
        gpus: GPUs of the job's own process, which trains the supernet.
        node: Node that it must run on; None leaves it to Ray: the head, unless it needs GPUs.

    Raises:
        ConfigError: If the package is too large. Nothing was sent then.
        ClusterError: If the cluster does not take it.
    """
    packed = package.with_text(ORDER, order.to_json()).with_text(
        "begin.py", files("nas.cluster").joinpath("begin.py").read_text(encoding="utf-8")
    )
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    key = f"nas-{order.verb}-{order.name}-{moment}-{secrets.token_hex(2)}"
    with tempfile.TemporaryDirectory(prefix="nas-package-") as folder:
        archive = Path(folder) / "package.zip"
        packed.write(archive)
        with _errors_told(endpoint):
            client = job_client(endpoint)
            client.submit_job(
                entrypoint=entrypoint(order.verb, order.name),
                submission_id=key,
                runtime_env={
                    "working_dir": str(archive),
                    "env_vars": {
                        VARIABLE: package.places_json(),
                        "PYTHONUNBUFFERED": "1",
                        "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_PATIENCE_S),
                    },
                },
                metadata={
                    SENT_BY: order.nas,
                    "nas_run": order.name,
                    "nas_verb": order.verb,
                    "nas_runs": order.runs or "",
                    "nas_pinned": "yes" if gpus or node is not None else "",
                },
                entrypoint_num_gpus=gpus or None,
                entrypoint_label_selector=None if node is None else {"ray.io/node-id": node},
            )
    return key


def job_client(endpoint: Endpoint) -> Any:
    """Return Ray's client of a job server, with the token.

    Raises:
        EnvironmentFault: If Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise EnvironmentFault(
            "Submitting needs Ray, which is not installed.",
            why=str(error),
            fix="Install it with: pip install 'nas[ray]'",
        ) from error
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    return JobSubmissionClient(endpoint.address, headers=endpoint.headers())


@contextmanager
def _errors_told(endpoint: Endpoint) -> Iterator[None]:
    """Turn what Ray's client raises into an error that says what to do."""
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(
            f"The cluster at {endpoint.address} did not take the job.",
            where=endpoint.address,
            why=lines[-1],
            fix="Look at the reason; submitting again changes nothing that was done already.",
        ) from error
