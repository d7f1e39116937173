{{- /*
The pod of a process: {root, name, version, tag, args, config, env, resources, service, settings, volume}.
Its volume is an emptyDir unless its StatefulSet has a claim named `data`.
*/}}
{{- define "jumun.pod" -}}
metadata:
  labels:
    {{- include "jumun.podLabels" . | nindent 4 }}
    version: {{ .version }}
    service.istio.io/canonical-name: {{ .name }}
    service.istio.io/canonical-revision: {{ .version }}
  annotations:
    kubectl.kubernetes.io/default-container: jumun
    checksum/config: {{ .config | toYaml | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ include "jumun.port" . | quote }}
    prometheus.io/path: /metrics
    {{- if .root.Values.istio.enabled }}
    # The proxy starts before the process and ends after it, so that no call is lost on either side.
    sidecar.istio.io/nativeSidecar: "true"
    proxy.istio.io/config: |
      holdApplicationUntilProxyStarts: true
      terminationDrainDuration: 30s
    {{- end }}
    {{- with .settings.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "jumun.pullSecrets" .root | nindent 2 }}
  securityContext:
    {{- include "jumun.podSecurity" (dict "user" 65532) | nindent 4 }}
  # Longer than the shutdown: endpoints are removed (5 s), calls end (15 s), events are published (8 s).
  terminationGracePeriodSeconds: 45
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "jumun.selector" $ | nindent 10 }}
          version: {{ $.version }}
    {{- end }}
  containers:
    - name: jumun
      image: {{ include "jumun.image" . }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ .args | toJson }}
      envFrom:
        - configMapRef: {name: {{ .name }}}
      env:
        - {name: JUMUN_SERVICE_VERSION, value: {{ .version }}}
        {{- with .env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with .settings.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: grpc, containerPort: {{ include "jumun.port" . }}}
      # The process listens at once, and is started when its database is migrated and the bus is connected.
      startupProbe:
        grpc: {port: {{ include "jumun.port" . }}}
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 120
      livenessProbe:
        grpc: {port: {{ include "jumun.port" . }}}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        grpc: {port: {{ include "jumun.port" . }}{{ with .service }}, service: {{ . }}{{ end }}}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 3
      lifecycle:
        preStop: {sleep: {seconds: 5}}
      resources:
        {{- toYaml .settings.resources | nindent 8 }}
      securityContext:
        {{- include "jumun.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /data}
        {{- if .serviceKey }}
        - {name: service-key, mountPath: /secrets/service-key, readOnly: true}
        {{- end }}
  {{- if or .serviceKey (not .volume) }}
  volumes:
    {{- if not .volume }}
    - {name: data, emptyDir: {sizeLimit: 64Mi}}
    {{- end }}
    {{- if .serviceKey }}
    - name: service-key
      secret: {secretName: {{ .root.Values.auth.serviceKey.secret }}}
    {{- end }}
  {{- end }}
{{- end }}

{{- /* The settings of every process: a map. */}}
{{- define "jumun.config" -}}
JUMUN_LISTEN: "0.0.0.0:{{ include "jumun.port" . }}"
JUMUN_DATA_DIR: /data
SQLITE_TMPDIR: /data
JUMUN_LOG_FORMAT: {{ .Values.config.logFormat }}
JUMUN_REFLECTION: {{ ternary "on" "off" .Values.config.reflection | quote }}
RUST_LOG: {{ .Values.config.log | quote }}
{{- with .Values.config.corsOrigins }}
JUMUN_CORS_ORIGINS: {{ . | quote }}
{{- end }}
{{- with .Values.config.otlpEndpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
{{- if eq .Values.auth.mode "required" }}
JUMUN_AUTH: required
JUMUN_AUTH_ISSUER: {{ .Values.auth.issuer | quote }}
JUMUN_AUTH_AUDIENCE: {{ .Values.auth.audience | quote }}
JUMUN_AUTH_JWKS: {{ .Values.auth.jwks | quote }}
{{- else if eq .Values.auth.mode "development" }}
JUMUN_AUTH: required
JUMUN_AUTH_DEVELOPMENT_KEY: "true"
{{- else }}
JUMUN_AUTH: "off"
{{- end }}
{{- end }}

{{- /* The settings of the process of one context: {root, context}. */}}
{{- define "jumun.contextConfig" -}}
{{- $values := .root.Values }}
{{- include "jumun.config" .root }}
OTEL_SERVICE_NAME: {{ .context.name }}
JUMUN_MIGRATE: {{ or (eq .context.settings.database.kind "sqlite") (eq (include "jumun.migrates" .root) "") | quote }}
JUMUN_NATS_PREFIX: {{ $values.nats.prefix | quote }}
JUMUN_NATS_REPLICAS: {{ $values.nats.replicas | quote }}
{{- if $values.nats.enabled }}
JUMUN_NATS_URL: nats://nats:4222
{{- else if $values.nats.url }}
JUMUN_NATS_URL: {{ $values.nats.url | quote }}
{{- end }}
{{- range .context.calls }}
JUMUN_{{ upper . }}_ADDR: http://{{ include "jumun.host" (dict "root" $.root "name" .) }}:{{ include "jumun.port" $ }}
{{- end }}
{{- if $values.auth.serviceKey.secret }}
JUMUN_SERVICE_KEY_FILE: /secrets/service-key/{{ $values.auth.serviceKey.key }}
{{- end }}
{{- end }}

{{- /* Not empty if the Job migrates the databases. */}}
{{- define "jumun.migrates" -}}
{{- if and .Values.migration.enabled (not .Values.postgresql.enabled) }}true{{ end }}
{{- end }}

{{- /* An environment variable from a Secret: {name, secret, key}. */}}
{{- define "jumun.fromSecret" -}}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}}
{{ end }}

{{- /* The environment variables of a context from Secrets: {root, context}. */}}
{{- define "jumun.contextEnv" -}}
{{- $values := .root.Values }}
{{- $database := .context.settings.database }}
{{- $url := printf "JUMUN_%s_DATABASE_URL" (upper .context.name) }}
{{- if eq $database.kind "postgres" }}
{{- if $values.postgresql.enabled }}
{{- include "jumun.fromSecret" (dict "name" "POSTGRES_PASSWORD" "secret" $values.postgresql.secret "key" $values.postgresql.key) }}
- name: JUMUN_DATABASE_URL
  value: postgres://jumun:$(POSTGRES_PASSWORD)@postgresql:5432/jumun
{{ else }}
{{- include "jumun.fromSecret" (dict "name" $url "secret" $database.secret "key" $database.key) }}
{{- end }}
{{- end }}
{{- if and $values.nats.secret (not $values.nats.enabled) }}
{{- include "jumun.fromSecret" (dict "name" "JUMUN_NATS_URL" "secret" $values.nats.secret "key" $values.nats.key) }}
{{- end }}
{{- end }}
