#!/bin/bash
# One rank: bash worker.sh STATE SECONDS COMMAND...
#
# Runs the command and, SECONDS after the start (0: never), asks it with SIGTERM to save and end.
# The exit code 75, "continue me", becomes the file STATE/resume and a success: no launcher then
# kills the other ranks, which may still be writing, and none can lose the code on its way up.
# Other failures become STATE/failed; a rank that SIGTERM ended has not failed by itself.
set -uo pipefail
state=$1
seconds=$2
shift 2

"$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
clock=""
if [ "$seconds" -gt 0 ]; then
    (
        trap 'kill "$nap" 2>/dev/null; exit 0' TERM
        sleep "$seconds" &
        nap=$!
        wait "$nap"
        kill -TERM "$child" 2>/dev/null
    ) >/dev/null 2>&1 &
    clock=$!
fi

code=0
wait "$child" || code=$?
while [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null; do # a trap interrupts wait
    code=0
    wait "$child" || code=$?
done
[ -z "$clock" ] || kill "$clock" 2>/dev/null

case $code in
    0) ;;
    75) touch "$state/resume" && exit 0 ;;
    143) ;;
    *) echo "$code" >"$state/failed" ;;
esac
exit "$code"
