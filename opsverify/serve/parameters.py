"""Parameters of the API in addresses, queries and headers: their forms, for reading and for the OpenAPI document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from opsverify.core.stages import STAGES
from opsverify.language.message import say
from opsverify.serve.declined import Declined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLAGGER_HOOKS: Final = ("confirm-rollout", "confirm-promotion", "rollback")
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_NAME: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": 100}
_STAGE: Final = {"type": "string", "enum": list(STAGES)}
SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "id": {"type": "string", "pattern": "^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"},
    "stage": _STAGE,
    "target": _NAME,
    "hook": {"type": "string", "enum": list(FLAGGER_HOOKS)},
    "token": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 200},
    IDEMPOTENCY_KEY: {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
"""By name; a parameter of one name has one form."""


def require_form(name: str, values: Sequence[str]) -> str | None:
    """The value of a parameter that may be left out. Raises Declined (400) for two, and for one of another form."""
    if not values:
        return None
    value = values[0]
    if len(values) > 1:
        raise Declined(400, say("{name}: given more than once", name=name))
    if not has_form(name, value):
        raise Declined(400, say("{name}: has not the form that /openapi.json says", name=name))
    return value


def has_form(name: str, value: str) -> bool:
    """Whether a value has the form of the parameter `name`."""
    schema = SCHEMAS[name]
    allowed, most = schema.get("enum"), schema.get("maxLength", len(value))
    matches = re.fullmatch(schema.get("pattern", "(?s:.*)"), value) is not None
    return matches and len(value) <= most and (allowed is None or value in allowed)
