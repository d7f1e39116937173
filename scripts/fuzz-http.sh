#!/usr/bin/env bash
# Tests all operations of /openapi.json with schemathesis, with valid and invalid requests:
#
#   scripts/fuzz-http.sh [CASES [PHASES]]     CASES per operation (default 100) in addition to those of the phase
#                                             "coverage" (default coverage,fuzzing): over 2,000 in total
#
# Fails on a 5xx, on a status, content type or body that is not in the document, and on a request that hangs.
# Starts `jumun up` on a free port with a temporary data folder, and stops it.
#
# Environment:
#   JUMUN                   the binary (default target/release/jumun)
#   JUMUN_FUZZ_MAX_SECONDS  timeout of the whole run (default 900)
set -euo pipefail
cd "$(dirname "$0")/.."

cases=${1:-100} phases=${2:-coverage,fuzzing}
jumun=${JUMUN:-target/release/jumun}
schemathesis=${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin/schemathesis
[[ -x $schemathesis ]] || { echo 'fuzz-http: schemathesis is missing: run scripts/tools.sh schemathesis' >&2; exit 1; }
work=$(mktemp -d)
server=
stop() {
    if [[ -n $server ]]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap stop EXIT

JUMUN_LISTEN=127.0.0.1:0 JUMUN_LOG_FORMAT=json JUMUN_DATA_DIR=$work/data "$jumun" up >/dev/null 2>"$work/log" &
server=$!
address=
for _ in $(seq 300); do
    address=$(sed -n '/"message":"ready"/s/.*"address":"\([^"]*\)".*/\1/p' "$work/log" | head -n 1)
    [[ -n $address ]] && break
    kill -0 "$server" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
[[ -n $address ]] || { echo 'fuzz-http: the server is not ready after 30 s' >&2; cat "$work/log" >&2; exit 1; }

# The deadline ends the stream of views, which does not end by itself; no other call takes that long. One worker,
# because Python 3.11 cannot compile in two threads.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
checks+=,unsupported_method,allow_header_conformance
(cd "$work" && PYTHONDONTWRITEBYTECODE=1 timeout "${JUMUN_FUZZ_MAX_SECONDS:-900}" "$schemathesis" run \
    "http://$address/openapi.json" --phases "$phases" --checks "$checks" --max-examples "$cases" --mode all \
    --workers 1 --request-timeout 10 --header 'grpc-timeout: 2S' --suppress-health-check all --warnings off \
    --continue-on-failure --max-failures 20) | tee "$work/report"
kill -0 "$server" 2>/dev/null || { echo 'fuzz-http: the server stopped' >&2; tail -n 20 "$work/log" >&2; exit 1; }
