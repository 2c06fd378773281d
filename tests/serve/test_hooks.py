"""Hooks: Argo Rollouts' evaluator and Flagger's client, as doubles, against the real server."""

from __future__ import annotations

import datetime as dt
import json
import socket
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.canary.metrics_double import reply
from tests.probes.probe_servers import fake_server
from tests.support.gate_server import GateProject, LiveGate, plain, served, until
from tests.support.paths import REPOSITORY
from tests.support.pipelines import ArgoRun, FlaggerCanary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

TEMPLATE: dict[str, Any] = yaml.safe_load(
    (REPOSITORY / "deploy" / "argo-rollouts" / "analysis-template-web.yaml").read_text(encoding="utf-8")
)


def argo(live: LiveGate, checksum: str, **metric: object) -> ArgoRun:
    """An AnalysisRun of the template that is shipped; `metric` replaces some of it."""
    args = {each["name"]: each.get("value", "") for each in TEMPLATE["spec"]["args"]}
    args |= {"server": live.url, "target": "prod", "checksum": checksum, "token": plain("hooks")}
    return ArgoRun(TEMPLATE["spec"]["metrics"][0] | metric, args)


def flagger(live: LiveGate, checksum: str, **more: Any) -> FlaggerCanary:  # noqa: ANN401 - what a canary takes
    """A canary whose webhooks are those of the server."""
    return FlaggerCanary(f"{live.url}/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod", checksum, **more)


def after(polls: int, then: Callable[[], object]) -> Callable[[int], None]:
    """`then`, after this many measurements."""

    def between(measured: int) -> None:
        if measured == polls:
            then()

    return between


@pytest.mark.parametrize(
    ("code", "phase"), [(0, "Successful"), (1, "Failed"), (10, "Inconclusive"), (3, "Inconclusive")]
)
def test_argo_ends_as_the_verdict_says(live: LiveGate, project: GateProject, code: int, phase: str) -> None:
    """Promote, rollback, hold and a crash; whatever is polled before the end is inconclusive."""
    run = argo(live, "c1")

    def decide() -> None:
        project.decide("c1", code)
        live.ended(live.call("GET", "/v1/runs").json()["runs"][0]["id"])

    with live.client(None) as client:
        assert run.to_its_end(client, after(3, decide)) == phase
    assert run.counts["Inconclusive"] >= 3
    assert run.counts["Error"] == 0
    assert len(project.begun("c1")) == 1


def test_polls_that_all_say_running_end_inconclusive(live: LiveGate) -> None:
    """The end of `count` is a pause; without `consecutiveSuccessLimit` the same polls would promote."""
    with live.client(None) as client:
        assert argo(live, "c1", count=40, inconclusiveLimit=40).to_its_end(client) == "Inconclusive"
        careless = argo(live, "c1", count=40, inconclusiveLimit=40, consecutiveSuccessLimit=0)
        assert careless.to_its_end(client) == "Successful"


def test_a_full_queue_is_no_error_and_no_decision(project: GateProject) -> None:
    """Argo polls on, Flagger waits, and nothing was started for them."""
    with served(project, most_waiting=1) as live:
        for n in range(2):
            body = {"stage": "prod-canary", "target": "prod", "release": {"name": f"r{n}", "checksum": f"c{n}"}}
            live.call("POST", "/v1/runs", body)
        answer = live.call("POST", "/v1/hooks/argo/prod-canary/prod", {"name": "j", "checksum": "c9"}, "hooks")
        assert (answer.status_code, answer.json()["answer"], answer.json()["run"]) == (200, "running", None)
        assert not flagger(live, "c9").says_yes("confirm-promotion")
        assert len(live.call("GET", "/v1/runs").json()["runs"]) == 2


