"""Servers of a sandbox: PostgreSQL, Redis, Prometheus, Alertmanager, started as processes or in containers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from opsverify.language.message import join, say
from sandbox.errors import WrongUsage
from sandbox.home import CONTAINERS, PROCESSES, PROVIDER_VARIABLE, PROVIDERS
from sandbox.server_processes import ServerProcesses

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from sandbox.home import Settings
    from sandbox.processes import Table
    from sandbox.started import Started


class Servers(Protocol):
    """One provider of servers; a `component` (postgres, redis, prometheus, alertmanager) has several programs.

    Programs have their projects' names: `redis-server`, `initdb`, `promtool`. They listen on 127.0.0.1 and find the
    sandbox's data folder at its path. `user` is the uid and gid to run as; None is the caller's.
    """

    def find(self, components: Collection[str], progress: Callable[[str], None]) -> None:
        """Find what these components are started from, fetching it if need be. Raises SandboxError without one."""

    def start(
        self, component: str, program: str, arguments: Sequence[str], *, log: Path, user: tuple[int, int] | None = None
    ) -> Started:
        """Start a server that writes to `log`, and record it under the component's name."""

    def run(
        self, component: str, program: str, arguments: Sequence[str], *, user: tuple[int, int] | None = None,
        timeout_s: float = 120,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run one of a component's programs to its end."""

    def sweep(self) -> None:
        """Remove what a killed command started and could not record."""


def known_provider(given: str | None) -> str:
    """The provider that is given, else the one that OPSVERIFY_SANDBOX_PROVIDER names, else processes."""
    provider = given or os.environ.get(PROVIDER_VARIABLE) or PROCESSES
    if provider not in PROVIDERS:
        raise WrongUsage(
            say(
                "${variable} is {provider}: expected {known}",
                variable=PROVIDER_VARIABLE,
                provider=provider,
                known=join(say(" or "), PROVIDERS),
            )
        )
    return provider


def servers_of(settings: Settings, table: Table) -> Servers:
    """The provider that the settings name."""
    if settings.provider == CONTAINERS:
        from sandbox.containers import ServerContainers  # noqa: PLC0415 - few sandboxes have containers

        return ServerContainers(settings, table)
    return ServerProcesses(settings, table)
