"""A batch script for Slurm: a Ray cluster inside one allocation, and the search on its first node.

Ray is started as steps of the job, so it ends with the job and nothing else on the nodes is
touched. Two minutes before the limit, and on preemption, Slurm sends SIGTERM to the script; the
search then saves its state and exits with 130, and the script puts itself back into the queue.

Source: `man sbatch` of Slurm 24.05 for directives, `ray start --help` of Ray 2.60.
"""

from __future__ import annotations

from typing import Final

from nas.cluster.rendering.base import (
    RENDERINGS,
    JobDescription,
    begun,
    refuse_unprintable,
    resume_command,
    start_command,
)

GRACE_S: Final = 120
"""Seconds between the signal and the end of the allocation."""

START_S: Final = 120
"""Seconds that the head of the Ray cluster has to start; other nodes may join later."""


@RENDERINGS.register("slurm")
def slurm(job: JobDescription) -> str:
    """Return a script for `sbatch`."""
    refuse_unprintable(job)
    end = _end_mark(job.config)
    modules = f'export PYTHONPATH="{job.modules}"\n' if job.modules is not None else ""
    gpus = f"#SBATCH --gpus-per-node={job.gpus}\n" if job.gpus else ""
    return f"""\
#!/bin/bash
# The search '{job.name}' on Slurm.
#
#   sbatch THIS_FILE          # a second time: the run goes on where it was
#   scancel --signal=TERM --batch JOB     # stop in good order
#
# Before the first time: add your partition and account, and load the environment that has nas
# {job.nas_version or "(the same version on all nodes)"} and ray {job.ray_version} below.
#SBATCH --job-name={job.name}
#SBATCH --nodes={job.nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={job.cpus}
#SBATCH --mem={job.memory_gib}G
{gpus}\
#SBATCH --time={_span(job.hours)}
#SBATCH --exclusive
#SBATCH --signal=B:TERM@{GRACE_S}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={job.name}-%j.log
# (exclusive: latencies are measured alone, and no stranger reaches Ray's ports from these nodes)

# source ENVIRONMENT/bin/activate
{modules}\
set -euo pipefail
umask 077

# A folder that all nodes see and only this user reads, for the token that guards the cluster.
private="$HOME/.nas-slurm-$SLURM_JOB_ID"
mkdir -p "$private"
python3 -c 'import secrets; print(secrets.token_hex(32))' > "$private/token"
cat > "$private/search.yaml" <<'{end}'
{job.config.rstrip(chr(10))}
{end}

export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH="$private/token"
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head="${{nodes[0]}}"
port=$((20000 + SLURM_JOB_ID % 20000))
export RAY_ADDRESS="$head:$port"
local_folder="/tmp/nas-$SLURM_JOB_ID"
node_options=(--num-cpus={job.cpus} --num-gpus={job.gpus} --disable-usage-stats --block)

end_cluster() {{
  kill ${{steps[@]+"${{steps[@]}}"}} 2>/dev/null || true  # of this job only
  wait || true
  rm -rf "$private"
}}
steps=()
trap end_cluster EXIT

srun --nodes=1 --ntasks=1 --nodelist="$head" \\
  ray start --head --port="$port" --temp-dir="$local_folder" --include-dashboard=false \\
  "${{node_options[@]}}" &
steps+=($!)
deadline=$((SECONDS + {START_S}))
until ray health-check --address "$RAY_ADDRESS" > "$private/health.log" 2>&1; do
  if [ "$SECONDS" -ge "$deadline" ]; then
    cat "$private/health.log" >&2
    echo "error: Ray did not start on $head within {START_S} s" >&2
    exit 1
  fi
  sleep 1
done
{_others(job)}\
if [ -e {begun(job)} ]; then
  {resume_command(job)} &
else
  {start_command(job, '"$private/search.yaml"')} &
fi
search=$!

# bash returns from `wait` when a signal comes: pass it on, and wait for the search's own end.
interrupted=
trap 'interrupted=yes; kill -TERM "$search" 2>/dev/null || true' TERM INT
while :; do
  code=0
  wait "$search" || code=$?
  [ -n "$interrupted" ] || break
  interrupted=
done

trap - EXIT
end_cluster
if [ "$code" -eq 130 ]; then
  echo "The state of '{job.name}' is saved; the job goes back into the queue."
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def _end_mark(config: str) -> str:
    """Return a word that is no line of the config, to end it in the script."""
    mark, lines = "END_OF_CONFIG", set(config.splitlines())
    while mark in lines:
        mark += "_"
    return mark


def _span(hours: int) -> str:
    """Return hours as Slurm writes them, `days-hours:minutes:seconds`."""
    return f"{hours // 24}-{hours % 24:02d}:00:00"


def _others(job: JobDescription) -> str:
    if job.nodes == 1:
        return ""
    count = job.nodes - 1
    return f"""\
srun --nodes={count} --ntasks={count} --exclude="$head" \\
  ray start --address="$RAY_ADDRESS" "${{node_options[@]}}" &
steps+=($!)
"""
