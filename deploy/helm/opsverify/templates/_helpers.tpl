{{/* Name of everything of this release. */}}
{{- define "opsverify.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that select pods: never changed, a Deployment's selector is immutable. */}}
{{- define "opsverify.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "opsverify.labels" -}}
{{ include "opsverify.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "opsverify.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* ConfigMap with the targets; empty where the image has them. */}}
{{- define "opsverify.targets" -}}
{{- if .Values.project.targets -}}
{{- printf "%s-targets" (include "opsverify.name" .) -}}
{{- else -}}
{{- .Values.project.existingConfigMap -}}
{{- end -}}
{{- end -}}

{{- define "opsverify.claim" -}}
{{- .Values.reports.existingClaim | default (printf "%s-reports" (include "opsverify.name" .)) -}}
{{- end -}}

{{/* Every pod: as PodSecurity "restricted" wants it, and without a token of the cluster. */}}
{{- define "opsverify.pod" -}}
serviceAccountName: {{ include "opsverify.name" . }}
automountServiceAccountToken: false
# Variables such as OPSVERIFY_PORT, which Kubernetes makes of a Service's name, would mix with our own.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.user }}
  runAsGroup: {{ .Values.user }}
  fsGroup: {{ .Values.user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{/* Every container. */}}
{{- define "opsverify.container" -}}
image: {{ include "opsverify.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
workingDir: /project
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* What a container that runs stages reads and writes. */}}
{{- define "opsverify.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: reports
  mountPath: /project/reports
{{- if include "opsverify.targets" . }}
- name: targets
  mountPath: /project/targets
  readOnly: true
{{- end }}
{{- if .Values.project.files }}
- name: files
  mountPath: /project/files
  readOnly: true
{{- end }}
{{- if .Values.project.runbook }}
- name: runbook
  mountPath: /project/runbook.toml
  subPath: runbook.toml
  readOnly: true
{{- end }}
{{- range .Values.secrets.files }}
- name: secret-{{ . }}
  mountPath: /etc/opsverify/secrets/{{ . }}
  readOnly: true
{{- end }}
{{- range .Values.backups }}
- name: {{ .name }}
  mountPath: {{ .mountPath }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "opsverify.volumes" -}}
- name: tmp
  emptyDir: {}
- name: reports
  persistentVolumeClaim:
    claimName: {{ include "opsverify.claim" . }}
{{- with include "opsverify.targets" . }}
- name: targets
  configMap:
    name: {{ . }}
{{- end }}
{{- if .Values.project.files }}
- name: files
  configMap:
    name: {{ include "opsverify.name" . }}-files
{{- end }}
{{- if .Values.project.runbook }}
- name: runbook
  configMap:
    name: {{ include "opsverify.name" . }}-runbook
{{- end }}
{{- range .Values.secrets.files }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- range .Values.backups }}
- name: {{ .name }}
  persistentVolumeClaim:
    claimName: {{ .claim }}
    readOnly: true
{{- end }}
{{- end -}}

{{/* The account has no home, and the root filesystem is read-only. */}}
{{- define "opsverify.environment" -}}
- name: HOME
  value: /tmp
{{- end -}}

{{- define "opsverify.environmentFrom" -}}
{{- with .Values.secrets.environment }}
envFrom:
{{- range . }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Faults of the values that no schema can state. */}}
{{- define "opsverify.checked" -}}
{{- if .Values.project.targets }}
{{- range .Values.schedule.targets }}
{{- if not (hasKey $.Values.project.targets .) }}
{{- fail (printf "schedule.targets: %s is not in project.targets; add it there, or remove it here" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "opsverify.configmap" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "opsverify.name" .top }}-{{ .name }}
  labels:
    {{- include "opsverify.labels" .top | nindent 4 }}
data:
  {{- toYaml .data | nindent 2 }}
{{- end }}

{{- define "opsverify.scheme" -}}
{{- ternary "http" "https" .Values.serve.tls.plainHttp -}}
{{- end -}}
