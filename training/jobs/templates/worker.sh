#!/bin/bash
# One rank: bash worker.sh STATE SECONDS alone|together COMMAND...
#
# Runs the command and, SECONDS after the start (0: never) or on SIGUSR1, asks it with SIGTERM to
# save and end. It asks once: a second signal would end the command before it has saved. So SIGTERM
# is passed on where the launcher signals this shell alone, and not where it reaches all processes.
#
# The exit code 75, "continue me", becomes the file STATE/resume and a success: no launcher then
# kills the other ranks, which may still be writing, and none can lose the code on its way up.
# Other failures become STATE/failed; a rank that SIGTERM ended has not failed by itself.
set -uo pipefail
set -m # the command gets a process group of its own, which Ctrl-C does not reach
state=$1
seconds=$2
reach=$3
shift 3

child=""
asked=""
ask() {
    if [ -z "$asked" ] && [ -n "$child" ]; then
        asked=yes
        kill -TERM "$child" 2>/dev/null
    fi
}
trap ask USR1
if [ "$reach" = alone ]; then trap ask TERM INT; else trap : TERM INT; fi

( # USR1 may reach all processes; only this shell listens to it
    trap '' USR1
    exec "$@"
) &
child=$!
clock=""
if [ "$seconds" -gt 0 ]; then
    (
        trap 'kill "$nap" 2>/dev/null; exit 0' TERM
        trap '' USR1
        sleep "$seconds" &
        nap=$!
        wait "$nap"
        kill -USR1 $$ 2>/dev/null
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
