{{/* The image, with a digest or a tag. */}}
{{- define "gitintegration.image" -}}
{{- $tag := .Values.image.tag | default (ternary "" .Chart.AppVersion (ne .Values.image.digest "")) -}}
{{- .Values.image.repository }}{{ with $tag }}:{{ . }}{{ end }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The documents of a file, in the release's namespace, but for those named KIND/NAME in `drop`; `annotations` and `labels` are added.
A role that the cluster's aggregation fills in stays at an uninstall: the aggregation may make a deleted one anew, as nobody's, on which
the next install fails. It grants nothing without its binding. */}}
{{- define "gitintegration.file" -}}
{{- $root := .root }}{{ $drop := .drop | default list }}{{ $annotations := .annotations }}{{ $labels := .labels }}
{{- range splitList "\n---\n" (.root.Files.Get .path | replace "system:serviceaccount:gitintegration-system:" (printf "system:serviceaccount:%s:" $root.Release.Namespace)) }}
{{- $one := fromYaml . }}
{{- if and $one.kind (not (has (printf "%s/%s" $one.kind $one.metadata.name) $drop)) }}
{{- if $one.metadata.namespace }}{{ $_ := set $one.metadata "namespace" $root.Release.Namespace }}{{ end }}
{{- range $one.subjects }}{{ if .namespace }}{{ $_ := set . "namespace" $root.Release.Namespace }}{{ end }}{{ end }}
{{- if $one.aggregationRule }}{{ $_ := set $one.metadata "annotations" (dict "helm.sh/resource-policy" "keep") }}{{ end }}
{{- with $annotations }}{{ $_ := set $one.metadata "annotations" (merge (dict) . ($one.metadata.annotations | default dict)) }}{{ end }}
{{- with $labels }}{{ $_ := set $one.metadata "labels" (merge (dict) . ($one.metadata.labels | default dict)) }}{{ end }}
---
{{ toYaml $one }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the Pods of operator and gateway have alike: `name` selects them, `pod` are their values. */}}
{{- define "gitintegration.pod" -}}
serviceAccountName: {{ .account }}
terminationGracePeriodSeconds: 15
enableServiceLinks: false  # a Service's GITINTEGRATION_PORT would be read as a setting
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ toJson .selector }}
    matchLabelKeys: [pod-template-hash]
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - name: {{ . }}{{ end }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .pod.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .pod.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* The same of their containers. `port` is its name, `number` another than 8080, `http` a second one; `ready` the path of its
readiness, `resources` the default. */}}
{{- define "gitintegration.container" -}}
image: {{ include "gitintegration.image" .root | quote }}
{{- with .root.Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
ports:
  {{- with .http }}
  - {name: http, containerPort: {{ . }}}
  {{- end }}
  - {name: {{ .port }}, containerPort: {{ .number | default 8080 }}}
startupProbe:  # two minutes, for a node that is short of processor time
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 5
resources: {{ .pod.resources | default .resources | toJson }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "gitintegration.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{ toJson .selector }}
{{- end }}

{{/* Selects the Pods of the operator, of all shards. */}}
{{- define "gitintegration.operators" -}}
{{- if .Values.shards -}}
matchExpressions:
  - key: app.kubernetes.io/name
    operator: In
    values: [gitintegration{{ range .Values.shards }}, gitintegration-shard-{{ .name }}{{ end }}]
{{- else -}}
matchLabels: {app.kubernetes.io/name: gitintegration}
{{- end }}
{{- end }}