def test_a_restart_does_not_abort_an_analysis(project: GateProject) -> None:
    """The server is away for some polls, and what was under way is a hold: a pause, neither Failed nor Error."""
    with served(project) as first:
        run = argo(first, "c1")
        with first.client(None) as client:
            run._measure(client)
        until(lambda: project.begun("c1"), "the run")
    with first.client(None) as client:
        for _ in range(10):  # nobody listens
            run._measure(client)
            assert run._phase() is None
    with served(project) as second:
        run.args = {**run.args, "server": second.url}
        with second.client(None) as client:
            assert run.to_its_end(client) == "Inconclusive"
    assert run.counts["Error"] == 10
    assert len(project.begun("c1")) == 1, "nothing was run again"


@pytest.mark.parametrize("hook", ["confirm-rollout", "confirm-promotion"])
@pytest.mark.parametrize(("code", "yes"), [(0, True), (1, False), (10, False), (3, False)])
def test_flagger_gets_yes_only_for_a_promotion(
    live: LiveGate, project: GateProject, hook: str, code: int, *, yes: bool
) -> None:
    """While the run works the answer is no at once, never 202; then only promote is a yes, and a no has its reason."""
    canary = flagger(live, "c1")
    assert not canary.says_yes(hook)
    assert "under way" in canary.reasons[0] or "waits for its turn" in canary.reasons[0]
    project.decide("c1", code)
    live.ended(live.call("GET", "/v1/runs").json()["runs"][0]["id"])
    assert canary.says_yes(hook) is yes
    assert yes or "exit code" in canary.reasons[-1]
    assert len(project.begun("c1")) == 1


