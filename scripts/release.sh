#!/usr/bin/env bash
# Moves a release in a cluster (mode mesh) from one version to another, a share of the calls at a time:
#
#   scripts/release.sh canary WEIGHT [TAG]   runs TAG beside what runs, and gives it WEIGHT percent of the calls
#   scripts/release.sh check                 watches the canary for CHECK_SECONDS, and runs `helm test`
#   scripts/release.sh promote               makes the canary's version that of all, and ends the canary
#   scripts/release.sh rollback              ends the canary; where there is none, goes back to the revision before
#
# Each step waits for the one before: no route ever leads to pods that are not there.
#
# Environment:
#   KUBECONFIG      the cluster, as always
#   RELEASE         jumun
#   NAMESPACE       jumun
#   CONTEXTS        only these, e.g. "order payment"; all where not set
#   CHART           helm/jumun
#   CHECK_SECONDS   60
#   TIMEOUT         how long a step may take: 10m
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin
release=${RELEASE:-jumun} namespace=${NAMESPACE:-jumun} chart=${CHART:-helm/jumun}

fail() { echo "release.sh: $*" >&2; exit 1; }
usage() { fail 'usage: scripts/release.sh canary WEIGHT [TAG] | check | promote | rollback'; }
for tool in helm kubectl; do command -v $tool >/dev/null || fail "$tool is missing"; done
helm --namespace "$namespace" status "$release" >/dev/null 2>&1 ||
  fail "no release $release in namespace $namespace that KUBECONFIG leads to (RELEASE and NAMESPACE say which)"

places=(defaults)
if [[ -n ${CONTEXTS:-} ]]; then
  read -ra places <<<"$CONTEXTS"
  chosen=$(IFS=,; echo ",app in (${places[*]})")
  places=("${places[@]/#/contexts.}")
fi
of_release="app.kubernetes.io/instance=$release,app.kubernetes.io/part-of=jumun${chosen:-}"
canaries() { kubectl --namespace "$namespace" get deployments -l "$of_release,version=canary" "$@"; }
set_all() { # KEY=VALUE...: of every context that is meant; waits until all pods are what they should be
  local place setting settings=()
  for place in "${places[@]}"; do
    for setting in "$@"; do
      # A tag such as 1.10 is no number.
      case $setting in *tag=*) settings+=(--set-string "$place.$setting") ;; *) settings+=(--set "$place.$setting") ;; esac
    done
  done
  upgrade "${settings[@]}"
}
upgrade() { # with what was set before, and this chart's defaults
  helm --namespace "$namespace" upgrade "$release" "$chart" --reset-then-reuse-values --wait --timeout "${TIMEOUT:-10m}" "$@" >/dev/null
}
say() { echo "release.sh: $*"; }

case ${1:-} in
  canary)
    (($# == 2 || $# == 3)) || usage
    weight=$2 tag=${3:-}
    [[ $weight =~ ^(100|[0-9]{1,2})$ ]] || fail "a weight is 0 to 100, not '$weight'"
    running=$(canaries -o name)
    [[ -n $running || -n $tag ]] || fail 'no canary runs: say which version is to, e.g. make canary TAG=1.3.0 WEIGHT=10'
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
    [[ $(restarts) == "$before" ]] || fail "canaries came or went: before $before, now $(restarts)"
    helm --namespace "$namespace" test "$release" --timeout "${TIMEOUT:-10m}" >/dev/null || {
      kubectl --namespace "$namespace" logs test --all-containers --prefix --tail 20 >&2 || true
      fail '`helm test` does not pass'
    }
    say 'the canary is well'
    ;;
  promote)
    images=$(canaries -o jsonpath='{range .items[*]}{.spec.template.spec.containers[?(@.name=="jumun")].image}{"\n"}{end}' | sort -u)
    [[ -n $images ]] || fail 'no canary runs'
    [[ $images != *$'\n'* ]] || fail "canaries of several versions run; promote them by CONTEXTS: $images"
    tag=${images##*:}
    set_all "tag=$tag"
    say "$tag runs everywhere"
    set_all canary.weight=0
    set_all canary.enabled=false
    say 'the canary is over'
    ;;
  rollback)
    if [[ -n $(canaries -o name) ]]; then
      set_all canary.weight=0
      set_all canary.enabled=false
      say 'the canary is over; what ran before goes on'
    else
      helm --namespace "$namespace" rollback "$release" --wait --timeout "${TIMEOUT:-10m}"
    fi
    ;;
  *) usage ;;
esac
