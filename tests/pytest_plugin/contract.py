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


@functools.cache
def closed() -> Draft202012Validator:
    """The schema without room for fields that it does not name: whatever this version writes must be documented."""
    return Draft202012Validator(without_room(schema().schema))


def without_room(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A schema, or a part of one, in which an object has no field that is not named."""
    if isinstance(part, list):
        return [without_room(each) for each in part]
    if not isinstance(part, dict):
        return part
    # Not the alternatives of `oneOf`, which name a few fields of an object described elsewhere.
    walked = {name: value if name == "oneOf" else without_room(value) for name, value in part.items()}
    if part.get("type") == "object":
        walked.setdefault("additionalProperties", False)
    return walked


def assert_keeps_contract(verdict: dict[str, Any]) -> None:
    """Require the schema, and what a schema cannot say: the counts are those of the checks."""
    assert [f"{error.json_path}: {error.message}" for error in closed().iter_errors(verdict)] == []
    checks = verdict["checks"]
    assert verdict["planned"] == len(checks)
    assert verdict["executed"] == sum(check["started_at"] is not None for check in checks)
    assert len({check["id"] for check in checks}) == len(checks)
