"""OpenAPI document: valid, and what every route really answers is what the document says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from opsverify.config.run_options import options_of
from opsverify.serve.app import app_of
from opsverify.serve.bodies import OPTIONS
from opsverify.serve.openapi import PATH, document
from opsverify.serve.operations import OPERATIONS, Operation
from tests.support.gate_server import GateProject, LiveGate, plain, served

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = document()
BODIES: dict[str, Any] = {
    "RunBody": {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}},
    "DecisionBody": {"who": "Kim", "why": "checked by hand"},
    "ArgoBody": {"name": "judgment", "checksum": "c1"},
    "FlaggerBody": {"name": "judgment", "namespace": "prod", "checksum": "c1"},
}
BY_NAME = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveGate, str]]:
    """A server with one run that is a hold, and its id."""
    from tests.support.gate_server import project_in  # noqa: PLC0415 - the fixture's own

    project = GateProject(project_in(tmp_path_factory.mktemp("openapi") / "project"))
    project.decide("c0", 10)
    project.decide("c1", 1)
    with served(project) as live:
        body = BODIES["RunBody"] | {"release": {"name": "first", "checksum": "c0"}}
        run = live.call("POST", "/v1/runs", body).json()
        live.ended(run["id"])
        yield live, run["id"]


def _path(operation: Operation, run_id: str) -> str:
    return operation.path.format(
        id=run_id, token=plain("admin"), stage="staging", target="prod", hook="confirm-promotion"
    )


def _check(operation: Operation, answer: Any) -> None:  # noqa: ANN401 - httpx's
    declared = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
    assert str(answer.status_code) in declared, answer.text
    content = {kind.partition(";")[0]: schema for kind, schema in declared[str(answer.status_code)]["content"].items()}
    schema = content[answer.headers["content-type"].partition(";")[0]]
    if schema:
        jsonschema.validate(answer.json(), {**schema["schema"], "components": DOCUMENT["components"]})


def test_the_document_is_valid() -> None:
    """By the schema of OpenAPI 3.1."""
    validate(DOCUMENT)


def test_every_route_is_documented_and_no_other(project: GateProject) -> None:
    """Routes of the application, against the document."""
    with served(project) as live:
        routes = [route for route in app_of(live.gate).routes if isinstance(route, Route)]
        served_document = live.call("GET", PATH, token=None).json()
    found = {(route.path, method) for route in routes for method in route.methods or () if method != "HEAD"}
    named = {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert found - {(PATH, "GET")} == named
    assert served_document == json.loads(json.dumps(DOCUMENT))


@BY_NAME
def test_every_route_answers_as_documented(running: tuple[LiveGate, str], operation: Operation) -> None:
    """With a token and a body of its own, and with a run that is not there."""
    live, run_id = running
    body = BODIES[operation.body.__name__] if operation.body else None
    for each in (run_id, "none"):
        _check(operation, live.call(operation.method, _path(operation, each), body))


@BY_NAME
def test_every_route_wants_its_token(running: tuple[LiveGate, str], operation: Operation) -> None:
    """Without one, and with one that may not: 401 and 403, unless the route is open."""
    live, run_id = running
    if operation.may is None:
        assert live.call(operation.method, _path(operation, run_id), token=None).status_code == 200
        return
    path = _path(operation, run_id)
    none = live.call(operation.method, path.replace(plain("admin"), "ovs_unknown"), {}, None)
    wrong = "reader" if operation.may != "read" else "hooks"
    other = live.call(operation.method, path.replace(plain("admin"), plain(wrong)), {}, wrong)
    assert (none.status_code, other.status_code) == (401, 403)
    for answer in (none, other):
        _check_problem(answer)


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.body], ids=lambda each: each.name)
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"name": 5}', b"\xff\xfe", b'{"a":' * 5000])
def test_no_body_breaks_a_route(running: tuple[LiveGate, str], operation: Operation, content: bytes) -> None:
    """Whatever is sent, the answer is a documented problem, and never a yes."""
    live, run_id = running
    with live.client() as client:
        headers = {"Content-Type": "application/json"}
        answer = client.request(operation.method, _path(operation, run_id), content=content, headers=headers)
    assert answer.status_code == 400
    _check_problem(answer)


def _check_problem(answer: Any) -> None:  # noqa: ANN401 - httpx's
    assert answer.headers["content-type"] == "application/problem+json"
    schema = {"$ref": "#/components/schemas/ProblemBody", "components": DOCUMENT["components"]}
    jsonschema.validate(answer.json(), schema)


def test_an_unknown_address_is_a_problem(running: tuple[LiveGate, str]) -> None:
    """And so is a method that a route does not have: GET on a hook starts nothing."""
    live, _ = running
    assert live.call("GET", "/v2/runs").json()["status"] == 404
    assert live.call("GET", "/v1/hooks/argo/staging/prod").json()["status"] == 405


def test_an_address_names_all_its_methods(running: tuple[LiveGate, str]) -> None:
    """Also where two operations share it; HEAD is GET without the body."""
    live, _ = running
    answer = live.call("PATCH", "/v1/runs")
    assert answer.status_code == 405
    assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}
    assert (live.call("HEAD", "/v1/runs").status_code, live.call("HEAD", "/v1/runs").content) == (200, b"")


def test_no_address_is_repeated_in_a_redirect(running: tuple[LiveGate, str]) -> None:
    """Flagger's holds a token: with a slash at the end it is another address, and nothing is there."""
    live, _ = running
    path = f"/v1/hooks/flagger/{plain('admin')}/staging/prod/rollback/"
    answer = live.call("POST", path, BODIES["FlaggerBody"], None)
    assert answer.status_code == 404
    assert "location" not in answer.headers
    _check_problem(answer)


