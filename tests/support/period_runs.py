"""Runs of a target at chosen times, sealed and recorded in its state: what a report of a week is tested on."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any

from opsverify.config.waivers import Waiver
from opsverify.evidence.chain import append
from opsverify.evidence.target_state import TargetState
from opsverify.report.period import last_full
from opsverify.report.period_page import page_of
from tests.support.target_file import target_in

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.report.document import Document

GOOD = {"daily": "accept", "weekly": "accept", "rehearsal": "accept", "monthly": "accept", "prod-canary": "promote"}
BAD = {"prod-canary": "rollback"}
DAY = dt.timedelta(days=1)
MONDAY = dt.datetime(2026, 11, 16, tzinfo=dt.UTC)


class RecordedRuns:
    """The state of target `t` in a project, which grows run by run."""

    def __init__(self, project: Path, target: str = "t") -> None:
        self.reports = project / "reports"
        self.target = target
        self.state = TargetState.of(self.reports, target)
        self.state.folder.mkdir(parents=True)
        self._count = 0

    def begin(self, stage: str, at: dt.datetime) -> tuple[str, Path]:
        """Record that a run begins; its id and folder."""
        self._count += 1
        run_id = f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{stage}-{self._count:04x}"
        folder = self.reports / run_id
        folder.mkdir()
        append(
            self.state.runs,
            {"event": "begun", "run_id": run_id, "stage": stage, "folder": str(folder), "at": at.isoformat()},
        )
        self._head()
        return run_id, folder

    def add(self, stage: str, at: dt.datetime, outcomes: dict[str, str] | None = None, **more: Any) -> Path:  # noqa: ANN401 - fields of a verdict
        """A finished run, all of whose checks have these outcomes; `duration_s` is theirs."""
        run_id, folder = self.begin(stage, at)
        outcomes = {"health.redis": "pass"} if outcomes is None else outcomes
        duration = more.pop("duration_s", 0.1)
        red = {"fail", "inconclusive"} & set(outcomes.values())
        decision = GOOD.get(stage, "accept")
        if red:
            decision = BAD.get(stage, "reject") if "fail" in red else "hold"
        reasons = [f"{name}: measured 3, limit <= 2" for name, outcome in outcomes.items() if outcome != "pass"]
        verdict = {
            "schema": "opsverify.verdict/1", "run_id": run_id, "stage": stage, "target": self.target, "language": "ko",
            "environment": "production", "outcome": "pass", "decision": decision, "reasons": reasons,
            "started_at": at.isoformat(), "finished_at": (at + dt.timedelta(minutes=1)).isoformat(),
            "planned": len(outcomes), "executed": len(outcomes),
            "checks": [check_entry(name, outcome, at, duration) for name, outcome in outcomes.items()],
            "evidence": {}, **more,
        }  # fmt: skip
        content = json.dumps(verdict, ensure_ascii=False).encode()
        (folder / "verdict.json").write_bytes(content)
        append(
            self.state.runs,
            {
                "event": "finished", "run_id": run_id, "stage": stage, "decision": decision,
                "verdict_sha256": hashlib.sha256(content).hexdigest(), "at": at.isoformat(),
            },
        )  # fmt: skip
        self._head()
        return folder

    def _head(self) -> None:
        lines = len(self.state.runs.read_bytes().splitlines())
        (self.state.folder / "head.json").write_text(json.dumps({"lines": lines}), encoding="utf-8")


def a_good_week(recorded: RecordedRuns, monday: dt.datetime, left_out: tuple[int, ...] = ()) -> None:
    """Every run that a week wants, but those of the days `left_out`; the rehearsal measured no time."""
    for day in range(7):
        if day not in left_out:
            recorded.add("daily", monday + day * DAY + dt.timedelta(hours=6))
    recorded.add("weekly", monday + dt.timedelta(hours=7))
    recorded.add("rehearsal", monday + dt.timedelta(hours=8), {"restore.rto": "pass"})


def a_restless_week(folder: Path, language: str) -> Document:
    """The page of week 47 of 2026 of a target with something in every part of it."""
    target = target_in(folder)
    waiver = Waiver(check="sql.fact_daily_production", owner="data", reason="known and being fixed",
                    until=dt.date(2026, 11, 29))  # fmt: skip
    absent = {part: reason for part, reason in target.absent.items() if part != "recovery"}
    target = target.model_copy(update={"absent": absent, "waivers": (waiver,)})
    recorded = RecordedRuns(folder)
    a_good_week(recorded, MONDAY - 7 * DAY)
    a_good_week(recorded, MONDAY, left_out=(2,))
    recorded.add("prod-canary", MONDAY + DAY, {"canary.error_rate": "fail", "canary.llm_cost": "inconclusive"})
    for hours, outcome in enumerate(("pass", "fail", "pass", "inconclusive")):
        outcomes = {"postgres.connections": outcome, "sql.judgment_executions": "pass", "alerts.silences": "fail"}
        recorded.add("daily", MONDAY + 3 * DAY + dt.timedelta(hours=7 + hours), outcomes, duration_s=6.2)
    recorded.begin("daily", MONDAY + 6 * DAY + dt.timedelta(hours=9))
    now = MONDAY + 8 * DAY
    period = last_full("weekly", now, target.report.zone)
    return page_of(recorded.state, target, recorded.reports, period, now, language)


def check_entry(name: str, outcome: str, at: dt.datetime, duration_s: float) -> dict[str, Any]:
    """One entry of `checks` in `verdict.json`."""
    good = outcome == "pass"
    return {
        "id": name, "title": {"ko": "점검", "en": "check"}, "runbook": ["1"], "severity": "sev2", "owner": "data",
        "outcome": outcome, "measured": 1 if good else 3, "limit": "<= 2", "unit": "count", "samples": None,
        "message": "measured 1, limit <= 2" if good else "measured 3, limit <= 2",
        "message_ko": "측정 1, 기준 <= 2" if good else "측정 3, 기준 <= 2",
        "started_at": at.isoformat(), "duration_s": duration_s, "lines": ["1-daily/alerts"], "measurements": [],
    }  # fmt: skip
