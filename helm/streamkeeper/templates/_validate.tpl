{{/* Fails on values that are right one by one and make no sense together. */}}
{{- define "streamkeeper.validate" -}}
{{- include "streamkeeper.validateRedis" . -}}
{{- include "streamkeeper.validateSecrets" . -}}
{{- include "streamkeeper.validateTrim" . -}}
{{- include "streamkeeper.validateModes" . -}}
{{- include "streamkeeper.validateSchedules" . -}}
{{- include "streamkeeper.validateEnv" . -}}
{{- $grace := include "streamkeeper.seconds" (.Values.shutdownGrace | default "20s") | float64 -}}
{{- $abandon := include "streamkeeper.seconds" (.Values.cleanup.abandonAfter | default 0) | float64 -}}
{{- if gt $abandon (include "streamkeeper.seconds" (.Values.cleanup.expireAfter | default "24h") | float64) -}}
{{- fail (printf "cleanup.abandonAfter (%v) is longer than cleanup.expireAfter (%s): a session would be gone before" .Values.cleanup.abandonAfter (.Values.cleanup.expireAfter | default "24h")) -}}
{{- end -}}
{{- if not (kindIs "invalid" .Values.terminationGracePeriodSeconds) -}}
{{- if lt (float64 .Values.terminationGracePeriodSeconds) $grace -}}
{{- fail (printf "terminationGracePeriodSeconds (%v) is shorter than shutdownGrace (%s): a run would be killed" .Values.terminationGracePeriodSeconds (.Values.shutdownGrace | default "20s")) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "streamkeeper.validateRedis" -}}
{{- with .Values.redis -}}
{{- $given := list -}}
{{- if .url }}{{ $given = append $given "redis.url" }}{{ end -}}
{{- if .secret.urlKey }}{{ $given = append $given "redis.secret.urlKey" }}{{ end -}}
{{- if .host }}{{ $given = append $given "redis.host" }}{{ end -}}
{{- if .sentinel.addresses }}{{ $given = append $given "redis.sentinel.addresses" }}{{ end -}}
{{- if .cluster.addresses }}{{ $given = append $given "redis.cluster.addresses" }}{{ end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "%s are set: give one of them, each says where Redis is" (join " and " $given)) -}}
{{- end -}}
{{- if ne (empty .sentinel.addresses) (empty .sentinel.masterName) -}}
{{- fail "redis.sentinel needs both masterName and addresses" -}}
{{- end -}}
{{- if and .port (not .host) -}}
{{- fail "redis.port is of no use without redis.host: everything else names its ports itself" -}}
{{- end -}}
{{- if and .database (not (or .host .sentinel.addresses)) -}}
{{- fail "redis.database is of no use without redis.host or redis.sentinel: a URL ends in it, and a cluster has database 0 only" -}}
{{- end -}}
{{- if and .tls.enabled (or .secret.urlKey (and .url (not (hasPrefix "rediss://" .url)))) -}}
{{- fail "redis.tls.enabled does not change a URL: let it begin with rediss:// instead" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "streamkeeper.validateSecrets" -}}
{{- with .Values.redis -}}
{{- range $name, $secret := dict "redis.secret" .secret "redis.sentinel.secret" .sentinel.secret "redis.tls.secret" .tls.secret "metrics.push.secret" $.Values.metrics.push.secret -}}
{{- $keys := compact (values (omit $secret "name")) -}}
{{- if and $keys (not $secret.name) -}}
{{- fail (printf "%s has keys and no name: name the Secret that holds them" $name) -}}
{{- else if and $secret.name (not $keys) -}}
{{- fail (printf "%s has a name and no keys: say which of its keys to use" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $user := dict "redis" . "redis.sentinel" .sentinel -}}
{{- if and $user.username $user.secret.usernameKey -}}
{{- fail (printf "%s.username and %s.secret.usernameKey are both set: give one of them" $name $name) -}}
{{- end -}}
{{- end -}}
{{- if and $.Values.metrics.push.url $.Values.metrics.push.secret.urlKey -}}
{{- fail "metrics.push.url and metrics.push.secret.urlKey are both set: give one of them" -}}
{{- end -}}
{{- with .tls.secret -}}
{{- if ne (empty .certKey) (empty .keyKey) -}}
{{- fail "redis.tls.secret needs both certKey and keyKey, or neither" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What the program would refuse, said before anything is installed. */}}
{{- define "streamkeeper.validateTrim" -}}
{{- with .Values.trim -}}
{{- $minAge := include "streamkeeper.seconds" (.minAge | default 0) | float64 -}}
{{- $maxAge := include "streamkeeper.seconds" (.maxAge | default 0) | float64 -}}
{{- if and .pressure (not $minAge) -}}
{{- fail "trim.pressure needs trim.minAge: without it nothing bounds how far retention tightens" -}}
{{- end -}}
{{- if and $maxAge (gt $minAge $maxAge) -}}
{{- fail (printf "trim.minAge (%s) is longer than trim.maxAge (%s)" .minAge .maxAge) -}}
{{- end -}}
{{- range $i, $policy := prepend (.policies | default list) . -}}
{{- $where := "trim" -}}
{{- if $i }}{{ $where = printf "trim.policies[%d]" (sub $i 1) }}{{ end -}}
{{- $age := include "streamkeeper.seconds" ($policy.maxAge | default 0) | float64 -}}
{{- if and $policy.maxLength (lt (float64 $policy.maxLength) 10.0) (not $.Values.trim.allowTiny) -}}
{{- fail (printf "%s.maxLength (%v) is so small that it looks like a typo: 10 or more, 0 for no limit, or trim.allowTiny" $where $policy.maxLength) -}}
{{- else if and $age (lt $age 60.0) (not $.Values.trim.allowTiny) -}}
{{- fail (printf "%s.maxAge (%s) is so short that it looks like a typo: 1m or more, 0 for no limit, or trim.allowTiny" $where $policy.maxAge) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "streamkeeper.validateModes" -}}
{{- with .Values.daemon.podDisruptionBudget -}}
{{- if not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable)) -}}
{{- fail "daemon.podDisruptionBudget: minAvailable and maxUnavailable are both set: give one of them" -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "cronjob" -}}
{{- if .Values.extraContainers -}}
{{- fail "extraContainers would keep a Job from ending: in mode cronjob, put them into initContainers with restartPolicy Always" -}}
{{- end -}}
{{- with .Values.cronjob -}}
{{- if and .jobs .perJob -}}
{{- fail "cronjob.jobs and cronjob.perJob are both set: one CronJob runs jobs, or each of perJob has its own" -}}
{{- end -}}
{{- range concat (.jobs | default list) (keys (.perJob | default dict)) -}}
{{- if eq (get (get $.Values .) "enabled" | toString) "false" -}}
{{- fail (printf "cronjob is to run the job %s, and %s.enabled is false" . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The schema knows what a field of a schedule may hold, but not that a range runs backwards, as hours over midnight would. */}}
{{- define "streamkeeper.validateSchedules" -}}
{{- $schedules := dict "trim.schedule" .Values.trim.schedule "cleanup.schedule" .Values.cleanup.schedule "inspect.schedule" .Values.inspect.schedule "cronjob.schedule" .Values.cronjob.schedule -}}
{{- range $job, $own := .Values.cronjob.perJob }}{{ $_ := set $schedules (printf "cronjob.perJob.%s.schedule" $job) $own.schedule }}{{ end -}}
{{- range $path, $schedule := $schedules -}}
{{- range regexFindAll "[0-9]+-[0-9]+" (toString $schedule) -1 -}}
{{- $ends := splitList "-" . -}}
{{- if gt (first $ends | float64) (last $ends | float64) -}}
{{- fail (printf "%s (%s): the range %s begins after its end; over midnight or a new year it takes two, such as 22-23,0-3" $path $schedule .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Every setting has one place. */}}
{{- define "streamkeeper.validateEnv" -}}
{{- $taken := dict -}}
{{- range include "streamkeeper.settingsEnv" . | fromYamlArray }}{{ $_ := set $taken .name true }}{{ end -}}
{{- if eq .Values.mode "cronjob" -}}
{{- range include "streamkeeper.scheduleEnv" (dict "schedule" "any") | fromYamlArray }}{{ $_ := set $taken .name true }}{{ end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $taken .name -}}
{{- fail (printf "extraEnv has %s, which is there already, from the value of this chart" .name) -}}
{{- end -}}
{{- $_ := set $taken .name true -}}
{{- end -}}
{{- end }}
