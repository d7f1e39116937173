{{- /* The autoscaler of a context: {root, context}. */}}
{{- define "jumun.autoscaler" -}}
{{- $name := .context.name }}
{{- $scaling := .context.settings.autoscaling }}
{{- if eq $scaling.kind "keda" }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  labels:
    {{- include "jumun.labels" (dict "root" .root "name" $name) | nindent 4 }}
spec:
  scaleTargetRef: {name: {{ $name }}}
  minReplicaCount: {{ $scaling.min }}
  maxReplicaCount: {{ $scaling.max }}
  triggers:
    - type: cpu
      metricType: Utilization
      metadata: {value: {{ $scaling.cpu | quote }}}
    {{- if $scaling.lag.enabled }}
    # Every replica reports the lag of the whole context, so the maximum is used.
    - type: prometheus
      metadata:
        serverAddress: {{ .root.Values.monitoring.prometheusAddress }}
        query: sum(max by (consumer) (jumun_consumer_lag{namespace="{{ .root.Release.Namespace }}",consumer=~"{{ $name }}-on-.*"}))
        threshold: {{ $scaling.lag.perReplica | quote }}
    {{- end }}
{{- else }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels:
    {{- include "jumun.labels" (dict "root" .root "name" $name) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ $scaling.min }}
  maxReplicas: {{ $scaling.max }}
  metrics:
    - type: ContainerResource
      containerResource:
        name: cpu
        container: jumun
        target: {type: Utilization, averageUtilization: {{ $scaling.cpu }}}
    {{- if $scaling.lag.enabled }}
    - type: External
      external:
        metric:
          name: jumun_consumer_lag
          selector: {matchLabels: {context: {{ $name }}}}
        target: {type: AverageValue, averageValue: {{ $scaling.lag.perReplica | quote }}}
    {{- end }}
  behavior:
    # Scale up at once and down slowly, because new replicas need to warm up.
    scaleUp:
      policies: [{type: Percent, value: 100, periodSeconds: 30}]
    scaleDown:
      stabilizationWindowSeconds: 300
      policies: [{type: Pods, value: 1, periodSeconds: 60}]
{{- end }}
{{- end }}
