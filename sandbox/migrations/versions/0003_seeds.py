"""Seed data: change history, two weeks of production, two days of judgments, workflows and chat."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Every number comes from hashtext of a name, so that each sandbox has the same past relative to its start.
HISTORY = """
INSERT INTO rule_versions (version, body, changed_by, change_reason, created_at, active, approved_by, ticket)
VALUES
    ('r11', '{"warn": {"temperature": 82, "pressure": 3.0, "vibration": 4.5},
              "alarm": {"temperature": 98, "pressure": 4.0, "vibration": 7.1}}',
     'kim.jh', 'first limits after commissioning', now() - interval '41 days', false, 'lee.sy', 'CHG-101'),
    ('r12', '{"warn": {"temperature": 80, "pressure": 3.0, "vibration": 4.5},
              "alarm": {"temperature": 95, "pressure": 4.0, "vibration": 7.1}}',
     'lee.sy', 'lower temperature limits after the L04 overheating', now() - interval '12 days', true,
     'kim.jh', 'CHG-131');
INSERT INTO prompt_versions (version, body, changed_by, change_reason, created_at, active, approved_by, ticket)
VALUES
    ('p6', '{"few_shot": 3}', 'park.mh', 'three examples of operator remarks',
     now() - interval '33 days', false, 'kim.jh', 'CHG-108'),
    ('p7', '{"few_shot": 5}', 'park.mh', 'two examples of misjudged remarks',
     now() - interval '9 days', true, 'lee.sy', 'CHG-134');
INSERT INTO dsl_versions (version, body, changed_by, change_reason, created_at, active, approved_by, ticket)
VALUES
    ('d3', '{"quality_check": ["judge", "equipment_status"]}', 'choi.wj', 'first workflow',
     now() - interval '60 days', false, 'park.mh', 'CHG-092'),
    ('d4', '{"quality_check": ["judge", "equipment_status", "finish"]}', 'choi.wj', 'explicit end state',
     now() - interval '20 days', true, 'park.mh', 'CHG-124');
"""

PRODUCTION = """
INSERT INTO fact_daily_production
SELECT day::date, line, product, planned, planned - short, defect, 1100 + abs(hashtext('run' || key)) % 300
FROM (SELECT day, line, product, key, 400 + abs(hashtext('plan' || line || product)) % 400 AS planned,
             abs(hashtext('short' || key)) % 40 AS short, abs(hashtext('defect' || key)) % 12 AS defect
      FROM (SELECT day, line, product, day_number || line || product AS key
            FROM generate_series(0, 14) AS day_number,
                 LATERAL (SELECT current_date - day_number AS day) AS days,
                 unnest(ARRAY['L01', 'L02', 'L03', 'L04', 'L05', 'L06']) AS line,
                 unnest(ARRAY['P-100', 'P-200', 'P-300', 'P-400']) AS product) AS keys) AS quantities;
"""

JUDGMENTS = """
INSERT INTO judgment_executions (id, created_at, line_code, input, result, source, confidence, rule_version,
                                 prompt_version, app_version, track, latency_ms)
SELECT md5('judgment' || n)::uuid, now() - n * interval '1 minute', 'L0' || 1 + h % 6,
       jsonb_build_object('line_code', 'L0' || 1 + h % 6, 'temperature', 55 + h % 23,
                          'pressure', 1.5 + h % 13 / 10.0, 'vibration', 0.2 + h % 38 / 10.0),
       CASE WHEN h % 40 = 0 THEN 'ALARM' WHEN h % 12 = 0 THEN 'WARN' ELSE 'OK' END,
       CASE WHEN h % 4 = 0 THEN 'LLM' WHEN h % 4 = 1 THEN 'RULE' ELSE 'CACHE' END,
       CASE WHEN h % 4 = 0 THEN 0.7 + h % 250 / 1000.0 ELSE 0.99 END,
       'r12', 'p7', '1.4.0', 'stable', CASE WHEN h % 4 = 0 THEN 55 + h % 40 ELSE 3 + h % 9 END
