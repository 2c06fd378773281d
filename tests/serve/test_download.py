"""Download of the evidence: whole, kept by nobody on the way, and nothing of it stays on the server's disk."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from opsverify.core.stages import Decision
from opsverify.serve import operations
from opsverify.serve.conclusion import sum_of
from opsverify.serve.gate_run import Conclusion
from tests.support.gate_server import GateProject, LiveGate, plain, project_in, served, until

if TYPE_CHECKING:
    from pathlib import Path

    from opsverify.serve.run_queue import QueueSettings

VERDICT: Final = b"{}"
BUNDLE: Final = bytes(8 << 20)
"""More than the buffers of a connection hold."""


class SealedProject(GateProject):
    """A project whose runs have a verdict."""

    @property
    def settings(self) -> QueueSettings:
        """With the sum of the verdict."""
        sealed = Conclusion(Decision.PROMOTE, (), 0, "run", sum_of(VERDICT))
        return replace(super().settings, conclude=lambda *_: sealed)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SealedProject:
    """A project whose evidence is a large file."""
    monkeypatch.setattr(operations, "write_bundle", lambda _, bundle: bundle.write_bytes(BUNDLE))
    return SealedProject(project_in(tmp_path / "project"))


def evidence_of(live: LiveGate, project: GateProject) -> str:
    """The address of the evidence of a run."""
    project.decide("c1", 0)
    body = {"stage": "staging", "target": "prod", "release": {"name": "judgment", "checksum": "c1"}}
    run = live.ended(live.call("POST", "/v1/runs", body).json()["id"])
    folder = project.settings.folder_of(run["id"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdict.json").write_bytes(VERDICT)
    return f"/v1/runs/{run['id']}/evidence"


def left(project: GateProject) -> list[str]:
    """Bundles on the server's disk."""
    return [path.name for path in project.settings.state.glob("*.tar.zst")]


@pytest.mark.parametrize("ranges", ["bytes=999999999-", "items=0-1", "bytes=5-1", "bytes=0-1", "bytes=0-0,2-3", ""])
def test_a_range_gets_the_whole(live: LiveGate, project: GateProject, ranges: str) -> None:
    """A server may leave it unheeded; each answer is another file, of which parts do not fit together."""
    answer = live.call("GET", evidence_of(live, project), Range=ranges, If_Range="x")
    assert (answer.status_code, answer.content == BUNDLE) == (200, True)
    assert answer.headers["accept-ranges"] == "none"
    assert answer.headers["cache-control"] == "no-store"
    until(lambda: not left(project), "that the file is removed")


def test_a_client_that_goes_leaves_nothing(live: LiveGate, project: GateProject) -> None:
    """It reads the first bytes and closes its connection."""
    path, where = evidence_of(live, project), urlsplit(live.url)
    with socket.create_connection((str(where.hostname), int(where.port or 0))) as gone:
        gone.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {plain('admin')}\r\n\r\n".encode())
        assert gone.recv(16).startswith(b"HTTP/1.1 200")
    until(lambda: not left(project), "that the file is removed")


def test_what_a_killed_server_was_sending_is_removed(project: GateProject) -> None:
    """At the next start."""
    project.settings.state.mkdir(parents=True)
    for name in ("run-1.tar.zst", ".run-1.tar.zst.0123abcd.tmp"):
        (project.settings.state / name).write_bytes(BUNDLE)
    with served(project):
        assert [path.name for path in project.settings.state.iterdir() if ".tar.zst" in path.name] == []
