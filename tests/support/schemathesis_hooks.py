"""Hooks of Schemathesis: what OpenAPI cannot say of a valid request for a run."""

from __future__ import annotations

import uuid
from typing import Any

import schemathesis

from opsverify.serve.parameters import IDEMPOTENCY_KEY


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - named by the caller
    """Give a request without a release a key of its own: one of the two is needed, by which a retry finds its run."""
    if case.operation.label != "POST /v1/runs" or not isinstance(case.body, dict) or case.body.get("release"):
        return
    if not any(name.lower() == IDEMPOTENCY_KEY.lower() for name in case.headers):
        case.headers[IDEMPOTENCY_KEY] = uuid.uuid4().hex
