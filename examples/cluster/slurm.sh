#!/bin/bash
# A recipe on whole machines of a Slurm cluster:
#
#   sbatch --nodes 2 examples/cluster/slurm.sh recipes/codellama-7b.toml --out /shared/runs/codellama-7b
#
# Two minutes before the end of its time, and at a preemption, the job saves its state and goes back into the queue.
#SBATCH --job-name=chaku
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=chaku-%j.log
set -euo pipefail

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
# One torchrun on each machine. A rank that fails ends all machines' ranks. A stop has 100 seconds to save.
srun --ntasks-per-node=1 --kill-on-bad-exit=1 \
  torchrun --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-8}" \
  --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:${MASTER_PORT:-29500}" \
  --shutdown-timeout 100 -m chaku run "$@" &
step=$!

stopped=0
trap 'stopped=1; kill -TERM "$step"' TERM
status=0
wait "$step" || status=$?
if ((stopped)); then
  wait "$step" || true # the first wait ended when the signal came
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit "$status"
