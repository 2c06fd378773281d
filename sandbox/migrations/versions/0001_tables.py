"""Tables of the platform, and what each role may do with them."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE rule_versions (
    version text PRIMARY KEY, body jsonb NOT NULL, changed_by text NOT NULL, change_reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), active boolean NOT NULL DEFAULT false,
    approved_by text, ticket text, approval_bypassed text);
CREATE TABLE prompt_versions (LIKE rule_versions INCLUDING ALL);
CREATE TABLE dsl_versions (LIKE rule_versions INCLUDING ALL);
CREATE UNIQUE INDEX rule_versions_one_active ON rule_versions (active) WHERE active;
CREATE UNIQUE INDEX prompt_versions_one_active ON prompt_versions (active) WHERE active;
CREATE UNIQUE INDEX dsl_versions_one_active ON dsl_versions (active) WHERE active;
CREATE TABLE version_deployments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('rules', 'prompts', 'dsl')), version text NOT NULL,
    deployed_by text NOT NULL, approved_by text, ticket text, deployed_at timestamptz NOT NULL DEFAULT now());

CREATE FUNCTION versions_are_kept() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'DSL versions are history: % is kept', OLD.version; END $$;
CREATE TRIGGER dsl_versions_are_kept BEFORE DELETE ON dsl_versions
    FOR EACH ROW EXECUTE FUNCTION versions_are_kept();

CREATE TABLE judgment_executions (
    id uuid PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), line_code text NOT NULL,
    input jsonb NOT NULL, result text NOT NULL CHECK (result IN ('OK', 'WARN', 'ALARM')),
    source text NOT NULL CHECK (source IN ('RULE', 'LLM', 'CACHE', 'RULE_ONLY')),
    confidence numeric(4, 3) NOT NULL, rule_version text NOT NULL, prompt_version text NOT NULL,
    app_version text NOT NULL, track text NOT NULL, latency_ms integer NOT NULL);
CREATE INDEX judgment_executions_created_at ON judgment_executions (created_at);

CREATE TABLE workflow_instances (
    id uuid PRIMARY KEY, definition text NOT NULL, dsl_version text NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'DEAD')),
    started_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz,
    attempts integer NOT NULL DEFAULT 0, error text, payload jsonb NOT NULL, track text NOT NULL);
CREATE INDEX workflow_instances_started_at ON workflow_instances (started_at);
CREATE INDEX workflow_instances_open ON workflow_instances (track) WHERE status IN ('PENDING', 'RUNNING');

CREATE TABLE workflow_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id uuid NOT NULL REFERENCES workflow_instances (id), reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), resolved_at timestamptz);
CREATE INDEX workflow_dead_letters_instance ON workflow_dead_letters (instance_id);

CREATE TABLE fact_daily_production (
    date date NOT NULL, line_code text NOT NULL, product_code text NOT NULL, planned_qty integer NOT NULL,
    produced_qty integer NOT NULL, defect_qty integer NOT NULL, runtime_min integer NOT NULL,
    PRIMARY KEY (date, line_code, product_code));

CREATE TABLE intent_logs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
    user_id text NOT NULL DEFAULT 'anonymous', utterance text NOT NULL, intent text NOT NULL,
    confidence numeric(4, 3) NOT NULL, feedback smallint);
CREATE INDEX intent_logs_created_at ON intent_logs (created_at);

CREATE TABLE llm_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(),
    model text NOT NULL, prompt_tokens integer NOT NULL, completion_tokens integer NOT NULL,
    cost_usd numeric(12, 8) NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('ok', 'timeout', 'error', 'unparsable')),
    latency_ms integer NOT NULL);

CREATE TABLE prompt_evaluations (
    version text NOT NULL, case_id text NOT NULL, utterance text NOT NULL, correct boolean NOT NULL,
    evaluated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (version, case_id));

CREATE VIEW bi_daily_production AS
    SELECT date, line_code, sum(planned_qty) AS planned_qty, sum(produced_qty) AS produced_qty,
           sum(defect_qty) AS defect_qty, sum(runtime_min) AS runtime_min
    FROM fact_daily_production GROUP BY date, line_code;

GRANT USAGE ON SCHEMA public TO judgment_app, opsverify_ro, opsverify_smoke;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO judgment_app;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO opsverify_ro;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO opsverify_ro;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM judgment_app;
"""


def upgrade() -> None:
    """Create the tables and the view, and grant."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them all; grants on them go along."""
    op.execute("""
        DROP VIEW bi_daily_production;
        DROP TABLE prompt_evaluations;
        DROP TABLE llm_calls, intent_logs, fact_daily_production, workflow_dead_letters, workflow_instances,
                   judgment_executions, version_deployments, dsl_versions, prompt_versions, rule_versions;
        DROP FUNCTION versions_are_kept();
        REVOKE ALL ON SCHEMA public FROM judgment_app, opsverify_ro, opsverify_smoke;
    """)
