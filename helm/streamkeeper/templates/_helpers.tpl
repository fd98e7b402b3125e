{{- define "streamkeeper.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Short enough for a CronJob, whose Jobs get a suffix of 11 characters. */}}
{{- define "streamkeeper.fullname" -}}
{{- $name := include "streamkeeper.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* The name of an object that is one of several. Takes root and suffix. */}}
{{- define "streamkeeper.suffixed" -}}
{{- $room := sub 51 (len (.suffix | default "")) | int -}}
{{- $name := include "streamkeeper.fullname" .root -}}
{{- if .suffix }}{{ $name = printf "%s-%s" (trunc $room $name | trimSuffix "-") .suffix }}{{ end -}}
{{- $name -}}
{{- end }}

{{/* The name of an object that may be in a namespace which it shares with those of other releases, some of the same name. Takes root, and
perhaps suffix and namespace. No namespace has a dot. */}}
{{- define "streamkeeper.sharedName" -}}
{{- $own := include "streamkeeper.namespace" .root -}}
{{- if ne (.namespace | default $own) $own }}{{ $own }}.{{ end -}}
{{- include "streamkeeper.suffixed" . -}}
{{- end }}

{{- define "streamkeeper.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{/* What finds all our Pods. */}}
{{- define "streamkeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "streamkeeper.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* What finds the Pods that serve HTTP. */}}
{{- define "streamkeeper.daemonLabels" -}}
{{ include "streamkeeper.selectorLabels" . }}
app.kubernetes.io/component: daemon
{{- end }}

{{- define "streamkeeper.labels" -}}
{{- $own := include "streamkeeper.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge $own (.Values.commonLabels | default dict) | toYaml -}}
{{- end }}

{{/* The metadata of an object. Takes root, and perhaps suffix, namespace, labels and annotations. */}}
{{- define "streamkeeper.metadata" -}}
name: {{ include "streamkeeper.sharedName" . | quote }}
namespace: {{ .namespace | default (include "streamkeeper.namespace" .root) | quote }}
labels:
  {{- merge (dict) (.labels | default dict) (include "streamkeeper.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "streamkeeper.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "streamkeeper.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{/* Another registry takes the place of the one that the repository begins with. */}}
{{- define "streamkeeper.image" -}}
{{- $registry := (.Values.global | default dict).imageRegistry | default .Values.image.registry -}}
{{- with .Values.image -}}
{{- $repository := .repository -}}
{{- with $registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}{{ end -}}
{{- if .digest -}}
{{ $repository }}@{{ .digest }}
{{- else -}}
{{ $repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secrets for the registry, as a list: those of all charts may be names alone. */}}
{{- define "streamkeeper.pullSecrets" -}}
{{- $all := list -}}
{{- range concat ((.Values.global | default dict).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) -}}
{{- $all = append $all (kindIs "map" . | ternary . (dict "name" .)) -}}
{{- end -}}
{{- $all | uniq | toYaml -}}
{{- end }}

{{/* The CronJobs as YAML: one for all jobs, or one for each. What each has is that of .Values.cronjob, and suffix. */}}
{{- define "streamkeeper.cronJobs" -}}
{{- range $job, $own := .Values.cronjob.perJob | default dict }}
{{- $all := merge (dict "suffix" $job "jobs" (list $job)) $own }}
{{- range $key, $value := $.Values.cronjob }}
{{- if or (not (hasKey $all $key)) (kindIs "invalid" (get $all $key)) }}{{ $_ := set $all $key $value }}{{ end }}
{{- end }}
{{ $job }}: {{ omit $all "perJob" | toJson }}
{{- else }}
all: {{ .Values.cronjob | toJson }}
{{- end }}
{{- end }}
