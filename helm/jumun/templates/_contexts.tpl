{{- /*
The contexts that are enabled, each with what is known of it: YAML, by name.

  service   its gRPC service
  methods   what contexts.json says of them
  calls     the enabled contexts that it calls; callers: those that call it
  pages     paths that are no method's
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
{{- fail (printf "contexts.%s: there is no such context; there are %s" $name (keys $all | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- $contexts := dict }}
{{- range $name := keys $enabled | sortAlpha }}
{{- $declared := index $all $name }}
{{- $own := index $.Values.contexts $name | default dict }}
{{- $settings := include "jumun.merge" (list $.Values.defaults $own) | fromYaml }}
{{- /* A canary of all leaves out who cannot have one; one that is asked for by name is refused (jumun.check). */}}
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

{{- /* The second map over the first, deeply: what it says counts, also where it says false or 0. */}}
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

{{- /* The newest version of a context: that of its canary, where there is one. */}}
{{- define "jumun.newestTag" -}}
{{- ternary (default .settings.tag .settings.canary.tag) .settings.tag .settings.canary.enabled }}
{{- end }}

{{- /* The versions of a context that run beside each other: a list of names. */}}
{{- define "jumun.versions" -}}
{{- ternary (list "stable" "canary") (list "stable") .settings.canary.enabled | toJson }}
{{- end }}
