"""OIDC jobs as a server meets them: requests with the token of a job, and the problems that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from tests.support.gate_server import LONGEST_S
from tests.support.pipelines import NO_TLS

if TYPE_CHECKING:
    from tests.support.gate_server import LiveGate

RUN: Final = {"stage": "prod-canary", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
"""A request for a run."""


def call(
    live: LiveGate, token: str, method: str = "GET", path: str = "/v1/runs", body: object = None
) -> httpx.Response:
    """One request of a job."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=live.url, headers=headers, timeout=LONGEST_S, trust_env=False, verify=NO_TLS) as client:
        return client.request(method, path, json=body)


def problem(answer: httpx.Response, status: int) -> str:
    """The text of a problem with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] != answer.json()["detail_ko"]
    return str(answer.json()["detail"])
