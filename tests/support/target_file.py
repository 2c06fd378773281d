"""The smallest target that loads, as text and as a loaded target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opsverify.config.load import load_target
from opsverify.errors import TargetError

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.config.model import Target

SMALLEST = """
name = "t"
environment = "staging"
language = "en"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
[owners]
default = "me"
families = { sql = "data" }
[services.a]
url = "http://127.0.0.1:9"
"""

SERVICE_ALONE = "".join(
    f'[[out_of_scope]]\nline = "{line}"\nowner = "me"\nreason = "{reason}"\nsince = 2026-11-01\n'
    for line, reason in {
        "2-1/judgment": "no journey: the service has no other path",
        "2-4/rollback": "nothing counts its requests: its health is all there is",
    }.items()
)
"""The runbook of a project whose platform is the one service of `SMALLEST`: what it decides a release by."""

_DATABASE = "{ host = 'db', dbname = 'judgment', login = { user = 'reader' } }"
REGIONS = f"""
[regions]
url = "https://judgment.example.com/health"
resolvers = ["10.0.0.53", "10.1.0.53:5300"]
ttl = "60s"
switchback = "reverse"
wal_archive = "wal"
tables = [{{ name = "orders", key = ["id"], changed = "changed_at" }}]
[regions.original]
marker = "icn"
addresses = ["10.0.0.1"]
closed = ["10.0.0.1:22", "[fd00::1]:22"]
database = {_DATABASE}
[regions.dr]
marker = "pus"
addresses = ["10.1.0.1"]
database = {_DATABASE}
"""
"""Two regions, to be added to it."""


def target_in(folder: Path, text: str = SMALLEST) -> Target:
    """Load a target without secrets from text."""
    path = folder / "t.toml"
    path.write_text(text, encoding="utf-8")
    return load_target(path, with_secrets=False)[0]


def problems_in(folder: Path, text: str) -> tuple[str, ...]:
    """The faults of a target given as text. Fails where it has none."""
    path = folder / "t.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TargetError) as raised:
        load_target(path)
    return raised.value.problems