FROM generate_series(1, 2880) AS n, LATERAL (SELECT abs(hashtext('judgment' || n)) AS h) AS hash;
"""

WORKFLOWS = """
INSERT INTO workflow_instances (id, definition, dsl_version, status, started_at, finished_at, attempts, error,
                                payload, track)
SELECT md5('workflow' || n)::uuid, 'quality_check', 'd4',
       CASE WHEN n % 300 = 150 THEN 'DEAD' WHEN n % 200 = 100 THEN 'FAILED' ELSE 'COMPLETED' END,
       now() - n * interval '4 minutes', now() - n * interval '4 minutes' + interval '400 milliseconds',
       CASE WHEN n % 100 = 0 OR n % 300 = 150 THEN 3 ELSE 1 END,
       CASE WHEN n % 300 = 150 OR n % 200 = 100 THEN 'equipment_status did not answer within 1 s' END,
       jsonb_build_object('line_code', 'L0' || 1 + n % 6, 'temperature', 61.5, 'pressure', 2.1,
                          'vibration', 0.4),
       'stable'
FROM generate_series(1, 720) AS n;
INSERT INTO workflow_dead_letters (instance_id, reason, created_at, resolved_at)
SELECT id, error, finished_at, finished_at + interval '20 minutes'
FROM workflow_instances WHERE status = 'DEAD';
"""

TALK = """
INSERT INTO intent_logs (created_at, user_id, utterance, intent, confidence, feedback)
SELECT now() - n * interval '7 minutes', 'user-' || 1 + n % 9,
       (ARRAY['L03 어제 생산량 분석해줘', 'L01 설비 상태 알려줘', '알람 몇 건이야?', '왜 불량이 늘었어?',
              'L05 수율 분석해줘', '안녕하세요'])[1 + h % 6],
       (ARRAY['bi_insight', 'equipment_status', 'alarm_status', 'root_cause', 'bi_insight',
              'smalltalk'])[1 + h % 6],
       (ARRAY[0.93, 0.86, 0.91, 0.74, 0.78, 0.42])[1 + h % 6],
       CASE WHEN h % 5 = 0 THEN NULL WHEN h % 9 = 0 THEN -1 ELSE 1 END
FROM generate_series(1, 400) AS n, LATERAL (SELECT abs(hashtext('intent' || n)) AS h) AS hash;
INSERT INTO prompt_evaluations (version, case_id, utterance, correct, evaluated_at)
SELECT version, 'case-' || lpad(n::text, 2, '0'),
       (ARRAY['불량 원인 알려줘', '어제 알람 보여줘', '설비 온도 조회해줘',
              '작업 지시 내려줘'])[1 + n % 4] || ' #' || n,
       n <= answered, now() - age
FROM (VALUES ('p6', 22, interval '33 days'), ('p7', 29, interval '9 days')) AS tried (version, answered, age),
     generate_series(1, 30) AS n;
INSERT INTO llm_calls (created_at, model, prompt_tokens, completion_tokens, cost_usd, outcome, latency_ms)
SELECT created_at, 'judge-mini', 90, 24, 0.0000279, 'ok', latency_ms
FROM judgment_executions WHERE source = 'LLM';
"""


def upgrade() -> None:
    """Insert the past."""
    for statement in (HISTORY, PRODUCTION, JUDGMENTS, WORKFLOWS, TALK):
        op.execute(statement)


def downgrade() -> None:
    """Empty every table: what came later has no meaning without its versions."""
    op.execute(
        "TRUNCATE prompt_evaluations, llm_calls, intent_logs, fact_daily_production, workflow_dead_letters,"
        " workflow_instances,"
        " judgment_executions, version_deployments, dsl_versions, prompt_versions, rule_versions"
    )
