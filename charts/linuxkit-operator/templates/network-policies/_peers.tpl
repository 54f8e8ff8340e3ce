{{/* Egress to the cluster's DNS, wherever it runs. */}}
{{- define "linuxkit-operator.egressDNS" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* Egress to a list of `{cidr, port}`, or to everywhere on the given ports: (list peers ports). */}}
{{- define "linuxkit-operator.egressTo" -}}
{{- range index . 0 }}
- to: [{ipBlock: {cidr: {{ .cidr }}}}]
  ports: [{protocol: TCP, port: {{ .port }}}]
{{- else }}
- ports:
    {{- range index . 1 | uniq }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The port of `host[:port]`, or 443. */}}
{{- define "linuxkit-operator.portOf" -}}
{{- regexFind ":[0-9]+$" . | trimPrefix ":" | default "443" -}}
{{- end -}}

{{/* Egress to object storage, wherever that is. */}}
{{- define "linuxkit-operator.egressStorage" -}}
{{- if .Values.storage.embedded.enabled }}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Release.Namespace }}}}
      podSelector:
        matchLabels:
          {{- include "linuxkit-operator.selector" (list . "storage") | nindent 10 }}
  ports: [{protocol: TCP, port: 7070}]
{{- else }}
{{- $port := include "linuxkit-operator.portOf" (urlParse .Values.storage.external.endpoint).host }}
{{- include "linuxkit-operator.egressTo" (list .Values.networkPolicy.externalStorage (list $port)) }}
{{- end }}
{{- end -}}

{{/* Egress to where traces are sent, if they are: (list context address). */}}
{{- define "linuxkit-operator.egressCollector" -}}
{{- $url := urlParse (index . 1) }}
{{- if $url.host }}
{{- $port := default (ternary "443" "80" (eq $url.scheme "https")) (regexFind ":[0-9]+$" $url.host | trimPrefix ":") }}
{{- include "linuxkit-operator.egressTo" (list (index . 0).Values.networkPolicy.collector (list $port)) }}
{{- end }}
{{- end -}}

{{/* Egress to the registries that builds pull from. */}}
{{- define "linuxkit-operator.egressRegistries" -}}
{{- $ports := list "443" }}
{{- range .Values.builds.insecureRegistries }}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "80") }}
{{- end }}
{{- range $mirrors := .Values.builds.registryMirrors }}
{{- range $mirrors }}
{{- $ports = append $ports (include "linuxkit-operator.portOf" (splitList "/" . | first)) }}
{{- end }}
{{- end }}
{{- range list .Values.builds.proxy.http .Values.builds.proxy.https | compact }}
{{- $port := regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" }}
{{- $ports = append $ports (default (ternary "443" "80" (hasPrefix "https:" .)) $port) }}
{{- end }}
{{- include "linuxkit-operator.egressTo" (list .Values.networkPolicy.builds.registries $ports) }}
{{- end -}}
