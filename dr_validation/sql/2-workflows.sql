-- Runbook, "DR 복구 후 샘플 검증 SQL" 2: WF 인스턴스 상태 분포.
-- Workflow instances started in the day before %(until)s (the runbook's now()), by status and by hour of their
-- start in UTC. Synthetic instances are removed at any time and are not counted.
-- Columns: bucket (its start), status, rows.
-- [validation]
-- id = "workflow_instances"
-- ko = "WF 인스턴스 상태 분포가 복구 전 기록과 맞는가"
-- en = "The workflow instances are back, by status"
-- runbook = ["5-sql/workflows"]
-- table = "workflow_instances"
-- window = "1d"
-- bucket = "1h"
-- key = ["bucket"]
-- state = "status"
-- final = ["COMPLETED", "FAILED", "DEAD"]
-- per = "state"
SELECT date_bin('1 hour', started_at, timestamptz '2000-01-01 00:00:00+00') AS bucket,
       status,
       count(*) AS rows
  FROM workflow_instances
 WHERE started_at >= %(since)s
   AND started_at < %(until)s
   AND synthetic_tag IS NULL
 GROUP BY bucket, status
 ORDER BY bucket, status
