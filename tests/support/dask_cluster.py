"""Cluster of Dask as a company runs one: a scheduler and workers, processes of their own, over TLS."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opsverify.probes.eventually import eventually
from sandbox.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.support.hosts import Host

LONGEST_S: Final = 120.0
_CONNECTED: Final = "Registered to:"
"""What a worker logs once the scheduler knows it."""


@dataclass
class DaskCluster:
    """The address of the scheduler, and the options by which `opsverify fleet` reaches it."""

    folder: Path
    project: Path
    authority: Authority
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of scheduler and workers."""
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def options(self) -> list[str]:
        """The command line's."""
        return [f"--cluster={self.address}", *client_options(self.folder / "client", self.authority, self.authority)]

    def start(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None, on: Host | None = None
    ) -> Path:
        """Start a scheduler or a worker in the project, on this machine or on a host; its log."""
        address = on.address if on else "127.0.0.1"
        name = f"{module}-{len(self.processes)}"
        ca, pem, log_file = (self.folder / each for each in ("authority.pem", f"{name}.pem", f"{name}.log"))
        pem.write_text(self.authority.issue(address), encoding="utf-8")
        argv = [sys.executable, "-m", f"distributed.cli.{module}", f"--scheduler-file={self._scheduler_file}",
                f"--tls-ca-file={ca}", f"--tls-cert={pem}", f"--tls-key={pem}", "--protocol=tls",
                f"--host={address}", "--no-dashboard", *arguments]  # fmt: skip
        with log_file.open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    on.argv(argv, self.project) if on else argv, cwd=self.project,
                    env={**os.environ, **self.environment, **(environment or {})}, stdout=log, stderr=log,
                )
            )  # fmt: skip
        return log_file

    def start_scheduler(self, allowed_failures: int, on: Host | None = None) -> None:
        """Start the scheduler, and wait for its address."""
        allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        self.start("dask_scheduler", "--port=0", environment=allowed, on=on)
        self.address = eventually(self._written, bool, deadline_s=LONGEST_S, every_s=0.05, what="a scheduler")

    def start_worker(self, on: Host | None = None) -> Path:
        """Start a worker with one thread; its log."""
        return self.start("dask_worker", "--nthreads=1", "--no-nanny", on=on)

    def _written(self) -> str:
        """The scheduler's address; none before its file is whole."""
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return str(json.loads(self._scheduler_file.read_text(encoding="utf-8"))["address"])
        return ""

    @property
    def _scheduler_file(self) -> Path:
        return self.folder / "scheduler.json"


def client_options(folder: Path, certified_by: Authority, trusted: Authority) -> list[str]:
    """The options of a client with a certificate of one authority, who trusts another or the same one."""
    folder.mkdir(exist_ok=True)
    ca, pem = folder / "ca.pem", folder / "client.pem"
    ca.write_text(trusted.pem, encoding="utf-8")
    pem.write_text(certified_by.issue("client"), encoding="utf-8")
    return [f"--tls-ca={ca}", f"--tls-cert={pem}", f"--tls-key={pem}"]


@contextlib.contextmanager
def dask_cluster(folder: Path, project: Path, workers: int, allowed_failures: int = 0) -> Iterator[DaskCluster]:
    """A scheduler on this machine with `workers`, each with one thread."""
    with _ended_cluster(folder, project) as cluster:
        cluster.start_scheduler(allowed_failures)
        for _ in range(workers):
            cluster.start_worker()
        yield cluster


@contextlib.contextmanager
def dask_cluster_on(
    scheduler: Host, workers: Sequence[Host], folder: Path, project: Path, environment: Mapping[str, str]
) -> Iterator[DaskCluster]:
    """A scheduler on one host, and a worker with one thread on each of `workers`, which are all connected."""
    with _ended_cluster(folder, project) as cluster:
        cluster.environment = environment
        cluster.start_scheduler(0, on=scheduler)
        logs = [cluster.start_worker(on=host) for host in workers]
        eventually(
            lambda: [_CONNECTED in log.read_text(encoding="utf-8") for log in logs], all, deadline_s=LONGEST_S,
            every_s=0.1, what="every worker connected",
        )  # fmt: skip
        yield cluster


@contextlib.contextmanager
def _ended_cluster(folder: Path, project: Path) -> Iterator[DaskCluster]:
    folder.mkdir(exist_ok=True)
    authority = Authority.create("fleet")
    authority.save(folder)
    cluster = DaskCluster(folder, project, authority)
    try:
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
            process.wait()
