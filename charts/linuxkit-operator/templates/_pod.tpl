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