@contextmanager
def ingress(live: LiveGate, broken: int) -> Iterator[str]:
    """A proxy before the server that hands every request on, and answers the first `broken` ones with 500; its URL."""
    with fake_server() as proxy:

        def answer(handler: BaseHTTPRequestHandler) -> None:
            _, path, _, body = proxy.seen[-1]
            passed = live.call("POST", path, json.loads(body), None)
            reply(handler, 500 if len(proxy.seen) <= broken else passed.status_code, passed.text)

        proxy.routes[f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/confirm-promotion"] = answer
        yield proxy.url


def test_a_retry_after_a_500_joins_the_run(live: LiveGate, project: GateProject) -> None:
    """The first answer is lost on the way: one run was started, and the retry brings its state and its reason."""
    with ingress(live, broken=2) as url:
        canary = flagger(replace(live, url=url), "c1", retries=2)
        assert not canary.says_yes("confirm-promotion")
        assert "under way" in canary.reasons[0] or "waits for its turn" in canary.reasons[0]
        project.decide("c1", 1)
        live.ended(live.call("GET", "/v1/runs").json()["runs"][0]["id"])
        assert not canary.says_yes("confirm-promotion")
    assert "exit code 1" in canary.reasons[1]
    assert len(project.begun("c1")) == 1


def test_a_client_that_gave_up_joins_the_run(live: LiveGate, project: GateProject) -> None:
    """It closes its connection before the answer, and POSTs again: the run that it started is the one."""
    body = json.dumps({"name": "judgment", "namespace": "prod", "checksum": "c1", "phase": "Progressing"}).encode()
    where = urlsplit(live.url)
    path = f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/confirm-promotion"
    head = f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((str(where.hostname), int(where.port or 0))) as gone:
        gone.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    until(lambda: project.begun("c1"), "the run")
    canary = flagger(live, "c1")
    assert not canary.says_yes("confirm-promotion")
    project.decide("c1", 0)
    live.ended(live.call("GET", "/v1/runs").json()["runs"][0]["id"])
    assert canary.says_yes("confirm-promotion")
    assert len(project.begun("c1")) == 1


def test_every_no_has_its_reason(project: GateProject) -> None:
    """Flagger drops the body of a 5xx, and keeps that of a 4xx: a full queue too is told in the event."""
    with served(project, most_waiting=0) as live:
        body = {"stage": "prod-canary", "target": "prod", "release": {"name": "r", "checksum": "c0"}}
        live.call("POST", "/v1/runs", body)
        canary = flagger(live, "c1")
        assert not canary.says_yes("confirm-promotion")
        assert canary.reasons


@pytest.mark.parametrize(("code", "rolls_back"), [(0, False), (1, True), (10, False), (3, False)])
def test_the_rollback_hook_says_yes_only_for_a_rollback(
    live: LiveGate, project: GateProject, code: int, *, rolls_back: bool
) -> None:
    """It is inverted: nothing to do, running, promote and hold are a no, and it starts no run itself."""
    canary = flagger(live, "c1")
    assert not canary.says_yes("rollback")
    assert live.call("GET", "/v1/runs").json() == {"runs": []}
    canary.says_yes("confirm-promotion")
    assert not canary.says_yes("rollback")
    project.decide("c1", code)
    live.ended(live.call("GET", "/v1/runs").json()["runs"][0]["id"])
    assert canary.says_yes("rollback") is rolls_back
    assert not flagger(live, "c2").says_yes("rollback"), "the verdict of c1 is none of c2"
    assert not flagger(live, "c1", namespace="other").says_yes("rollback")


def test_a_verdict_opens_the_gate_for_its_own_checksum_only(live: LiveGate, project: GateProject) -> None:
    """Another checksum, name or namespace starts a run of its own; so does the old checksum when it comes back."""
    project.decide("c1", 0)
    canary = flagger(live, "c1")
    until(lambda: canary.says_yes("confirm-promotion"), "the promotion")
    for other in (
        flagger(live, "c2"),
        flagger(live, "c1", name="other"),
        flagger(live, "c1", namespace="other"),
    ):
        before = len(live.call("GET", "/v1/runs").json()["runs"])
        assert not other.says_yes("confirm-promotion")
        assert len(live.call("GET", "/v1/runs").json()["runs"]) == before + 1
    assert not canary.says_yes("confirm-promotion"), "c2 came between: what was measured of c1 is of another rollout"
    project.decide("c2", 0)


def test_an_old_promotion_is_measured_again(live: LiveGate, project: GateProject) -> None:
    """A checksum that is rolled out again tomorrow is verified tomorrow; a rollback stays one."""
    project.decide("c1", 0)
    canary = flagger(live, "c1")
    until(lambda: canary.says_yes("confirm-promotion"), "the promotion")
    live.now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=24)
    assert not canary.says_yes("confirm-promotion")
    until(lambda: len(project.begun("c1")) == 2, "the second run")


def test_an_approved_hold_opens_the_gate(live: LiveGate, project: GateProject) -> None:
    """For both pipelines, once a person with another token has said so."""
    project.decide("c1", 10)
    canary = flagger(live, "c1")
    canary.says_yes("confirm-promotion")
    run = live.call("GET", "/v1/runs").json()["runs"][0]
    live.ended(run["id"])
    assert not canary.says_yes("confirm-promotion")
    live.call("POST", f"/v1/runs/{run['id']}/approval", {"who": "Kim", "why": "checked by hand"}, "approver")
    assert canary.says_yes("confirm-promotion")
    assert not canary.says_yes("rollback")


def test_a_hook_is_for_releases_only(live: LiveGate) -> None:
    """A daily run opens no gate; an unknown hook and a missing checksum neither."""
    body = {"name": "j", "namespace": "prod", "checksum": "c1"}
    path = f"/v1/hooks/flagger/{plain('admin')}"
    assert live.call("POST", f"{path}/daily/prod/confirm-promotion", body, None).status_code == 404
    assert live.call("POST", f"{path}/prod-canary/prod/rollout", body, None).status_code == 404
    assert (
        live.call(
            "POST", f"{path}/prod-canary/prod/confirm-promotion", {"name": "j", "namespace": "p"}, None
        ).status_code
        == 400
    )
    assert live.call("GET", "/v1/runs").json() == {"runs": []}
