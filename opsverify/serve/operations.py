"""Operations of the API: each with its path, scope, bodies and answers. Routes and OpenAPI are made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from opsverify.core.stages import STAGES, Decision
from opsverify.evidence.bundle import ENDING, write_bundle
from opsverify.evidence.once_read import read_once
from opsverify.evidence.run_folder import VERDICT
from opsverify.language.message import Message, say
from opsverify.serve.bodies import (
    OPTIONS,
    ArgoAnswer,
    ArgoBody,
    DecisionBody,
    FlaggerAnswer,
    FlaggerBody,
    Health,
    Release,
    RunBody,
    RunList,
    RunView,
)  # fmt: skip
from opsverify.serve.caller import ANY
from opsverify.serve.conclusion import sum_of
from opsverify.serve.declined import Declined
from opsverify.serve.gate_run import API, GateRun, RunRequest, RunState
from opsverify.serve.metrics import CONTENT_TYPE, exposition
from opsverify.serve.parameters import FLAGGER_HOOKS, IDEMPOTENCY_KEY, require_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from starlette.datastructures import Headers, QueryParams

    from opsverify.serve.caller import Caller, May
    from opsverify.serve.gate import PipelineGate

ARGO: Final = "argo"
MOST_LISTED: Final = 100


@dataclass(frozen=True)
class Call:
    """One request, after its token was found and its body was read."""

    gate: PipelineGate
    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    body: Any = None
    caller: Caller | None = None

    @property
    def owner(self) -> Caller:
        """Whoever asks, of an operation that needs a token."""
        if self.caller is None:
            raise Declined(401, say("no valid token"))
        return self.caller


@dataclass(frozen=True)
class ApiReply:
    """An answer: a body that becomes JSON, bytes of another kind, or a file that is removed after it was sent."""

    body: Any
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None


@dataclass(frozen=True)
class Operation:
    """One operation; `answers` names the body of each status that is a success or a hook's no."""

    method: str
    path: str
    name: str
    summary: str
    handle: Callable[[Call], ApiReply]
    answers: Mapping[int, type | str]
    may: May | None = None
    body: type | None = None
    query: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()


def start_run(call: Call) -> ApiReply:
    """Ask for a run: 202 with its place; a retry gets the run that it started."""
    body: RunBody = call.body
    call.gate.require_scope(body.stage, body.target, call.owner)
    key = require_form(IDEMPOTENCY_KEY, call.headers.getlist(IDEMPOTENCY_KEY))
    options = _options(body)
    run, _ = call.gate.submit(RunRequest(body.stage, body.target, options, body.release, API), call.owner, key)
    return ApiReply(call.gate.view(run), 202, headers={"Location": f"/v1/runs/{run.id}"})


def list_runs(call: Call) -> ApiReply:
    """The newest runs that the token may see."""
    asked = [require_form(name, call.query.getlist(name)) for name in ("stage", "target")]
    scopes = (call.owner.stages, call.owner.targets)
    within = [_within(name, scope) for name, scope in zip(asked, scopes, strict=True)]
    return ApiReply(RunList([call.gate.view(run) for run in call.gate.store.newest(MOST_LISTED, *within)]))


def _within(asked: str | None, scope: frozenset[str]) -> frozenset[str] | None:
    """What of a token's scope is asked for; None: everything."""
    if asked is None:
        return None if ANY in scope else scope
    return frozenset({asked} if {asked, ANY} & scope else ())


def show_run(call: Call) -> ApiReply:
    """One run."""
    return ApiReply(call.gate.view(_run(call)))


def show_verdict(call: Call) -> ApiReply:
    """`verdict.json` as it was sealed. Raises Declined where there is none, or another."""
    _, _, content = _sealed(call)
    return ApiReply(content)


def download_evidence(call: Call) -> ApiReply:
    """The run's evidence as one file, where it is whole."""
    run, folder, _ = _sealed(call)
    bundle = call.gate.settings.state / f"{run.id}-{id(call)}{ENDING}"
    write_bundle(folder, bundle)
    name = f'attachment; filename="{run.id}{ENDING}"'
    return ApiReply(None, media_type="application/zstd", headers={"Content-Disposition": name}, file=bundle)


