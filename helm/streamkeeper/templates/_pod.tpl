{{/* The template of the Pods of both modes. Takes root, component, args and restartPolicy; and of a CronJob its schedule and resources. */}}
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
{{- merge (dict) $own (.root.Values.podLabels | default dict) | toYaml -}}
{{- end }}

{{- define "streamkeeper.podSpec" -}}
{{- include "streamkeeper.validate" .root -}}
{{- with .root.Values -}}
serviceAccountName: {{ include "streamkeeper.serviceAccountName" $.root | quote }}
automountServiceAccountToken: false
# A Service named streamkeeper would give us variables that look like settings.
enableServiceLinks: false
restartPolicy: {{ $.restartPolicy }}
terminationGracePeriodSeconds: {{ include "streamkeeper.terminationGrace" $.root }}
{{- with $.activeDeadlineSeconds }}
activeDeadlineSeconds: {{ int64 . }}
{{- end }}
{{- with .podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
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
{{- with include "streamkeeper.env" $ | trim }}
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
{{- with include "streamkeeper.resources" $ | fromYaml }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $files := contains `"file":"r` (include "streamkeeper.secrets" $.root) }}
{{- if or $files .trim.policies .extraVolumeMounts }}
volumeMounts:
  {{- if $files }}
  - name: secrets
    mountPath: /etc/streamkeeper
    readOnly: true
  {{- end }}
  {{- if .trim.policies }}
  # A folder, not a file by subPath: only so a change of the ConfigMap arrives.
  - name: policies
    mountPath: /etc/streamkeeper-policies
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
    containerPort: {{ int64 .http.port }}
startupProbe:
  {{- include "streamkeeper.probe" (dict "path" "/" "probe" .startupProbe) | nindent 2 }}
livenessProbe:
  {{- include "streamkeeper.probe" (dict "path" "/" "probe" .livenessProbe) | nindent 2 }}
readinessProbe:
  {{- include "streamkeeper.probe" (dict "path" "/health" "probe" .readinessProbe) | nindent 2 }}
{{- with .lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A probe asks a path of ours unless it says what else to do. Takes path and probe. */}}
{{- define "streamkeeper.probe" -}}
{{- $probe := .probe | default dict -}}
{{- $asks := false -}}
{{- range list "httpGet" "exec" "tcpSocket" "grpc" }}{{ if hasKey $probe . }}{{ $asks = true }}{{ end }}{{ end -}}
{{- if not $asks }}{{ $probe = merge (dict "httpGet" (dict "path" .path "port" "http")) $probe }}{{ end -}}
{{- toYaml $probe -}}
{{- end }}

{{/* The resources of a container: a CronJob may have its own. */}}
{{- define "streamkeeper.resources" -}}
{{- .resources | default .root.Values.resources | default dict | toYaml -}}
{{- end }}

{{- define "streamkeeper.env" -}}
{{- $given := dict -}}
{{- range .root.Values.extraEnv }}{{ $_ := set $given .name true }}{{ end -}}
{{- if not (hasKey $given "GOMEMLIMIT") }}
{{- with include "streamkeeper.goMemLimit" ((include "streamkeeper.resources" . | fromYaml).limits | default dict) }}
- name: GOMEMLIMIT
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- include "streamkeeper.settingsEnv" .root }}
{{- include "streamkeeper.scheduleEnv" . }}
{{- with .root.Values.extraEnv }}
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
{{- if .Values.trim.policies }}
- name: policies
  configMap:
    name: {{ include "streamkeeper.suffixed" (dict "root" . "suffix" "policies") | quote }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the Pod runs, and how it finds others. */}}
{{- define "streamkeeper.scheduling" -}}
{{- with include "streamkeeper.pullSecrets" .root | fromYamlArray }}
{{ dict "imagePullSecrets" . | toYaml }}
{{- end }}
{{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" "nodeSelector" "affinity" "tolerations" "dnsPolicy" "dnsConfig" "hostAliases" }}
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
