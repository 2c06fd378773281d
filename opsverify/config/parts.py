"""Parts of a platform that a target describes, or declares absent with a reason."""

from __future__ import annotations

from typing import Final, Literal, get_args

Part = Literal[
    "services", "prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery", "regions",
    "dead_letters", "statements", "retention", "storage", "on_call", "llmops", "rights", "changes", "breakers",
    "incident_llm", "incident_mcp", "incident_db", "incident_cache", "incident_rule",
]  # fmt: skip
PARTS: Final[tuple[Part, ...]] = get_args(Part)
