"""The smallest target that loads, as text and as a loaded target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsverify.target import load_target

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.target import Target

SMALLEST = """
name = "t"
environment = "staging"
absent = ["prometheus", "alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
[owners]
default = "me"
families = { sql = "data" }
[services.a]
url = "http://127.0.0.1:9"
"""


def target_in(folder: Path, text: str = SMALLEST) -> Target:
    """Load a target without secrets from text."""
    path = folder / "t.toml"
    path.write_text(text, encoding="utf-8")
    return load_target(path, with_secrets=False)[0]
