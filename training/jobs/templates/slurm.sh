#!/bin/bash
#SBATCH --job-name={{name}}
#SBATCH --nodes={{nodes}}
#SBATCH --ntasks-per-node={{ranks_per_node}}
#SBATCH --time={{time}}
#SBATCH --signal=USR1@{{warning_seconds}}
#SBATCH --output={{state}}/%j.log
{{directives}}
set -euo pipefail
cd {{project}}
state={{state}}
mkdir -p "$state"

# the job before this one in the chain has left its result
case $(cat "$state/result" 2>/dev/null || echo none) in
    finished) echo "the run is finished; nothing to do"; exit 0 ;;
    failed*) echo "the job before has failed; see the logs in $state"; exit 1 ;;
esac
rm -f "$state/resume" "$state/failed"
echo running >"$state/result"

{{modules}}
{{environment}}
export MASTER_ADDR={{master_address}}
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 12000))
{{staging}}
again=()
if [ -e {{checkpoint}} ]; then again=(--resume); fi

# Slurm signals every process of a step; worker.sh makes one SIGTERM of SIGUSR1
code=0
srun --nodes={{nodes}} --ntasks={{ranks}} --ntasks-per-node={{ranks_per_node}} \
    --cpus-per-task={{cores_per_rank}} {{launch_options}} \
    bash {{worker}} "$state" $(({{seconds}} - SECONDS)) together \
    {{python}} -m training pretrain {{config}} ${again[@]+"${again[@]}"} || code=$?

if [ -e "$state/failed" ]; then
    echo "failed $(cat "$state/failed")" >"$state/result"
    exit 1
elif [ -e "$state/resume" ]; then
    echo resume >"$state/result"
    exit 75
elif [ "$code" -eq 0 ]; then
    echo finished >"$state/result"
else
    echo "failed $code" >"$state/result"
    exit "$code"
fi
