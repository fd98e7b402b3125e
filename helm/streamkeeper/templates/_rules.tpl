{{/* What tells the series of this installation from others, as selectors of PromQL. */}}
{{- define "streamkeeper.selector" -}}
{{- $namespace := include "streamkeeper.namespace" . -}}
{{- $name := include "streamkeeper.fullname" . -}}
{{- with .Values.monitoring -}}
{{- if .selector -}}
{{- .selector | trimSuffix "," -}}
{{- else if and (eq $.Values.mode "cronjob") $.Values.metrics.push.url (not (contains "/metrics/job" $.Values.metrics.push.url)) -}}
namespace="{{ $namespace }}", job="{{ $name }}"
{{- else if eq $.Values.mode "cronjob" -}}
{{- /* Nobody but who scrapes them knows what the series of a CronJob are called. */ -}}
{{- else if eq (.scrape.kind | default "") "PodMonitor" -}}
namespace="{{ $namespace }}", job="{{ .scrape.namespace | default $namespace }}/{{ include "streamkeeper.sharedName" (dict "root" $ "namespace" .scrape.namespace) }}"
{{- else if .scrape.kind -}}
namespace="{{ $namespace }}", job="{{ $name }}"
{{- else -}}
namespace="{{ $namespace }}"
{{- end -}}
{{- end -}}
{{- end }}

{{/* The groups of rules: those of the file with the thresholds and the selector in them, without those that are off, with what is changed
and added. */}}
{{- define "streamkeeper.rules" -}}
{{- $text := .Files.Get "rules/streamkeeper.yaml" -}}
{{- with .Values.monitoring.rules -}}
{{- $thresholds := merge (dict) (.thresholds | default dict) (dict "brakeFor" (include "streamkeeper.brakeFor" $)) -}}
{{- range $name, $value := $thresholds -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $mark := printf `[0-9.]+[hm]?( # %s)\b` $name -}}
{{- if not (regexMatch $mark $text) }}{{ fail (printf "monitoring.rules.thresholds.%s: no rule has such a threshold" $name) }}{{ end -}}
{{- $text = regexReplaceAll $mark $text (printf "%s${1}" (include "streamkeeper.text" (dict "value" $value))) -}}
{{- end -}}
{{- end -}}
{{- with include "streamkeeper.selector" $ -}}
{{- $text = regexReplaceAll `\b((?:streamkeeper|process)_[a-z_]+\{)` $text (printf "${1}%s, " (replace "$" "$$" .)) | replace ", }" "}" -}}
{{- end -}}
{{- $groups := ($text | fromYaml).groups -}}
{{- $known := list -}}
{{- range $groups }}{{ range .rules }}{{ $known = append $known .alert }}{{ end }}{{ end -}}
{{- range concat (.disabled | default list) (keys (.overrides | default dict)) -}}
{{- if not (has . $known) }}{{ fail (printf "monitoring.rules: there is no alert %s; there are %s" . (join ", " $known)) }}{{ end -}}
{{- end -}}
{{- $overrides := .overrides | default dict -}}
{{- $disabled := .disabled | default list -}}
{{- $all := list -}}
{{- range $group := $groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if not (has $rule.alert $disabled) -}}
{{- $rules = append $rules (mergeOverwrite (deepCopy $rule) (get $overrides $rule.alert | default dict)) -}}
{{- end -}}
{{- end -}}
{{- if $rules }}{{ $all = append $all (set (deepCopy $group) "rules" $rules) }}{{ end -}}
{{- end -}}
{{- with .extra }}{{ $all = append $all (dict "name" "streamkeeper-extra" "rules" .) }}{{ end -}}
{{- dict "groups" $all | toYaml -}}
{{- end -}}
{{- end }}

{{/* A quarter of an hour longer than the mass-deletion guard holds by itself. */}}
{{- define "streamkeeper.brakeFor" -}}
{{- $hold := .Values.cleanup.brakeHold -}}
{{- if kindIs "invalid" $hold }}{{ $hold = "1h" }}{{ end -}}
{{- divf (include "streamkeeper.seconds" $hold | float64) 60.0 | ceil | int64 | add 15 -}}m
{{- end }}
