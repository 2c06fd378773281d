"""Public names, and what importing the library costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import opsverify

HEAVY = (
    "httpx",
    "psycopg",
    "redis",
    "mcp",
    "requests",
    "pydantic",
    "allure",
    "prometheus_api_client",
    "testcontainers",
)


@pytest.mark.parametrize("name", opsverify.__all__)
def test_importable(name: str) -> None:
    """Everything that is promised is there."""
    assert getattr(opsverify, name) is not None


def test_promised_names_are_the_known_ones() -> None:
    """The list of names, their homes and their order agree."""
    assert set(opsverify.__all__) == set(opsverify._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = opsverify.nothing


@pytest.mark.parametrize(
    "module", ["opsverify", "opsverify.cli.main", "opsverify.core.spec", "opsverify.limits", "opsverify.errors"]
)
def test_imports_stay_light(module: str) -> None:
    """Nothing heavy is imported before it is used."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not set(HEAVY) & set(json.loads(done.stdout))
