"""Python processes of the platform: judgment service, edge, external systems, heartbeat."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from opsverify.language.message import say
from sandbox import network, target_file
from sandbox.errors import SandboxError
from sandbox.home import PODS, REPOSITORY
from sandbox.processes import died, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.home import Settings
    from sandbox.processes import Table
    from sandbox.started import Started

PROCESSES = {
    "externals": ("sandbox.platform.externals",),
    "stable": ("sandbox.platform.judgment", "--track", "stable"),
    "canary": ("sandbox.platform.judgment", "--track", "canary"),
    "edge": ("sandbox.platform.edge",),
    **{pod: ("sandbox.platform.judgment", "--track", "canary", "--pod", pod) for pod in PODS[1:]},
}
HEARTBEAT = "heartbeat"
"""The suite's heartbeat writer, as it would run in production."""
_START_DEADLINE_S = 90
_MIGRATION_TIMEOUT_S = 120


class Platform:
    """The Python processes of one sandbox; `table` keeps them."""

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self._table = table

    def start(self, name: str) -> Started:
        """Start one of `PROCESSES` without waiting for it."""
        module, *arguments = PROCESSES[name]
        return self._table.start(
            name,
            [sys.executable, "-m", module, "--home", str(self._settings.home), *arguments],
            log=self._log(name),
            cwd=REPOSITORY,
        )

    def start_heartbeat(self) -> Started:
        """Start the heartbeat's writer without waiting for it."""
        target = self._settings.home / target_file.NAME
        return self._table.start(
            HEARTBEAT,
            [sys.executable, "-m", "opsverify", "dr", "heartbeat", "--target", str(target)],
            log=self._log(HEARTBEAT),
            cwd=REPOSITORY,
        )

    def wait(self, name: str, running: Started) -> None:
        """Wait until the process serves."""
        wait_until(
            lambda: self._serves(name), _START_DEADLINE_S, say("{name} to serve", name=name),
            lambda: died(name, running, self._log(name)),
        )  # fmt: skip

    def migrate(self, verb: str) -> None:
        """`upgrade` the database to the head revision and seed it, or `downgrade` it by one revision."""
        done = subprocess.run(
            [sys.executable, "-m", "sandbox.migrations", verb, "--home", str(self._settings.home)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=_MIGRATION_TIMEOUT_S, check=False,
        )  # fmt: skip
        with self._log("migrations").open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [say("exit status {code}", code=done.returncode)]
            raise SandboxError(
                say(
                    "database migration ({verb}) failed: {reason} (see {log})",
                    verb=verb,
                    reason=lines[-1],
                    log=self._log("migrations"),
                )
            )

    def _serves(self, name: str) -> bool:
        ports = self._settings.ports
        if name == "externals":
            return (
                network.is_ok(ports["llm"], "/health")
                and network.is_ok(ports["inbox"], "/health")
                and network.listens(ports["mcp"])
            )
        if name == "edge":
            return network.is_ok(ports["edge"], "/healthz") and network.is_ok(ports["edge"], "/metrics")
        # Any answer will do: the service is up, and says so with 503, while the database is away.
        return network.get(ports[name], "/health")[0] != 0

    def _log(self, name: str) -> Path:
        return self._settings.logs_dir / f"{name}.log"
