"""Public names, and what importing the library costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import opsverify
from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONSTANTS = {"CANARY", "INCIDENTS", "NONE", "P95_SLOWER", "SERVING"}
HEAVY = (
    "httpx",
    "pydantic",
    "pytest",
    "psycopg",
    "redis",
    "mcp",
    "requests",
    "allure",
    "prometheus_api_client",
    "testcontainers",
    "securesystemslib",
    "rich",
)
_IMPORT = re.compile(r"^from opsverify import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


def _written_for_check_authors() -> Iterator[Path]:
    for suite in ("checks", "smoke", "dr_validation"):
        yield from (REPOSITORY / suite).glob("*.py")
    yield REPOSITORY / "docs" / "writing-a-check.md"


def test_suites_and_docs_use_exactly_the_public_names() -> None:
    """What suites import and what the docs show is public, and nothing is public that neither needs."""
    written = "\n".join(path.read_text(encoding="utf-8") for path in _written_for_check_authors())
    imported = {name for block in _IMPORT.findall(written) for name in re.findall(r"\w+", "".join(block))}
    assert imported == set(dir(opsverify))


def test_every_public_name_is_defined_in_the_library() -> None:
    """A name is handed on from the module that defines it, not from a library of others."""
    homes = {name: getattr(opsverify, name).__module__ for name in dir(opsverify) if name not in CONSTANTS}
    assert {name: home for name, home in homes.items() if not home.startswith("opsverify.")} == {}
    assert {name for name in dir(opsverify) if name.isupper()} == CONSTANTS


@pytest.mark.parametrize(
    "module", ["opsverify", "opsverify.cli.main", "opsverify.core.spec", "opsverify.limits", "opsverify.errors"]
)
def test_imports_stay_light(module: str) -> None:
    """Nothing heavy is imported before it is used."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not set(HEAVY) & set(json.loads(done.stdout))
