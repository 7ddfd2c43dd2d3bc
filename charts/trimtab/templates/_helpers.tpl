{{- define "trimtab.name" -}}{{ .Chart.Name | trunc 63 | trimSuffix "-" }}{{- end }}
{{- define "trimtab.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- define "trimtab.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trimtab.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "trimtab.labels" -}}
{{ include "trimtab.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
{{- define "trimtab.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "trimtab.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}
{{- define "trimtab.image" -}}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end }}
{{- define "trimtab.prometheusUrl" -}}http://{{ include "trimtab.fullname" . }}-prometheus.{{ .Release.Namespace }}.svc:9090{{- end }}
{{- /* Configuration of the bundled Prometheus; its hash tells the pod of a change. */}}
{{- define "trimtab.prometheusConfig" }}
{{- $served := .Values.namespaces -}}
global:
  scrape_interval: {{ .Values.prometheus.scrapeIntervalSeconds }}s
scrape_configs:
- job_name: cadvisor
  scheme: https
  metrics_path: /metrics/cadvisor
  authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
  # The kubelet's serving certificate is self-signed in most clusters.
  tls_config: {insecure_skip_verify: true}
  kubernetes_sd_configs: [{role: node}]
  metric_relabel_configs:
  - source_labels: [__name__]
    regex: container_(cpu_usage_seconds_total|cpu_cfs_(throttled_)?periods_total|memory_working_set_bytes|oom_events_total|fs_usage_bytes|fs_(reads|writes)_bytes_total|network_(receive|transmit)_bytes_total)
    action: keep
  {{- with $served }}
  - {source_labels: [namespace], regex: {{ join "|" . | quote }}, action: keep}
  {{- end }}
- job_name: pods
  # For applications that name no content type.
  fallback_scrape_protocol: PrometheusText0.0.4
  kubernetes_sd_configs:
  - role: pod
    {{- with $served }}
    namespaces: {names: {{ append . $.Release.Namespace | uniq | toJson }}}
    {{- end }}
  relabel_configs:
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true", action: keep}
  - {source_labels: [__meta_kubernetes_pod_phase], regex: "Pending|Failed|Succeeded", action: drop}
  - {source_labels: [__meta_kubernetes_pod_container_init], regex: "true", action: drop}
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], regex: "(https?)", target_label: __scheme__}
  - {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: "(.+)", target_label: __metrics_path__}
  # An annotated port; several ports of one pod then give equal targets, which are one. IPv6 addresses take brackets.
  - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: '([0-9.]+);(\d+)'
    replacement: "$1:$2"
    target_label: __address__
  - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_prometheus_io_port]
    regex: '(.*:.*);(\d+)'
    replacement: "[$1]:$2"
    target_label: __address__
  - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
  - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
{{- end }}
