{{/* The template of the Pods of both modes. Takes root, component, args and restartPolicy. */}}
{{- define "streamkeeper.podTemplate" -}}
metadata:
  labels:
    {{- include "streamkeeper.podLabels" . | nindent 4 }}
  {{- with .root.Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "streamkeeper.podSpec" . | nindent 2 }}
{{- end }}

{{- define "streamkeeper.podLabels" -}}
{{- $own := include "streamkeeper.labels" .root | fromYaml | merge (dict "app.kubernetes.io/component" .component) -}}
{{- merge (dict) $own .root.Values.podLabels | toYaml -}}
{{- end }}

{{- define "streamkeeper.podSpec" -}}
{{- include "streamkeeper.validate" .root -}}
{{- with .root.Values -}}
serviceAccountName: {{ include "streamkeeper.serviceAccountName" $.root }}
automountServiceAccountToken: false
# A Service named streamkeeper would give us variables that look like settings.
enableServiceLinks: false
restartPolicy: {{ $.restartPolicy }}
terminationGracePeriodSeconds: {{ include "streamkeeper.terminationGrace" $.root }}
{{- with $.activeDeadlineSeconds }}
activeDeadlineSeconds: {{ int64 . }}
{{- end }}
securityContext:
  {{- toYaml .podSecurityContext | nindent 2 }}
{{- with .initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{ include "streamkeeper.container" $ | nindent 4 | trim }}
  {{- if eq $.component "daemon" }}
  {{- with .extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
{{- with include "streamkeeper.volumes" $.root | trim }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- include "streamkeeper.scheduling" $ }}
{{- end }}
{{- end }}

{{- define "streamkeeper.container" -}}
{{- with .root.Values -}}
name: streamkeeper
image: {{ include "streamkeeper.image" $.root | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
args: {{ toJson $.args }}
{{- with include "streamkeeper.env" $.root | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- with .extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if eq $.component "daemon" }}
{{- include "streamkeeper.http" .daemon }}
{{- end }}
resources:
  {{- toYaml .resources | nindent 2 }}
securityContext:
  {{- toYaml .securityContext | nindent 2 }}
{{- $files := contains `"file":"r` (include "streamkeeper.secrets" $.root) }}
{{- if or $files .extraVolumeMounts }}
volumeMounts:
  {{- if $files }}
  - name: secrets
    mountPath: /etc/streamkeeper
    readOnly: true
  {{- end }}
  {{- with .extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Port, probes and hooks of a container that serves HTTP. */}}
{{- define "streamkeeper.http" }}
ports:
  - name: http
    containerPort: {{ .http.port }}
startupProbe:
  {{- merge (dict "httpGet" (dict "path" "/" "port" "http")) .startupProbe | toYaml | nindent 2 }}
livenessProbe:
  {{- merge (dict "httpGet" (dict "path" "/" "port" "http")) .livenessProbe | toYaml | nindent 2 }}
readinessProbe:
  {{- merge (dict "httpGet" (dict "path" "/health" "port" "http")) .readinessProbe | toYaml | nindent 2 }}
{{- with .lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "streamkeeper.env" -}}
{{- $given := dict -}}
{{- range .Values.extraEnv }}{{ $_ := set $given .name true }}{{ end -}}
{{- if not (hasKey $given "GOMEMLIMIT") }}
{{- with include "streamkeeper.goMemLimit" (.Values.resources.limits | default dict) }}
- name: GOMEMLIMIT
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- include "streamkeeper.settingsEnv" . }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Nine tenths of the memory limit: the rest is for what is not Go's heap. Takes the limits. */}}
{{- define "streamkeeper.goMemLimit" -}}
{{- $text := include "streamkeeper.text" (dict "value" .memory) -}}
{{- $unit := regexFind "(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E|m)?$" $text -}}
{{- $units := dict "" 1.0 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
  "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- with trimSuffix $unit $text | float64 -}}
{{- mulf . (get $units $unit) 0.9 | int64 -}}
{{- end -}}
{{- end }}

{{- define "streamkeeper.terminationGrace" -}}
{{- with .Values -}}
{{- if kindIs "invalid" .terminationGracePeriodSeconds -}}
{{- include "streamkeeper.seconds" (.shutdownGrace | default "20s") | float64 | addf 10 | ceil | int64 -}}
{{- else -}}
{{- int64 .terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "streamkeeper.volumes" -}}
{{- $sources := list -}}
{{- range include "streamkeeper.secrets" . | fromYamlArray -}}
{{- if .file -}}
{{- $sources = append $sources (dict "secret" (dict "name" .name "items" (list (dict "key" .key "path" .file)))) -}}
{{- end -}}
{{- end -}}
{{- with $sources }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- toYaml . | nindent 6 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the Pod runs, and how it finds others. */}}
{{- define "streamkeeper.scheduling" -}}
{{- range $key := list "imagePullSecrets" "priorityClassName" "runtimeClassName" "schedulerName" "nodeSelector" "affinity" "tolerations" "dnsPolicy" "dnsConfig" "hostAliases" }}
{{- with get $.root.Values $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- if eq .component "daemon" }}
{{- with include "streamkeeper.spread" .root | fromYamlArray }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* How replicas spread, as a list. */}}
{{- define "streamkeeper.spread" -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "streamkeeper.daemonLabels" . | fromYaml)) -}}
{{- $all := list -}}
{{- with .Values.daemon -}}
{{- if not (kindIs "invalid" .topologySpreadConstraints) -}}
{{- range .topologySpreadConstraints }}{{ $all = append $all (merge (dict) . $selector) }}{{ end -}}
{{- else if gt (int64 .replicas) 1 -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
{{- $all = append $all (merge (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash")) $selector) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}
