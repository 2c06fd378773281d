"""The checklist of runbook sections 5 and 7, and the evidence that opens the gate to each next step."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from opsverify.errors import TargetError
from opsverify.language.message import say


@dataclass(frozen=True)
class Gate:
    """What has to be proven before a step counts as done: a run of `stage`, begun after the step `after` was marked.

    With `lines`, every check of the run that carries one of these runbook lines has passed, whatever the outcome of
    the others; without, the whole run is accepted.
    """

    stage: str
    after: str
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = say("whose checks of {names} pass", names=", ".join(self.lines)) if self.lines else say("that accepts")
        return say("a run of {stage} {what}, begun after {after}", stage=self.stage, what=what, after=self.after)


@dataclass(frozen=True)
class ChecklistStep:
    """One step of the checklist; `runbook` is its section, `reports` whether impact, loss and actions belong to it."""

    name: str
    runbook: str
    ko: str
    en: str
    gate: Gate | None = None
    reports: bool = False


STEPS: Final = (
    ChecklistStep("declare", "5-1", "DR 선언 및 온콜 소집", "Disaster declared, on-call summoned"),
    ChecklistStep(
        "backup",
        "5-2",
        "백업 무결성 확인, PITR 시점 결정",
        "Backup proven whole, recovery target decided",
        Gate("rehearsal", "declare"),
    ),
    ChecklistStep(
        "restore",
        "5-3",
        "DB 복구, 읽기/쓰기 헬스 체크",
        "Database restored, read and written",
        Gate("post-dr", "backup", ("5-3/restore",)),
    ),
    ChecklistStep(
        "switch",
        "5-4",
        "애플리케이션 재기동, DNS/Ingress 전환",
        "Applications restarted, DNS and ingress switched",
        Gate("post-dr", "restore", ("5-4/service",)),
    ),
    ChecklistStep(
        "consistency",
        "5-5",
        "데이터 정합성 점검",
        "Data consistent",
        Gate("post-dr", "restore", ("5-5/consistency", "5-sql/judgments", "5-sql/workflows", "5-sql/fact")),
    ),
    ChecklistStep(
        "smoke",
        "5-6",
        "비즈니스 검증, 알람/로그 정상",
        "Business validated, alerts and logs normal",
        Gate("post-dr", "restore", ("5-6/smoke",)),
    ),
    ChecklistStep("close", "5-7", "종료 보고", "Closed and reported", Gate("post-dr", "restore"), reports=True),
)
"""The checklist of a recovery in its order."""

SWITCHBACK: Final = (
    ChecklistStep(
        "origin",
        "7-1",
        "원 리전/DB 복구, 네트워크/보안 확인",
        "Original region and its network restored",
        Gate("switchback", "close", ("7-1/origin",)),
    ),
    # No run proves it while clients wait: a write in DR from here on fails `switchback.increment` in the next one.
    ChecklistStep(
        "fence", "7-2", "DR 리전 쓰기 차단: 서비스 중단 시작", "DR region takes no writes: service is interrupted"
    ),
    ChecklistStep(
        "sync",
        "7-2",
        "증분 동기화 확인",
        "Increment synchronized in both regions",
        Gate("switchback", "fence", ("7-2/sync",)),
    ),
    ChecklistStep(
        "return",
        "7-3",
        "트래픽을 본 리전으로 전환",
        "Traffic moved back to the original region",
        Gate("switchback", "fence", ("7-3/traffic",)),
    ),
    ChecklistStep(
        "verify",
        "7-4",
        "스모크, 알람/로그, 정합성 샘플링",
        "Business smoke, alerts and logs, consistency sampled",
        Gate("switchback", "return", ("7-4/verify",)),
    ),
    # Before the last run, not after it: that run's own check `switchback.report` reads it.
    ChecklistStep(
        "report", "7-5", "보고서 작성 (다운타임/영향/조치)", "Reported: downtime, impact, actions", reports=True
    ),
    ChecklistStep(
        "stand-down",
        "7-5",
        "DR 리전 대기 전환 또는 축소",
        "DR region stands by, or is reduced",
        Gate("switchback", "report"),
    ),
)
"""The checklist of a switchback, which may follow a recovery, in its order."""

NOTE: Final = "note"
"""No step: an event that is recorded in a line."""
TOLD: Final = "told"
"""No step: a level of the escalation was told."""
CUSTOMER_NOTICE: Final = "customer-notice"
"""No step: the customers were told."""
FREE: Final = (NOTE, TOLD, CUSTOMER_NOTICE)
"""What is recorded at any time, without order and without a gate."""


def step_named(name: str) -> ChecklistStep:
    """The step called `name`. Raises TargetError with the nearest name and the whole list."""
    known = (*STEPS, *SWITCHBACK)
    for step in known:
        if step.name == name:
            return step
    names = [step.name for step in known]
    close = difflib.get_close_matches(name, names, n=1)
    hint = say("; did you mean {name!r}?", name=close[0]) if close else ""
    raise TargetError(
        say(
            "step {name!r}: no such step{hint}; steps: {names}, and {note}",
            name=name,
            hint=hint,
            names=", ".join(names),
            note=", ".join(FREE),
        )
    )
