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

{{/* What finds all our Pods. */}}
{{- define "streamkeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "streamkeeper.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
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
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end }}

{{/* The metadata of an object. Takes root, and perhaps suffix, namespace, labels and annotations. */}}
{{- define "streamkeeper.metadata" -}}
name: {{ include "streamkeeper.suffixed" . }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- merge (dict) (.labels | default dict) (include "streamkeeper.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "streamkeeper.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "streamkeeper.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "streamkeeper.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The CronJobs as YAML: one for all jobs, or one for each. What each has is that of .Values.cronjob, and suffix. */}}
{{- define "streamkeeper.cronJobs" -}}
{{- range $job, $own := .Values.cronjob.perJob }}
{{- $all := merge (dict "suffix" $job "jobs" (list $job)) $own }}
{{- range $key, $value := $.Values.cronjob }}
{{- if not (hasKey $all $key) }}{{ $_ := set $all $key $value }}{{ end }}
{{- end }}
{{ $job }}: {{ omit $all "perJob" | toJson }}
{{- else }}
all: {{ .Values.cronjob | toJson }}
{{- end }}
{{- end }}
