"""Tables of the two regions: like the platform's, with a column for the time of the last change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    import psycopg

CREATE: LiteralString = """
CREATE TABLE judgment_executions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), line_code text NOT NULL, result text NOT NULL,
    detail jsonb, synthetic_tag text, created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE workflow_instances (
    id bigserial PRIMARY KEY, status text NOT NULL, synthetic_tag text,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE fact_daily_production (
    date date, line_code text, produced_qty numeric NOT NULL, changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (date, line_code)
);
GRANT SELECT ON ALL TABLES IN SCHEMA public TO opsverify_ro, judgment_app, opsverify_smoke;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO opsverify_ro;
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO judgment_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO judgment_app;
GRANT DELETE ON judgment_executions, workflow_instances TO opsverify_smoke;
"""

SEED: LiteralString = """
INSERT INTO judgment_executions (line_code, result, detail, created_at)
    SELECT 'L0' || 1 + n % 4, CASE n % 9 WHEN 0 THEN 'ALARM' ELSE 'OK' END, jsonb_build_object('n', n),
           clock_timestamp() - n * interval '1 minute'
      FROM generate_series(1, 5000) n;
INSERT INTO workflow_instances (status, changed_at)
    SELECT (ARRAY['COMPLETED', 'FAILED', 'RUNNING'])[1 + n % 3], clock_timestamp() - n * interval '2 minutes'
      FROM generate_series(1, 600) n;
INSERT INTO fact_daily_production
    SELECT current_date - d, 'L0' || l, 1000 + 10 * d + l, clock_timestamp() - d * interval '1 day'
      FROM generate_series(1, 30) d, generate_series(1, 4) l;
ANALYZE;
"""

WORK: LiteralString = """
INSERT INTO judgment_executions (line_code, result) SELECT 'L0' || 1 + n % 4, 'OK' FROM generate_series(1, 200) n;
INSERT INTO workflow_instances (status) SELECT 'RUNNING' FROM generate_series(1, 40);
UPDATE workflow_instances SET status = 'COMPLETED', changed_at = clock_timestamp()
 WHERE id IN (SELECT id FROM workflow_instances WHERE status = 'RUNNING' ORDER BY id LIMIT 25);
INSERT INTO fact_daily_production (date, line_code, produced_qty)
    SELECT current_date, 'L0' || l, 900 + l FROM generate_series(1, 4) l
    ON CONFLICT (date, line_code) DO UPDATE SET produced_qty = excluded.produced_qty + 1,
                                                changed_at = clock_timestamp();
"""
"""What a while of operation writes: new rows, and older ones changed."""

UNSENT: LiteralString = """
INSERT INTO judgment_executions (line_code, result, detail)
    SELECT 'L01', 'OK', '{"never": "sent"}' FROM generate_series(1, 3)
"""
"""What the original region still commits when nothing of it reaches the other region any more."""


def execute(connection: psycopg.Connection[tuple[Any, ...]], statements: LiteralString) -> None:
    """Run statements in one transaction."""
    with connection.transaction():
        connection.execute(statements)
