{{/* Which value is which setting: the one place where they meet. */}}
{{- define "streamkeeper.settings" -}}
redis.url: REDIS_URL
redis.username: REDIS_USERNAME
redis.sentinel.username: REDIS_SENTINEL_USERNAME
redis.timeout: REDIS_TIMEOUT
redis.allowReplica: REDIS_ALLOW_REPLICA
redis.tls.serverName: REDIS_TLS_SERVER_NAME
buffer.streamsKey: STREAMS_KEY
buffer.streamPrefix: STREAM_PREFIX
buffer.sessionsKey: SESSIONS_KEY
buffer.sessionsLayout: SESSIONS_LAYOUT
buffer.sessionsForeign: SESSIONS_FOREIGN
buffer.streamsInclude: STREAMS_INCLUDE
buffer.streamsExclude: STREAMS_EXCLUDE
buffer.statePrefix: STATE_PREFIX
buffer.historyLength: HISTORY_LENGTH
trim.enabled: TRIM_ENABLED
trim.schedule: TRIM_SCHEDULE
trim.maxLength: TRIM_MAX_LENGTH
trim.maxAge: TRIM_MAX_AGE
trim.maxBytes: TRIM_MAX_BYTES
trim.exact: TRIM_EXACT
trim.policies: TRIM_POLICIES_FILE
trim.allowTiny: TRIM_ALLOW_TINY
trim.maxStall: TRIM_MAX_STALL
trim.minAge: TRIM_MIN_AGE
trim.pressure: TRIM_PRESSURE
trim.respectGroups: TRIM_RESPECT_GROUPS
trim.groupIdleAfter: TRIM_GROUP_IDLE_AFTER
cleanup.enabled: CLEANUP_ENABLED
cleanup.schedule: CLEANUP_SCHEDULE
cleanup.expireAfter: CLEANUP_EXPIRE_AFTER
cleanup.abandonAfter: CLEANUP_ABANDON_AFTER
cleanup.retireAfter: CLEANUP_RETIRE_AFTER
cleanup.allowTiny: CLEANUP_ALLOW_TINY
cleanup.flowing: CLEANUP_FLOWING
cleanup.undoFor: CLEANUP_UNDO_FOR
cleanup.undoMaxBytes: CLEANUP_UNDO_MAX_BYTES
cleanup.brake: CLEANUP_BRAKE
cleanup.brakeMin: CLEANUP_BRAKE_MIN
cleanup.brakeHold: CLEANUP_BRAKE_HOLD
cleanup.scan: CLEANUP_SCAN
inspect.enabled: INSPECT_ENABLED
inspect.schedule: INSPECT_SCHEDULE
inspect.samples: INSPECT_SAMPLES
inspect.maxBytes: INSPECT_MAX_BYTES
inspect.encoding: INSPECT_ENCODING
inspect.maxBurst: INSPECT_MAX_BURST
metrics.interval: METRICS_INTERVAL
metrics.streams: METRICS_STREAMS
metrics.file: METRICS_FILE
metrics.push.url: PUSH_URL
daemon.http.port: LISTEN
lease.enabled: LEASE_ENABLED
lease.ttl: LEASE_TTL
log.level: LOG_LEVEL
log.format: LOG_FORMAT
shutdownGrace: SHUTDOWN_GRACE
{{- end }}

{{/* Which key of a Secret is which setting. What is a file is mounted, and read again when it changes. */}}
{{- define "streamkeeper.secretSettings" -}}
redis.secret.urlKey: REDIS_URL
redis.secret.usernameKey: REDIS_USERNAME
redis.secret.passwordKey: REDIS_PASSWORD_FILE
redis.sentinel.secret.usernameKey: REDIS_SENTINEL_USERNAME
redis.sentinel.secret.passwordKey: REDIS_SENTINEL_PASSWORD_FILE
metrics.push.secret.urlKey: PUSH_URL_FILE
redis.tls.secret.caKey: REDIS_TLS_CA_FILE
redis.tls.secret.certKey: REDIS_TLS_CERT_FILE
redis.tls.secret.keyKey: REDIS_TLS_KEY_FILE
{{- end }}

{{/* Environment variables for what is given. Kubernetes would take $(…) for another variable. */}}
{{- define "streamkeeper.settingsEnv" -}}
{{- range $path, $name := include "streamkeeper.settings" . | fromYaml }}
{{- with include "streamkeeper.setting" (dict "root" $ "path" $path) }}
- name: STREAMKEEPER_{{ $name }}
  value: {{ . | replace "$" "$$" | quote }}
{{- end }}
{{- end }}
{{- range include "streamkeeper.secrets" . | fromYamlArray }}
- name: STREAMKEEPER_{{ .setting }}
  {{- if .file }}
  value: /etc/streamkeeper/{{ .file }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .name | quote }}
      key: {{ .key | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A CronJob's schedule is that of its jobs, so that the program knows how often it is run: how long a trim may take, and when a job is
overdue. Takes schedule. */}}
{{- define "streamkeeper.scheduleEnv" -}}
{{- with .schedule }}
{{- range list "TRIM" "CLEANUP" "INSPECT" }}
- name: STREAMKEEPER_{{ . }}_SCHEDULE
  value: {{ $.schedule | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What is taken from Secrets: for each a name, a key, a setting, and a file if it is mounted. */}}
{{- define "streamkeeper.secrets" -}}
{{- range $path, $setting := include "streamkeeper.secretSettings" . | fromYaml }}
{{- with include "streamkeeper.value" (dict "root" $ "path" $path) }}
{{- $name := include "streamkeeper.value" (dict "root" $ "path" (regexReplaceAll "[^.]+$" $path "name")) }}
{{- $file := ternary (trimSuffix "_FILE" $setting | lower | replace "_" "-") "" (hasSuffix "_FILE" $setting) }}
- {{ dict "name" $name "key" . "setting" $setting "file" $file | toJson }}
{{- end }}
{{- end }}
{{- end }}

