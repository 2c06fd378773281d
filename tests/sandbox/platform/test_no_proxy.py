"""HTTP clients of the stand-in platform: none asks this very machine through the company's proxy."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.paths import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

MODULES: Final = sorted((REPOSITORY / "sandbox").rglob("*.py"))
HEED_THE_ENVIRONMENT: Final = ("create_mcp_http_client", "urlopen", "Session")
"""Makers of clients that take the environment's proxy, and cannot be told otherwise."""
OF_HTTPX: Final = ("AsyncClient", "httpx.Client", "httpx2.Client")


def _makers(module: Path) -> list[ast.Call]:
    """Calls that make an HTTP client."""
    calls = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func).endswith((*OF_HTTPX, *HEED_THE_ENVIRONMENT))]


def _heeds_the_environment(call: ast.Call) -> bool:
    said = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    return not ast.unparse(call.func).endswith(OF_HTTPX) or (
        said.get("trust_env") != "False" and "transport" not in said
    )


def test_there_are_clients() -> None:
    """What the rule below is about is found."""
    assert len([call for module in MODULES for call in _makers(module)]) > 3


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_client_takes_a_proxy_of_the_environment(module: Path) -> None:
    """Behind a company's proxy the demo would else find a platform that is down."""
    assert [ast.unparse(call) for call in _makers(module) if _heeds_the_environment(call)] == []
