#!/usr/bin/env bash
# Tests the chart on a cluster with Istio, in new namespaces, and removes them afterwards:
#
#   scripts/test-cluster.sh
#
# Environment:
#   KUBECONFIG       the cluster: Kubernetes 1.30+, Istio with its sidecar injection, an ingress gateway, a StorageClass
#   IMAGE            the image, which the cluster must be able to pull: REPOSITORY:TAG
#   CLUSTER_VALUES   a file with additional values, e.g. the gateway, images of NATS and PostgreSQL, a pull policy
#   GATEWAY          http://HOST:PORT of the ingress gateway (default: kubectl forwards a port to GATEWAY_SERVICE)
#   GATEWAY_SERVICE  NAMESPACE/SERVICE: istio-ingress/ingress
#   JUMUN            the binary that runs the demos: target/release/jumun
#   KEEP             not empty: keep the namespaces
# Needs helm, kubectl and curl.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin
jumun=${JUMUN:-target/release/jumun}
image=${IMAGE:?the image, as the cluster can have it: REPOSITORY:TAG}
CALLERS=4           # concurrent callers of the load
SETTLE_SECONDS=30   # until work in progress is final (rule L1)

say() { printf '%s test-cluster: %s\n' "$(date +%T)" "$*"; }
fail() { say "FAILED: $*" >&2; exit 1; }
for tool in helm kubectl curl "$jumun"; do command -v "$tool" >/dev/null || fail "$tool is missing"; done
kubectl version >/dev/null 2>&1 || fail 'no cluster: KUBECONFIG does not lead to one'
kubectl get crd virtualservices.networking.istio.io >/dev/null 2>&1 || fail 'the cluster has no Istio'

