"""API of the gate: runs, retries, people's decisions, scopes and problems."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.serve.bodies import Approval
from opsverify.serve.gate_run import RunState
from tests.support.gate_server import GateProject, LiveGate, plain, served, tokens_text, until

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.serve.store import RunStore

WHO = {"who": "Kim, release manager", "why": "known outage of the mail relay"}


def asked(checksum: str, stage: str = "prod-canary", target: str = "prod") -> dict[str, Any]:
    """A request for a run."""
    return {"stage": stage, "target": target, "release": {"name": "judgment", "checksum": checksum}}


def test_a_run_is_accepted_polled_and_decided(live: LiveGate, project: GateProject) -> None:
    """202 with its place, running, then the decision of the exit code."""
    answer = live.call("POST", "/v1/runs", asked("c1"))
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
    assert live.run(answer.json()["id"])["answer"] == "running"
    project.decide("c1", 0)
    ended = live.ended(answer.json()["id"])
    assert (ended["decision"], ended["answer"], ended["started_by"], ended["exit_code"]) == (
        "promote", "promote", "admin", 0,
    )  # fmt: skip


@pytest.mark.parametrize(("code", "decision"), [(1, "rollback"), (10, "hold"), (2, "hold"), (3, "hold"), (4, "hold")])
def test_every_other_code_is_no_promotion(live: LiveGate, project: GateProject, code: int, decision: str) -> None:
    """1 rolls back; interrupted, crashed and wrong usage are holds."""
    project.decide("c1", code)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    assert live.ended(run["id"])["answer"] == decision


def test_a_retry_joins_the_run_it_started(live: LiveGate, project: GateProject) -> None:
    """By the release's own key, and by an Idempotency-Key; another request with that key is a mistake."""
    first = live.call("POST", "/v1/runs", asked("c1")).json()
    assert live.call("POST", "/v1/runs", asked("c1")).json()["id"] == first["id"]
    project.decide("c1", 1)
    live.ended(first["id"])
    assert live.call("POST", "/v1/runs", asked("c1")).json()["id"] == first["id"], "red is not repeated"
    assert len(project.begun("c1")) == 1
    daily = {"stage": "daily", "target": "prod"}
    own = live.call("POST", "/v1/runs", daily, Idempotency_Key="k1").json()
    assert live.call("POST", "/v1/runs", daily, Idempotency_Key="k1").json()["id"] == own["id"]
    other = live.call("POST", "/v1/runs", {"stage": "weekly", "target": "prod"}, Idempotency_Key="k1")
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert live.call("POST", "/v1/runs", daily).status_code == 400, "without either a retry would start a second run"
    project.decide("none", 10)


def test_one_run_for_a_stage_and_target_at_a_time(live: LiveGate, project: GateProject) -> None:
    """The second waits for the first; another target does not."""
    first = live.call("POST", "/v1/runs", asked("c1")).json()
    second = live.call("POST", "/v1/runs", {**asked("c2"), "release": {"name": "other", "checksum": "c2"}}).json()
    third = live.call("POST", "/v1/runs", asked("c3", target="staging")).json()
    until(lambda: project.begun("c1") and project.begun("c3"), "both targets")
    assert [live.run(run["id"])["state"] for run in (first, second, third)] == ["running", "queued", "running"]
    assert project.begun("c2") == []
    project.decide("c1", 0)
    until(lambda: project.begun("c2"), "the second")
    assert live.run(first["id"])["state"] == "finished"
    for checksum in ("c2", "c3"):
        project.decide(checksum, 0)


def test_the_queue_has_an_end(project: GateProject) -> None:
    """One more than may wait gets 503 with Retry-After, and starts nothing."""
    with served(project, most_waiting=1) as live:
        bodies = [{**asked(f"c{n}"), "release": {"name": f"r{n}", "checksum": f"c{n}"}} for n in range(3)]
        answers = [live.call("POST", "/v1/runs", body) for body in bodies]
        assert [answer.status_code for answer in answers] == [202, 202, 503]
        assert answers[-1].headers["retry-after"] == "30"
        assert len(live.call("GET", "/v1/runs").json()["runs"]) == 2


def test_another_checksum_ends_the_run_of_the_one_before(live: LiveGate, project: GateProject) -> None:
    """What is under way has measured both: hold. What had opened the gate for the old one opens nothing any more."""
    first = live.call("POST", "/v1/runs", asked("c1")).json()
    until(lambda: project.begun("c1"), "the first")
    second = live.call("POST", "/v1/runs", asked("c2")).json()
    assert live.ended(first["id"])["decision"] == "hold"
    assert "c2" in live.run(first["id"])["reasons"][0]
    project.decide("c2", 0)
    assert live.ended(second["id"])["answer"] == "promote"
    live.call("POST", "/v1/runs", asked("c3"))
    assert live.run(second["id"])["answer"] == "hold"


