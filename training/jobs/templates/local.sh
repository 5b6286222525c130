#!/bin/bash
# {{name}}: {{ranks}} processes of torchrun on this machine, up to {{chain}} times in a row
set -uo pipefail
set -m # Ctrl-C reaches this shell alone, which passes one SIGTERM on
cd {{project}}
state={{state}}
mkdir -p "$state"

{{modules}}
{{environment}}
{{staging}}
launcher=""
stopped=""
stop() {
    [ -n "$stopped" ] || [ -z "$launcher" ] || kill -TERM "$launcher" 2>/dev/null
    stopped=yes
}
trap stop TERM INT

code=75
for link in $(seq {{chain}}); do
    rm -f "$state/resume" "$state/failed"
    echo running >"$state/result"
    again=()
    if [ -e {{checkpoint}} ]; then again=(--resume); fi
    {{python}} -m torch.distributed.run --standalone --nproc-per-node {{ranks}} --no-python \
        bash {{worker}} "$state" {{seconds}} alone \
        {{python}} -m training pretrain {{config}} ${again[@]+"${again[@]}"} &
    launcher=$!
    code=0
    wait "$launcher" || code=$?
    while [ "$code" -gt 128 ] && kill -0 "$launcher" 2>/dev/null; do # a trap interrupts wait
        code=0
        wait "$launcher" || code=$?
    done
    if [ -e "$state/failed" ]; then
        code=$(cat "$state/failed")
        echo "failed $code" >"$state/result"
        break
    elif [ -e "$state/resume" ]; then
        echo resume >"$state/result"
        code=75
    elif [ "$code" -eq 0 ]; then
        echo finished >"$state/result"
        break
    else
        echo "failed $code" >"$state/result"
        break
    fi
    [ -z "$stopped" ] || break
done
exit "$code"
