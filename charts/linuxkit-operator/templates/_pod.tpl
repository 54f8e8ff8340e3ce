{{/* A text on lines of its own, or nothing at all: (list indent text). */}}
{{- define "linuxkit-operator.lines" -}}
{{- with trim (index . 1) }}{{ . | nindent (int (index $ 0)) }}{{ end -}}
{{- end -}}

{{/* What the restricted Pod Security level asks of a container. */}}
{{- define "linuxkit-operator.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Where pods of a component may run: its values. */}}
{{- define "linuxkit-operator.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Secrets for the chart's own images. */}}
{{- define "linuxkit-operator.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Certificate authorities of registries, for the manager. */}}
{{- define "linuxkit-operator.registryCAMounts" -}}
{{- if .Values.builds.registryCAs }}
- {name: registry-cas, mountPath: /etc/linuxkit/registry-cas, readOnly: true}
{{- end }}
{{- end -}}

{{- define "linuxkit-operator.registryCAVolumes" -}}
{{- if .Values.builds.registryCAs }}
- {name: registry-cas, configMap: {name: {{ include "linuxkit-operator.fullname" . }}-registry-cas}}
{{- end }}
{{- end -}}

{{/* Where the manager's traces go, as OpenTelemetry's own environment variables. */}}
{{- define "linuxkit-operator.tracingEnv" -}}
{{- with .Values.tracing }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .samplingRatio | quote }}
{{- with .headers }}
{{- if .secret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where builds send their part; empty when they send none. */}}
{{- define "linuxkit-operator.buildTraceEndpoint" -}}
{{- with .Values.tracing }}
{{- if and .endpoint .builds.enabled }}{{ default .endpoint .builds.endpoint }}{{ end }}
{{- end }}
{{- end -}}

{{/* What is logged, which may change while pods run: they read it again and again. */}}
{{- define "linuxkit-operator.logLevelMounts" -}}
- {name: log-levels, mountPath: /etc/linuxkit/log-levels, readOnly: true}
{{- end -}}

{{- define "linuxkit-operator.logLevelVolumes" -}}
- {name: log-levels, configMap: {name: {{ include "linuxkit-operator.fullname" . }}-log-levels}}
{{- end -}}
