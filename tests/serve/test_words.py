"""Words of requests: a form holds to its end, and a person's decision has a person and a reason that are seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from opsverify.serve.openapi import document
from tests.support.gate_server import plain

if TYPE_CHECKING:
    from tests.support.gate_server import GateProject, LiveGate

RELEASE: dict[str, Any] = {"name": "judgment", "checksum": "c1", "namespace": "prod"}
BODY: dict[str, Any] = {"stage": "prod-canary", "target": "prod", "release": RELEASE}
IMAGE = f"registry/judgment@sha256:{'0' * 64}"
NOTHING = (
    "  ",
    "\t\n",
    "\u200b\u200b",
    "\u3164\u3164",
    "\u2800\u00a0",
    "\x1b\x07",
    "\U000e0041\U000e0042",
    "\u202e \ufeff",
)


@pytest.mark.parametrize(
    "body",
    [
        BODY | {"target": "prod\n"},
        BODY | {"window": "12m\n"},
        BODY | {"share": "10%\n"},
        BODY | {"rolled_back_at": "2026-11-29T10:00:00Z\n"},
        *(BODY | {"release": RELEASE | {name: f"{value}\n"}} for name, value in (RELEASE | {"image": IMAGE}).items()),
    ],
)
def test_a_line_break_at_the_end_is_of_no_form(live: LiveGate, body: dict[str, Any]) -> None:
    """As a checksum it would be another one, and end the run of the one that it looks like."""
    answer = live.call("POST", "/v1/runs", body)
    assert answer.status_code == 400
    assert live.call("GET", "/v1/runs").json() == {"runs": []}


def test_a_hook_takes_no_line_break_either(live: LiveGate) -> None:
    """Neither in the body nor in its metadata."""
    flagger = f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/confirm-promotion"
    body = {"name": "judgment", "namespace": "prod", "checksum": "c1"}
    for path, sent in (
        ("/v1/hooks/argo/prod-canary/prod", {"name": "judgment", "checksum": "c1\n"}),
        (flagger, body | {"checksum": "c1\n"}),
        (flagger, body | {"metadata": {"window": "12m\n"}}),
    ):
        assert live.call("POST", path, sent, "hooks").status_code == 400


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"stage": "prod-canary", "target": "staging", "target": "prod"}', "target"),
        ('{"stage": "prod-canary", "target": "staging", "t\\u0061rget": "prod"}', "target"),
        ('{"stage": "prod-canary", "target": "prod", "release": {"name": "a", "checksum": "1", "name": "b"}}', "name"),
    ],
)
def test_a_name_that_is_given_twice_is_refused(live: LiveGate, text: str, named: str) -> None:
    """A proxy that checks a request may take the first one, which is not what would be run."""
    with live.client() as client:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        answer = client.post("/v1/runs", content=text, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"body: {named}: given more than once"
    assert live.call("GET", "/v1/runs").json() == {"runs": []}


def test_names_of_different_objects_are_not_given_twice(live: LiveGate) -> None:
    """Nor does a long number of a controller's own, which nobody reads, change anything."""
    flagger = f"/v1/hooks/flagger/{plain('hooks')}/prod-canary/prod/rollback"
    text = '{"name": "judgment", "namespace": "prod", "checksum": "c1", "more": {"name": "x"}, "long": %s}' % (
        "9" * 5000
    )
    with live.client(None) as client:
        answer = client.post(flagger, content=text, headers={"Content-Type": "application/json"})
    assert answer.json()["reason"] == "no run of this release: nothing to roll back"


def _patterns(found: object) -> list[str]:
    if isinstance(found, dict):
        own = [found["pattern"]] if isinstance(found.get("pattern"), str) else []
        return own + [each for value in found.values() for each in _patterns(value)]
    return [each for value in found for each in _patterns(value)] if isinstance(found, list) else []


def test_no_published_form_of_a_body_lets_one_pass() -> None:
    """Whatever is added."""
    forms = [each for each in _patterns(document()["components"]) if each.startswith("^")]
    assert len(forms) > 5
    assert [each for each in forms if not each.endswith(r"$(?!\n)")] == []


@pytest.mark.parametrize("what", ["approval", "cancel", "retire"])
@pytest.mark.parametrize("field", ["who", "why"])
@pytest.mark.parametrize("text", NOTHING)
def test_a_decision_without_a_word_is_none(live: LiveGate, what: str, field: str, text: str) -> None:
    """Spaces, controls and characters without a shape name nobody and give no reason."""
    body = {"who": "Kim", "why": "looked at it"} | {field: text}
    assert live.call("POST", f"/v1/runs/none/{what}", body).status_code == 400


@pytest.mark.parametrize("text", ["김철수", "Kim", "ab", " x", "李", "👍!", "e\u0301."])
def test_words_of_every_script_are_words(text: str) -> None:
    """One that is seen is enough."""
    pattern = document()["components"]["schemas"]["DecisionBody"]["properties"]["who"]["pattern"]
    assert re.search(pattern, text)


def test_words_are_kept_as_they_may_be_shown(live: LiveGate, project: GateProject) -> None:
    """On one line, and what would act on a terminal or a page is its escape."""
    project.decide("c1", 10)
    run = live.ended(live.call("POST", "/v1/runs", BODY).json()["id"])
    body = {"who": " Kim\nrun x: promote ", "why": "\x1b[2Jok \u202edetsurt"}
    found = live.call("POST", f"/v1/runs/{run['id']}/approval", body, "approver").json()
    assert (found["approval"]["who"], found["approval"]["why"]) == ("Kim run x: promote", "\\x1b[2Jok \\u202edetsurt")
    answer, reason = live.gate.reason(live.gate.store.get(run["id"]))  # type: ignore[arg-type]
    assert answer == "promote"
    assert reason.isprintable()
    assert reason.ko.isprintable()
