{{- /*
The enabled contexts with their properties: YAML, by name.

  service   its gRPC service
  methods   its methods in contexts.json
  calls     the enabled contexts that it calls; callers: the enabled contexts that call it
  pages     paths that belong to no method
  settings  `defaults` of the values, overridden by those of `contexts.NAME`
*/}}
{{- define "jumun.contexts" -}}
{{- $map := .Files.Get "systems.yaml" | fromYaml }}
{{- $all := .Files.Get "contexts.json" | fromJson }}
{{- $enabled := dict }}
{{- range $name, $_ := $all }}
{{- $systems := 0 }}
{{- range $system, $known := $map.systems }}
{{- if has $name $known.contexts }}
{{- $systems = add1 $systems }}
{{- if (index $.Values.systems $system).enabled }}{{ $_ := set $enabled $name true }}{{ end }}
{{- end }}
{{- end }}
{{- if not $systems }}{{ $_ := set $enabled $name true }}{{ end }}
{{- end }}
{{- range $name, $_ := .Values.contexts }}
{{- if not (hasKey $all $name) }}
{{- fail (printf "contexts.%s: there is no such context; known are %s" $name (keys $all | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- $contexts := dict }}
{{- range $name := keys $enabled | sortAlpha }}
{{- $declared := index $all $name }}
{{- $own := index $.Values.contexts $name | default dict }}
{{- $settings := include "jumun.merge" (list $.Values.defaults $own) | fromYaml }}
{{- /* defaults.canary skips contexts with SQLite; an explicit canary for one is an error (jumun.check). */}}
{{- if and (eq $settings.database.kind "sqlite") (not (dig "canary" "enabled" false $own)) }}
{{- $_ := set $settings.canary "enabled" false }}
{{- end }}
{{- $calls := list }}
{{- range $declared.calls }}{{ if hasKey $enabled . }}{{ $calls = append $calls . }}{{ end }}{{ end }}
{{- $callers := list }}
{{- range $caller := keys $enabled | sortAlpha }}
{{- if has $name (index $all $caller).calls }}{{ $callers = append $callers $caller }}{{ end }}
{{- end }}
{{- $context := dict "name" $name "service" $declared.service "methods" $declared.methods "calls" $calls "callers" $callers }}
{{- $_ := set $context "pages" (index $map.pages $name | default list) }}
{{- $_ := set $context "settings" $settings }}
{{- $_ := set $contexts $name $context }}
{{- end }}
{{- $contexts | toYaml }}
{{- end }}

{{- /* Deep merge of two maps: the second one wins, also with false or 0. */}}
{{- define "jumun.merge" -}}
{{- $below := deepCopy (index . 0) }}
{{- range $key, $value := index . 1 }}
{{- if and (kindIs "map" $value) (kindIs "map" (index $below $key)) }}
{{- $_ := set $below $key (include "jumun.merge" (list (index $below $key) $value) | fromYaml) }}
{{- else }}
{{- $_ := set $below $key $value }}
{{- end }}
{{- end }}
{{- $below | toYaml }}
{{- end }}

{{- /* The newest version of a context: that of its canary, if there is one. */}}
{{- define "jumun.newestTag" -}}
{{- ternary (default .settings.tag .settings.canary.tag) .settings.tag .settings.canary.enabled }}
{{- end }}

{{- /* The versions of a context that run side by side: a list of names. */}}
{{- define "jumun.versions" -}}
{{- ternary (list "stable" "canary") (list "stable") .settings.canary.enabled | toJson }}
{{- end }}
