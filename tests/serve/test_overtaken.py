"""Later runs: what an older run opened is closed by a later one of its release, in whichever order things come."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gate_server import GateProject, LiveGate, plain, served, until

if TYPE_CHECKING:
    from pathlib import Path

WHO = {"who": "Kim", "why": "looked at it"}


def run(live: LiveGate, project: GateProject, checksum: str, code: int, **headers: str) -> dict[str, Any]:
    """A run over the API that ends with this code."""
    started = begun(live, checksum, **headers)
    return ended(live, project, started["id"], checksum, code)


def begun(live: LiveGate, checksum: str, **headers: str) -> dict[str, Any]:
    """A run over the API; its process is there."""
    body = {"stage": "prod-canary", "target": "prod", "release": {"name": "judgment", "checksum": checksum}}
    started: dict[str, Any] = live.call("POST", "/v1/runs", body, **headers).json()
    return started


def ended(live: LiveGate, project: GateProject, run_id: str, checksum: str, code: int) -> dict[str, Any]:
    """The run, after it ended with this code; the next one of its checksum waits again."""
    project.decide(checksum, code)
    found = live.ended(run_id)
    decision: Path = project.folder / "decisions" / checksum
    decision.unlink()
    return found


def flagger(live: LiveGate, checksum: str, hook: str) -> Any:  # noqa: ANN401 - httpx's
    """A webhook's answer."""
    body = {"name": "judgment", "namespace": "default", "checksum": checksum}
    return live.call("POST", f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/{hook}", body, None)


def approved(live: LiveGate, run_id: str) -> Any:  # noqa: ANN401 - httpx's
    """An approval."""
    return live.call("POST", f"/v1/runs/{run_id}/approval", WHO, "approver")


def test_an_older_hold_is_not_approved_past_another_checksum(live: LiveGate, project: GateProject) -> None:
    """c2 came and promoted: c1 is what it replaced. The answer names the run to act on."""
    old = run(live, project, "c1", 10)
    new = run(live, project, "c2", 0)
    answer = approved(live, old["id"])
    assert answer.status_code == 409
    assert new["id"] in answer.json()["detail"]
    assert new["id"] in answer.json()["detail_ko"]
    assert (live.run(old["id"])["answer"], live.run(new["id"])["answer"]) == ("hold", "promote")


def test_a_superseded_hold_is_not_approved(live: LiveGate, project: GateProject) -> None:
    """It measured both; also while the later run is under way."""
    old = begun(live, "c1")
    until(lambda: project.begun("c1"), "the first")
    new = begun(live, "c2")
    live.ended(old["id"])
    assert approved(live, old["id"]).status_code == 409
    ended(live, project, new["id"], "c2", 1)
    assert approved(live, old["id"]).status_code == 409
    assert live.run(old["id"])["answer"] == "hold"


def test_an_approval_before_the_later_run_closes_as_well(live: LiveGate, project: GateProject) -> None:
    """The order of approval and later run decides nothing."""
    old = run(live, project, "c1", 10, Idempotency_Key="A")
    assert approved(live, old["id"]).json()["answer"] == "promote"
    new = run(live, project, "c1", 1, Idempotency_Key="B")
    assert live.run(old["id"])["answer"] == "hold"
    listed = {each["id"]: each["answer"] for each in live.call("GET", "/v1/runs").json()["runs"]}
    assert listed == {old["id"]: "hold", new["id"]: "rollback"}


@pytest.mark.parametrize("code", [1, 10])
def test_an_older_hold_is_not_approved_past_a_later_measurement(
    live: LiveGate, project: GateProject, code: int
) -> None:
    """Of the same checksum: the later run is the one to decide on."""
    old = run(live, project, "c1", 10, Idempotency_Key="A")
    new = run(live, project, "c1", code, Idempotency_Key="B")
    answer = approved(live, old["id"])
    assert (answer.status_code, new["id"] in answer.json()["detail"]) == (409, True)
    assert approved(live, new["id"]).status_code == (200 if code == 10 else 409)


def test_a_later_promotion_leaves_the_older_hold_to_a_person(live: LiveGate, project: GateProject) -> None:
    """Nothing red came after it."""
    old = run(live, project, "c1", 10, Idempotency_Key="A")
    run(live, project, "c1", 0, Idempotency_Key="B")
    assert approved(live, old["id"]).json()["answer"] == "promote"


@pytest.mark.parametrize("code", [1, 10, 3])
def test_a_later_measurement_closes_the_hook(live: LiveGate, project: GateProject, code: int) -> None:
    """A hook's promotion opens nothing after red or hold over the API, and the two hooks never both say yes."""
    hook = flagger(live, "c1", "confirm-promotion").json()
    ended(live, project, hook["run"], "c1", 0)
    assert flagger(live, "c1", "confirm-promotion").status_code == 200
    later = run(live, project, "c1", code)
    answer = flagger(live, "c1", "confirm-promotion")
    assert (answer.status_code, answer.json()["answer"]) == (403, "hold")
    assert later["id"] in answer.json()["reason"]
    assert flagger(live, "c1", "rollback").status_code == (200 if code == 1 else 403)


def test_a_hold_that_was_approved_later_closes_nothing(live: LiveGate, project: GateProject) -> None:
    """A person let the later one pass; until then the hook holds."""
    hook = flagger(live, "c1", "confirm-promotion").json()
    ended(live, project, hook["run"], "c1", 0)
    later = run(live, project, "c1", 10)
    assert flagger(live, "c1", "confirm-promotion").status_code == 403
    approved(live, later["id"])
    assert flagger(live, "c1", "confirm-promotion").status_code == 200


def test_a_red_measurement_is_not_repeated_by_an_old_promotion(live: LiveGate, project: GateProject) -> None:
    """The hook's own promotion grows old; what came after it was red, and stays so until a person retires it."""
    hook = flagger(live, "c1", "confirm-promotion").json()
    ended(live, project, hook["run"], "c1", 0)
    red = run(live, project, "c1", 1)
    live.now = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    assert flagger(live, "c1", "confirm-promotion").json()["run"] == hook["run"]
    assert live.call("POST", f"/v1/runs/{red['id']}/retire", WHO, "approver").status_code == 200
    again = flagger(live, "c1", "confirm-promotion").json()
    assert again["answer"] == "running"
    assert again["run"] not in (hook["run"], red["id"])
    project.decide("c1", 10)


def test_two_hooks_of_one_release_are_measured_again(live: LiveGate, project: GateProject) -> None:
    """The first one's promotion is not held for ever by the second one's, which grew old and was replaced."""
    for hook in ("confirm-rollout", "confirm-promotion"):
        ended(live, project, flagger(live, "c1", hook).json()["run"], "c1", 0)
    live.now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    project.decide("c1", 0)
    for hook in ("confirm-promotion", "confirm-rollout"):
        old = live.call("GET", "/v1/runs").json()["runs"][-1]["id"]
        assert flagger(live, "c1", hook).json()["run"] != old
    until(lambda: len(project.begun("c1")) == 4, "both again")


def test_an_old_hold_is_not_approved(project: GateProject) -> None:
    """After --approve-within, and one of the future."""
    with served(project) as live:
        object.__setattr__(live.gate, "approve_within_s", 3600.0)
        hold = run(live, project, "c1", 10)
        for hours in (2, -1):
            live.now = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
            answer = approved(live, hold["id"])
            assert (answer.status_code, "--approve-within" in answer.json()["detail"]) == (409, True)
        live.now = None
        assert approved(live, hold["id"]).status_code == 200
