"""A cluster file for `ray up`: machines one has, joined over SSH, to which `nas submit` sends runs.

The search is not in it, since the cluster outlives a run. None of its commands is `ray stop`, which
would end every Ray that the user has on those machines. nas comes to them as a wheel that the user
has built, never by its name from a package index, where that name may be anybody's.

Source: `ray-schema.json` of Ray 2.60.
"""

from __future__ import annotations

from typing import Final

from nas.cluster.rendering.base import RENDERINGS, JobDescription

TOKEN: Final = "~/.ray/auth_token"  # noqa: S105 - the place where Ray looks for it, no secret

PORTS: Final = "--port=6379 --dashboard-host=127.0.0.1 --dashboard-port=8265"


@RENDERINGS.register("ray-cluster")
def ray_cluster(job: JobDescription) -> str:
    """Return a cluster file for `ray up`."""
    workers = ", ".join(f"WORKER_{number}" for number in range(1, job.nodes))
    wheel = f"~/nas-{job.nas_version or 'VERSION'}-py3-none-any.whl"
    modules = "" if job.modules is None else f"PYTHONPATH={job.modules} "
    environment = f"RAY_AUTH_MODE=token {modules}"
    each = f"--num-cpus={job.cpus} --num-gpus={job.gpus}"
    return f"""\
# A Ray cluster on machines of your own, for searches such as '{job.name}'.
#
#   pip wheel --no-deps -w dist .       # once, in the checkout of nas: makes the WHEEL below
#   ray get-auth-token --generate       # once: a token in {TOKEN}
#   export RAY_AUTH_MODE=token
#   ray up THIS_FILE
#   ray dashboard THIS_FILE             # in a terminal of its own: brings port 8265 here
#   nas submit CONFIG --address http://127.0.0.1:8265 --follow
#   ray down THIS_FILE                  # ends every Ray of this user on these machines
#
# Whoever has the token runs code as this user, so nothing here listens without it, and the
# dashboard answers on the head's own loopback only. Ports between the machines are not encrypted:
# keep them inside a network you trust.
cluster_name: "{job.name}"
provider:
  type: local  # machines that are there; for a cloud see Ray's documentation of this key
  head_ip: HEAD
  worker_ips: [{workers}]
auth:
  ssh_user: USER
file_mounts:
  {TOKEN}: {TOKEN}
  {wheel}: WHEEL
# On every machine, into an environment of the same Python as here ({job.memory_gib} GiB each).
setup_commands:
  - chmod 600 {TOKEN}
  - python3 -m venv ~/nas
  - >-
    ~/nas/bin/pip install --only-binary=:all: {wheel} "ray[default,tune]=={job.ray_version}"
head_start_ray_commands:
  - >-
    {environment}~/nas/bin/ray start --head {PORTS}
    --autoscaling-config=~/ray_bootstrap_config.yaml {each}
worker_start_ray_commands:
  - >-
    {environment}~/nas/bin/ray start --address=$RAY_HEAD_IP:6379 {each}
"""
