#!/bin/bash -l
#PBS -N {{name}}
#PBS -l select={{nodes}}
#PBS -l walltime={{time}}
#PBS -j oe
#PBS -o {{state}}/
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
export MASTER_PORT=$((20000 + ${PBS_JOBID%%[!0-9]*} % 12000))
export ATOMFM_WORLD_SIZE={{ranks}} # PALS with PMIx does not tell a rank how many there are
{{staging}}
again=()
if [ -e {{checkpoint}} ]; then again=(--resume); fi

# PBS gives no signal ahead of the limit; worker.sh sends it {{warning_seconds}} s before
code=0
mpiexec -n {{ranks}} --ppn {{ranks_per_node}} --envall {{launch_options}} \
    bash {{worker}} "$state" $(({{seconds}} - SECONDS)) alone \
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
