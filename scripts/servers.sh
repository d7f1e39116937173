#!/usr/bin/env bash
# shellcheck disable=SC2317 # functions are called by computed names
#
# Runs a command with servers on free ports of 127.0.0.1 and a temporary folder. Stops the servers and removes the
# folder when the command ends or the script is interrupted:
#
#   scripts/servers.sh [--only postgres,nats,jaeger] COMMAND [ARG...]
#
# The exit code is that of the command. Several instances can run at once. The programs come from scripts/tools.sh;
# Jaeger is skipped if it is not installed, unless --only names it. If started as root, PostgreSQL runs as the user
# postgres or, if there is none, nobody.
#
# With JUMUN_SERVERS_FSYNC=off the servers do not sync to disk; this is enough to survive killed processes, not crashed
# machines.
# Reads JUMUN_TOOLS_DIR (see tools.sh) and TMPDIR, and sets for the command:
#   JUMUN_TEST_TOOLS         folder with the programs
#   JUMUN_TEST_POSTGRES_URL  postgres://USER:PASSWORD@127.0.0.1:PORT/postgres, a superuser
#   JUMUN_TEST_NATS_URL      nats://127.0.0.1:PORT, with JetStream that syncs every message to disk
#   JUMUN_TEST_NATS_MONITOR  http://127.0.0.1:PORT, with /healthz, /jsz and so on
#   JUMUN_TEST_JAEGER_OTLP   http://127.0.0.1:PORT, OTLP over gRPC
#   JUMUN_TEST_JAEGER_QUERY  http://127.0.0.1:PORT, query API
set -euo pipefail

say() { echo "servers.sh: $*" >&2; }
fail() { say "$*"; exit 1; }
usage() { fail 'usage: scripts/servers.sh [--only postgres,nats,jaeger] COMMAND [ARG...]'; }