@pytest.mark.parametrize("query", ["stage=nightly", "target=..%2Fprod", "target=", "target=prod&target=staging"])
def test_a_query_has_the_form_that_is_documented(running: tuple[LiveGate, str], query: str) -> None:
    """A misspelt stage is no empty list."""
    live, _ = running
    answer = live.call("GET", f"/v1/runs?{query}")
    assert answer.status_code == 400
    _check_problem(answer)


def test_a_release_is_asked_for_in_one_way(running: tuple[LiveGate, str]) -> None:
    """With other options it is a conflict that names the run; of Flagger's hooks a no, which is not "running"."""
    live, _ = running
    body = BODIES["RunBody"] | {"release": {"name": "asked-twice", "checksum": "c0"}}
    assert live.call("POST", "/v1/runs", body).status_code == 202
    answer = live.call("POST", "/v1/runs", body | {"window": "20m"})
    assert answer.status_code == 409
    _check_problem(answer)
    path = f"/v1/hooks/flagger/{plain('admin')}/staging/prod/confirm-rollout"
    for window, found in (("20m", None), ("30m", "hold")):
        hook = {"name": "asked-twice", "namespace": "prod", "checksum": "c1", "metadata": {"window": window}}
        answer = live.call("POST", path, hook)
        assert answer.status_code == 403
        assert found is None or answer.json()["answer"] == found


@pytest.mark.parametrize("time", ["2026-02-30T10:00", "2026-13-01T10:00:00Z", "2026-11-29T25:00:00Z", "2026-11-29T10Z"])
def test_a_time_is_one(running: tuple[LiveGate, str], time: str) -> None:
    """What is no time is refused before a run fails by it."""
    live, _ = running
    body = {"stage": "post-rollback", "target": "prod", "rolled_back_at": time}
    assert live.call("POST", "/v1/runs", body, Idempotency_Key="k9").status_code == 400


def test_options_of_a_run_are_options_of_verify() -> None:
    """Every field that becomes an option is one, and none makes a stage easier to pass."""
    known = {option.flag.removeprefix("--").replace("-", "_") for option in options_of("verify")}
    assert set(OPTIONS) <= known
    assert known - set(OPTIONS) == {"allow_short_window", "report_dir", "language", "release"}