def test_a_hold_is_approved_by_another(live: LiveGate, project: GateProject) -> None:
    """Who and why are kept, the verdict stays a hold; the starter, a reader and a second time are refused."""
    project.decide("c1", 10)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    live.ended(run["id"])
    path = f"/v1/runs/{run['id']}/approval"
    assert live.call("POST", path, WHO).status_code == 403
    assert live.call("POST", path, WHO, "reader").status_code == 403
    assert live.call("POST", path, {"who": "Kim"}, "approver").status_code == 400
    found = live.call("POST", path, WHO, "approver").json()
    assert (found["decision"], found["answer"], found["approval"]["who"]) == ("hold", "promote", WHO["who"])
    assert found["approval"]["token"] == "approver"
    assert live.call("POST", path, WHO, "approver").status_code == 409


def test_a_target_may_let_the_starter_approve(project: GateProject) -> None:
    """`self_approval` names it."""
    (project.folder / "tokens.toml").write_text(tokens_text(more='self_approval = ["prod"]'), encoding="utf-8")
    project.decide("c1", 10)
    with served(project) as live:
        run = live.call("POST", "/v1/runs", asked("c1")).json()
        live.ended(run["id"])
        assert live.call("POST", f"/v1/runs/{run['id']}/approval", WHO).json()["answer"] == "promote"


@pytest.mark.parametrize("code", [0, 1])
def test_only_a_hold_is_approved(live: LiveGate, project: GateProject, code: int) -> None:
    """A rollback never becomes a promotion by a person's word."""
    project.decide("c1", code)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    live.ended(run["id"])
    assert live.call("POST", f"/v1/runs/{run['id']}/approval", WHO, "approver").status_code == 409


def test_a_run_is_cancelled(live: LiveGate, project: GateProject) -> None:
    """Under way or waiting: a hold that says who; its process is gone; a run that has ended stays as it is."""
    first = live.call("POST", "/v1/runs", asked("c1")).json()
    waits = live.call("POST", "/v1/runs", {**asked("c2"), "release": {"name": "o", "checksum": "c2"}}).json()
    until(lambda: project.begun("c1"), "the first")
    for run in (waits, first):
        assert live.call("POST", f"/v1/runs/{run['id']}/cancel", WHO).status_code == 202
        ended = live.ended(run["id"])
        assert ended["decision"] == "hold"
        assert WHO["who"] in ended["reasons"][0]
        assert WHO["who"] in ended["reasons_ko"][0]
    assert project.begun("c2") == []
    assert live.call("POST", f"/v1/runs/{first['id']}/cancel", WHO).status_code == 409


def test_a_retired_verdict_frees_its_release(live: LiveGate, project: GateProject) -> None:
    """A person lets the same release be verified again; by itself nothing is."""
    project.decide("c1", 1)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    live.ended(run["id"])
    assert live.call("POST", f"/v1/runs/{run['id']}/retire", WHO, "approver").json()["answer"] == "hold"
    again = live.call("POST", "/v1/runs", asked("c1")).json()
    assert again["id"] != run["id"]


def test_a_promotion_grows_old(live: LiveGate, project: GateProject) -> None:
    """After --max-age, and for a verdict of the future, it opens nothing."""
    project.decide("c1", 0)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    live.ended(run["id"])
    for hours in (1, -1):
        live.now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
        assert live.run(run["id"])["answer"] == "hold"


def test_tokens_are_for_what_they_say(live: LiveGate, project: GateProject) -> None:
    """Unknown and expired: 401. Other stage, target, action: 403. What is not theirs is not shown."""
    assert live.call("POST", "/v1/runs", asked("c1"), None).status_code == 401
    assert live.call("POST", "/v1/runs", asked("c1"), "unknown").headers["www-authenticate"] == "Bearer"
    assert live.call("POST", "/v1/runs", asked("c1"), "hooks").status_code == 403
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    assert live.call("GET", f"/v1/runs/{run['id']}", token="reader").status_code == 404
    assert live.call("GET", "/v1/runs", token="reader").json() == {"runs": []}
    hook = {"name": "judgment", "checksum": "c1"}
    assert live.call("POST", "/v1/hooks/argo/prod-canary/staging", hook, "hooks").status_code == 403
    (project.folder / "tokens.toml").write_text(tokens_text("2020-01-01T00:00:00Z"), encoding="utf-8")
    assert live.call("GET", "/v1/runs").status_code == 401, "expired"
    (project.folder / "tokens.toml").write_text("broken =", encoding="utf-8")
    assert live.call("GET", "/v1/runs").status_code == 401, "a broken file has no valid token"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"stage": "nightly", "target": "prod"}, 404),
        ({"stage": "daily", "target": "nowhere"}, 404),
        ({"stage": "daily", "target": "../prod"}, 400),
        ({"stage": "daily", "target": "prod", "window": "12"}, 400),
        ({"stage": "daily", "target": "prod", "share": "--yes"}, 400),
        ({"stage": "daily", "target": "prod", "colour": "red"}, 400),
        ([], 400),
    ],
)
def test_a_wrong_request_starts_nothing(live: LiveGate, body: object, status: int) -> None:
    """Each is a problem that names what is wrong, in both languages."""
    answer = live.call("POST", "/v1/runs", body, Idempotency_Key="k")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]
    assert live.call("GET", "/v1/runs").json() == {"runs": []}


