{{- /*
The paths of the methods of a context, by class: {streams, reads, writes}, each with `grpc` paths, `json` matches and a
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

{{- /* A path with * as a match of the full path. */}}
{{- define "jumun.uri" -}}
{{- if contains "*" . -}}
{regex: {{ . | replace "." `\.` | replace "*" "[^/]+" | squote }}}
{{- else -}}
{exact: {{ . }}}
{{- end }}
{{- end }}

{{- /* The destinations of calls with their weights: {root, context}. */}}
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

{{- /* The timeout and the retries of a class of methods: {root, class, deadline}. */}}
{{- define "jumun.timeout" -}}
{{- if eq .class "streams" }}
# No timeout: the application limits the duration of streams.
retries: {attempts: 2, retryOn: "connect-failure,refused-stream"}
{{- else if eq .class "reads" }}
timeout: {{ add .deadline .root.Values.istio.timeoutReserve }}s
retries: {attempts: 2, retryOn: "connect-failure,refused-stream,reset,unavailable"}
{{- else }}
timeout: {{ add .deadline .root.Values.istio.timeoutReserve }}s
# A sent request may have been processed, so only requests that provably were not sent are retried.
retries: {attempts: 2, retryOn: "connect-failure,refused-stream"}
{{- end }}
{{- end }}

{{- /*
The routes to a context: {root, context, json}. Streams first, then reads, then all other methods of the service; each
twice if there is a canary: a request for the canary stays on the canary.
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
{{- $patience := include "jumun.timeout" (dict "root" $.root "class" $class "deadline" $deadline) }}
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

{{- /* Where the routes to a context are visible: in the release and in the gateway. */}}
{{- define "jumun.exportTo" -}}
{{- without (list "." .Values.istio.ingress.namespace) .Release.Namespace | toJson }}
{{- end }}
