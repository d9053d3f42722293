#!/usr/bin/env bash
# A sweep as a Slurm array: each task makes a part of it, and the last job joins them.
#
#   sbatch --parsable --array=1-4 sim/recipes/slurm.sh --count 100000
#   sbatch --dependency=afterany:JOB --wrap 'sim merge sweep/part-*.jsonl --require-marks'
#
# Arguments are handed on to `sim sweep`. Which part a task makes, sim takes from the array: any range does.
# A task that is requeued or submitted again goes on where it stopped, as long as the array is the same.
#SBATCH --job-name=sweep
#SBATCH --cpus-per-task=1
#SBATCH --output=slurm-%A_%a.out
#SBATCH --requeue
set -euo pipefail

: "${SLURM_ARRAY_TASK_ID:?submit this with sbatch --array}"
sim=${SIM:-target/release/sim}
folder=${SWEEP:-sweep}
mkdir -p "$folder"

status=0
srun "$sim" sweep --jobs "${SLURM_CPUS_PER_TASK:-1}" --resume \
    --jsonl "$folder/part-$SLURM_ARRAY_TASK_ID.jsonl" "$@" || status=$?
# A finding (1) is a result like any other, and so is a check that gave up (3): the merge tells both.
case $status in
    0 | 1 | 3) ;;
    *) exit "$status" ;;
esac
