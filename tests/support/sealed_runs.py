"""Sealed evidence of runs, and a recovery that was recorded with it: what a timeline is tested on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from opsverify.evidence.run_folder import RunFolder
from opsverify.evidence.seal import seal
from opsverify.incident.entries import Entry, declare, mark

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.incident.timeline import Incident

POST_DR = ("5-3/restore", "5-4/service", "5-5/consistency", "5-sql/judgments", "5-sql/workflows", "5-sql/fact",
           "5-6/smoke")  # fmt: skip
CLOSING = Entry(impact="20:00-21:00", loss="none", actions=("more disk",))
LATER_S = 3600.0
"""How far ahead a run begins: its gates ask for one begun after steps that a test marks, however slowly, after it."""


def run(project: Path, stage: str, outcomes: dict[str, str], *, ago_s: float = -LATER_S, target: str = "t") -> Path:
    """Leave the sealed evidence of a run that began `ago_s` ago; outcomes by runbook line."""
    began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago_s)
    folder = RunFolder.create(stage, began, project / "reports", None)
    checks: list[dict[str, Any]] = [
        {
            "id": f"c.{index}", "title": {"ko": "점검", "en": "check"}, "lines": [line], "outcome": outcome,
            "message": "said so", "owner": "me", "measured": None, "limit": None,
        }
        for index, (line, outcome) in enumerate(outcomes.items())
    ]  # fmt: skip
    accepted = set(outcomes.values()) == {"pass"}
    seal(
        folder,
        {
            "run_id": folder.run_id, "stage": stage, "target": target, "language": "ko",
            "outcome": "pass" if accepted else "fail", "decision": "accept" if accepted else "reject",
            "reasons": [], "started_at": began.isoformat(), "checks": checks,
        },
        None,
    )  # fmt: skip
    return folder.path


def rehearsed(project: Path, **more: Any) -> Path:  # noqa: ANN401 - what `run` takes
    """An accepted rehearsal."""
    return run(project, "rehearsal", {"5-2/integrity": "pass"}, **more)


def recovered(project: Path, **outcomes: str) -> Path:
    """A run of post-dr, all green but for `outcomes`."""
    return run(project, "post-dr", dict.fromkeys(POST_DR, "pass") | outcomes)


def closed(project: Path, declared: Entry | None = None) -> Incident:
    """A recovery declared and closed, every step with its evidence."""
    declare("t", project, declared or Entry())
    rehearsed(project)
    mark("t", project, None, "backup", Entry())
    recovered(project)
    for step in ("restore", "switch", "consistency", "smoke"):
        mark("t", project, None, step, Entry())
    return mark("t", project, None, "close", CLOSING)
