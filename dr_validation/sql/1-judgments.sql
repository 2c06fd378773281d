-- Runbook, "DR 복구 후 샘플 검증 SQL" 1: 판단 로그 최근 1일 건수.
-- Judgments of the day before %(until)s (which stands for the runbook's now()), counted in buckets of 10 minutes
-- by UTC, so that a loss shows where it is. Synthetic judgments are removed at any time and are not counted.
-- Columns: bucket (its start), rows.
-- [validation]
-- id = "judgment_executions"
-- ko = "판단 로그 최근 1일 건수가 복구 전 기록과 같은가"
-- en = "The judgment log of the last day is back"
-- runbook = ["5-sql/judgments"]
-- table = "judgment_executions"
-- window = "1d"
-- bucket = "10m"
-- key = ["bucket"]
-- compared = ["rows"]
SELECT date_bin('10 minutes', created_at, timestamptz '2000-01-01 00:00:00+00') AS bucket,
       count(*) AS rows
  FROM judgment_executions
 WHERE created_at >= %(since)s
   AND created_at < %(until)s
   AND synthetic_tag IS NULL
 GROUP BY bucket
 ORDER BY bucket