{{/* The text of a setting, empty if there is none. Takes root and the path of its value. */}}
{{- define "streamkeeper.setting" -}}
{{- if eq .path "redis.url" -}}
{{- include "streamkeeper.redisURL" .root -}}
{{- else if eq .path "trim.policies" -}}
{{- if .root.Values.trim.policies }}/etc/streamkeeper-policies/policies{{ end -}}
{{- else if eq .path "metrics.push.url" -}}
{{- include "streamkeeper.pushURL" .root -}}
{{- else if not (has .path (list "daemon.http.port" "trim.schedule" "cleanup.schedule" "inspect.schedule")) -}}
{{- include "streamkeeper.value" . -}}
{{- else if eq .root.Values.mode "daemon" -}}
{{ if eq .path "daemon.http.port" }}:{{ end }}{{ include "streamkeeper.value" . }}
{{- end -}}
{{- end }}

{{/* The value at a path, as text. Takes root and path. */}}
{{- define "streamkeeper.value" -}}
{{- $value := .root.Values -}}
{{- range splitList "." .path }}{{ $value = get ($value | default dict) . }}{{ end -}}
{{- include "streamkeeper.text" (dict "value" $value) -}}
{{- end }}

{{/* A value as the program reads it; empty if there is none. Helm makes every number a float, which must not come out as 1e+06. */}}
{{- define "streamkeeper.text" -}}
{{- if kindIs "slice" .value -}}
{{- join ", " .value -}}
{{- else if and (kindIs "float64" .value) (eq .value (floor .value)) -}}
{{- int64 .value -}}
{{- else if not (kindIs "invalid" .value) -}}
{{- .value -}}
{{- end -}}
{{- end }}

{{/* Where Redis is: as given, or made of its parts. */}}
{{- define "streamkeeper.redisURL" -}}
{{- with .Values.redis -}}
{{- $addresses := concat (.sentinel.addresses | default list) (.cluster.addresses | default list) -}}
{{- with .host }}{{ $addresses = list (printf "%s:%d" (ternary (printf "[%s]" .) . (contains ":" .)) (int64 ($.Values.redis.port | default 6379))) }}{{ end -}}
{{- $query := list -}}
{{- with .sentinel.masterName }}{{ $query = append $query (printf "master_name=%s" (urlquery .)) }}{{ end -}}
{{- range rest $addresses }}{{ $query = append $query (printf "addr=%s" .) }}{{ end -}}
{{- if .url -}}
{{- .url -}}
{{- else if $addresses -}}
{{ ternary "rediss" "redis" (.tls.enabled | default false) }}://{{ first $addresses }}/{{ int64 (.database | default 0) }}{{ with $query }}?{{ join "&" . }}{{ end }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Where metrics are pushed to, with a group of this release unless the URL has one. */}}
{{- define "streamkeeper.pushURL" -}}
{{- with .Values.metrics.push.url -}}
{{- trimSuffix "/" . -}}
{{- if not (contains "/metrics/job" .) }}/metrics/job/{{ include "streamkeeper.fullname" $ }}/namespace/{{ include "streamkeeper.namespace" $ }}{{ end -}}
{{- end -}}
{{- end }}

{{/* The file of the policies: one a line. */}}
{{- define "streamkeeper.policies" -}}
{{- range .Values.trim.policies }}
{{ include "streamkeeper.policy" . }}
{{- end }}
{{- end }}

{{/* One policy: pattern, colon, limits. */}}
{{- define "streamkeeper.policy" -}}
{{- $limits := list -}}
{{- range $key, $name := dict "maxLength" "max_length" "maxAge" "max_age" "maxBytes" "max_bytes" "minAge" "min_age" "exact" "exact" -}}
{{- if hasKey $ $key -}}
{{- $limits = append $limits (printf "%s=%s" $name (include "streamkeeper.text" (dict "value" (get $ $key)))) -}}
{{- end -}}
{{- end -}}
{{- if .keepAll }}{{ $limits = append $limits "keep=all" }}{{ end -}}
{{- ternary (quote .stream) .pattern (hasKey . "stream") }}: {{ join ", " $limits -}}
{{- end }}

{{/* The seconds of a duration. */}}
{{- define "streamkeeper.seconds" -}}
{{- $units := dict "ns" 1e-9 "us" 1e-6 "µs" 1e-6 "ms" 1e-3 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+[a-zµ]+" (toString .) -1 -}}
{{- $unit := regexFind "[a-zµ]+$" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- $sum -}}
{{- end }}
