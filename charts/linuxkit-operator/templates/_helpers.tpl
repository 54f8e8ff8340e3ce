{{/* Name prefix of everything in the release. */}}
{{- define "linuxkit-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Selector labels of one component: (list . "manager"). */}}
{{- define "linuxkit-operator.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of one component: (list . "manager"). */}}
{{- define "linuxkit-operator.labels" -}}
{{- $root := index . 0 -}}
{{ include "linuxkit-operator.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "linuxkit-operator.serviceAccountName" -}}
{{- default (include "linuxkit-operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The product's image, by digest when one is given. */}}
{{- define "linuxkit-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Secret with the storage credentials; empty when the pods' own identity is used. */}}
{{- define "linuxkit-operator.storageSecret" -}}
{{- if .Values.storage.embedded.enabled -}}
{{- printf "%s-storage" (include "linuxkit-operator.fullname" .) -}}
{{- else -}}
{{- .Values.storage.external.credentialsSecret -}}
{{- end -}}
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