def approve(call: Call) -> ApiReply:
    """Approve a hold."""
    return ApiReply(call.gate.view(call.gate.approve(_run(call), call.body, call.owner)))


def cancel(call: Call) -> ApiReply:
    """Cancel a run."""
    return ApiReply(call.gate.view(call.gate.cancel(_run(call), call.body, call.owner)), 202)


def retire(call: Call) -> ApiReply:
    """Let a verdict count no longer."""
    return ApiReply(call.gate.view(call.gate.retire(_run(call), call.body, call.owner)))


def argo(call: Call) -> ApiReply:
    """Answer Argo Rollouts' `web` provider: always 200 with an answer; `running` and `hold` are inconclusive there."""
    stage, target, body = call.path["stage"], call.path["target"], call.body
    _require_release_stage(call, stage, target)
    request = RunRequest(
        stage, target, _options(body), Release(body.name, body.checksum, body.namespace, body.image), ARGO
    )
    try:
        run, _ = call.gate.submit(request, call.owner)
        answer, reason = call.gate.reason(run)
    except Declined as busy:
        if busy.status != 503:  # noqa: PLR2004 - no room, no file: nothing was decided, the next poll asks again
            raise
        return ApiReply(ArgoAnswer("running", *_both(busy)))
    return ApiReply(ArgoAnswer(answer, reason.en, reason.ko, run.id))  # type: ignore[arg-type]


def flagger(call: Call) -> ApiReply:
    """Answer a Flagger webhook at once: 200 is yes, 403 with the reason is no.

    `rollback` is inverted: its yes rolls back, and only a verdict of this very checksum says it. It starts nothing.
    """
    stage, target, hook, body = call.path["stage"], call.path["target"], call.path["hook"], call.body
    if hook not in FLAGGER_HOOKS:
        raise Declined(404, say("no such hook; hooks: {hooks}", hooks=", ".join(FLAGGER_HOOKS)))
    _require_release_stage(call, stage, target)
    release = Release(body.name, body.checksum, body.namespace, body.metadata.image)
    request = RunRequest(stage, target, _options(body.metadata), release, hook)
    try:
        if hook == "rollback":
            return _rollback(call, request)
        run, _ = call.gate.submit(request, call.owner)
        answer, reason = call.gate.reason(run)
    except Declined as busy:
        return ApiReply(FlaggerAnswer("running" if busy.status == 503 else "hold", *_both(busy)), 403)  # noqa: PLR2004 - as above
    return ApiReply(FlaggerAnswer(answer, reason.en, reason.ko, run.id), 200 if answer == "promote" else 403)  # type: ignore[arg-type]


def _rollback(call: Call, request: RunRequest) -> ApiReply:
    """Yes only where the newest run of this checksum, over whichever hook, decided to roll back."""
    run = call.gate.store.newest_of_checksum(request)
    if run is None:
        none = say("no run of this release: nothing to roll back")
        return ApiReply(FlaggerAnswer("hold", none.en, none.ko), 403)
    answer, reason = call.gate.reason(run)
    rolls_back = run.decision is Decision.ROLLBACK and answer == "rollback"
    return ApiReply(FlaggerAnswer(answer, reason.en, reason.ko, run.id), 200 if rolls_back else 403)  # type: ignore[arg-type]


def metrics(call: Call) -> ApiReply:
    """Metrics for Prometheus."""
    return ApiReply(exposition(call.gate), media_type=CONTENT_TYPE)


def health(call: Call) -> ApiReply:
    """Whether runs are accepted."""
    stopping = call.gate.queue.stopping
    return ApiReply(Health("stopping" if stopping else "ok"), 503 if stopping else 200)


