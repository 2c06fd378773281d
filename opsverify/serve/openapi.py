"""OpenAPI document of the server, made from its operations."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import msgspec

from opsverify.serve.bodies import ProblemBody
from opsverify.serve.operations import OPERATIONS, Operation
from opsverify.serve.parameters import IDEMPOTENCY_KEY, SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = "/openapi.json"
PROBLEM: Final = "application/problem+json"
_REASON: Final = {
    200: "Done", 202: "Accepted", 400: "Not readable", 401: "No valid token", 403: "Not allowed", 404: "Not found",
    405: "Not with this method", 409: "Not now", 413: "Too large", 415: "Not JSON",
    422: "Not as declared", 500: "Internal error", 503: "Ask again",
}  # fmt: skip
_EVERYWHERE: Final = (405, 500, 503)
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    202: {"Location": "Where the run is"},
    401: {"WWW-Authenticate": "How to ask"},
    405: {"Allow": "The methods of this address"},
    503: {"Retry-After": "Seconds until it is worth asking again"},
}
_REQUIRED_HEADERS: Final = (401, 405)
"""Statuses whose headers are there with every operation."""
_RUN_OPERATIONS: Final = ("showRun", "showVerdict", "downloadEvidence", "approveHold", "cancelRun", "retireRun")


def document() -> dict[str, Any]:
    """The document."""
    types = {kind for each in OPERATIONS for kind in (each.body, *each.answers.values()) if isinstance(kind, type)}
    ordered = sorted(types | {ProblemBody}, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "opsverify serve", "version": _version(), "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of the token file"},
                "job": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A job's OIDC token"},
            },
        },
    }


def problems_of(each: Operation) -> tuple[int, ...]:
    """The statuses of an operation's problems."""
    token = (401, 403) if each.may else ()
    body = (400, 413, 415) if each.body else ()
    return tuple(sorted({*token, *body, *each.problems, *_EVERYWHERE}))


def _operation(each: Operation) -> dict[str, Any]:
    answers = {str(status): _answer(status, kind) for status, kind in each.answers.items()}
    for status in problems_of(each):
        problem = _answer(status, ProblemBody, PROBLEM)
        answers.setdefault(str(status), problem)["content"] |= problem["content"]
    found: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "parameters": [*map(_in_path, re.findall(r"{(\w+)}", each.path)), *map(_in_query, each.query)],
        "responses": dict(sorted(answers.items())),
        "security": [{"token": []}, {"job": []}] if _takes_jobs(each) else [],
    }
    if each.name == "startRun":
        found["parameters"].append({"name": IDEMPOTENCY_KEY, "in": "header", "schema": SCHEMAS[IDEMPOTENCY_KEY]})
        answers["202"]["links"] = {
            name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in _RUN_OPERATIONS
        }
    if each.body:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(each.body)}}}
    return found


def _takes_jobs(each: Operation) -> bool:
    return each.may is not None and "{token}" not in each.path


def _answer(status: int, kind: type | str, media_type: str = "application/json") -> dict[str, Any]:
    content = {kind: {}} if isinstance(kind, str) else {media_type: {"schema": _ref(kind)}}
    headers = {
        name: {"description": meaning, "required": status in _REQUIRED_HEADERS, "schema": {"type": "string"}}
        for name, meaning in _HEADERS.get(status, {}).items()
    }
    return {"description": _REASON[status], **({"headers": headers} if headers else {}), "content": content}


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": SCHEMAS[name]}


def _in_query(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": SCHEMAS[name]}


def _version() -> str:
    try:
        return version("opsverify")
    except PackageNotFoundError:
        return "0"
