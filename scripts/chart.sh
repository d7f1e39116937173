#!/usr/bin/env bash
# Checks the chart, rendered with helm/jumun/ci/*-values.yaml, with `helm lint`, kube-score and `istioctl analyze`.
#
# Environment: JUMUN_TOOLS_DIR   where scripts/tools.sh installed them
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin:$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Checks of kube-score that do not apply: CPU limits would throttle (requests and the HPA share the CPU); tagged images
# need not be pulled each time; pods are spread by topologySpreadConstraints; a canary has one replica, and so has a
# StatefulSet with its data on a volume, behind an ordinary Service.
ignored=(container-image-pull-policy deployment-has-host-podantiaffinity statefulset-has-host-podantiaffinity
  deployment-replicas statefulset-has-servicename statefulset-has-poddisruptionbudget)

for values in helm/jumun/ci/*-values.yaml; do
  shape=$(basename "$values" -values.yaml)
  rendered=$folder/$shape.yaml
  helm lint --strict --quiet helm/jumun --values "$values"
  helm template jumun helm/jumun --namespace shop --values "$values" >"$rendered"
  kube-score score --output-format ci --exit-one-on-warning --ignore-container-cpu-limit "${ignored[@]/#/--ignore-test=}" "$rendered" >"$folder/score" ||
    { grep -v -e '^\[OK\]' -e '^\[SKIPPED\]' "$folder/score" >&2; echo "chart.sh: kube-score rejects $shape" >&2; exit 1; }
  ! grep -q 'networking.istio.io' "$rendered" || istioctl analyze --use-kube=false --namespace shop --failure-threshold Info "$rendered"
  echo "$shape: $(grep -c '^kind:' "$rendered") objects"
done
