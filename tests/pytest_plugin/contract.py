"""The contract of `verdict.json`, as `docs/verdict.schema.json` holds it."""

from __future__ import annotations

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.paths import REPOSITORY


@functools.cache
def schema() -> Draft202012Validator:
    """Read the published schema."""
    text = (REPOSITORY / "docs" / "verdict.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def assert_keeps_contract(verdict: dict[str, Any]) -> None:
    """Require the schema, and what a schema cannot say: the counts are those of the checks."""
    assert [error.message for error in schema().iter_errors(verdict)] == []
    checks = verdict["checks"]
    assert verdict["planned"] == len(checks)
    assert verdict["executed"] == sum(check["started_at"] is not None for check in checks)
    assert len({check["id"] for check in checks}) == len(checks)
