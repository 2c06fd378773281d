"""Gate run: one stage on one target that was asked for over HTTP, and what a pipeline may do by it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from opsverify.core.stages import STAGES, Decision
from opsverify.language.message import Message, say
from opsverify.language.plain import plain_line
from opsverify.serve.bodies import Approval, Release, RunView
from opsverify.units import elapsed

if TYPE_CHECKING:
    from opsverify.serve.bodies import Answer

API: Final = "api"
CLOCK_SLACK: Final = dt.timedelta(seconds=30)


class RunState(StrEnum):
    """Where a run is. It only moves forward, and nothing repeats it."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
class RunRequest:
    """What to run, for which release, and over which hook it was asked for."""

    stage: str
    target: str
    options: tuple[tuple[str, str], ...] = ()
    release: Release | None = None
    hook: str = API

    @property
    def digest(self) -> str:
        """The sum of what was asked for."""
        release = self.release.parts if self.release else None
        return _sum([self.stage, self.target, self.options, release, self.hook])

    @property
    def release_key(self) -> str | None:
        """The key by which a retry joins the run it started: the release, its checksum, the hook; None without."""
        if self.release is None:
            return None
        release = [self.release.namespace, self.release.name, self.release.checksum]
        return _sum(["release", self.stage, self.target, self.hook, *release])

    def is_of_release(self, release: Release | None) -> bool:
        """Whether it is about this very checksum of this release."""
        own = self.release
        return (
            own is not None
            and release is not None
            and (own.namespace, own.name, own.checksum) == (release.namespace, release.name, release.checksum)
        )

    def own_key(self, token: str, idempotency_key: str) -> str:
        """The key that a client gave."""
        return _sum(["own", token, idempotency_key])


@dataclass(frozen=True)
class Conclusion:
    """The end of a run: its decision and why; a run without a verdict of its own is a hold."""

    decision: Decision
    reasons: tuple[Message, ...]
    exit_code: int | None = None
    run_id: str | None = None
    verdict_sha256: str | None = None

    @classmethod
    def hold(cls, reason: Message, exit_code: int | None = None) -> Conclusion:
        """A hold, because of what `reason` says."""
        return cls(Decision.HOLD, (reason,), exit_code)


@dataclass(frozen=True)
class GateRun:
    """One run, as it is kept."""

    id: str
    key: str
    request: RunRequest
    started_by: str
    created_at: dt.datetime
    state: RunState = RunState.QUEUED
    begun_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    conclusion: Conclusion | None = None
    approval: Approval | None = None
    retired_at: dt.datetime | None = None

    @property
    def decision(self) -> Decision | None:
        """What was decided; None before the end."""
        return self.conclusion.decision if self.conclusion else None

    @property
    def opens(self) -> bool:
        """Whether it was decided that the release may pass: by the verdict, or by a person."""
        return self.approval is not None or self.decision is Decision.PROMOTE

    def is_stale(self, now: dt.datetime, max_age_s: float) -> bool:
        """Whether what opens the gate was decided too long ago, or in the future."""
        decided = dt.datetime.fromisoformat(self.approval.at) if self.approval else self.finished_at
        return self.opens and (decided is None or not -CLOCK_SLACK <= now - decided <= dt.timedelta(seconds=max_age_s))

    def answer(self, now: dt.datetime, max_age_s: float, later: GateRun | None = None) -> tuple[Answer, Message]:
        """What a pipeline may do at `now`, and why; `later`: a run that overtook it. Whatever is in doubt is a hold."""
        if self.state is RunState.QUEUED:
            return "running", say("run {id}: waits for its turn", id=self.id)
        if self.state is RunState.RUNNING or self.conclusion is None:
            return "running", say("run {id}: under way", id=self.id)
        closed = self._closed(now, max_age_s, later)
        if closed is not None:
            return "hold", closed
        if self.approval:
            who, why = plain_line(self.approval.who), plain_line(self.approval.why)  # an earlier version kept them raw
            return "promote", say("run {id}: hold, approved by {who}: {why}", id=self.id, who=who, why=why)
        reason = self.conclusion.reasons[0] if self.conclusion.reasons else say("every check passed")
        text = say("run {id}: {decision}: {reason}", id=self.id, decision=self.conclusion.decision, reason=reason)
        return _ANSWER[self.conclusion.decision], text

    def _closed(self, now: dt.datetime, max_age_s: float, later: GateRun | None) -> Message | None:
        """Why its verdict counts no longer; None where it does."""
        if self.retired_at:
            return say("run {id}: retired, its verdict counts no longer", id=self.id)
        if self.opens and later is not None:
            return self.overtaken(later)
        if self.is_stale(now, max_age_s):
            return say(
                "run {id}: decided {age} ago, limit {limit} (--max-age); verify again",
                id=self.id,
                age=elapsed(abs((now - (self.finished_at or now)).total_seconds())),
                limit=elapsed(max_age_s),
            )
        return None

    def overtaken(self, later: GateRun) -> Message:
        """Why it lets nothing pass: what the run `later` is, or decided."""
        release = later.request.release
        if release is not None and not self.request.is_of_release(release):
            return say("run {id}: later run {later} is of checksum {checksum}; act on that run", id=self.id,
                       later=later.id, checksum=release.checksum)  # fmt: skip
        if later.retired_at:
            return say("run {id}: later run {later} was retired; verify again", id=self.id, later=later.id)
        return say("run {id}: later run {later} decided {decision}; act on that run", id=self.id, later=later.id,
                   decision=later.decision or "")  # fmt: skip

    def view(self, now: dt.datetime, max_age_s: float, later: GateRun | None = None) -> RunView:
        """The run as the API shows it; `later` as for `answer`."""
        reasons = self.conclusion.reasons if self.conclusion else ()
        return RunView(
            id=self.id,
            stage=self.request.stage,
            target=self.request.target,
            state=self.state.value,
            answer=self.answer(now, max_age_s, later)[0],
            decision=self.decision.value if self.decision else None,
            reasons=[reason.en for reason in reasons],
            reasons_ko=[reason.ko for reason in reasons],
            hook=self.request.hook,
            started_by=self.started_by,
            created_at=self.created_at.isoformat(),
            begun_at=self.begun_at.isoformat() if self.begun_at else None,
            finished_at=self.finished_at.isoformat() if self.finished_at else None,
            exit_code=self.conclusion.exit_code if self.conclusion else None,
            run_id=self.conclusion.run_id if self.conclusion else None,
            verdict_sha256=self.conclusion.verdict_sha256 if self.conclusion else None,
            release=self.request.release,
            approval=self.approval,
            retired_at=self.retired_at.isoformat() if self.retired_at else None,
        )

    @property
    def may_be_approved(self) -> bool:
        """Whether it is a hold of a stage that decides on a release."""
        return self.decision is Decision.HOLD and STAGES[self.request.stage].releases and self.retired_at is None


_ANSWER: Final[dict[Decision, Answer]] = {
    Decision.PROMOTE: "promote",
    Decision.ROLLBACK: "rollback",
    Decision.ACCEPT: "accept",
    Decision.REJECT: "reject",
    Decision.HOLD: "hold",
}


def _sum(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
