{{- /*
What leads to a context's methods, by class: {streams, reads, writes}, each with `grpc` paths, `json` matches and a
`timeout` (seconds) above the longest deadline of its methods. JSON of {root, context}.
*/}}
{{- define "jumun.classes" -}}
{{- $classes := dict }}
{{- range $class := list "streams" "reads" "writes" }}
{{- $_ := set $classes $class (dict "grpc" list "json" list "deadline" 0) }}
{{- end }}
{{- range $name, $method := .context.methods }}
{{- $http := $method.http | default dict }}
{{- $read := hasKey $http "get" }}
{{- $class := index $classes (ternary "streams" (ternary "reads" "writes" $read) $method.stream) }}
{{- $_ := set $class "grpc" (append $class.grpc (printf "/%s/%s" $.context.service $name)) }}
{{- range $path := without (list $http.get $http.post) nil }}
{{- $_ := set $class "json" (append $class.json (include "jumun.path" $path)) }}
{{- end }}
{{- $_ := set $class "deadline" (max $class.deadline ($method.deadline | default "10s" | trimSuffix "s" | float64 | ceil)) }}
{{- end }}
{{- $classes | toJson }}
{{- end }}

{{- /* `/v1/{name=orders/*}:cancel` as `/v1/orders/*:cancel`. */}}
{{- define "jumun.path" -}}
{{- regexReplaceAll `\{([^=}]+)\}` (regexReplaceAll `\{[^=}]+=([^}]*)\}` . "${1}") "*" }}
{{- end }}

{{- /* A path with * as a match of its whole. */}}
{{- define "jumun.uri" -}}
{{- if contains "*" . -}}
{regex: {{ . | replace "." `\.` | replace "*" "[^/]+" | squote }}}
{{- else -}}
{exact: {{ . }}}
{{- end }}
{{- end }}

{{- /* Where calls go, by weight: {root, context}. */}}
{{- define "jumun.destinations" -}}
{{- $host := include "jumun.host" (dict "root" .root "name" .context.name) }}
{{- $canary := .context.settings.canary }}
- destination: {host: {{ $host }}, subset: stable}
{{- if $canary.enabled }}
  weight: {{ sub 100 $canary.weight }}
- destination: {host: {{ $host }}, subset: canary}
  weight: {{ $canary.weight }}
{{- end }}
{{- end }}

{{- /* How long a call of a class may take, and which of them are tried again: {root, class, deadline}. */}}
{{- define "jumun.patience" -}}
{{- if eq .class "streams" }}
# No timeout: a stream goes on for as long as the application lets it.
retries: {attempts: 2, retryOn: "connect-failure,refused-stream"}
{{- else if eq .class "reads" }}
timeout: {{ add .deadline .root.Values.istio.timeoutReserve }}s
retries: {attempts: 2, retryOn: "connect-failure,refused-stream,reset,unavailable"}
{{- else }}
timeout: {{ add .deadline .root.Values.istio.timeoutReserve }}s
# What was sent may have been done: only what provably was not is sent again.
retries: {attempts: 2, retryOn: "connect-failure,refused-stream"}
{{- end }}
{{- end }}

{{- /*
The routes to a context: {root, context, json}. Streams first, then reads, then everything else of the service; each
twice where there is a canary: a request that asks for it stays with it.
*/}}
{{- define "jumun.routes" -}}
{{- $classes := include "jumun.classes" . | fromJson }}
{{- range $class := list "streams" "reads" "writes" }}
{{- $known := index $classes $class }}
{{- if or $known.grpc (eq $class "writes") }}
{{- $matches := list }}
{{- if eq $class "writes" }}
{{- $matches = append $matches (printf "uri: {prefix: /%s/}" $.context.service) }}
{{- if $.json }}
{{- $paths := list }}
{{- range $some := $classes }}{{ $paths = concat $paths $some.json }}{{ end }}
{{- range $paths | uniq | sortAlpha }}{{ $matches = append $matches (printf "uri: %s" (include "jumun.uri" .)) }}{{ end }}
{{- end }}
{{- else }}
{{- range $known.grpc }}{{ $matches = append $matches (printf "uri: {exact: %s}" .) }}{{ end }}
{{- if $.json }}
{{- range $known.json }}{{ $matches = append $matches (printf "uri: %s\nmethod: {exact: GET}" (include "jumun.uri" .)) }}{{ end }}
{{- end }}
{{- end }}
{{- $deadline := $known.deadline }}
{{- if eq $class "writes" }}{{ range $other := list "reads" "writes" }}{{ $deadline = max $deadline (index $classes $other).deadline }}{{ end }}{{ end }}
{{- $patience := include "jumun.patience" (dict "root" $.root "class" $class "deadline" $deadline) }}
{{- if $.context.settings.canary.enabled }}
- name: {{ $class }}-canary
  match:
    {{- range $matches }}
    - {{ printf "%s\nheaders: {x-jumun-version: {exact: canary}}" . | nindent 6 | trim }}
    {{- end }}
  {{- $patience | nindent 2 }}
  route:
    - destination: {host: {{ include "jumun.host" (dict "root" $.root "name" $.context.name) }}, subset: canary}
{{- end }}
- name: {{ $class }}
  match:
    {{- range $matches }}
    - {{ . | nindent 6 | trim }}
    {{- end }}
  {{- $patience | nindent 2 }}
  route:
    {{- include "jumun.destinations" $ | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Who sees what leads to a context: the release and the gateway. */}}
{{- define "jumun.exportTo" -}}
{{- without (list "." .Values.istio.ingress.namespace) .Release.Namespace | toJson }}
{{- end }}
