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
    finished) echo "the campaign is finished; nothing to do"; exit 0 ;;
    failed*) echo "the job before has failed; see the logs in $state"; exit 1 ;;
esac
echo running >"$state/result"

{{modules}}
{{environment}}
export MASTER_PORT=$((20000 + ${PBS_JOBID%%[!0-9]*} % 12000))
{{staging}}
# the search runs here, on the first node; each trial is a step on nodes of its own
sort -u "$PBS_NODEFILE" >"$state/nodes"
command=(run {{config}})
if [ -e {{campaign}} ]; then command=(resume {{output}}); fi
code=0
timeout --preserve-status --signal=TERM $(({{seconds}} - SECONDS)) \
    {{python}} -m training hpo "${command[@]}" --nodes-file "$state/nodes" || code=$?

case $code in
    0) echo finished >"$state/result" ;;
    75) echo resume >"$state/result" ;;
    *) echo "failed $code" >"$state/result" ;;
esac
exit "$code"
