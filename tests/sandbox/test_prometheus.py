"""Prometheus of a sandbox: when its rules are loaded, and when they are not any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from sandbox.home import Settings
from sandbox.prometheus import Monitoring
from tests.probes.probe_servers import fake_server

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from sandbox.processes import Table

RULE = {"name": "Down", "health": "ok"}
UNEVALUATED = {"name": "Down", "health": "unknown"}


class Alive:
    """A table whose Prometheus runs and takes signals."""

    def alive(self, _name: str) -> Alive:
        """Itself."""
        return self

    def send(self, _number: int) -> None:
        """Take the signal."""


@pytest.mark.parametrize(
    ("present", "answers"),
    [
        (False, [(503, []), (200, [RULE]), (503, []), (200, [])]),
        (True, [(503, []), (200, []), (200, [UNEVALUATED]), (200, [RULE, UNEVALUATED]), (200, [RULE])]),
    ],
    ids=["gone", "there"],
)
def test_rules_are_waited_for_until_prometheus_says_so(
    tmp_path: Path, answers: list[tuple[int, list[Any]]], *, present: bool
) -> None:
    """No answer, as of one that is busy with its reload, says nothing; what was loaded is evaluated a second later."""
    left = list(answers)
    (tmp_path / "prometheus").mkdir()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        status, rules = left.pop(0)
        body = json.dumps({"data": {"groups": [{"rules": rules}]}}).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with fake_server() as prometheus:
        prometheus.routes["/api/v1/rules"] = answer
        ports = {"prometheus": int(prometheus.url.rpartition(":")[2])}
        settings = Settings(tmp_path, 0, tmp_path, ports)
        Monitoring(settings, cast("Table", Alive())).set_rules(present=present)
    assert not left
