#!/usr/bin/env bash
# Writes istio/*.yaml, what the chart holds of the mesh, for people without Helm:
#
#   scripts/istio.sh [--check]      (--check: writes nothing, and fails where they are not what the chart renders)
#
# Environment: JUMUN_TOOLS_DIR   where scripts/tools.sh installed helm
set -euo pipefail
cd "$(dirname "$0")/.."

helm=${JUMUN_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/jumun-tools}/bin/helm
values=helm/jumun/ci/trial-values.yaml
# What only Helm needs.
bare() { grep -v -e '^ *helm.sh/chart:' -e '^ *app.kubernetes.io/managed-by:' -e '^ *app.kubernetes.io/version:' -e '^# Source:'; }
render() { # FILE [ARGUMENT...]
  local file=$1
  shift
  "$helm" template jumun helm/jumun --namespace jumun --values "$values" --show-only "templates/istio/$file" "$@" | bare
}
head() { printf '# %s\n# Written by "make istio" from helm/jumun; the namespace is jumun.\n' "$*"; }
write() { # FOLDER
  { head 'The gateway, and the routes from it to each context.'; render ingress.yaml; } >"$1/ingress.yaml"
  { head 'Within the mesh: routes, connections, who is left alone and when, and whom each proxy knows.'; render traffic.yaml; } >"$1/traffic.yaml"
  { head 'Who may call what: mTLS everywhere, and one policy per edge of the context map.'; render security.yaml; } >"$1/security.yaml"
}

if [[ ${1:-} != --check ]]; then
  write istio
  exit
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
write "$folder"
for file in "$folder"/*.yaml; do
  diff -u "istio/${file##*/}" "$file" || { echo "istio.sh: istio/${file##*/} is not what the chart renders: run make istio" >&2; exit 1; }
done
