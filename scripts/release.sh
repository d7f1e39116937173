#!/usr/bin/env bash
# Rolls out a version of a release (mode mesh) with a canary:
#
#   scripts/release.sh canary WEIGHT [TAG]   deploys TAG as a canary with WEIGHT percent of the calls
#   scripts/release.sh check                 watches the canary for CHECK_SECONDS and runs `helm test`
#   scripts/release.sh promote               deploys the version of the canary everywhere and removes the canary
#   scripts/release.sh rollback              removes the canary or, without one, rolls back to the previous revision
#
# Each step waits for the previous one, so that no route leads to missing pods.
#
# Environment:
#   KUBECONFIG      the cluster
#   RELEASE         jumun
#   NAMESPACE       jumun
#   CONTEXTS        the contexts, e.g. "order payment" (default: all)
#   CHART           helm/jumun
#   CHECK_SECONDS   60
#   TIMEOUT         timeout of each step: 10m
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin
release=${RELEASE:-jumun} namespace=${NAMESPACE:-jumun} chart=${CHART:-helm/jumun}

fail() { echo "release.sh: $*" >&2; exit 1; }
usage() { fail 'usage: scripts/release.sh canary WEIGHT [TAG] | check | promote | rollback'; }
for tool in helm kubectl; do command -v $tool >/dev/null || fail "$tool is missing"; done
helm --namespace "$namespace" status "$release" >/dev/null 2>&1 ||
  fail "no release $release in namespace $namespace of the cluster in KUBECONFIG (set RELEASE and NAMESPACE)"

keys=(defaults)
if [[ -n ${CONTEXTS:-} ]]; then
  read -ra keys <<<"$CONTEXTS"
  chosen=$(IFS=,; echo ",app in (${keys[*]})")
  keys=("${keys[@]/#/contexts.}")
fi
of_release="app.kubernetes.io/instance=$release,app.kubernetes.io/part-of=jumun${chosen:-}"
canaries() { kubectl --namespace "$namespace" get deployments -l "$of_release,version=canary" "$@"; }
set_all() { # KEY=VALUE...: for the chosen contexts; waits until the pods are rolled out
  local key setting settings=()
  for key in "${keys[@]}"; do
    for setting in "$@"; do
      # A tag such as 1.10 must stay a string.
      case $setting in *tag=*) settings+=(--set-string "$key.$setting") ;; *) settings+=(--set "$key.$setting") ;; esac
    done
  done
  upgrade "${settings[@]}"
}
upgrade() { # keeps the values of the release, with the defaults of this chart
  helm --namespace "$namespace" upgrade "$release" "$chart" --reset-then-reuse-values --wait --timeout "${TIMEOUT:-10m}" "$@" >/dev/null
}
say() { echo "release.sh: $*"; }

case ${1:-} in
  canary)
    (($# == 2 || $# == 3)) || usage
    weight=$2 tag=${3:-}
    [[ $weight =~ ^(100|[0-9]{1,2})$ ]] || fail "WEIGHT must be 0 to 100, not '$weight'"
    running=$(canaries -o name)
    [[ -n $running || -n $tag ]] || fail 'no canary runs: set its version, e.g. make canary TAG=1.3.0 WEIGHT=10'
    if [[ -n $tag ]]; then
      begin=(canary.enabled=true "canary.tag=$tag")
      [[ -n $running ]] || begin+=(canary.weight=0)
      set_all "${begin[@]}"
      say "$tag runs as the canary"
    fi
    set_all "canary.weight=$weight"
    say "the canary gets $weight % of the calls"
    ;;
  check)
    [[ -n $(canaries -o name) ]] || fail 'no canary runs'
    pods() { kubectl --namespace "$namespace" get pods -l "$of_release,version=canary" "$@"; }
    restarts() { pods -o jsonpath='{range .items[*]}{.metadata.name}={.status.containerStatuses[?(@.name=="jumun")].restartCount} {end}'; }
    before=$(restarts)
    sleep "${CHECK_SECONDS:-60}"
    kubectl --namespace "$namespace" wait pods -l "$of_release,version=canary" --for=condition=Ready --timeout=30s >/dev/null ||
      fail 'a canary is not ready'
    [[ $(restarts) == "$before" ]] || fail "canaries restarted or changed: before $before, now $(restarts)"
    helm --namespace "$namespace" test "$release" --timeout "${TIMEOUT:-10m}" >/dev/null || {
      kubectl --namespace "$namespace" logs test --all-containers --prefix --tail 20 >&2 || true
      fail '`helm test` failed'
    }
    say 'the canary is healthy'
    ;;
  promote)
    images=$(canaries -o jsonpath='{range .items[*]}{.spec.template.spec.containers[?(@.name=="jumun")].image}{"\n"}{end}' | sort -u)
    [[ -n $images ]] || fail 'no canary runs'
    [[ $images != *$'\n'* ]] || fail "canaries of several versions run; promote them separately with CONTEXTS: $images"
    tag=${images##*:}
    set_all "tag=$tag"
    say "$tag runs everywhere"
    set_all canary.weight=0
    set_all canary.enabled=false
    say 'the canary is removed'
    ;;
  rollback)
    if [[ -n $(canaries -o name) ]]; then
      set_all canary.weight=0
      set_all canary.enabled=false
      say 'the canary is removed; the stable version serves all calls'
    else
      helm --namespace "$namespace" rollback "$release" --wait --timeout "${TIMEOUT:-10m}"
    fi
    ;;
  *) usage ;;
esac
