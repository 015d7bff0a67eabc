{{- define "edge.name" -}}
{{- if contains "edge" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-edge" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "edge.selector" -}}
app.kubernetes.io/name: edge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "edge.labels" -}}
{{ include "edge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The user's configuration, and above it the keys that belong to the chart. */ -}}
{{- define "edge.config" -}}
{{- $own := dict "listen" ":8080" "public_url" (required "set publicURL, the URL by which clients reach the edge" .Values.publicURL) }}
{{- $_ := set $own "admin" (dict "listen" ":8081" "token" "${EDGE_ADMIN_TOKEN}") }}
{{- $_ := set $own "cache" (dict "dir" "/var/lib/edge/edge-cache/cache") }}
{{- $_ := set $own "drain" (dict "delay" (printf "%vs" .Values.drain.delay) "limit" (printf "%vs" .Values.drain.limit)) }}
{{- if .Values.fleet.enabled }}
{{- $pods := printf "dns+srv://_edge._tcp.%s-pods.%s.svc.cluster.local" (include "edge.name" .) .Release.Namespace }}
{{- $fleet := dict "name" "${POD_NAME}" "pop" .Release.Name "listen" ":8443" "token" "${EDGE_FLEET_TOKEN}" "peers" (list $pods) }}
{{- $_ := set $own "fleet" $fleet }}
{{- end }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) }}
{{- end }}
