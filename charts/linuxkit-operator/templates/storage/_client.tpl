{{/* Secret with the storage credentials; empty when the pods' own identity is used. */}}
{{- define "linuxkit-operator.storageSecret" -}}
{{- if .Values.storage.embedded.enabled -}}
{{- printf "%s-storage" (include "linuxkit-operator.fullname" .) -}}
{{- else -}}
{{- .Values.storage.external.credentialsSecret -}}
{{- end -}}
{{- end -}}

{{/* Name of the ConfigMap or Secret with the authority of an external endpoint, if there is one. */}}
{{- define "linuxkit-operator.storageCA" -}}
{{- with .Values.storage }}
{{- if not .embedded.enabled }}{{ default .external.ca.secret .external.ca.configMap }}{{ end }}
{{- end }}
{{- end -}}

{{/* Where the object storage is, as environment variables. */}}
{{- define "linuxkit-operator.storageEnv" -}}
- name: LINUXKIT_S3_BUCKET
  value: {{ .Values.storage.bucket | quote }}
- name: LINUXKIT_S3_REGION
  value: {{ .Values.storage.region | quote }}
{{- if .Values.storage.embedded.enabled }}
- name: LINUXKIT_S3_ENDPOINT
  value: {{ printf "http://%s-storage.%s.svc:7070" (include "linuxkit-operator.fullname" .) .Release.Namespace | quote }}
- name: LINUXKIT_S3_FORCE_PATH_STYLE
  value: "true"
{{- else }}
{{- with .Values.storage.external.endpoint }}
- name: LINUXKIT_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
- name: LINUXKIT_S3_FORCE_PATH_STYLE
  value: {{ .Values.storage.external.forcePathStyle | quote }}
{{- if include "linuxkit-operator.storageCA" . }}
- name: LINUXKIT_S3_CA_FILE
  value: /etc/linuxkit/storage-ca/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* The credentials themselves, for pods that may start once the Secret is filled. */}}
{{- define "linuxkit-operator.storageCredentialsEnv" -}}
{{- with include "linuxkit-operator.storageSecret" . }}
- name: LINUXKIT_S3_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: LINUXKIT_S3_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end -}}

{{- define "linuxkit-operator.storageMounts" -}}
{{- if include "linuxkit-operator.storageCA" . }}
- {name: storage-ca, mountPath: /etc/linuxkit/storage-ca, readOnly: true}
{{- end }}
{{- end -}}

{{- define "linuxkit-operator.storageVolumes" -}}
{{- if include "linuxkit-operator.storageCA" . }}
{{- with .Values.storage.external.ca }}
- name: storage-ca
  {{- if .configMap }}
  configMap: {name: {{ .configMap }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
  {{- else }}
  secret: {secretName: {{ .secret }}, items: [{key: {{ .key | quote }}, path: ca.crt}]}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}
