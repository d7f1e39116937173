#!/usr/bin/env bash
# Measures CreateOrder (three durable commits) compared with an empty method, with the client on the same machine:
#
#   scripts/bench.sh sqlite
#   scripts/servers.sh --only postgres scripts/bench.sh postgres
#
# Starts `jumun serve order payment` on a free port with a temporary data folder, and stops it.
#
# Environment:
#   JUMUN                    the program (default target/dist/jumun)
#   JUMUN_BENCH_SECONDS      duration of each measurement (default 10)
#   JUMUN_TEST_POSTGRES_URL  set by scripts/servers.sh
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?usage: scripts/bench.sh sqlite|postgres}
jumun=${JUMUN:-target/dist/jumun}
work=$(mktemp -d)
server=
stop() {
    if [[ -n $server ]]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap stop EXIT

case $kind in
    sqlite) database=sqlite://$work/data/ ;;
    postgres) database=${JUMUN_TEST_POSTGRES_URL:?not set: run with scripts/servers.sh --only postgres} ;;
    *) echo "bench: unknown database $kind: use sqlite or postgres" >&2; exit 2 ;;
esac

JUMUN_LISTEN=127.0.0.1:0 JUMUN_LOG_FORMAT=json JUMUN_DATABASE_URL=$database \
    "$jumun" serve order payment 2>"$work/log" &
server=$!
for _ in $(seq 100); do
    address=$(sed -n 's/.*"message":"ready".*"address":"\([^"]*\)".*/\1/p; s/.*"address":"\([^"]*\)".*"message":"ready".*/\1/p' "$work/log" | head -n 1)
    [[ -n $address ]] && break
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
[[ -n $address ]] || { echo "bench: the server is not ready after 10 s" >&2; cat "$work/log" >&2; exit 1; }

echo "$kind, 256 callers:"
"$jumun" bench --addr "http://$address" --seconds "${JUMUN_BENCH_SECONDS:-10}"
