"""Gate: takes requests for runs, joins retries to the run they started, and keeps what people decide."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.config.load import find_target, load_target
from opsverify.core.stages import STAGES
from opsverify.errors import TargetError
from opsverify.evidence.redact import Redactor
from opsverify.language.message import Message, say
from opsverify.language.plain import plain_line
from opsverify.serve.bodies import Approval
from opsverify.serve.declined import Declined
from opsverify.serve.gate_run import API, CLOCK_SLACK, GateRun, RunRequest, RunState
from opsverify.serve.oidc import OidcJobs
from opsverify.serve.parameters import has_form
from opsverify.serve.store import RETRY_AFTER_S
from opsverify.units import elapsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsverify.serve.bodies import DecisionBody, RunView
    from opsverify.serve.caller import Caller
    from opsverify.serve.run_queue import QueueSettings, RunQueue
    from opsverify.serve.store import RunStore
    from opsverify.serve.tokens import Tokens


APPROVE_WITHIN_S: Final = 7 * 86400.0
"""How long after its end a hold may be approved: over a long weekend, and not a month."""


@dataclass(frozen=True)
class PipelineGate:
    """All that the server does, without HTTP."""

    store: RunStore
    queue: RunQueue
    tokens: Tokens
    settings: QueueSettings
    most_waiting: int = 20
    max_age_s: float = 1800.0
    approve_within_s: float = APPROVE_WITHIN_S
    jobs: OidcJobs = field(default_factory=OidcJobs)
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)

    def submit(self, request: RunRequest, caller: Caller, idempotency_key: str | None = None) -> tuple[GateRun, bool]:
        """The run for this request, and whether it is new. Raises Declined."""
        key = request.own_key(caller.name, idempotency_key) if idempotency_key else request.release_key
        if key is None:
            raise Declined(400, say("missing Idempotency-Key, or release; a retry could not join the run it started"))
        superseded: list[GateRun] = []
        with self.store.transaction():
            run = self.store.by_key(key)
            if run is not None and request.hook != API and self._is_measured_again(run):
                self.store.retire(run.id, self.clock())
                run = None
            is_new = run is None
            if run is None:
                self._require_room()
                superseded = self._superseded(request)
                run = GateRun(_new_id(self.clock()), key, request, caller.name, self.clock())
                self.store.add(run)
            elif run.request.digest != request.digest:
                raise _other_request(run, idempotency_key)
        for other in superseded:
            # A fault of the file leaves it, and it lets nothing pass either: this run overtakes it.
            with contextlib.suppress(Declined):
                if not self.queue.end(other.id, _both_measured(request)):
                    self._retire_if_open(self.store.get(other.id))  # it ended after it was looked at
        self.queue.kick()  # for a run that was joined too: the request before may have been kept and not started
        return self.store.get(run.id) or run, is_new

    def _is_measured_again(self, run: GateRun) -> bool:
        """Whether what opened the gate is too old; red and hold, which a later run of this checksum is, stay."""
        if not run.is_stale(self.clock(), self.max_age_s):
            return False
        later = self.store.overtaken_by(run)
        return later is None or later.retired_at is not None or not later.request.is_of_release(run.request.release)

    def _require_room(self) -> None:
        """Raise Declined where no more runs may wait, or none is started."""
        if self.queue.stopping:
            raise Declined(503, say("the server is stopping; ask again"), {"Retry-After": RETRY_AFTER_S})
        if self.store.count(RunState.QUEUED) >= self.most_waiting:
            message = say("{most} runs wait (--queue); ask again", most=self.most_waiting)
            raise Declined(503, message, {"Retry-After": RETRY_AFTER_S})

    def _superseded(self, request: RunRequest) -> list[GateRun]:
        """The runs of another checksum to be ended; what opened the gate for another checksum is retired."""
        release = request.release
        others = [
            run
            for run in self.store.open_of_release(request)
            if release and run.request.release and run.request.release.checksum != release.checksum
        ]
        for run in others:
            self._retire_if_open(run)
        return [run for run in others if run.state is not RunState.FINISHED]

    def _retire_if_open(self, run: GateRun | None) -> None:
        if run is not None and run.opens:
            self.store.retire(run.id, self.clock())

    def found(self, run_id: str, caller: Caller) -> GateRun:
        """A run that the token may see. Raises Declined for any other."""
        run = self.store.get(run_id)
        if run is None or not caller.covers(run.request.stage, run.request.target):
            raise Declined(404, say("no such run"))
        return run

    def require_scope(self, stage: str, target: str, caller: Caller) -> None:
        """Raise Declined unless stage and target exist and the token is for both."""
        if not caller.covers(stage, target):
            raise Declined(
                403, say("token {name}: not for {stage} on {target}", name=caller.name, stage=stage, target=target)
            )
        if stage not in STAGES:
            raise Declined(404, say("no such stage; stages: {stages}", stages=", ".join(STAGES)))
        if not has_form("target", target):  # a hook's stands in an address, where anything may
            raise Declined(404, say("no such target"))
        if not (self.settings.root / "targets" / f"{target}.toml").is_file():
            raise Declined(404, say("no such target: no targets/{target}.toml in this project", target=target))
        shared = self.queue.names.shared(target)
        if shared is not None:
            raise Declined(409, shared)

    def approve(self, run: GateRun, body: DecisionBody, caller: Caller) -> GateRun:
        """Let a hold pass, by a person's decision. Raises Declined where it is none, or may not be theirs."""
        if caller.is_job:  # no rule has the action either
            raise Declined(403, say("run {id}: a job never approves; a person does, with a token", id=run.id))
        if not run.may_be_approved:
            raise Declined(409, say("run {id}: only a hold on a release is approved", id=run.id))
        if run.approval is not None:
            raise Declined(409, say("run {id}: approved before, by {who}", id=run.id, who=run.approval.who))
        if run.started_by == caller.name and not self.tokens.may_approve_own(run.request.target):
            raise Declined(
                403, say("run {id}: started with token {name}, approved with another", id=run.id, name=caller.name)
            )
        who, why = self._redacted(run, body)
        now = self.clock()
        with self.store.transaction():  # what is looked at is what is approved
            self._require_current(run, now)
            if not self.store.approve(run.id, Approval(who, why, caller.name, now.isoformat())):
                raise Declined(409, say("run {id}: approved or retired by another at the same moment", id=run.id))
        return self.store.get(run.id) or run

    def _require_current(self, run: GateRun, now: dt.datetime) -> None:
        """Raise Declined for a hold that a later run overtook, and for an old one: it says nothing of today."""
        later = self.store.overtaken_by(run)
        if later is not None:
            raise Declined(409, run.overtaken(later))
        age_s = (now - (run.finished_at or now)).total_seconds()
        if not -CLOCK_SLACK.total_seconds() <= age_s <= self.approve_within_s:
            age, limit = elapsed(abs(age_s)), elapsed(self.approve_within_s)
            raise Declined(
                409,
                say("run {id}: ended {age} ago, limit {limit} (--approve-within); verify again",
                    id=run.id, age=age, limit=limit),
            )  # fmt: skip

    def cancel(self, run: GateRun, body: DecisionBody, caller: Caller) -> GateRun:
        """End a run that waits or is under way: it is a hold. Raises Declined where it has ended."""
        who, why = self._redacted(run, body)
        if not self.queue.end(run.id, say("cancelled by {who}: {why}", who=who, why=why)):
            raise Declined(409, say("run {id}: has ended", id=run.id))
        self.store.note(run.id, "cancel", caller.name, who, why, self.clock().isoformat())
        return self.store.get(run.id) or run

    def retire(self, run: GateRun, body: DecisionBody, caller: Caller) -> GateRun:
        """Let a verdict count no longer: the next request for the same release starts a run. Raises Declined."""
        if run.state is not RunState.FINISHED:
            raise Declined(409, say("run {id}: has not ended; cancel it", id=run.id))
        who, why = self._redacted(run, body)
        with self.store.transaction():
            self.store.retire(run.id, self.clock())
            # Else the next request would join what this one closed.
            for earlier in self.store.open_of_release(run.request):
                if earlier.opens and self.store.overtaken_by(earlier) is not None:
                    self.store.retire(earlier.id, self.clock())
            self.store.note(run.id, "retire", caller.name, who, why, self.clock().isoformat())
        return self.store.get(run.id) or run

    def reason(self, run: GateRun) -> tuple[str, Message]:
        """What a pipeline may do by the run now, and why."""
        return run.answer(self.clock(), self.max_age_s, self._later(run))

    def view(self, run: GateRun) -> RunView:
        """The run as the API shows it."""
        return run.view(self.clock(), self.max_age_s, self._later(run))

    def _later(self, run: GateRun) -> GateRun | None:
        return self.store.overtaken_by(run) if run.opens and run.retired_at is None else None

    def _redacted(self, run: GateRun, body: DecisionBody) -> tuple[str, str]:
        """A person's words on one line, without what acts on a page, and without the secrets of the run's target."""
        try:
            path = find_target(run.request.target, self.settings.root / "targets")
            redactor = Redactor(load_target(path)[1].values)
        except TargetError:
            redactor = Redactor(())
        return plain_line(redactor.text(body.who)).strip(), plain_line(redactor.text(body.why)).strip()


def _other_request(known: GateRun, idempotency_key: str | None) -> Declined:
    """Why a request does not join the run that its key names: it asks for something else."""
    if idempotency_key:
        return Declined(422, say("Idempotency-Key: was used for another request, run {id}", id=known.id))
    return Declined(409, say("run {id}: is of this release and was asked for with other options", id=known.id))


def _both_measured(request: RunRequest) -> Message:
    """Why the run of another checksum ends when `request` comes."""
    release = request.release
    return say("release {name} {checksum} came while it was under way: both were measured",
               name=release.name if release else "", checksum=release.checksum if release else "")  # fmt: skip


def _new_id(now: dt.datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