id=$(date +%s | tail -c 6)
mesh=jumun-test-$id single=jumun-test-single-$id outside=jumun-test-outside-$id
folder=$(mktemp -d)
background=()
cleanup() {
  trap - EXIT
  for pid in "${background[@]}"; do kill "$pid" 2>/dev/null || true; done
  [[ -n ${KEEP:-} ]] || kubectl delete namespace "$mesh" "$single" "$outside" --ignore-not-found --wait=false >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap cleanup EXIT

more=(--set "image.repository=${image%:*}" --set-string "image.tag=${image##*:}")
[[ -z ${CLUSTER_VALUES:-} ]] || more+=(--values "$CLUSTER_VALUES")
# Network policies allow clients outside the mesh, so that it is the mesh that rejects them.
more+=(--set "networkPolicy.from[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name=$outside")
in_mesh() { kubectl --namespace "$mesh" "$@"; }
# Upgrades the release with the full set of values, so that each step states everything that it changes.
release() { # [MORE...]
  helm upgrade --install jumun helm/jumun --namespace "$mesh" --values helm/jumun/ci/trial-values.yaml "${more[@]}" --wait --timeout 10m "$@" >/dev/null
}

# --- load --------------------------------------------------------------------------------------------------------------

order='{"customer":"customers/mina","store":"stores/gangnam","paymentMethod":"tok_visa","items":[{"item":"items/bibimbap","quantity":1,"unitPrice":{"currencyCode":"KRW","units":"9000"}}]}'
caller() { # FILE PREFIX: places orders repeatedly; writes the final status of each
  local count=0 code id attempt
  while [[ ! -e $folder/stop ]]; do
    count=$((count + 1)) id=$2-$count
    for attempt in $(seq 0 "${repeats:-0}"); do
      ((attempt == 0)) || { echo >>"$folder/repeated"; sleep 2; }
      code=$(curl -s -o "$1.answer" -w '%{http_code}' --max-time 10 -H 'content-type: application/json' -d "$order" "$gateway/v1/orders?request_id=$id") || true
      [[ $code != 200 ]] || break
      # As errors ask for: repeat the same request; after a rejected order, place a new one.
      ! grep -q ORDER_NOT_PLACED "$1.answer" || id=$2-$count-$attempt
    done
    echo "$code" >>"$1"
    [[ $code == 200 ]] || { echo "$code"; cat "$1.answer" 2>/dev/null; echo; } >>"$folder/failures"
  done
}
under_load() { # NAME COMMAND...: runs it under load; no order may fail or be repeated more than `repeats` times
  local name=$1 callers=() number
  shift
  rm -f "$folder"/{stop,failures,calls-*}
  : >"$folder/repeated"
  for number in $(seq $CALLERS); do caller "$folder/calls-$number" "$RANDOM-$RANDOM-$number" & callers+=($!); done
  sleep 2
  "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; touch "$folder/stop"; fail "$name"; }
  sleep 2
  touch "$folder/stop"
  wait "${callers[@]}"
  local total failed
  total=$(cat "$folder"/calls-?  | wc -l)
  failed=$(cat "$folder"/calls-? | grep -cv '^200$' || true)
  say "$name: $total orders, $failed failed, $(wc -l <"$folder/repeated") repeated"
  ((failed == 0)) || { head -n 5 "$folder/failures" >&2; fail "$name: $failed of $total orders failed"; }
}
audit() { # checks the invariants, once no work is in progress
  local until=$((SECONDS + SETTLE_SECONDS))
  until in_mesh exec deploy/order -c jumun -- jumun check >"$folder/check" 2>&1 && [[ -s $folder/check ]]; do
    ((SECONDS < until)) || { cat "$folder/check" >&2; fail "jumun check after $1"; }
    sleep 2
  done
  say "jumun check after $1: $(tail -n 1 "$folder/check")"
}

# --- the mesh ----------------------------------------------------------------------------------------------------------

for namespace in "$mesh" "$single" "$outside"; do kubectl create namespace "$namespace" >/dev/null; done
kubectl label namespace "$mesh" istio-injection=enabled >/dev/null
in_mesh create secret generic jumun-postgresql --from-literal=password="$RANDOM$RANDOM$RANDOM" >/dev/null
release --set config.log=info
say "installed: $(in_mesh get pods --no-headers | wc -l) pods are ready"

gateway=${GATEWAY:-}
if [[ -z $gateway ]]; then
  service=${GATEWAY_SERVICE:-istio-ingress/ingress}
  kubectl --namespace "${service%/*}" port-forward "service/${service#*/}" :80 >"$folder/forward" &
  background+=($!)
  until grep -q '127.0.0.1:' "$folder/forward"; do sleep 0.2; done
  gateway=http://127.0.0.1:$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$folder/forward" | head -n 1)
fi
"$jumun" demo all --addr "$gateway" >"$folder/demo" || { tail -n 40 "$folder/demo" >&2; fail 'the demos through the gateway'; }
say "demos through the gateway: $(tail -n 1 "$folder/demo")"
helm test jumun --namespace "$mesh" --timeout 5m >/dev/null || fail 'helm test'
say 'helm test passes'

kubectl --namespace "$outside" run plaintext --image "$image" --restart Never --quiet \
  --image-pull-policy "$(in_mesh get deployment order -o jsonpath='{.spec.template.spec.containers[0].imagePullPolicy}')" \
  --command -- jumun health --addr "http://order.$mesh:8080" >/dev/null
kubectl --namespace "$outside" wait pod/plaintext --for=jsonpath='{.status.phase}'=Failed --timeout=60s >/dev/null ||
  fail "plaintext from outside the mesh is accepted: $(kubectl --namespace "$outside" logs plaintext)"
said=$(kubectl --namespace "$outside" logs plaintext 2>&1)
say "plaintext from outside the mesh is refused: ${said##*: }"

contexts=$(in_mesh get deployments -l version=stable -o jsonpath='{.items[*].metadata.name}')
restart() { in_mesh rollout restart "deployment/$1" && in_mesh rollout status "deployment/$1" --timeout 5m; }
for context in $contexts; do under_load "restart of $context" restart "$context"; done
changed=()
for context in $contexts; do
  changed+=(--set-string "contexts.$context.podAnnotations.changed=yes")
  under_load "upgrade of $context" release "${changed[@]}"
done
# All pods restart at once and share the nodes with the new ones, so a caller may be asked to retry.
repeats=3 under_load 'upgrade of everything at once' release --set config.log=debug
audit 'restarts and upgrades'

kill_one() { # kills one pod of the context at once
  in_mesh delete "$(in_mesh get pods -l "app=$1,version=stable" -o name | head -n 1)" --grace-period=0 --force
  in_mesh rollout status "deployment/$1" --timeout 5m
}
# A killed pod sends no response; its caller retries with the same request_id and loses nothing.
for context in $contexts; do repeats=3 under_load "killing a pod of $context" kill_one "$context"; done
audit 'killed pods'

if kubectl top pods --namespace "$mesh" >/dev/null 2>&1; then
  until=$((SECONDS + 120))
  until ! in_mesh get hpa --no-headers | grep -q unknown; do
    ((SECONDS < until)) || fail "autoscalers without metrics: $(in_mesh get hpa)"
    sleep 5
  done
  say 'autoscalers have metrics'
else
  say 'no metrics API: autoscalers were not checked'
fi

# --- one pod -----------------------------------------------------------------------------------------------------------

helm upgrade --install jumun helm/jumun --namespace "$single" "${more[@]}" --set auth.mode=off --wait --timeout 5m >/dev/null
in_single() { kubectl --namespace "$single" exec jumun-0 -c jumun -- jumun "$@"; }
in_single demo food-delivery >/dev/null || fail 'the demo in one pod'
before=$(in_single check | grep -v ' s)')
kubectl --namespace "$single" delete pod jumun-0 --wait >/dev/null
kubectl --namespace "$single" rollout status statefulset/jumun --timeout 3m >/dev/null
[[ $(in_single check | grep -v ' s)') == "$before" ]] || fail 'one pod: data are missing after its deletion'
say 'one pod: its data are kept after its deletion'

# --- cleanup -----------------------------------------------------------------------------------------------

for namespace in "$mesh" "$single"; do
  helm uninstall jumun --namespace "$namespace" --wait --timeout 5m >/dev/null
  kubectl --namespace "$namespace" wait pods -l app.kubernetes.io/part-of=jumun,app!=test --for=delete --timeout 2m >/dev/null
  # The test pod, the Secret and the objects of Istio and Kubernetes do not belong to the release.
  left=$(kubectl --namespace "$namespace" get all,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets,virtualservices,destinationrules,authorizationpolicies,gateways.networking.istio.io,sidecars,peerauthentications \
    -l app.kubernetes.io/part-of=jumun -o name | grep -v '^pod/test$' || true)
  [[ -z $left ]] || fail "helm uninstall leaves $left"
done
say "helm uninstall leaves $(in_mesh get pvc -o name | wc -l) volumes and nothing else"
say 'passed'
