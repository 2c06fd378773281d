"""Project of `opsverify serve` for a cluster's controllers: the command line's server, whose runs are real ones.

The runs are of the stage `staging`, which needs no traffic of a canary: a target's one service is healthy (promote),
answers 503 (rollback), or does not report the version that is expected (hold).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.support.fleet_services import plant_server
from tests.support.gate_server import ADMIN, LONGEST_S, plain, project_in, tokens_text, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGE: Final = "staging"
DECISIONS: Final = ("promote", "rollback", "hold")
"""Names of targets, too: what a run of the stage decides on each."""
ANOTHER: Final = "another"
"""One more target on which the stage promotes."""


@dataclass(frozen=True)
class ServedProject:
    """A running server: where it is, its project, and what it knows of its runs."""

    url: str
    folder: Path

    def call(self, method: str, path: str, body: object = None, token: str = ADMIN) -> Any:  # noqa: ANN401 - JSON
        """The answer to one request. Fails where it is a problem."""
        headers = {"Authorization": f"Bearer {plain(token)}"}
        reply = httpx.request(method, self.url + path, json=body, headers=headers, trust_env=False, timeout=LONGEST_S)
        assert reply.is_success, reply.text
        return reply.json()

    def run_for(self, namespace: str, target: str) -> dict[str, Any] | None:
        """The only run for a release of this namespace on this target, once there is one."""
        every = self.call("GET", "/v1/runs")["runs"]
        found = [
            each for each in every if each["target"] == target and (each["release"] or {})["namespace"] == namespace
        ]
        assert len(found) <= 1, f"{namespace} was verified more than once on {target}: {found}"
        return found[0] if found else None


@contextmanager
def served_project(folder: Path) -> Iterator[ServedProject]:
    """Run the server on a project with a target for each decision, until the end of the block."""
    project, log = project_in(folder / "project"), folder / "serve.log"
    (project / "tokens.toml").write_text(tokens_text().replace('"prod"', '"*"'), encoding="utf-8")
    with plant_server() as services, log.open("wb") as output:
        for name in (*DECISIONS, ANOTHER):
            services.target(project / "targets", name)
        services.sick.add("rollback")
        with (project / "targets" / "hold.toml").open("a", encoding="utf-8") as held:
            held.write('version = "1.5.0"\n')  # of the service, whose table is the last one
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        server = subprocess.Popen(
            [sys.executable, "-m", "opsverify", "serve", "--port=0", "--tokens=tokens.toml"],
            cwd=project, stderr=output, env=environment,
        )  # fmt: skip
        try:
            address = r"http://127\.0\.0\.1:\d+"
            url = until(lambda: server.poll() is None and re.search(address, log.read_text()), "the address")[0]
            yield ServedProject(url, project)
        finally:
            server.terminate()
            server.wait(LONGEST_S)
