"""Gate server for tests: the real application and server on a free port; its runs decide as a file says."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from opsverify.core.stages import Decision
from opsverify.language.message import say
from opsverify.probes.eventually import eventually
from opsverify.serve.gate_run import Conclusion
from opsverify.serve.run_queue import QueueSettings
from opsverify.serve.server import Listener, opened, server_of
from tests.support.pipelines import NO_TLS
from tests.support.target_file import SERVICE_ALONE, SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opsverify.serve.gate import PipelineGate
    from opsverify.serve.gate_run import RunRequest

TARGETS: Final = ("prod", "staging")
ADMIN: Final = "admin"
LONGEST_S: Final = 300.0
"""How long a test waits for what is to come; none ever does, also where three wait on two slow cores."""
_SCRIPT: Final = """\
echo "$$" >> "$1.begun"
count=0
while [ ! -e "$1" ] && [ "$count" -lt 30000 ]; do sleep 0.02; count=$((count + 1)); done
exit "$(cat "$1")"
"""
TOKENS: Final = {
    "admin": ('["run", "read", "approve", "hook"]', '["*"]', '["*"]'),
    "approver": ('["read", "approve"]', '["*"]', '["*"]'),
    "hooks": ('["hook"]', '["prod-canary", "staging"]', '["prod"]'),
    "reader": ('["read"]', '["daily"]', '["staging"]'),
}

FAR: Final = """
name = "far"
environment = "staging"
language = "en"
absent = ["alertmanager", "postgres", "redis", "mcp", "canary", "inbox", "recovery"]
[owners]
default = "me"
[prometheus]
url = "http://127.0.0.1:9"
[services.a]
url = "http://127.0.0.1:9"
"""
"""A target of which nothing answers."""


def plain(name: str) -> str:
    """The token called `name`."""
    return f"ovs_{name}_0123456789abcdef"


def tokens_text(expires: str = "2999-01-01T00:00:00Z", more: str = "") -> str:
    """A token file."""
    tables = [
        f'[[token]]\nname = "{name}"\nsha256 = "{hashlib.sha256(plain(name).encode()).hexdigest()}"\n'
        f"may = {may}\nstages = {stages}\ntargets = {targets}\nexpires = {expires}\n"
        for name, (may, stages, targets) in TOKENS.items()
    ]
    return "\n".join([more, *tables])


def project_in(folder: Path) -> Path:
    """A project with the targets of `TARGETS` and a token file."""
    (folder / "targets").mkdir(parents=True)
    (folder / "runbook.toml").write_text(SERVICE_ALONE, encoding="utf-8")
    for name in TARGETS:
        text = SMALLEST.replace('name = "t"', f'name = "{name}"')
        (folder / "targets" / f"{name}.toml").write_text(text, encoding="utf-8")
    (folder / "tokens.toml").write_text(tokens_text(), encoding="utf-8")
    return folder


def until(condition: Callable[[], Any], what: str, longest_s: float = LONGEST_S, every_s: float = 0.01) -> Any:  # noqa: ANN401 - whatever the condition returns
    """Wait for `condition`, and fail after a long time."""
    found = eventually(condition, bool, deadline_s=longest_s, every_s=every_s, what=what)
    assert found, f"not within {longest_s} s: {what}"
    return found


@dataclass
class GateProject:
    """A project whose runs do nothing but wait for their decision."""

    folder: Path
    most_at_once: int = 2
    longest_s: float = LONGEST_S

    def _file(self, checksum: str) -> Path:
        return self.folder / "decisions" / checksum.replace("/", "_")

    def decide(self, checksum: str, code: int) -> None:
        """Let the runs of this checksum end with this exit code."""
        path = self._file(checksum)
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(str(code), encoding="utf-8")
        draft.rename(path)

    def begun(self, checksum: str) -> list[int]:
        """The processes of all runs of this checksum that were ever started."""
        path = self._file(checksum).with_name(self._file(checksum).name + ".begun")
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def command(self, request: RunRequest, _folder: Path) -> list[str]:
        """Wait for the decision."""
        path = self._file(request.release.checksum if request.release else "none")
        path.parent.mkdir(exist_ok=True)
        return ["/bin/sh", "-c", _SCRIPT, "sh", str(path)]

    @property
    def settings(self) -> QueueSettings:
        """How the queue of this project starts its runs."""
        return QueueSettings(
            self.folder, self.most_at_once, self.longest_s, grace_s=5.0, command=self.command, conclude=by_code
        )


def by_code(_folder: Path, code: int, _request: RunRequest, _root: Path) -> Conclusion:
    """The decision of an exit code alone."""
    decision = {0: Decision.PROMOTE, 1: Decision.ROLLBACK}.get(code, Decision.HOLD)
    return Conclusion(decision, (say("exit code {code}", code=code),), code, "run", "0" * 64)


class RealProject(GateProject):
    """A project whose runs are what the command line runs."""

    @property
    def settings(self) -> QueueSettings:
        """As `opsverify serve` has them."""
        return QueueSettings(self.folder)


@dataclass
class LiveGate:
    """A server that runs: its gate, and a client for each token."""

    gate: PipelineGate
    url: str
    now: dt.datetime | None = None

    def client(self, token: str | None = ADMIN) -> httpx.Client:
        """A client with the token called `token`."""
        headers = {"Authorization": f"Bearer {plain(token)}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=LONGEST_S, trust_env=False, verify=NO_TLS)

    def call(self, method: str, path: str, body: object = None, token: str | None = ADMIN, **headers: str) -> Any:  # noqa: ANN401 - httpx's
        """One request."""
        with self.client(token) as client:
            return client.request(
                method, path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )

    def run(self, run_id: str) -> dict[str, Any]:
        """A run as the API shows it."""
        found: dict[str, Any] = self.call("GET", f"/v1/runs/{run_id}").json()
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """A run after its end."""
        found: dict[str, Any] = until(
            lambda: run if (run := self.run(run_id))["state"] == "finished" else None, f"the end of run {run_id}"
        )
        return found


@contextmanager
def served(
    project: GateProject, most_waiting: int = 20, max_age_s: float = 1800.0, port: int = 0
) -> Iterator[LiveGate]:
    """The server of `project` until the end of the block, on a free port or on `port`; its clock can be set."""
    live: list[LiveGate] = []

    def clock() -> dt.datetime:
        return (live[0].now if live else None) or dt.datetime.now(dt.UTC)

    with opened(project.settings, project.folder / "tokens.toml", most_waiting, max_age_s) as gate:
        object.__setattr__(gate, "clock", clock)
        server = server_of(gate, Listener(port=port))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until(lambda: server.started, "the server")
        port = server.servers[0].sockets[0].getsockname()[1]
        live.append(LiveGate(gate, f"http://127.0.0.1:{port}"))
        try:
            yield live[0]
        finally:
            server.should_exit = True
            thread.join(LONGEST_S)