def test_a_body_is_bounded_and_is_json(live: LiveGate) -> None:
    """Too large and of another type are refused before anything is parsed."""
    with live.client() as client:
        large = client.post("/v1/runs", content=b" " * 70_000, headers={"Content-Type": "application/json"})
        other = client.post("/v1/runs", content=b"stage=daily")
    assert (large.status_code, other.status_code) == (413, 415)


def test_no_token_is_kept_or_shown(live: LiveGate, project: GateProject, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the files of the server nor its log hold one, also not one in a path."""
    caplog.set_level("DEBUG")
    flagger = {"name": "judgment", "namespace": "prod", "checksum": "c1"}
    path = f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/confirm-promotion"
    assert live.call("POST", path, flagger, None).status_code == 403
    live.call("POST", "/v1/runs", asked("c1"), Idempotency_Key="idempotency-key-of-mine")
    project.decide("c1", 0)
    until(lambda: not live.gate.store.in_state(RunState.RUNNING), "the end")
    kept = b"".join(path.read_bytes() for path in project.folder.rglob("*") if path.is_file())
    for secret in (plain("hooks"), plain("admin"), "idempotency-key-of-mine"):
        assert secret.encode() not in kept
        assert secret not in "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("http"))


def test_a_secret_of_the_target_is_no_persons_words(
    project: GateProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a person types into `why` is redacted before it is kept."""
    secret = "hunter2-of-the-judgment-service"
    monkeypatch.setenv("PLANTED", secret)
    target = project.folder / "targets" / "prod.toml"
    target.write_text(target.read_text() + '\nbearer = { env = "PLANTED" }\n', encoding="utf-8")
    project.decide("c1", 10)
    with served(project) as live:
        run = live.call("POST", "/v1/runs", asked("c1")).json()
        live.ended(run["id"])
        body = {"who": "Kim", "why": f"works with {secret}"}
        answer = live.call("POST", f"/v1/runs/{run['id']}/approval", body, "approver")
        assert answer.status_code == 200
        assert secret not in json.dumps(live.run(run["id"]))
    assert secret.encode() not in (project.folder / "reports" / ".serve" / "runs.sqlite").read_bytes()
    assert not list(tmp_path.rglob("*.sqlite-journal"))


def test_every_decision_of_a_person_is_kept(live: LiveGate, project: GateProject) -> None:
    """Approvals, cancels and retirements, with token, who and why."""
    project.decide("c1", 10)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    live.ended(run["id"])
    live.call("POST", f"/v1/runs/{run['id']}/approval", WHO, "approver")
    live.call("POST", f"/v1/runs/{run['id']}/retire", WHO, "approver")
    store: RunStore = live.gate.store
    kept = [(row["what"], row["token"], row["who"]) for row in store._query("SELECT * FROM event ORDER BY seq")]
    assert kept == [("approve", "approver", WHO["who"]), ("retire", "approver", WHO["who"])]


@pytest.mark.parametrize("before", ["approval", "retire"])
def test_an_approval_that_comes_second_changes_nothing(live: LiveGate, project: GateProject, before: str) -> None:
    """Two requests that both saw an open hold: one approves, and what it did stays; a retired run is not approved."""
    project.decide("c1", 10)
    run = live.call("POST", "/v1/runs", asked("c1")).json()
    live.ended(run["id"])
    live.call("POST", f"/v1/runs/{run['id']}/{before}", WHO, "approver")
    kept = live.run(run["id"])
    store: RunStore = live.gate.store
    events = len(store._query("SELECT * FROM event"))
    assert not store.approve(run["id"], Approval("Park", "late", "approver", "2026-11-29T00:00:00+00:00"))
    assert live.run(run["id"]) == kept
    assert len(store._query("SELECT * FROM event")) == events
