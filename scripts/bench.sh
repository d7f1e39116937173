#!/usr/bin/env bash
# Measures CreateOrder (three durable commits before the answer) beside an empty method on the same connections, and
# waits until what was accepted has been carried on. The client is on the same machine. Prints one table:
#
#   scripts/bench.sh sqlite                                         order and payment; 1, 16, 64 and 256 callers
#   scripts/bench.sh whole                                          `jumun up`: the whole life of an order; 256 callers
#   scripts/servers.sh --only postgres scripts/bench.sh postgres    order and payment; 1, 16, 64 and 256 callers
#   scripts/servers.sh --only postgres scripts/bench.sh             sqlite, postgres, whole
#   scripts/servers.sh --only postgres,nats scripts/bench.sh split  the whole life in six processes; 256 callers
#
# Starts the processes on free ports with a temporary data folder and new databases, and stops them. The exit code is 1
# if a measurement has too many errors or does not settle.
#
# Environment:
#   JUMUN                    the program that serves (default target/dist/jumun)
#   JUMUN_BENCH              the program that measures (default JUMUN); for comparing two versions with one measure
#   JUMUN_BENCH_SECONDS      duration of each measurement (default 4)
#   JUMUN_TEST_POSTGRES_URL, JUMUN_TEST_NATS_URL, JUMUN_TEST_TOOLS
#                            set by scripts/servers.sh
set -euo pipefail
cd "$(dirname "$0")/.."

jumun=${JUMUN:-target/dist/jumun}
bench=${JUMUN_BENCH:-$jumun}
work=$(mktemp -d)
status=0
servers=()
fail() { echo "bench: $*" >&2; exit 1; }
stop() {
    ((${#servers[@]})) || return 0
    kill -TERM "${servers[@]}" 2>/dev/null || true
    wait "${servers[@]}" 2>/dev/null || true
    servers=()
}
trap 'stop; rm -rf "$work"' EXIT

start() { # ARG...: starts `jumun ARG...`; sets address
    local log=$work/${#servers[@]}.log
    JUMUN_LISTEN=127.0.0.1:0 JUMUN_LOG_FORMAT=json "$jumun" "$@" 2>"$log" >/dev/null &
    servers+=($!)
    for _ in $(seq 300); do
        address=$(sed -n 's/.*"message":"ready".*"address":"\([^"]*\)".*/\1/p; s/.*"address":"\([^"]*\)".*"message":"ready".*/\1/p' "$log" | head -n 1)
        [[ -z $address ]] || { address=http://$address; return; }
        kill -0 "${servers[-1]}" 2>/dev/null || { cat "$log" >&2; fail "jumun $* ended"; }
        sleep 0.1
    done
    cat "$log" >&2
    fail "jumun $* is not ready after 30 s"
}

new_database() { # NAME: a new PostgreSQL database; sets database
    : "${JUMUN_TEST_POSTGRES_URL:?not set: run with scripts/servers.sh --only postgres}"
    "${JUMUN_TEST_TOOLS:?not set: run with scripts/servers.sh}/psql" -Xqc "CREATE DATABASE bench_$1_$$" "$JUMUN_TEST_POSTGRES_URL"
    database=${JUMUN_TEST_POSTGRES_URL%/postgres}/bench_$1_$$
}

columns='%-9s %8s %9s %9s %8s %8s %8s %10s %9s %8s %7s %8s %9s\n'
has_head=
print_head() {
    [[ -z $has_head ]] || return 0
    has_head=yes
    # shellcheck disable=SC2059 # the format is a constant
    printf "$columns" setup callers echo/s orders/s 'to echo' 'p50 ms' 'p99 ms' carried/s 'settled s' 'mem MiB' 'CPU µs' refused errors
}

measure() { # SETUP CALLERS [ARG...]: one line of the table
    local setup=$1 callers=$2 pid
    shift 2
    local arguments=(--callers "$callers" --seconds "${JUMUN_BENCH_SECONDS:-4}" --warm-up-seconds 1 --until-settled)
    ((callers >= 4)) || arguments+=(--connections 1)
    for pid in "${servers[@]}"; do arguments+=(--pid "$pid"); done
    if ! "$bench" bench "${arguments[@]}" "$@" >"$work/result" 2>"$work/progress"; then
        status=1
        echo "bench: $setup, $callers callers: $(tail -n 1 "$work/progress")" >&2
    fi
    print_head
    awk -v setup="$setup" -v callers="$callers" -v columns="$columns" '
        function after(word,   index_) { for (index_ = 1; index_ < NF; index_++) if ($index_ == word) return $(index_ + 1); return "-" }
        BEGIN { rate = ratio = p50 = p99 = carried = settled = memory = cpu = refused = errors = "-" }
        $1 == "echo" { echo += $2; echoes++ }
        $1 == "create-order" { rate = $2; ratio = $3; p50 = $4; p99 = $6; refused = $9; errors = $10 }
        $1 == "create-order:" && / carried on / { carried = after("on"); settled = after("settled") }
        $1 == "create-order:" && / of memory / { memory = $2; cpu = after("most,") }
        END {
            printf columns, setup, callers, echoes ? sprintf("%.0f", echo / echoes) : "-", rate, ratio, p50, p99, carried, settled, memory, cpu, refused, errors
        }' "$work/result"
}

run() { # KIND: starts the processes, measures and stops them
    local callers database=sqlite://$work/$1/
    case $1 in
        sqlite | postgres)
            [[ $1 == sqlite ]] || new_database "$1"
            JUMUN_DATABASE_URL=$database start serve order payment
            for callers in 1 16 64 256; do measure "$1" "$callers" --addr "$address"; done
            ;;
        whole)
            JUMUN_DATABASE_URL=$database start up
            measure whole 256 --addr "$address"
            ;;
        split)
            local -x JUMUN_NATS_URL=${JUMUN_TEST_NATS_URL:?not set: run with scripts/servers.sh --only postgres,nats}
            local -x JUMUN_NATS_PREFIX=bench$$ JUMUN_DATABASE_URL JUMUN_PAYMENT_ADDR JUMUN_KITCHEN_ADDR
            new_database split
            JUMUN_DATABASE_URL=$database
            start serve payment && JUMUN_PAYMENT_ADDR=$address
            start serve kitchen warehouse customer notification enrollment education && JUMUN_KITCHEN_ADDR=$address
            local processes=(--metrics-addr "$JUMUN_PAYMENT_ADDR" --metrics-addr "$JUMUN_KITCHEN_ADDR") context
            for context in store delivery dashboard order; do
                start serve "$context"
                processes+=(--metrics-addr "$address")
            done
            measure split 256 --addr "$address" "${processes[@]}"
            ;;
    esac
    stop
}

(($#)) || set -- sqlite postgres whole
for kind in "$@"; do
    [[ $kind =~ ^(sqlite|postgres|whole|split)$ ]] || { echo "bench: unknown: $kind: use sqlite, postgres, whole or split" >&2; exit 2; }
done
for kind in "$@"; do run "$kind"; done
exit "$status"
