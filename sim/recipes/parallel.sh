#!/usr/bin/env bash
# A sweep with GNU parallel: each job makes a part of it, then all are joined. On one machine `sim sweep` alone
# uses all cores; this is for several, which --sshlogin names (sim and this folder must be on each of them).
#
#   sim/recipes/parallel.sh 8 --count 100000                    eight parts, as many at a time as cores
#   PARALLEL='--sshlogin a,b' sim/recipes/parallel.sh 8 --count 100000
#
# What comes after the number of parts is handed on to `sim sweep`. Run again, it goes on where it stopped.
set -euo pipefail

parts=${1:?the number of parts}
shift
sim=${SIM:-target/release/sim}
folder=${SWEEP:-sweep}
mkdir -p "$folder"

# Exit codes of the parts are those of their runs: what counts is the merge, which refuses parts that are
# missing or not complete.
seq "$parts" | parallel --quote --workdir "$PWD" --line-buffer --tagstring 'part {}' \
    "$sim" sweep --shard "{}/$parts" --jobs 1 --resume --jsonl "$folder/part-{}.jsonl" "$@" >/dev/null || true

files=()
for ((part = 1; part <= parts; part++)); do
    files+=("$folder/part-$part.jsonl")
done
"$sim" merge "${files[@]}"
