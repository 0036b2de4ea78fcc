"""Ray clusters of several nodes on this machine, for tests: real raylets, ended one by one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray.cluster_utils import Cluster

STORE = 100_000_000
PLAIN = {
    "num_cpus": 1,
    "object_store_memory": STORE,
    # Processes that each take seconds to start, and that nothing here asks.
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# A node that does not answer is given up after two seconds, not half a minute.
IMPATIENT = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}


@dataclass
class Nodes:
    """A cluster and what tests do to it."""

    cluster: Any

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, **options: Any) -> Any:
        """Start a node with one CPU, unless told otherwise."""
        return self.cluster.add_node(**{**PLAIN, **options})

    def key(self, node: Any) -> str:
        """Return the id of a node."""
        return str(node.node_id)

    def is_given_up(self, node: Any) -> bool:
        """Tell whether the head takes a node for dead."""
        table = self.cluster.global_state.node_table()
        return not any(each["Alive"] for each in table if each["NodeID"] == self.key(node))

    def remove(self, node: Any) -> None:
        """Kill a node, without a word of farewell."""
        self.cluster.remove_node(node, allow_graceful=False)

    def remove_all_workers(self) -> None:
        for node in list(self.cluster.worker_nodes):
            self.remove(node)

    def kill_head(self) -> None:
        """Kill the head's node: what keeps the cluster together, and what works there."""
        for name in ("raylet", "gcs_server"):
            os.kill(process_id(self.cluster.head_node, name), signal.SIGKILL)


@contextmanager
def ray_cluster(**head: Any) -> Iterator[Nodes]:
    """Start a head with one CPU, unless told otherwise; end everything at the end."""
    options = {
        **PLAIN,
        "_system_config": IMPATIENT,
        **head,
    }
    cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        yield Nodes(cluster)
    finally:
        cluster.shutdown()


def process_id(node: Any, name: str) -> int:
    """Return the process of a service of a node."""
    return int(node.all_processes[name][0].process.pid)


def workers_of(node: Any) -> list[int]:
    """Return the processes of a node's actors that are not part of Ray itself."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process_id(node, "raylet"))],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    rows = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [int(row[0]) for row in rows if row[1].startswith("ray::Evaluator")]
