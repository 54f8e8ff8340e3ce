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
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
  Name, labels and annotations of an object: (list . component name), then further labels and
  annotations as maps.
*/}}
{{- define "linuxkit-operator.metadata" -}}
{{- $root := index . 0 -}}
{{- $labels := dict -}}
{{- if gt (len .) 3 }}{{ $labels = index . 3 }}{{ end -}}
{{- $annotations := dict -}}
{{- if gt (len .) 4 }}{{ $annotations = index . 4 }}{{ end -}}
{{- $annotations = mustMerge (dict) $annotations $root.Values.commonAnnotations -}}
name: {{ index . 2 }}
labels:
  {{- include "linuxkit-operator.labels" (list $root (index . 1)) | nindent 2 }}
  {{- with $labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a component's pods: (list . component podLabels podAnnotations). */}}
{{- define "linuxkit-operator.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "linuxkit-operator.labels" (list $root (index . 1)) | nindent 2 }}
  {{- with index . 2 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with index . 3 }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "linuxkit-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "linuxkit-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image, by digest when one is given: (list values defaultTag). */}}
{{- define "linuxkit-operator.imageReference" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The product's own image. */}}
{{- define "linuxkit-operator.image" -}}
{{- include "linuxkit-operator.imageReference" (list .Values.image .Chart.AppVersion) -}}
{{- end -}}

{{/* Secret with the certificate of the artifact endpoint. */}}
{{- define "linuxkit-operator.certificateSecret" -}}
{{- include "linuxkit-operator.fullname" . -}}-artifacts-tls
{{- end -}}

{{/* Host name under which build pods reach the artifact endpoint. */}}
{{- define "linuxkit-operator.artifactsHost" -}}
{{- printf "%s-artifacts.%s.svc" (include "linuxkit-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Not empty when the test boots what it builds: when that is wanted and there is a place to boot from. */}}
{{- define "linuxkit-operator.testsBoot" -}}
{{- if and .Values.tests.boot (or .Values.bootRegistry.enabled .Values.tests.bootImage) }}yes{{ end -}}
{{- end -}}