def _require_release_stage(call: Call, stage: str, target: str) -> None:
    call.gate.require_scope(stage, target, call.owner)
    if not STAGES[stage].releases:
        stages = ", ".join(name for name, each in STAGES.items() if each.releases)
        raise Declined(404, say("{stage} decides on no release; stages: {stages}", stage=stage, stages=stages))


def _options(body: object) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name in OPTIONS if (value := getattr(body, name, None)) is not None)


def _run(call: Call) -> GateRun:
    return call.gate.found(call.path["id"], call.owner)


def _sealed(call: Call) -> tuple[GateRun, Path, bytes]:
    """A run with its folder and its verdict as it was sealed. Raises Declined where there is none, or another."""
    run = _run(call)
    if run.state is not RunState.FINISHED or run.conclusion is None:
        raise Declined(409, say("run {id}: has not ended", id=run.id))
    if run.conclusion.verdict_sha256 is None:
        raise Declined(409, say("run {id}: ended without a verdict of its own", id=run.id))
    folder = call.gate.settings.folder_of(run.id)
    try:
        content = read_once(folder / VERDICT)
    except OSError as error:
        raise Declined(409, say("run {id}: verdict.json: {error}", id=run.id, error=error.strerror)) from error
    if sum_of(content) != run.conclusion.verdict_sha256:
        raise Declined(409, say("run {id}: verdict.json is not the one that was sealed", id=run.id))
    return run, folder, content


def _both(error: Declined) -> tuple[str, str]:
    text = str(error)
    return (text.en, text.ko) if isinstance(text, Message) else (text, text)


_RUN: Final = "/v1/runs/{id}"
OPERATIONS: Final = (
    Operation("POST", "/v1/runs", "startRun", "Start a run, or join the one that was started",
              start_run, {202: RunView}, "run", RunBody, problems=(404, 409, 422, 503)),
    Operation("GET", "/v1/runs", "listRuns", "List the newest runs", list_runs, {200: RunList}, "read",
              query=("stage", "target"), problems=(400,)),
    Operation("GET", _RUN, "showRun", "Show a run", show_run, {200: RunView}, "read", problems=(404,)),
    Operation("GET", _RUN + "/verdict", "showVerdict", "verdict.json, as it was sealed",
              show_verdict, {200: "application/json"}, "read", problems=(404, 409)),
    Operation("GET", _RUN + "/evidence", "downloadEvidence", "The evidence as one .tar.zst",
              download_evidence, {200: "application/zstd"}, "read", problems=(404, 409)),
    Operation("POST", _RUN + "/approval", "approveHold", "Approve a hold: who, why",
              approve, {200: RunView}, "approve", DecisionBody, problems=(404, 409)),
    Operation("POST", _RUN + "/cancel", "cancelRun", "Cancel a run: it is a hold",
              cancel, {202: RunView}, "run", DecisionBody, problems=(404, 409)),
    Operation("POST", _RUN + "/retire", "retireRun", "Let a verdict count no longer: the next request starts a run",
              retire, {200: RunView}, "approve", DecisionBody, problems=(404, 409)),
    Operation("POST", "/v1/hooks/argo/{stage}/{target}", "argoHook", "Argo Rollouts, provider web",
              argo, {200: ArgoAnswer}, "hook", ArgoBody, problems=(404, 409)),
    Operation("POST", "/v1/hooks/flagger/{token}/{stage}/{target}/{hook}", "flaggerHook", "A Flagger webhook",
              flagger, {200: FlaggerAnswer, 403: FlaggerAnswer}, "hook", FlaggerBody, problems=(404, 409)),
    Operation("GET", "/metrics", "metrics", "Metrics for Prometheus", metrics, {200: CONTENT_TYPE}),
    Operation("GET", "/healthz", "health", "Whether runs are accepted", health, {200: Health, 503: Health}),
)  # fmt: skip


def encoded(body: Any) -> bytes:  # noqa: ANN401 - a body of an answer
    """A body as JSON; bytes as they are."""
    return body if isinstance(body, bytes) else msgspec.json.encode(body)