export JUMUN_TEST_TOOLS=${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin
[[ $JUMUN_TEST_TOOLS == /* ]] || JUMUN_TEST_TOOLS=$PWD/$JUMUN_TEST_TOOLS
chosen=postgres,nats,jaeger
case ${1:-} in
  --only) (($# > 2)) || usage; chosen=$2; shift 2 ;;
  -*) usage ;;
  *) [[ -x $JUMUN_TEST_TOOLS/jaeger ]] || { chosen=postgres,nats && say 'Jaeger is not installed; continuing without it'; } ;;
esac
(($# > 0)) || usage
for name in ${chosen//,/ }; do
  [[ $name =~ ^(postgres|nats|jaeger)$ ]] || fail "no such server: $name"
  [[ -x $JUMUN_TEST_TOOLS/${name/nats/nats-server} ]] || fail "$name is not installed: run scripts/tools.sh"
done
# Variables of the caller must not point the command to other servers.
unset JUMUN_TEST_{POSTGRES_URL,NATS_URL,NATS_MONITOR,JAEGER_OTLP,JAEGER_QUERY}

# --- stopping -----------------------------------------------------------------------------------------

folder='' servers=() command=''
alive() { kill -0 "$1" 2>/dev/null; }
ends() { # PID: within five seconds?
  local i
  for ((i = 0; i < 50; i++)); do
    alive "$1" || return 0
    sleep 0.1
  done
  return 1
}
family() { # PID: it and its descendants
  local child
  echo "$1"
  cat "/proc/$1/task/"*/children 2>/dev/null | tr ' ' '\n' | while read -r child; do family "$child"; done
}
cleanup() {
  trap '' INT TERM HUP
  local pid
  for pid in "${servers[@]}"; do kill -QUIT "$pid" 2>/dev/null || true; done # PostgreSQL's "at once"
  for pid in "${servers[@]}"; do ends "$pid" || kill -KILL "$pid" || true; done
  [[ -z $folder ]] || rm -rf "$folder"
}
interrupted() { # SIGNAL EXIT-CODE
  trap '' INT TERM HUP
  local pids
  if [[ -n $command ]] && { [[ $1 != INT ]] || ! ends "$command"; }; then # Ctrl-C reached the command too
    mapfile -t pids < <(family "$command")
    kill -TERM "${pids[@]}" 2>/dev/null || true
    ends "$command" || kill -KILL "${pids[@]}" 2>/dev/null || true
  fi
  exit "$2"
}
trap cleanup EXIT
trap 'interrupted INT 130' INT
trap 'interrupted TERM 143' TERM
trap 'interrupted HUP 129' HUP

# --- starting -----------------------------------------------------------------------------------------

launch() { # NAME COMMAND...: in the background, not reached by Ctrl-C, killed by the kernel if this script is killed
  log=$folder/$1.log
  shift
  setsid env --chdir="$folder" --default-signal=INT,QUIT setpriv --pdeathsig QUIT "$@" >"$log" 2>&1 </dev/null &
  launched=$!
  servers+=("$launched")
}
await() { # COMMAND...: until it succeeds; 1 if the last launched server ended or after 30 s
  local i
  for ((i = 0; i < 300; i++)); do
    ! "$@" >/dev/null 2>&1 || return 0
    alive "$launched" || return 1
    sleep 0.1
  done
  return 1
}
no_start() { fail "$1 did not start; the end of its log:"$'\n'"$(tail -n 20 "$log")"; }
http_ok() { # ADDRESS PATH
  (exec 3<>"/dev/tcp/${1/://}" && printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3 && head -n 1 <&3 | grep ' 200 ')
}

start_postgres() {
  local own=$folder/postgres programs password port tries
  programs=$(dirname "$(readlink -f "$JUMUN_TEST_TOOLS/postgres")")
  if ! setpriv "${as_user[@]}" test -x "$programs/postgres"; then # unpacked in root's home: copy it from there
    cp -a "${programs%/bin}" "$folder/programs"
    programs=$folder/programs/bin
  fi
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  mkdir -m 700 "$own"
  echo "$password" >"$own/password"
  [[ -z $user ]] || chown -R "$user" "$own"
  env --chdir="$own" setpriv "${as_user[@]}" "$programs/initdb" --pgdata="$own/data" --username=jumun --no-sync \
    --auth=scram-sha-256 --pwfile="$own/password" --encoding=UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
    fail "initdb failed: $(tail -n 20 "$folder/initdb.log")"
  for ((tries = 0; tries < 20; tries++)); do # it cannot choose a port: try ports below the ephemeral range
    port=$((15000 + RANDOM % 17000))
    export JUMUN_TEST_POSTGRES_URL=postgres://jumun:$password@127.0.0.1:$port/postgres
    launch postgres "${as_user[@]}" "$programs/postgres" -D "$own/data" -c listen_addresses=127.0.0.1 -c port="$port" \
      -c unix_socket_directories="$own" -c max_connections=300 -c fsync="${JUMUN_SERVERS_FSYNC:-on}" -c synchronous_commit=on
    if await "$JUMUN_TEST_TOOLS/psql" -XAtc 'select 1' "$JUMUN_TEST_POSTGRES_URL?connect_timeout=2"; then return; fi
    grep -q 'Address already in use' "$log" || break
    unset 'servers[-1]'
  done
  no_start PostgreSQL
}

start_nats() { # it chooses its ports and writes them to a file
  local own=$folder/nats sync='sync_interval: always' ports
  mkdir -m 700 "$own"
  [[ ${JUMUN_SERVERS_FSYNC:-on} == on ]] || sync=''
  [[ $("$JUMUN_TEST_TOOLS/nats-server" --version) != *' v2.'[0-9].* ]] ||
    { sync='' && say 'this nats-server is older than 2.10 and does not sync every message to disk'; }
  printf '%s\n' 'listen: "127.0.0.1:-1"' 'http: "127.0.0.1:-1"' "ports_file_dir: \"$own\"" \
    "jetstream: { store_dir: \"$own\", $sync }" >"$own/nats.conf"
  launch nats "$JUMUN_TEST_TOOLS/nats-server" -c "$own/nats.conf"
  await grep '}' "$own/nats-server_$launched.ports" || no_start nats-server
  ports=$(tr -d ' \n\t' <"$own/nats-server_$launched.ports")
  export JUMUN_TEST_NATS_URL JUMUN_TEST_NATS_MONITOR
  JUMUN_TEST_NATS_URL=$(grep -o 'nats://[0-9.:]*' <<<"$ports")
  JUMUN_TEST_NATS_MONITOR=$(grep -o 'http://[0-9.:]*' <<<"$ports")
  await http_ok "${JUMUN_TEST_NATS_MONITOR#http://}" '/healthz?js-enabled-only=true' || no_start JetStream
}

start_jaeger() { # it chooses its ports and logs them
  local name options=() query
  for name in collector.otlp.grpc collector.otlp.http collector.grpc-server collector.http-server query.http-server \
    admin.http; do options+=("--$name.host-port=127.0.0.1:0"); done
  options+=(--query.grpc-server.host-port=127.0.0.1:) # must differ from query.http-server
  launch jaeger env SPAN_STORAGE_TYPE=memory OTEL_TRACES_SAMPLER=always_off "$JUMUN_TEST_TOOLS/jaeger" "${options[@]}"
  await grep '"status":"ready"' "$folder/jaeger.log" || no_start Jaeger
  query=$(sed -n 's/.*"Query server started","http_addr":"\([0-9.:]*\)".*/\1/p' "$log")
  await http_ok "$query" /api/services || no_start Jaeger
  export JUMUN_TEST_JAEGER_QUERY=http://$query JUMUN_TEST_JAEGER_OTLP
  JUMUN_TEST_JAEGER_OTLP=http://$(sed -n 's/.*"Starting GRPC server","endpoint":"\([0-9.:]*\)".*/\1/p' "$log")
}

user='' as_user=()
if [[ $(id -u) == 0 ]]; then # PostgreSQL refuses to run as root
  user=$(id -un postgres 2>/dev/null || echo nobody)
  as_user=(--reuid="$user" --regid="$(id -g "$user")" --clear-groups)
fi
for base in "${TMPDIR:-/tmp}" /tmp /var/tmp; do # short enough for a socket path, and accessible to that user
  [[ $base =~ ^/[A-Za-z0-9/._-]{1,50}$ && -w $base ]] && setpriv "${as_user[@]}" test -x "$base" && break
done
folder=$(mktemp -d "$base/jumun-servers.XXXXXX")
chmod 711 "$folder"
for name in ${chosen//,/ }; do "start_$name"; done

env --default-signal=INT,QUIT "$@" <&0 &
command=$!
status=0
wait "$command" || status=$?
exit "$status"
