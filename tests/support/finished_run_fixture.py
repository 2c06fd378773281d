"""A finished run to verify, sign and report on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.finished_run import finish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Make a run folder with plan, Allure result, attachment, manifest and a verdict that names it."""
    folder = tmp_path / "run"
    results = folder / "allure-results"
    results.mkdir(parents=True)
    (folder / "plan.json").write_text('{"schema": "opsverify.plan/1"}')
    result = {
        "uuid": "5f1d9a7e-0000-4000-8000-000000000001",
        "historyId": "canary.error_rate",
        "testCaseId": "canary.error_rate",
        "fullName": "canary.error_rate",
        "name": "카나리 오류율이 1 % 미만인가",
        "status": "failed",
        "statusDetails": {"message": "2.31% of 4,120 requests failed, limit < 1%"},
        "labels": [{"name": "severity", "value": "blocker"}, {"name": "tag", "value": "sev1"}],
        "attachments": [{"name": "질의", "source": "query-attachment.txt", "type": "text/plain"}],
        "start": 1795384606448,
        "stop": 1795384606449,
    }
    (results / "1-result.json").write_text(json.dumps(result))
    (results / "query-attachment.txt").write_text("sum(rate(judgment_requests_total[12m]))")
    finish(folder)
    return folder
