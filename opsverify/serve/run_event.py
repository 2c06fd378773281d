"""Event of a run's end: who gets it, by the token file's table `[events]`, and what it holds (a CloudEvent)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from opsverify.config.notify import Webhook
from opsverify.config.secrets import Secrets, secret_problems, typed_secrets
from opsverify.config.wrong_value import key_of, problem_of
from opsverify.evidence.redact import Redactor
from opsverify.language.message import say
from opsverify.notify.forms import envelope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from opsverify.serve.gate_run import GateRun

TYPE: Final = "opsverify.run.finished.v1"
NAME: Final = "events"


@dataclass(frozen=True)
class EventReceiver:
    """The receiver of the events, with its secrets and what masks them."""

    webhook: Webhook
    secrets: Secrets
    redactor: Redactor = field(repr=False)

    def wants(self, stage: str) -> bool:
        """Whether it gets the events of this stage."""
        return self.webhook.stages is None or stage in self.webhook.stages


def receiver_of(table: Mapping[str, Any] | None, folder: Path) -> EventReceiver | None:
    """The receiver that the table describes; None without one. Raises ValueError with what is wrong in it."""
    if table is None:
        return None
    raw = {NAME: dict(table)}
    for problem in (*typed_secrets(raw), *secret_problems(raw, folder)):
        raise ValueError(problem)
    try:
        # Strict mode takes arrays for tuples only in their JSON form.
        webhook = Webhook.model_validate_json(TypeAdapter(dict[str, Any]).dump_json(raw[NAME]))
    except ValidationError as error:
        detail = error.errors()[0]
        raise ValueError(say("{key}: {problem}", key=f"{NAME}.{key_of(detail)}", problem=problem_of(detail))) from error
    secrets = Secrets.load(webhook, folder)
    return EventReceiver(webhook, secrets, Redactor(secrets.values))


def run_event(run: GateRun) -> dict[str, Any]:
    """The event of a run that has ended. Sent twice it is the same one: source and id say so."""
    view = run.view(run.finished_at or run.created_at, 0.0)
    release = run.request.release
    data = {
        "id": run.id,
        "run_id": view.run_id,
        "stage": view.stage,
        "target": view.target,
        "decision": view.decision,
        "reasons": view.reasons,
        "reasons_ko": view.reasons_ko,
        "release": release.parts if release else None,
        "hook": view.hook,
        "started_by": view.started_by,
        "created_at": view.created_at,
        "begun_at": view.begun_at,
        "finished_at": view.finished_at,
        "exit_code": view.exit_code,
        "verdict_sha256": view.verdict_sha256,
    }
    return envelope(run.id, TYPE, view.target, view.finished_at or view.created_at, data, subject=view.stage)
