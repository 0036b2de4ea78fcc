"""A RayJob for KubeRay: a Ray cluster in Kubernetes that runs one search and is gone afterwards.

The config lies in a ConfigMap beside it, so the file is all that is applied. The claim for the runs
is only named: were it part of the file, `kubectl delete -f` would delete the runs.

Source: the CRD reference of KubeRay 1.6, `ray.io/v1`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from nas.cluster.rendering.base import (
    RENDERINGS,
    JobDescription,
    begun,
    indented,
    refuse_unprintable,
    resume_command,
    start_command,
)
from nas.errors import ConfigError

MOUNT: Final = "/etc/nas"
LONGEST_NAME: Final = 47
"""Characters of a RayJob's name: its pods add the rest of Kubernetes' 63."""

LARGEST_CONFIG: Final = 1_000_000
"""Bytes of a config that still fit a ConfigMap (1 MiB, with the script beside it)."""

RETRIES: Final = 3
"""New clusters after a lost one; each goes on with the run."""


@RENDERINGS.register("kuberay")
def kuberay(job: JobDescription) -> str:
    """Return a ConfigMap and a RayJob, for `kubectl apply -f`.

    Raises:
        ConfigError: If the config is too large for a ConfigMap or is not printable text.
    """
    refuse_unprintable(job)
    size = len(job.config.encode())
    if size > LARGEST_CONFIG:
        raise ConfigError(
            f"The config has {size} bytes; a ConfigMap holds at most {LARGEST_CONFIG}.",
            where=f"job '{job.name}'",
            fix="Take the largest part out of the config, such as the declaration of the space, "
            "and put it into the image.",
        )
    name = kubernetes_name(job.name)
    return f"""\
# The search '{job.name}' as a RayJob (KubeRay 1.5.1 or newer).
#
#   kubectl apply -f THIS_FILE
#   kubectl get rayjob {name}
#   kubectl delete rayjob {name}     # then apply it again: the run goes on
#
# Before the first time:
#   1. Build an image with nas{_version(job.nas_version)} and ray[default,tune]=={job.ray_version}
#      and write its name below, twice.
#   2. Have a claim 'nas-runs' (accessModes: ReadWriteMany), where runs stay.
#   3. Put data that the config names on that claim or into the image.
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{name}"
data:
  start.sh: |
{indented(_script(job), 4)}  search.yaml: |2
{indented(job.config, 4)}\
---
apiVersion: ray.io/v1
kind: RayJob
metadata:
  name: "{name}"
spec:
  entrypoint: sh {MOUNT}/start.sh
  shutdownAfterJobFinishes: true
  ttlSecondsAfterFinished: 60
  activeDeadlineSeconds: {job.hours * 3600}
  backoffLimit: {RETRIES}  # a lost head or driver: a new cluster goes on with the run
  rayClusterSpec:
    rayVersion: "{job.ray_version}"
    authOptions:
      mode: token  # the operator makes the token; without it anyone in the network runs code
    headGroupSpec:
      rayStartParams:
        num-cpus: "{0 if job.nodes > 1 else job.cpus}"{_head_comment(job)}
      template:
        spec:
{_pod(job, "ray-head")}\
    workerGroupSpecs:
{_workers(job)}"""


def kubernetes_name(name: str) -> str:
    """Return a name that Kubernetes takes, another one for every run."""
    plain = name.replace("_", "-").strip("-")
    if plain == name and len(name) <= LONGEST_NAME and name[0].isalpha():
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"nas-{plain[: LONGEST_NAME - 13].strip('-')}-{digest}"


def _version(version: str) -> str:
    return f"=={version}" if version else ""


def _head_comment(job: JobDescription) -> str:
    return "  # evaluations stay off the driver, which trains and measures" if job.nodes > 1 else ""


def _script(job: JobDescription) -> str:
    return f"""\
set -eu
if [ -e {begun(job)} ]; then
  exec {resume_command(job)}
fi
exec {start_command(job, f"{MOUNT}/search.yaml")}
"""


def _pod(job: JobDescription, container: str) -> str:
    """Return the containers and volumes of a pod: all see the runs, and the data beside them."""
    gpus = f'\n                  nvidia.com/gpu: "{job.gpus}"' if job.gpus else ""
    resources = f'cpu: "{job.cpus}"\n                  memory: {job.memory_gib}Gi{gpus}'
    modules = ""
    if job.modules is not None:
        modules = f"""\
              env:
                - name: PYTHONPATH
                  value: "{job.modules}"
"""
    return f"""\
          containers:
            - name: {container}
              image: "{job.image}"
              resources:
                limits:
                  {resources}
                requests:
                  {resources}
{modules}\
              volumeMounts:
                - name: runs
                  mountPath: "{job.runs}"
                - name: config
                  mountPath: {MOUNT}
          volumes:
            - name: runs
              persistentVolumeClaim:
                claimName: nas-runs
            - name: config
              configMap:
                name: "{kubernetes_name(job.name)}"
"""


def _workers(job: JobDescription) -> str:
    if job.nodes == 1:
        return "      []\n"
    count = job.nodes - 1
    return f"""\
      - groupName: workers
        replicas: {count}
        minReplicas: {count}
        maxReplicas: {count}
        rayStartParams: {{}}
        template:
          spec:
{indented(_pod(job, "ray-worker"), 2)}"""
