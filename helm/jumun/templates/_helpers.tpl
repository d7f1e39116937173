{{- /* The port of every process: gRPC, HTTP/JSON, pages, metrics. */}}
{{- define "jumun.port" }}8080{{ end }}

{{- define "jumun.image" -}}
{{ .root.Values.image.repository }}:{{ .tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* Labels of an object: {root, name}. */}}
{{- define "jumun.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app: {{ .name }}
{{ include "jumun.selector" . }}
{{- end }}

{{- /* Labels of a pod: only those that do not change with the version of the chart. */}}
{{- define "jumun.podLabels" -}}
app: {{ .name }}
{{ include "jumun.selector" . }}
{{- end }}

{{- /* The labels that select a pod. */}}
{{- define "jumun.selector" -}}
app.kubernetes.io/name: {{ .name }}
{{ include "jumun.release" .root }}
{{- end }}

{{- /* The labels of every pod of the release. */}}
{{- define "jumun.release" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: jumun
{{- end }}

{{- /* The host name of a service in the mesh: {root, name}. */}}
{{- define "jumun.host" -}}
{{ .name }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.istio.clusterDomain }}
{{- end }}

{{- define "jumun.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "jumun.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "jumun.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* A volume that is kept when its pod or the release is deleted: {storage, name}. */}}
{{- define "jumun.claim" -}}
metadata:
  name: {{ .name }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storage.className }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ .storage.size }}}}
{{- end }}

{{- /* Rejects invalid combinations of values before anything is created. */}}
{{- define "jumun.check" -}}
{{- $values := .Values }}
{{- $contexts := include "jumun.contexts" . | fromYaml }}
{{- if not $contexts }}{{ fail "systems: none is enabled" }}{{ end }}
{{- if and (eq $values.auth.mode "required") (not (and $values.auth.issuer $values.auth.jwks)) }}
{{- fail "auth.mode is required: set auth.issuer and auth.jwks (or auth.mode=off to accept every call)" }}
{{- end }}
{{- if eq $values.mode "single" }}
{{- if $values.istio.enabled }}{{ fail "istio.enabled: only with mode=mesh" }}{{ end }}
{{- else }}
{{- if eq $values.auth.mode "development" }}
{{- fail "auth.mode=development needs mode=single: set auth.mode=required with auth.issuer, auth.jwks and auth.serviceKey.secret, or auth.mode=off" }}
{{- end }}
{{- if and (eq $values.auth.mode "required") (not $values.auth.serviceKey.secret) }}
{{- fail "auth.mode is required: set auth.serviceKey.secret, which authenticates calls between contexts" }}
{{- end }}
{{- if not (or $values.nats.enabled $values.nats.url $values.nats.secret) }}
{{- fail "mode=mesh needs NATS: set nats.url or nats.secret, or nats.enabled=true for a server for trials" }}
{{- end }}
{{- if and $values.istio.jwt.enabled (ne $values.auth.mode "required") }}
{{- fail "istio.jwt.enabled: only with auth.mode=required, which sets the issuer" }}
{{- end }}
{{- range $name, $context := $contexts }}
{{- $database := $context.settings.database }}
{{- if and (eq $database.kind "postgres") (not $values.postgresql.enabled) (not $database.secret) }}
{{- fail (printf "%s has no database: set contexts.%s.database.secret or defaults.database.secret, or postgresql.enabled=true for a server for trials" $name $name) }}
{{- end }}
{{- if and (eq $database.kind "sqlite") $context.settings.canary.enabled }}
{{- fail (printf "contexts.%s: no canary with SQLite, because versions cannot share its file" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
