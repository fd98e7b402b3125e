{{/* The Pod of both modes. Takes root, args, restartPolicy, and port where HTTP is served. */}}
{{- define "streamkeeper.podTemplate" -}}
{{- include "streamkeeper.validate" .root -}}
{{- $files := include "streamkeeper.secretFiles" .root | fromYamlArray -}}
{{- with .root.Values -}}
metadata:
  labels:
    {{- include "streamkeeper.labels" $.root | nindent 4 }}
    {{- with .podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "streamkeeper.serviceAccountName" $.root }}
  automountServiceAccountToken: false
  # A Service named streamkeeper would give us variables that look like settings.
  enableServiceLinks: false
  restartPolicy: {{ $.restartPolicy }}
  terminationGracePeriodSeconds: {{ .terminationGracePeriodSeconds }}
  {{- with .imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .podSecurityContext | nindent 4 }}
  containers:
    - name: streamkeeper
      image: {{ include "streamkeeper.image" $.root | quote }}
      imagePullPolicy: {{ .image.pullPolicy }}
      args: {{ toJson $.args }}
      env:
        {{- if hasKey (.resources.limits | default dict) "memory" }}
        - name: GOMEMLIMIT
          valueFrom:
            resourceFieldRef:
              resource: limits.memory
        {{- end }}
        {{- with $.port }}
        - name: STREAMKEEPER_LISTEN
          value: ":{{ . }}"
        {{- end }}
        {{- with include "streamkeeper.settingsEnv" $.root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .redis.secret.urlKey }}
        - name: STREAMKEEPER_REDIS_URL
          valueFrom:
            secretKeyRef:
              name: {{ $.root.Values.redis.secret.name }}
              key: {{ . }}
        {{- end }}
        {{- range $files }}
        - name: STREAMKEEPER_{{ .env }}
          value: /etc/streamkeeper/{{ .path }}
        {{- end }}
        {{- with .extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $.port }}
      ports:
        - name: http
          containerPort: {{ . }}
      livenessProbe:
        httpGet:
          path: /
          port: http
        timeoutSeconds: 5
      readinessProbe:
        httpGet:
          path: /health
          port: http
        timeoutSeconds: 5
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- toYaml .securityContext | nindent 8 }}
      {{- if $files }}
      volumeMounts:
        - name: secrets
          mountPath: /etc/streamkeeper
          readOnly: true
      {{- end }}
  {{- if $files }}
  volumes:
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range $files }}
          - secret:
              name: {{ .secret }}
              items:
                - key: {{ .key }}
                  path: {{ .path }}
          {{- end }}
  {{- end }}
  {{- with .nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What is mounted from Secrets, and the setting that names each file. */}}
{{- define "streamkeeper.secretFiles" -}}
{{- $redis := .Values.redis.secret -}}
{{- $tls := .Values.redis.tls.secret -}}
{{- range list
  (dict "secret" $redis.name "key" $redis.passwordKey "path" "redis-password" "env" "REDIS_PASSWORD_FILE")
  (dict "secret" $redis.name "key" $redis.sentinelPasswordKey "path" "redis-sentinel-password" "env" "REDIS_SENTINEL_PASSWORD_FILE")
  (dict "secret" $tls.name "key" $tls.caKey "path" "redis-tls-ca.pem" "env" "REDIS_TLS_CA_FILE")
  (dict "secret" $tls.name "key" $tls.certKey "path" "redis-tls-cert.pem" "env" "REDIS_TLS_CERT_FILE")
  (dict "secret" $tls.name "key" $tls.keyKey "path" "redis-tls-key.pem" "env" "REDIS_TLS_KEY_FILE")
}}
{{- if .key }}
- {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Fails on values that are right one by one and make no sense together. */}}
{{- define "streamkeeper.validate" -}}
{{- with .Values.redis -}}
{{- if and .url .secret.urlKey -}}
{{- fail "redis.url and redis.secret.urlKey are both set: give one of them" -}}
{{- end -}}
{{- range $name, $secret := dict "redis.secret" .secret "redis.tls.secret" .tls.secret -}}
{{- $keys := compact (values (omit $secret "name")) -}}
{{- if and $keys (not $secret.name) -}}
{{- fail (printf "%s has keys and no name: name the Secret that holds them" $name) -}}
{{- else if and $secret.name (not $keys) -}}
{{- fail (printf "%s has a name and no keys: say which of its keys to use" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
