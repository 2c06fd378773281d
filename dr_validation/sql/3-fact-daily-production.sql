-- Runbook, "DR 복구 후 샘플 검증 SQL" 3: 핵심 fact 무결성(라인 수 x 날짜).
-- Rows of every production date and line from %(since)s up to, not including, %(until)s (both dates; the
-- runbook's current_date - 7 and today), with the exact sums of what the BI shows.
-- Columns: date, line_code, rows, then the sums under their column's name.
-- [validation]
-- id = "fact_daily_production"
-- ko = "핵심 fact가 라인·날짜별로 복구 전 기록과 같은가"
-- en = "The core facts are whole, per line and date"
-- runbook = ["5-sql/fact"]
-- table = "fact_daily_production"
-- window = "7d"
-- bucket = "1d"
-- key = ["date", "line_code"]
-- compared = ["rows", "planned_qty", "produced_qty", "defect_qty"]
-- per = "key"
SELECT date,
       line_code,
       count(*) AS rows,
       sum(planned_qty::numeric) AS planned_qty,
       sum(produced_qty::numeric) AS produced_qty,
       sum(defect_qty::numeric) AS defect_qty
  FROM fact_daily_production
 WHERE date >= %(since)s
   AND date < %(until)s
 GROUP BY date, line_code
 ORDER BY date, line_code
