"""Servers as processes of this machine, of programs that `sandbox.binaries` finds."""

from __future__ import annotations

import os
import subprocess
from functools import cached_property
from typing import TYPE_CHECKING

from sandbox import binaries, debian, unprivileged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from sandbox.home import Settings
    from sandbox.processes import Table
    from sandbox.started import Started

_PROGRAMS: Mapping[str, binaries.Program] = {
    "redis": binaries.REDIS,
    "prometheus": binaries.PROMETHEUS,
    "alertmanager": binaries.ALERTMANAGER,
}
"""The program of each component other than PostgreSQL; its tools lie beside it."""
_SERVERS = ("redis-server", "prometheus", "alertmanager")


class ServerProcesses:
    """Provider of the servers of one sandbox; `table` keeps their processes."""

    def __init__(self, settings: Settings, table: Table) -> None:
        self._settings = settings
        self._table = table

    def find(self, components: Collection[str], progress: Callable[[str], None]) -> None:
        """Find their programs, fetching Debian packages if need be; PostgreSQL's are found when it is made."""
        for component, program in _PROGRAMS.items():
            if component in components:
                binaries.find(program, progress)

    def start(
        self, component: str, program: str, arguments: Sequence[str], *, log: Path, user: tuple[int, int] | None = None
    ) -> Started:
        """Start a server as a process."""
        path = self._path(component, program)
        return self._table.start(
            component, [str(path), *arguments], log=log, user=user, env=_environment(),
            cwd=debian.working_dir(path) or self._settings.data_dir,
        )  # fmt: skip

    def run(
        self, component: str, program: str, arguments: Sequence[str], *, user: tuple[int, int] | None = None,
        timeout_s: float = 120,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program; one that is missing ends with 127, as in a shell."""
        path = self._path(component, program)
        if not path.exists():
            return subprocess.CompletedProcess([str(path), *arguments], 127, "", f"{path} is missing")
        return subprocess.run(
            [str(path), *arguments],
            capture_output=True, text=True, timeout=timeout_s, check=False, cwd=self._settings.data_dir,
            env=_environment(),
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=[] if user else None,
        )  # fmt: skip

    def sweep(self) -> None:
        """Do nothing: a process is recorded in the same step as it is started."""

    def _path(self, component: str, program: str) -> Path:
        if component == "postgres":
            return self._postgres / program
        server = binaries.find(_PROGRAMS[component])
        return server if program in _SERVERS else server.with_name(program)

    @cached_property
    def _postgres(self) -> Path:
        """PostgreSQL's folder of programs, reachable by the user they run as."""
        return unprivileged.reachable_bin(binaries.postgres_bin(), unprivileged.identity())


def _environment() -> dict[str, str]:
    """This environment without PostgreSQL's variables; messages are English, since their readers parse them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
