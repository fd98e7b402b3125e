{{/* Which value is which setting: the one place where they meet. */}}
{{- define "streamkeeper.settings" -}}
redis.url: REDIS_URL
redis.username: REDIS_USERNAME
redis.sentinel.username: REDIS_SENTINEL_USERNAME
redis.timeout: REDIS_TIMEOUT
redis.tls.serverName: REDIS_TLS_SERVER_NAME
buffer.streamsKey: STREAMS_KEY
buffer.streamPrefix: STREAM_PREFIX
buffer.sessionsKey: SESSIONS_KEY
buffer.sessionsLayout: SESSIONS_LAYOUT
buffer.streamsInclude: STREAMS_INCLUDE
buffer.streamsExclude: STREAMS_EXCLUDE
buffer.statePrefix: STATE_PREFIX
trim.enabled: TRIM_ENABLED
trim.schedule: TRIM_SCHEDULE
trim.maxLength: TRIM_MAX_LENGTH
trim.maxAge: TRIM_MAX_AGE
trim.exact: TRIM_EXACT
trim.policies: TRIM_POLICIES
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
lease.enabled: LEASE_ENABLED
lease.ttl: LEASE_TTL
log.level: LOG_LEVEL
log.format: LOG_FORMAT
shutdownGrace: SHUTDOWN_GRACE
{{- end }}

{{/* Environment variables for the values that are given. */}}
{{- define "streamkeeper.settingsEnv" -}}
{{- $policies := list -}}
{{- range .Values.trim.policies }}{{ $policies = append $policies (include "streamkeeper.policy" .) }}{{ end -}}
{{- range $path, $name := include "streamkeeper.settings" . | fromYaml }}
{{- $value := $.Values -}}
{{- range splitList "." $path }}{{ $value = get ($value | default dict) . }}{{ end }}
{{- if eq $path "trim.policies" }}{{ $value = join "; " $policies }}{{ end }}
{{- $text := include "streamkeeper.text" (dict "value" $value) }}
{{- if ne $text "" }}
- name: STREAMKEEPER_{{ $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
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

{{/* One policy: pattern, colon, limits. */}}
{{- define "streamkeeper.policy" -}}
{{- $limits := list -}}
{{- range $key, $name := dict "maxLength" "max_length" "maxAge" "max_age" "minAge" "min_age" "exact" "exact" -}}
{{- if hasKey $ $key -}}
{{- $limits = append $limits (printf "%s=%s" $name (include "streamkeeper.text" (dict "value" (get $ $key)))) -}}
{{- end -}}
{{- end -}}
{{- if .keepAll }}{{ $limits = append $limits "keep=all" }}{{ end -}}
{{- ternary (quote .stream) .pattern (hasKey . "stream") }}: {{ join ", " $limits -}}
{{- end }}
