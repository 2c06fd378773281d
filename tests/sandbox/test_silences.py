"""Fault `alerts_silenced`: it is on and off when Alertmanager says so, and not when it was asked."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from sandbox.process_faults import ACTIONS
from tests.probes.probe_servers import fake_server

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from sandbox.parts import Parts


def silence(state: str) -> list[object]:
    """Alertmanager's answer with one silence."""
    return [{"id": "a1", "status": {"state": state}}]


@pytest.mark.parametrize(
    ("on", "answers"),
    [
        (True, [(503, []), (200, [])]),
        (False, [(503, []), (200, silence("active")), (503, []), (200, silence("expired"))]),
    ],
    ids=["on", "off"],
)
def test_no_answer_is_asked_again(*, on: bool, answers: list[tuple[int, list[object]]]) -> None:
    """A busy Alertmanager that does not answer has neither a silence nor none."""
    left = [*answers]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        status, found = left.pop(0)
        body = json.dumps(found).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with fake_server() as alertmanager:
        alertmanager.routes["/api/v2/silences"] = answer
        ports = {"alertmanager": int(alertmanager.url.rpartition(":")[2])}
        parts = cast("Parts", SimpleNamespace(settings=SimpleNamespace(ports=ports)))
        ACTIONS["alerts_silenced"](parts, "alerts_silenced", "all", on=on)
    assert not left
