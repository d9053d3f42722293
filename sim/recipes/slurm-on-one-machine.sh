#!/usr/bin/env bash
# Starts Slurm on this machine alone, to try slurm.sh: munge, a controller and one node, all on loopback.
# Needs root and Debian's packages slurm-wlm and munge. Everything is kept in one folder.
#
#   sim/recipes/slurm-on-one-machine.sh start [DIR]   then: export SLURM_CONF=DIR/slurm.conf
#   sim/recipes/slurm-on-one-machine.sh stop [DIR]
set -euo pipefail

action=${1:?start or stop}
dir=${2:-/tmp/slurm-on-one-machine}
host=$(hostname -s)

start() {
    mkdir -p "$dir"/{state,spool,log}
    cat >"$dir/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
# No cgroups: they are rarely ours to use in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$dir/slurm.conf
    if [[ ! -e $dir/munge.key ]]; then
        (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    fi
    # --force: munge would rather have its files in folders of its own user.
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed" 2>/dev/null
    slurmctld
    slurmd
    local waited=0
    until [[ $(sinfo --noheader --format=%T 2>/dev/null) == idle ]]; do
        if ((++waited > 60)); then
            tail -n 5 "$dir"/log/*.log >&2
            exit 1
        fi
        sleep 1
    done
    sinfo
    printf 'export SLURM_CONF=%s\n' "$SLURM_CONF"
}

stop() {
    local pid
    for pid in "$dir"/{slurmd,slurmctld,munged}.pid; do
        if [[ -s $pid ]]; then
            kill "$(<"$pid")" || true
        fi
    done
}

"$action"
