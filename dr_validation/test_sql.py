"""Runbook 5, sample SQL after DR: restored data equals the ledger's counts of before the disaster.

The windows end at the recovery target, not at now(): a count of "the last day" taken hours later would cover another
window. The queries are in `sql/`.
"""

from functools import partial

from opsverify import per, recorded_keys, runbook

AFTER_DR = partial(runbook, stages=("post-dr", "rehearsal"), needs=("postgres", "recovery"), severity="sev1")


@AFTER_DR(
    "5-sql/judgments",
    "5-5/consistency",
    id="sql.judgment_executions",
    ko="판단 로그 최근 1일 건수가 복구 전 기록과 같은가",
    en="The judgment log of the last day is back",
)
def test_judgment_executions(check, recorded_data):
    """Compared in steps of ten minutes: a count over the whole day can hide a lost step."""
    recorded_data.compare(check, "judgment_executions")


@AFTER_DR(
    "5-sql/workflows",
    "5-5/consistency",
    id="sql.workflow_instances",
    ko="WF 인스턴스 상태 분포가 복구 전 기록과 맞는가",
    en="The workflow instances are back, by status",
)
@per("status", recorded_keys("workflow_instances"))
def test_workflow_instances(check, recorded_data, status):
    """Every workflow that started is present, and an ended workflow stays ended."""
    recorded_data.compare(check, "workflow_instances", status)


@AFTER_DR(
    "5-sql/fact",
    "5-5/consistency",
    id="sql.fact_daily_production",
    ko="핵심 fact가 라인·날짜별로 복구 전 기록과 같은가",
    en="The core facts are whole, per line and date",
)
@per("date_and_line", recorded_keys("fact_daily_production"))
def test_fact_daily_production(check, recorded_data, date_and_line):
    """Rows and sums per date and line equal those in the ledger."""
    recorded_data.compare(check, "fact_daily_production", date_and_line)
