#!/usr/bin/env bash
# Holds the chart, as it is rendered over helm/jumun/ci/*-values.yaml, to what others know of charts and meshes: helm's
# linter, kube-score and `istioctl analyze`.
#
# Environment: JUMUN_TOOLS_DIR   where scripts/tools.sh installed them
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin:$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What kube-score asks for and we do otherwise: no CPU limits, which throttle (HPA and requests share it out); images with
# tags need not be pulled each time; pods are spread by topologySpreadConstraints; a canary has one replica, and so has who
# keeps its data on a volume, behind an ordinary Service.
ignored=(container-image-pull-policy deployment-has-host-podantiaffinity statefulset-has-host-podantiaffinity
  deployment-replicas statefulset-has-servicename statefulset-has-poddisruptionbudget)

for values in helm/jumun/ci/*-values.yaml; do
  shape=$(basename "$values" -values.yaml)
  rendered=$folder/$shape.yaml
  helm lint --strict --quiet helm/jumun --values "$values"
  helm template jumun helm/jumun --namespace shop --values "$values" >"$rendered"
  kube-score score --output-format ci --exit-one-on-warning --ignore-container-cpu-limit "${ignored[@]/#/--ignore-test=}" "$rendered" >"$folder/score" ||
    { grep -v -e '^\[OK\]' -e '^\[SKIPPED\]' "$folder/score" >&2; echo "chart.sh: kube-score is not content with $shape" >&2; exit 1; }
  ! grep -q 'networking.istio.io' "$rendered" || istioctl analyze --use-kube=false --namespace shop --failure-threshold Info "$rendered"
  echo "$shape: $(grep -c '^kind:' "$rendered") objects"
done
